"""What ``fangzhi add PATH`` reads from this computer: a file, a folder, or a BagIt bag (RFC 8493).

A ``metadata.toml`` or ``metadata.json`` at the root of a folder (or of a bag's payload) gives the
record and the rights; it is not itself handed in::

    title = "沭阳县志"
    kind = "新方志"
    rights = "open"

Only names and sizes are read here (and, for a bag, the bytes once, in pieces, against its
manifests); whoever sends the files opens them.
"""

from __future__ import annotations

import difflib
import json
import logging
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from node.hands.ingest.findings import Finding, finding
from protocol.errors import ConfigError, Rejected, Unavailable
from protocol.limits import FILES_PER_PACKAGE_MAX, KiB
from protocol.records import RECORD_ELEMENTS

METADATA_NAMES: Final = ("metadata.toml", "metadata.json")
METADATA_BYTES_MAX: Final = 64 * KiB
_KEYS: Final = (*RECORD_ELEMENTS, "rights")
_LITTER: Final = frozenset({".ds_store", "thumbs.db", "desktop.ini"})
_DETAILS_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class LocalFile:
    name: str  # relative path in the package, forward slashes; not yet checked
    path: Path
    size: int


@dataclass(frozen=True, slots=True)
class LocalPackage:
    """``rights`` is "" where nothing was said; ``notes`` are findings about the folder itself.

    Without a title in the metadata it is the name of the folder, or of the file without its suffix.
    """

    title: str
    rights: str
    record: dict[str, str]
    files: tuple[LocalFile, ...]
    notes: tuple[Finding, ...]


def read_package(path: Path) -> LocalPackage:
    """The package at ``path``.

    Raises:
        ConfigError: nothing there, or the metadata cannot be understood.
        Rejected: a bag that is not valid.
        Unavailable: the system does not let us read it.
    """
    try:
        if path.is_file():
            size = path.stat().st_size
            return _package({}, path.stem, [LocalFile(path.name, path.absolute(), size)], [])
        if not path.is_dir():
            raise ConfigError(str(path), "an existing file or folder", "nothing of that name")
        if (path / "bagit.txt").is_file():
            return _read_bag(path)
        walk = _Walk.over(path)
        return _package(_read_metadata(path), path.absolute().name, walk.files, walk.notes)
    except OSError as error:
        raise Unavailable(
            str(error.filename or path), "a file this user may read", error.strerror or error
        ) from error


def _package(
    metadata: Mapping[str, str], name: str, files: list[LocalFile], notes: list[Finding]
) -> LocalPackage:
    payload = tuple(file for file in files if file.name not in METADATA_NAMES)
    record = {element: metadata[element] for element in RECORD_ELEMENTS if element in metadata}
    record.setdefault("title", name)
    return LocalPackage(record["title"], metadata.get("rights", ""), record, payload, tuple(notes))


@dataclass(slots=True)
class _Walk:
    """A folder's files in order of name; links and devices are named, never followed or opened."""

    files: list[LocalFile] = field(default_factory=list)
    notes: list[Finding] = field(default_factory=list)

    @classmethod
    def over(cls, root: Path) -> _Walk:
        walk = cls()
        waiting = [(root.absolute(), "")]
        # One too many is enough to be told so; a whole disk is not listed first.
        while waiting and len(walk.files) + len(walk.notes) <= FILES_PER_PACKAGE_MAX:
            folder, prefix = waiting.pop()
            with os.scandir(folder) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
            folders = [entry for entry in entries if entry.is_dir(follow_symlinks=False)]
            waiting += [(Path(entry), f"{prefix}{entry.name}/") for entry in reversed(folders)]
            for entry in entries:
                if not entry.is_dir(follow_symlinks=False):
                    walk._add(entry, prefix + entry.name)
        return walk

    def _add(self, entry: os.DirEntry[str], name: str) -> None:
        if entry.is_symlink():
            self.notes.append(finding("Q501", name))
        elif not entry.is_file(follow_symlinks=False):
            self.notes.append(finding("Q502", name))
        elif entry.name.lower() in _LITTER:
            self.notes.append(finding("Q503", name))
        else:
            size = entry.stat(follow_symlinks=False).st_size
            self.files.append(LocalFile(name, Path(entry), size))


def _read_bag(root: Path) -> LocalPackage:
    import bagit  # noqa: PLC0415 -- 40 ms that only bags cost

    # Its log would repeat on the terminal what our error says.
    logging.getLogger("bagit").setLevel(logging.CRITICAL)
    # A link could lead the hashing anywhere, so the bag is walked before it is believed.
    walk = _Walk.over(root)
    if refused := [note for note in walk.notes if note.severity == "error"]:
        names = ", ".join(note.path for note in refused[:_DETAILS_SHOWN])
        raise Rejected(str(root), "a bag of ordinary files", names)
    try:
        bag = bagit.Bag(str(root))
        bag.validate()
    except (bagit.BagError, ValueError, OSError) as error:
        details = getattr(error, "details", None) or [error]
        shown = "; ".join(str(detail) for detail in details[:_DETAILS_SHOWN])
        raise Rejected(str(root), "a BagIt bag that agrees with its manifests", shown) from error
    payload = [
        LocalFile(file.name.removeprefix("data/"), file.path, file.size)
        for file in walk.files
        if file.name.startswith("data/")
    ]
    metadata = _read_metadata(root / "data")
    title = bag.info.get("Title", "")
    if isinstance(title, str) and title.strip():
        metadata.setdefault("title", title.strip())
    return _package(metadata, root.absolute().name, payload, walk.notes)


def _read_metadata(folder: Path) -> dict[str, str]:
    present = [name for name in METADATA_NAMES if (folder / name).is_file()]
    if len(present) > 1:
        raise ConfigError(str(folder), "one metadata file", " and ".join(present))
    if not present:
        return {}
    path = folder / present[0]
    with path.open("rb") as file:
        data = file.read(METADATA_BYTES_MAX + 1)
    if len(data) > METADATA_BYTES_MAX:
        raise ConfigError(str(path), f"at most {METADATA_BYTES_MAX} bytes", "more")
    return parse_metadata(data, str(path))


def parse_metadata(data: bytes, where: str) -> dict[str, str]:
    """The record elements and ``rights`` in a metadata file; JSON if ``where`` ends so, else TOML.

    Raises:
        ConfigError: naming the line or the key that cannot be understood.
    """
    try:
        text = data.decode("utf-8-sig")  # Notepad puts a mark in front
    except UnicodeDecodeError as error:
        raise ConfigError(where, "UTF-8 (save it again as UTF-8)", "another encoding") from error
    try:
        fields = json.loads(text) if where.endswith(".json") else tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        kind = "JSON" if where.endswith(".json") else "TOML"
        raise ConfigError(where, f"valid {kind}", error) from error
    if not isinstance(fields, dict):
        raise ConfigError(where, "one JSON object", type(fields).__name__)
    for key, value in fields.items():
        if key not in _KEYS:
            nearest = difflib.get_close_matches(key[:40], _KEYS, 1, 0.0)[0]
            raise ConfigError(f"{where}: {key}", f"a key we know, perhaps {nearest}", key)
        if not isinstance(value, str):
            raise ConfigError(f"{where}: {key}", 'text in quotes ("…")', value)
    return fields
