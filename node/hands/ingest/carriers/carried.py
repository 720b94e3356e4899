"""A package as it lies on this computer, whatever carries it: a folder, a ZIP, a BagIt bag.

Only names and sizes are known at first; whoever sends or copies the files reads them in pieces,
from any offset.
"""

from __future__ import annotations

import difflib
import json
import tomllib
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import IO, Final
from zipfile import BadZipFile

from node.hands.ingest.findings import Finding
from protocol.errors import ConfigError, Unavailable
from protocol.limits import CHUNK_BYTES, KiB
from protocol.records import RECORD_ELEMENTS

METADATA_NAMES: Final = ("metadata.toml", "metadata.json")
METADATA_BYTES_MAX: Final = 64 * KiB
LITTER: Final = frozenset({".ds_store", "thumbs.db", "desktop.ini"})
_KEYS: Final = (*RECORD_ELEMENTS, "rights")


@dataclass(frozen=True, slots=True)
class CarriedFile:
    name: str  # relative path in the package, forward slashes; not yet checked
    size: int
    modified: int  # ms; tells a file that was changed between two tries
    open: Callable[[], AbstractContextManager[IO[bytes]]]

    def pieces(self, offset: int = 0) -> Iterator[bytes]:
        """The bytes from ``offset``, at most CHUNK_BYTES at once.

        Raises:
            Unavailable: the system does not let us read it, or it is not as long as it was.
        """
        try:
            with self.open() as file:
                file.seek(offset)
                while offset < self.size and (piece := file.read(CHUNK_BYTES)):
                    offset += len(piece)
                    yield piece
        except (OSError, BadZipFile, zlib.error) as error:
            raise Unavailable(self.name, "a file that can be read", error) from error
        if offset != self.size:
            raise Unavailable(self.name, f"{self.size} bytes, as at first", offset)


@dataclass(frozen=True, slots=True)
class Package:
    """``rights`` is "" where nothing was said; ``notes`` are findings about the carrier itself.

    Without a title in the metadata, ``title`` is the name of the folder, or of the file without its
    suffix, and the record has none.
    """

    title: str
    rights: str
    record: dict[str, str]
    files: tuple[CarriedFile, ...]
    notes: tuple[Finding, ...]


def make_package(
    metadata: Mapping[str, str],
    name: str,
    files: Sequence[CarriedFile],
    notes: Sequence[Finding],
) -> Package:
    """The package of ``files``, in order of name, without what carries the metadata."""
    payload = sorted(
        (file for file in files if file.name not in METADATA_NAMES), key=lambda file: file.name
    )
    record = {element: metadata[element] for element in RECORD_ELEMENTS if element in metadata}
    rights = metadata.get("rights", "")
    return Package(record.get("title", name), rights, record, tuple(payload), tuple(notes))


def read_metadata(files: Sequence[CarriedFile], where: str) -> dict[str, str]:
    """What the ``metadata.toml`` or ``metadata.json`` among ``files`` says; {} without one.

    Raises:
        ConfigError: two of them, or one that cannot be understood.
    """
    present = [file for file in files if file.name in METADATA_NAMES]
    if len(present) > 1:
        raise ConfigError(where, "one metadata file", " and ".join(METADATA_NAMES))
    if not present:
        return {}
    name = f"{where}/{present[0].name}"
    if present[0].size > METADATA_BYTES_MAX:
        raise ConfigError(name, f"at most {METADATA_BYTES_MAX} bytes", "more")
    return parse_metadata(b"".join(present[0].pieces()), name)


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
