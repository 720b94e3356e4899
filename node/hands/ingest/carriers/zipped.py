"""A ZIP file, read where it lies: nothing is ever unpacked to a disk.

Names and sizes come from its directory; what is wrong with an entry is said by name.  Names that
an old Windows wrote without saying their encoding are read as GB 18030.  A single top folder that
is called like the ZIP itself, as a right click makes one, is not part of the names.
"""

from __future__ import annotations

import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import IO, Final
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from node.hands.ingest.carriers.carried import (
    LITTER,
    CarriedFile,
    Package,
    make_package,
    read_metadata,
)
from node.hands.ingest.findings import Finding, finding
from protocol.errors import Rejected
from protocol.limits import FILES_PER_PACKAGE_MAX, MiB

RATIO_MAX: Final = 200  # what scans of printed pages never reach
_SMALL_BYTES: Final = 8 * MiB  # below this any ratio is harmless
_DIRECTORY_BYTES_MAX: Final = 16 * MiB  # of 2,000 names of 1 KiB, folders, and room to spare
_END: Final = struct.Struct("<4s4H2LH")
_END_64: Final = struct.Struct("<4sQ2H2L4Q")
_LOCATOR_64: Final = struct.Struct("<4sLQL")
_ENCRYPTED, _UTF8 = 0x1, 0x800
_UNIX: Final = 3


def read_zip(path: Path) -> Package:
    """
    Raises:
        Rejected: no ZIP, or one whose directory is too large to look at.
    """
    _check_directory(path)
    try:
        with ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    except (BadZipFile, NotImplementedError, UnicodeDecodeError) as error:
        raise Rejected(str(path), "a ZIP file", error) from error
    entries = entries[: FILES_PER_PACKAGE_MAX + 1]
    names = _names(entries, path.stem)
    files: list[CarriedFile] = []
    notes: list[Finding] = []
    overlapping = _overlapping(entries)
    for entry, name in zip(entries, names, strict=True):
        note = _note(entry, name, entry.header_offset in overlapping)
        if note is not None:
            notes.append(note)
        else:
            opened = partial(_opened, path, entry)
            files.append(CarriedFile(name, entry.file_size, _modified(entry), opened))
    refused = any(note.severity == "error" for note in notes)
    metadata = {} if refused else read_metadata(files, str(path))
    return make_package(metadata, path.stem, files, notes)


def _note(entry: ZipInfo, name: str, overlaps: bool) -> Finding | None:
    mode = entry.external_attr >> 16 if entry.create_system == _UNIX else 0
    if stat.S_ISLNK(mode):
        return finding("Q501", name)
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        return finding("Q502", name)
    if name.rpartition("/")[2].lower() in LITTER or name.startswith("__MACOSX/"):
        return finding("Q503", name)
    if entry.flag_bits & _ENCRYPTED:
        return finding("Q505", name, reason="有口令 encrypted")
    if entry.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        return finding("Q505", name, reason=f"method {entry.compress_type}")
    if overlaps:
        return finding("Q504", name, size=entry.file_size)
    if entry.file_size > max(_SMALL_BYTES, RATIO_MAX * entry.compress_size):
        return finding("Q504", name, size=entry.file_size)
    return None


def _overlapping(entries: list[ZipInfo]) -> frozenset[int]:
    """Where entries begin whose bytes belong to another one too: how small bombs grow large."""
    found: set[int] = set()
    at, end = -1, 0
    for entry in sorted(entries, key=lambda entry: entry.header_offset):
        if entry.header_offset < end:
            found |= {at, entry.header_offset}
        at, end = entry.header_offset, max(end, entry.header_offset + entry.compress_size)
    return frozenset(found)


def _names(entries: list[ZipInfo], stem: str) -> list[str]:
    names = [_name(entry) for entry in entries]
    top = f"{stem}/"
    if names and all(name.startswith((top, "__MACOSX/")) for name in names):
        return [name.removeprefix(top) for name in names]
    return names


def _name(entry: ZipInfo) -> str:
    """The name as it was meant; where it has no form in any encoding, as it was read."""
    name = entry.orig_filename  # the library cuts the other one at a NUL
    if entry.flag_bits & _UTF8:
        return name
    for encoding in ("utf-8", "gb18030"):
        try:
            return name.encode("cp437").decode(encoding)
        except UnicodeError:
            continue
    return name


def _modified(entry: ZipInfo) -> int:
    try:
        return int(datetime(*entry.date_time, tzinfo=UTC).timestamp() * 1000)
    except ValueError:  # a date there is not
        return 0


@contextmanager
def _opened(path: Path, entry: ZipInfo) -> Iterator[IO[bytes]]:
    with ZipFile(path) as archive, archive.open(entry) as file:
        yield file


def _check_directory(path: Path) -> None:
    """Refuse a ZIP whose directory would fill the memory, before anything reads it."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        tail_bytes = min(size, _END.size + 0xFFFF)
        file.seek(size - tail_bytes)
        tail = file.read(tail_bytes)
        at = tail.rfind(b"PK\x05\x06")
        if at < 0 or at + _END.size > len(tail):
            raise Rejected(str(path), "a ZIP file", "no end of its directory")
        directory_bytes = _END.unpack_from(tail, at)[5]
        if at >= _LOCATOR_64.size:
            magic, _, end_64, _ = _LOCATOR_64.unpack_from(tail, at - _LOCATOR_64.size)
            if magic == b"PK\x06\x07" and end_64 <= size - _END_64.size:
                file.seek(end_64)
                directory_bytes = _END_64.unpack(file.read(_END_64.size))[8]
    if directory_bytes > _DIRECTORY_BYTES_MAX:
        expected = f"a directory of at most {_DIRECTORY_BYTES_MAX} bytes"
        raise Rejected(str(path), expected, directory_bytes)
