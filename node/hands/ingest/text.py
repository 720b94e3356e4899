"""Checks of text: pure, so that a simulation and a node do the same.

Two carriers: ``*.txt`` (strict UTF-8, pages separated by form feeds) and ``*.pages.jsonl`` (one
JSON object a line with the texts ``page``, ``section`` and ``text``: the plain carrier of OCR and
of corpora).  What comes out has a UTF-8 form and keeps the bounds of a pages blob; apart from that
the text is kept as it was written.
"""

from __future__ import annotations

import codecs
import io
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from node.hands.ingest.findings import Finding, Inspection, finding
from node.hands.ingest.formats import PAGES, TEXT, by_name
from protocol.limits import (
    PAGE_CHARS_MAX,
    PAGE_LABEL_CHARS_MAX,
    PAGES_PER_ITEM_MAX,
    TEXT_BYTES_MAX,
    TITLE_CHARS_MAX,
)
from protocol.records import PageText

_PRIVATE_USE = re.compile("[\ue000-\uf8ff\U000f0000-\U000ffffd\U00100000-\U0010fffd]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_SAMPLE_BYTES: Final = 64 * 1024
_SAMPLES_SHOWN: Final = 5
_PLAUSIBLE = re.compile("[\t\r\n -~\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]")
_FREQUENT: Final = frozenset(
    "的一是在不了有和人中大年为為上个個国國以我到他会會作来來分生对對于於学學下地方也出水河山"
    "江东東南北西城县縣志市省州府民清明元宋时時日月三二十五四，。、：之其者所曰至而"
)
_UTF16_BOMS: Final = ((b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16"))
_CANDIDATES: Final = (
    ("gb18030", "GB18030"),
    ("big5", "Big5"),
    ("utf-16-le", "UTF-16"),
    ("utf-16-be", "UTF-16"),
)


def inspect_text(name: str, data: bytes) -> Inspection:
    """What is known of a text file called ``name``; pure."""
    carrier = PAGES if by_name(name) == PAGES else TEXT
    if not data:
        return _without_pages(carrier.media_type, finding("Q001", name))
    if len(data) > TEXT_BYTES_MAX:
        return _without_pages(carrier.media_type, finding("Q206", name, limit=TEXT_BYTES_MAX))
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        return _without_pages(carrier.media_type, _not_utf8(name, data, error.start))
    if encoding := _utf16_by_nulls(data):
        return _without_pages(
            carrier.media_type, finding("Q201", name, offset=0, encoding=encoding)
        )
    pages: tuple[PageText, ...] | None = None
    try:
        listed = _read_lines(data) if carrier == PAGES else _split(text.removeprefix("\ufeff"))
        pages, found = settle(name, listed)
    except _BadLine as error:
        found = [finding("Q210", name, line=error.line, reason=error.reason)]
    if pages is not None and not any(page.text.strip() for page in pages):
        found.append(finding("Q209", name))
    return Inspection(carrier.media_type, carrier.role, tuple(found), pages, len(pages or ()))


@dataclass(slots=True)
class _Tally:
    """How often something occurred, and on which pages (counted from 1)."""

    count: int = 0
    pages: list[int] = field(default_factory=list)

    def add(self, number: int, count: int) -> None:
        if count:
            self.count += count
            self.pages.append(number)


def settle(
    path: str, pages: Iterable[PageText]
) -> tuple[tuple[PageText, ...] | None, list[Finding]]:
    """``pages`` as they can be kept, and what had to be said about them.

    NULs are left out, lone surrogates become U+FFFD, pages past PAGE_CHARS_MAX are cut at line
    ends.  None when there are too many pages or too much text; no more than the bound is taken
    from ``pages``.
    """
    nulls, private, surrogates, long = _Tally(), _Tally(), _Tally(), _Tally()
    samples: dict[str, None] = {}  # the first private-use characters, in order
    settled: list[PageText] = []
    bytes_left = TEXT_BYTES_MAX
    for number, page in enumerate(pages, start=1):
        nulls.add(number, page.text.count("\0"))
        text, broken = _SURROGATE.subn("\ufffd", page.text.replace("\0", ""))
        surrogates.add(number, broken)
        if _PRIVATE_USE.search(text):
            private.add(number, len(text) - len(_PRIVATE_USE.sub("", text)))
            found_here = islice(_PRIVATE_USE.finditer(text), _SAMPLES_SHOWN)
            samples.update(dict.fromkeys(match[0] for match in found_here))
        long.add(number, len(text) > PAGE_CHARS_MAX)
        bytes_left -= len(text.encode())
        if bytes_left < 0:
            return None, [finding("Q206", path, limit=TEXT_BYTES_MAX)]
        settled.extend(_cut(PageText(page.page, page.section, text, page.file)))
        if len(settled) > PAGES_PER_ITEM_MAX:
            return None, [finding("Q208", path, limit=PAGES_PER_ITEM_MAX)]
    found = []
    if nulls.count:
        found.append(finding("Q203", path, nulls.pages, count=nulls.count))
    if private.count:
        shown = " ".join(f"U+{ord(character):04X}" for character in list(samples)[:_SAMPLES_SHOWN])
        found.append(finding("Q204", path, private.pages, count=private.count, samples=shown))
    if surrogates.count:
        found.append(finding("Q205", path, surrogates.pages, count=surrogates.count))
    if long.count:
        found.append(finding("Q207", path, long.pages, limit=PAGE_CHARS_MAX))
    return tuple(settled), found


def _cut(page: PageText) -> Iterator[PageText]:
    """The page, or if it is too long its parts, labelled ``3-1``, ``3-2``."""
    if len(page.text) <= PAGE_CHARS_MAX:
        yield page
        return
    start, part = 0, 1
    while start < len(page.text):
        end = start + PAGE_CHARS_MAX
        if end < len(page.text):
            end = page.text.rfind("\n", start, end) + 1 or end
        yield PageText(f"{page.page}-{part}", page.section, page.text[start:end], page.file)
        start, part = end, part + 1


def _split(text: str) -> list[PageText]:
    parts = text.split("\f", PAGES_PER_ITEM_MAX + 1)
    if len(parts) > 1 and not parts[-1].strip():
        parts.pop()  # a form feed after the last page, too
    return [PageText(str(number), "", part, "") for number, part in enumerate(parts, start=1)]


class _BadLine(Exception):
    def __init__(self, line: int, reason: str) -> None:
        super().__init__(line, reason)
        self.line = line
        self.reason = reason


def _read_lines(data: bytes) -> Iterator[PageText]:
    for number, line in enumerate(io.BytesIO(data), start=1):
        if line.strip():
            yield _read_line(line, number)


def _read_line(line: bytes, number: int) -> PageText:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _BadLine(number, f"JSON: {error}") from error
    if not isinstance(fields, dict) or set(fields) != {"page", "section", "text"}:
        raise _BadLine(number, "page, section, text")
    if not all(isinstance(value, str) for value in fields.values()):
        raise _BadLine(number, "str")
    for name, limit in (("page", PAGE_LABEL_CHARS_MAX), ("section", TITLE_CHARS_MAX)):
        if len(fields[name]) > limit or _SURROGATE.search(fields[name]):
            raise _BadLine(number, f"{name} > {limit}")
    return PageText(fields["page"], fields["section"], fields["text"], "")


def _not_utf8(name: str, data: bytes, offset: int) -> Finding:
    if encoding := looks_like(data):
        return finding("Q201", name, offset=offset, encoding=encoding)
    return finding("Q202", name, offset=offset)


def looks_like(data: bytes) -> str | None:
    """The encoding that ``data``, which is not UTF-8, is probably in: the one in which it reads
    as Chinese (frequent characters) with hardly anything odd."""
    for mark, label in _UTF16_BOMS:
        if data.startswith(mark):
            return label
    best: tuple[float, str] | None = None
    for encoding, label in _CANDIDATES:
        try:
            decoder = codecs.getincrementaldecoder(encoding)("strict")
            text = decoder.decode(data[:_SAMPLE_BYTES])
        except UnicodeDecodeError:
            continue
        plausible = len(_PLAUSIBLE.findall(text)) / max(1, len(text))
        frequent = sum(character in _FREQUENT for character in text) / max(1, len(text))
        if plausible > 0.8 and (best is None or plausible + frequent > best[0]):
            best = (plausible + frequent, label)
    return best[1] if best else None


def _utf16_by_nulls(data: bytes) -> str | None:
    """UTF-16 of Latin letters is valid UTF-8 with a NUL beside every letter."""
    sample = data[:_SAMPLE_BYTES]
    nulls = (sample[0::2].count(0), sample[1::2].count(0))
    uneven = min(nulls) * 4 < max(nulls)
    return "UTF-16" if uneven and max(nulls) * 10 > len(sample) else None


def _without_pages(media_type: str, found: Finding) -> Inspection:
    return Inspection(media_type, TEXT.role, (found,), None, 0)
