"""Checks of one file, whatever it is.  Nodes run this through :mod:`node.hands.ingest.isolate`."""

from __future__ import annotations

from pathlib import Path

from node.hands.ingest.draw import inspect_picture
from node.hands.ingest.findings import Finding, Inspection, finding
from node.hands.ingest.formats import (
    ARCHIVES,
    HEAD_BYTES,
    OTHER,
    PAGES,
    PDF,
    TEXT,
    agree,
    by_content,
    by_name,
    suffix,
)
from node.hands.ingest.pdf import inspect_pdf
from node.hands.ingest.text import inspect_text
from protocol.limits import TEXT_BYTES_MAX


def inspect_file(path: str, name: str) -> Inspection:
    """What is known of the file at ``path``, called ``name`` in its package.

    Reads no more of a file than its format's check needs; a text is read whole, up to
    TEXT_BYTES_MAX.

    Raises:
        OSError: the file cannot be read.
    """
    with open(path, "rb") as file:
        head = file.read(HEAD_BYTES)
    claimed, content = by_name(name), by_content(name, head)
    if content == PDF:
        inspection = inspect_pdf(path, name)
        if agree(name, PDF):
            return inspection
        return Inspection(
            inspection.media_type,
            inspection.role_guess,
            (_mismatch(name, PDF.label), *inspection.findings),
            inspection.pages,
            inspection.page_count,
        )
    if content == OTHER and claimed in (TEXT, PAGES):
        if Path(path).stat().st_size > TEXT_BYTES_MAX:
            found = finding("Q206", name, limit=TEXT_BYTES_MAX)
            return Inspection(claimed.media_type, claimed.role, (found,), None, 0)
        return inspect_text(name, Path(path).read_bytes())
    known = claimed if content == OTHER or agree(name, content) else content
    if known == OTHER:
        known = content
    judged = _judge(name, head)
    if content.role != "images":
        return Inspection(known.media_type, known.role, tuple(judged), None, 0)
    about, count = inspect_picture(path, name)
    return Inspection(known.media_type, known.role, (*judged, *about), None, count)


def _judge(name: str, head: bytes) -> list[Finding]:
    """What a file's name and beginning tell when nothing more is looked at."""
    claimed, content = by_name(name), by_content(name, head)
    if not head:
        return [finding("Q001", name)]
    if not agree(name, content):
        if content == OTHER:
            return [finding("Q004", name, extension=suffix(name), format=claimed.label)]
        return [_mismatch(name, content.label)]
    if claimed == content == OTHER:
        return [finding("Q006", name)]
    return [finding("Q005", name)] if content in ARCHIVES and claimed in (content, OTHER) else []


def _mismatch(name: str, label: str) -> Finding:
    return finding("Q003", name, extension=suffix(name), format=label)
