"""A hit from a page: a piece of the original text, what to mark in it, and why it matched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from protocol.limits import SNIPPET_CHARS
from search_shard.blocks import Array
from search_shard.federate import Hit
from search_shard.match import Codes, asked, resolve, scan
from search_shard.query import NEAR, WHYS, Phrase, Query
from search_shard.segment import Segment

_LEAD = SNIPPET_CHARS // 4  # characters shown before the first match
_MARKS_MAX = 20


def make_hit(segment: Segment, document: int, query: Query, score: int) -> Hit:
    """Snippet, highlights and reasons for a page that matches ``query``."""
    words = segment.words(document)
    title_end, text_at = segment.fields(document)
    spans: list[tuple[int, int]] = []  # in words of the text
    reasons: list[tuple[int, str]] = []
    for word in query.words:
        why, in_text = _explain(segment, words, title_end, text_at, word.phrases)
        spans += in_text
        reasons.append((WHYS.index(why), why if in_text else f"title:{why}"))
    source, (seq, page) = segment.source(document), segment.label(document)
    snippet, highlights = _cut(segment, document, sorted(spans))
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


def _explain(
    segment: Segment,
    words: Array,
    title_end: int,
    text_at: int,
    phrases: Sequence[Phrase],
) -> tuple[str, list[tuple[int, int]]]:
    """The cheapest reason why a word is here, and where it stands in the text for that reason."""
    found: list[tuple[int, int, int]] = []  # reason, start, end
    for phrase in phrases:
        searched = words[:title_end] if phrase.titles_only else words
        for cells in _lattices(segment, phrase):
            for start in scan(searched, cells).tolist():
                reason = _reason(segment, words, start, phrase)
                found.append((reason, start, start + len(cells)))
            if found:
                break  # wrong characters only where nothing stands as asked
    best = min(reason for reason, _, _ in found)
    spans = {
        (s - text_at, e - text_at) for reason, s, e in found if reason == best and s >= text_at
    }
    return WHYS[best], sorted(spans)


def _lattices(segment: Segment, phrase: Phrase) -> Iterator[Sequence[Codes]]:
    cells = [asked(segment, cell) for cell in phrase.cells]
    yield cells
    for why in NEAR:
        for at, cell in enumerate(phrase.cells):
            wide = resolve(segment, (choice for choice in cell.choices if choice.why == why))
            yield [*cells[:at], wide, *cells[at + 1 :]]


def _reason(segment: Segment, words: Array, start: int, phrase: Phrase) -> int:
    """The costliest of the cheapest reasons of the characters that stand there."""
    worst = 0
    for at, cell in enumerate(phrase.cells):
        code = int(words[start + at])
        for choice in cell.choices:
            if resolve(segment, (choice,)).mask[code]:
                worst = max(worst, WHYS.index(choice.why))
                break
    return worst


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
