"""A hit from a page: a piece of the original text, what to mark in it, and why it matched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from protocol.limits import SNIPPET_CHARS
from search_shard.blocks import Array
from search_shard.match import asked, resolve, scan, widened
from search_shard.query import NEAR, WHYS, Phrase, Query
from search_shard.rank import Hit
from search_shard.segment import Codes, Segment

_LEAD = SNIPPET_CHARS // 4  # characters shown before the first match
_MARKS_MAX = 20


@dataclass(frozen=True, slots=True)
class Lattice:
    """A phrase in the codes of one segment."""

    phrase: Phrase
    cells: tuple[Codes, ...]  # as asked
    whys: tuple[
        tuple[tuple[int, Array], ...], ...
    ]  # for each cell: reason, its codes; cheapest first
    near: list[tuple[int, list[Codes]]]  # with one cell widened; filled when first needed


def prepare(segment: Segment, query: Query) -> list[list[Lattice]]:
    """For each word its alternatives in the codes of ``segment``."""
    return [[_lattice(segment, phrase) for phrase in word.phrases] for word in query.words]


def make_hit(segment: Segment, document: int, words: list[list[Lattice]], score: int) -> Hit:
    """Snippet, highlights and reasons for a page that has ``words``."""
    text_at = segment.fields(document)[1]
    spans: list[tuple[int, int]] = []  # in words of the text
    reasons: list[tuple[int, str]] = []
    for alternatives in words:
        reason, places = _explain(segment, document, alternatives)
        in_text = [(start - text_at, end - text_at) for start, end in places if start >= text_at]
        spans += in_text
        reasons.append((reason, WHYS[reason] if in_text else f"title:{WHYS[reason]}"))
    source, (seq, page) = segment.source(document), segment.label(document)
    snippet, highlights = _cut(segment, document, sorted(set(spans)))
    return Hit(
        office=source.office,
        item=source.item,
        seq=seq,
        title=source.title,
        page=page,
        section=source.section,
        snippet=snippet,
        highlights=highlights,
        matched_by=max(reasons)[1],
        score=score,
        file=source.file,
        log_index=source.log_index,
    )


def _lattice(segment: Segment, phrase: Phrase) -> Lattice:
    whys = tuple(
        tuple(
            (WHYS.index(choice.why), resolve(segment, (choice,)).mask)
            for choice in cell.choices
            if choice.why not in NEAR
        )
        for cell in phrase.cells
    )
    return Lattice(phrase, tuple(asked(segment, cell) for cell in phrase.cells), whys, [])


def _explain(
    segment: Segment, document: int, alternatives: list[Lattice]
) -> tuple[int, list[tuple[int, int]]]:
    """The cheapest reason why a word is here, and where it stands for that reason."""
    found: list[tuple[int, int, int]] = []
    for lattice in alternatives:
        found += [
            (_reason(lattice, codes), start, end)
            for start, end, codes in _places(segment, document, lattice, lattice.cells)
        ]
    if not found:  # wrong characters only where nothing stands as asked
        for lattice in alternatives:
            if not lattice.near:
                lattice.near.extend(
                    (WHYS.index(why), wide)
                    for why in NEAR
                    for wide in widened(segment, lattice.phrase, lattice.cells, why)
                )
            for reason, wide in lattice.near:
                places = _places(segment, document, lattice, wide)
                found += [(reason, start, end) for start, end, _ in places]
    best = min(reason for reason, _, _ in found)
    return best, [(start, end) for reason, start, end in found if reason == best]


def _places(
    segment: Segment, document: int, lattice: Lattice, cells: Sequence[Codes]
) -> list[tuple[int, int, list[int]]]:
    """Start, end and codes of every place of ``cells`` in a page."""
    words = segment.words(document)
    searched = words[: segment.fields(document)[0]] if lattice.phrase.titles_only else words
    ends = ((start, start + len(cells)) for start in scan(searched, cells).tolist())
    return [(start, end, words[start:end].tolist()) for start, end in ends]


def _reason(lattice: Lattice, codes: Sequence[int]) -> int:
    """The costliest of the cheapest reasons of the characters that stand there."""
    return max(
        next(reason for reason, mask in whys if mask[code])
        for whys, code in zip(lattice.whys, codes, strict=True)
    )


def _cut(
    segment: Segment, document: int, spans: Sequence[tuple[int, int]]
) -> tuple[str, tuple[tuple[int, int], ...]]:
    """A piece of the original text around the first span, and the spans within it."""
    text = segment.text(document)
    place = np.flatnonzero(segment.shape(document))  # word → character of the text
    marks = [(int(place[start]), int(place[end - 1]) + 1) for start, end in spans]
    begin = max(0, min(marks[0][0] - _LEAD, len(text) - SNIPPET_CHARS)) if marks else 0
    end = max(begin + SNIPPET_CHARS, min(marks[0][1], begin + 2 * SNIPPET_CHARS) if marks else 0)
    inside = [(a - begin, min(b, end) - begin) for a, b in marks if a < end]
    return text[begin:end], tuple(inside[:_MARKS_MAX])
