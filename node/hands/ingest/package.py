"""Rules for a submission as a whole: its names, sizes, record and rights.  Pure.

A name with an error finding is never stored, on any disk: what is harmless here (``con``, a
trailing dot) may not be where a copy lands.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Final

from node.hands.ingest.findings import Finding, finding
from protocol.limits import (
    FILE_BYTES_MAX,
    FILE_NAME_BYTES_MAX,
    FILE_PATH_BYTES_MAX,
    FILES_PER_PACKAGE_MAX,
    PACKAGE_BYTES_MAX,
    RECORD_ELEMENT_CHARS_MAX,
    TITLE_CHARS_MAX,
)
from protocol.records import RECORD_ELEMENTS, RIGHTS_CLASSES, clean_path

_DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE)
_FORBIDDEN: Final = frozenset('<>:"|?*\\')  # on some system that keeps a copy
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")  # tab and line feed may be
_ELEMENTS_READ_MAX: Final = 2 * len(RECORD_ELEMENTS)  # past that enough has been said


def check_package(
    names_and_sizes: Sequence[tuple[str, int]], record: Mapping[str, str], rights: str
) -> list[Finding]:
    """What is wrong with a submission before any of its files is read; empty when nothing is."""
    return [*_check_record(record), *_check_rights(rights), *_check_files(names_and_sizes)]


def name_fault(name: str) -> str | None:
    """Why ``name`` cannot be the path of a file in a package; None when it can."""
    try:
        encoded = name.encode()
    except UnicodeEncodeError:
        return "UTF-8"
    parts = name.split("/")
    if len(encoded) > FILE_PATH_BYTES_MAX:
        return f"> {FILE_PATH_BYTES_MAX} bytes"
    if any(len(part.encode()) > FILE_NAME_BYTES_MAX for part in parts):
        return f"> {FILE_NAME_BYTES_MAX} bytes"
    if not name.isprintable():
        return "control characters"
    if bad := sorted(_FORBIDDEN & set(name)):
        return " ".join(bad)
    if name.startswith("/"):
        return "/…"
    for part in parts:
        if part in ("", ".", ".."):
            return f"“{part}”"
        if _DEVICE.fullmatch(part):
            return part
        if part != part.strip() or part.endswith("."):
            return "space or dot at the end"
    return None if clean_path(name) else "unclean path"


def _check_files(names_and_sizes: Sequence[tuple[str, int]]) -> Iterator[Finding]:
    if not names_and_sizes:
        yield finding("Q406", "")
    if len(names_and_sizes) > FILES_PER_PACKAGE_MAX:
        yield finding("Q403", "", limit=FILES_PER_PACKAGE_MAX)
        return
    total = sum(size for _, size in names_and_sizes)
    if total > PACKAGE_BYTES_MAX:
        yield finding("Q404", "", size=total, limit=PACKAGE_BYTES_MAX)
    first_of: dict[str, str] = {}
    for name, size in names_and_sizes:
        if reason := name_fault(name):
            yield finding("Q401", name, reason=reason)
            continue
        if size > FILE_BYTES_MAX:
            yield finding("Q405", name, size=size, limit=FILE_BYTES_MAX)
        key = _same_on_some_disk(name)
        if key in first_of:
            yield finding("Q402", name, other=first_of[key])
        first_of.setdefault(key, name)
    for key, name in first_of.items():
        folders = (key[: slash.start()] for slash in re.finditer("/", key))
        if shadow := next((first_of[folder] for folder in folders if folder in first_of), None):
            yield finding("Q412", name, other=shadow)


def _same_on_some_disk(name: str) -> str:
    # Unicode's canonical caseless matching (D145).
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold())


def _check_record(record: Mapping[str, str]) -> Iterator[Finding]:
    if not record.get("title", "").strip():
        yield finding("Q407", "")
    for element, text in islice(record.items(), _ELEMENTS_READ_MAX):
        if element not in RECORD_ELEMENTS:
            nearest = difflib.get_close_matches(element[:40], RECORD_ELEMENTS, 1, 0.0)[0]
            yield finding("Q409", "", element=element, nearest=nearest)
            continue
        limit = TITLE_CHARS_MAX if element == "title" else RECORD_ELEMENT_CHARS_MAX
        if len(text) > limit:
            yield finding("Q408", "", element=element, limit=limit)
        if _UNPRINTABLE.search(text):
            yield finding("Q410", "", element=element)


def _check_rights(rights: str) -> Iterator[Finding]:
    if rights not in RIGHTS_CLASSES:
        yield finding("Q411", "", rights=rights, known=", ".join(RIGHTS_CLASSES))
