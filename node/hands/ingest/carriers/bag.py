"""A BagIt 1.0 bag (RFC 8493) that somebody made."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Final

from node.hands.ingest.carriers.carried import CarriedFile, Package, make_package, read_metadata
from node.hands.ingest.carriers.folder import Walk
from protocol.errors import Rejected

PAYLOAD: Final = "data/"
_DETAILS_SHOWN: Final = 5


def read_bag(root: Path) -> Package:
    """
    Raises:
        Rejected: it does not agree with its manifests, or holds links or devices.
    """
    walk = _walk(root)
    info = _validated(root, completeness_only=False)
    payload = [
        replace(file, name=file.name.removeprefix(PAYLOAD))
        for file in walk.files
        if file.name.startswith(PAYLOAD)
    ]
    metadata = read_metadata(payload, str(root / PAYLOAD))
    title = info.get("Title", "")
    if isinstance(title, str) and title.strip():
        metadata.setdefault("title", title.strip())
    return make_package(metadata, root.absolute().name, payload, walk.notes)


def open_bag(root: Path) -> list[CarriedFile]:
    """Every file of a bag, the tags too.  The manifests have no others, but whether the bytes agree
    with them is not read here: who has hashes from a better source holds the files against those.

    Raises:
        Rejected: it is no bag, lacks a file, has one too many, or holds links or devices.
    """
    if not (root / "bagit.txt").is_file():
        raise Rejected(str(root), "a BagIt bag", "no bagit.txt there")
    walk = _walk(root)
    _validated(root, completeness_only=True)
    return walk.files


def _walk(root: Path) -> Walk:
    # A link could lead the hashing anywhere, so the bag is walked before it is believed.
    walk = Walk.over(root)
    if refused := [note for note in walk.notes if note.severity == "error"]:
        names = ", ".join(note.path for note in refused[:_DETAILS_SHOWN])
        raise Rejected(str(root), "a bag of ordinary files", names)
    return walk


def _validated(root: Path, completeness_only: bool) -> dict[str, object]:
    import bagit  # noqa: PLC0415 -- 40 ms that only bags cost

    # Its log would repeat on the terminal what our error says.
    logging.getLogger("bagit").setLevel(logging.CRITICAL)
    try:
        bag = bagit.Bag(str(root))
        bag.validate(completeness_only=completeness_only)
    except (bagit.BagError, ValueError, OSError) as error:
        details = getattr(error, "details", None) or [error]
        shown = "; ".join(str(detail) for detail in details[:_DETAILS_SHOWN])
        raise Rejected(str(root), "a BagIt bag that agrees with its manifests", shown) from error
    info: dict[str, object] = bag.info
    return info
