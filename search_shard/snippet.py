"""A hit from a page: a piece of the original text, what to mark in it, and why it matched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from protocol.limits import SNIPPET_CHARS
from search_shard.blocks import Array
from search_shard.corrected import Spotted
from search_shard.fold import is_skipped
from search_shard.lattice import NEAR, RULES
from search_shard.layout import Source
from search_shard.match import keep_literal, scan
from search_shard.matched import Matched
from search_shard.quick import matches_of
from search_shard.rank import Hit, Line, Reason
from search_shard.ranking import Ranked, Ranking
from search_shard.segment import Segment
from search_shard.shard import Shard

_LEAD: Final = SNIPPET_CHARS // 4  # characters shown before the first match
_MARKS_MAX: Final = 20
LINES_MAX: Final = 20  # of one page
_CONTEXT_CHARS: Final = 20  # on either side of the match of a line
_SURENESS: Final = {rule: at for at, rule in enumerate((*RULES, *NEAR))}


@dataclass(frozen=True, slots=True)
class _Original:
    """The text of a page as it was handed in, and where its words are."""

    text: str
    place: Array  # word → character of the text

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Characters of the words ``start`` .. ``end``, half-open."""
        return int(self.place[start]), int(self.place[end - 1]) + 1


def show(shard: Shard, ranking: Ranking, best: Sequence[Ranked], lines: bool = False) -> list[Hit]:
    """Hits of some of the ranked pages; with ``lines`` every occurrence in its context."""
    return [
        _hit(shard.segments[one[1]], one, _words(shard.segments[one[1]], ranking, one), lines)
        for one in best
    ]


def _words(segment: Segment, ranking: Ranking, ranked: Ranked) -> list[list[Matched | Spotted]]:
    """What was found of each word that may stand in a page."""
    _, number, document = ranked
    matches = ranking.matches[number]
    if matches is None:
        matches = matches_of(segment, ranking.query)
    words: list[list[Matched | Spotted]] = [[*word] for word in matches]
    if ranking.corrected:
        for word, nearly in zip(words, ranking.corrected[number], strict=True):
            word.extend(spotted for one in nearly for spotted in one.at(document))
    return words


def _hit(
    segment: Segment, ranked: Ranked, matches: Sequence[Sequence[Matched | Spotted]], lines: bool
) -> Hit:
    score, _, document = ranked
    source = segment.source(document)
    original = _Original(segment.text(document), np.flatnonzero(segment.shape(document)))
    words = np.frombuffer(segment.spoken(document).encode("utf-16-le"), np.uint16)
    reasons: list[Reason] = []
    spans: list[tuple[int, int]] = []
    for number, word in enumerate(matches):
        rule = ""
        for matched in sorted(word, key=_sureness):
            if rule and matched.rule != rule:
                break  # what is less sure is not why
            here = [
                original.span(place, place + len(matched.cells))
                for place in _places(segment, document, matched, words)
            ]
            field = "text" if here else _head(segment, document, matched)
            if field and not rule:
                rule = matched.rule
                if here:
                    found = original.text[slice(*here[0])]
                else:
                    found = _in_head(segment, source, field, matched)
                reasons.append(Reason(number, rule, field, found))
            spans += here
    spans = sorted(set(spans))
    snippet, highlights = _cut(original.text, spans)
    return Hit(
        office=source.office,
        item=source.item,
        seq=segment.seq(document),
        title=source.title,
        page=segment.label(document),
        section=source.section,
        snippet=snippet,
        highlights=highlights,
        reasons=tuple(reasons),
        lines=tuple(_line(original.text, span) for span in spans[:LINES_MAX]) if lines else (),
        score=score,
        file=source.file,
        log_index=source.log_index,
    )


def _sureness(matched: Matched | Spotted) -> tuple[int, int]:
    """The surest rule first; of wrong characters, what was likeliest meant."""
    near = -matched.base if isinstance(matched, Spotted) else 0
    return _SURENESS[matched.rule] if not near else len(_SURENESS), near


def _places(segment: Segment, document: int, matched: Matched | Spotted, words: Array) -> list[int]:
    """Where a phrase stands among the words of a page: the first places, as many as are shown."""
    if matched.phrase.scope:
        return []
    places = scan(words, matched.cells)
    if matched.rule == "literal" and len(places):
        start = segment.word_at[document]
        places = keep_literal(segment, places + start, matched.phrase.text) - start
    return list(places[: max(_MARKS_MAX, LINES_MAX)].tolist())


def _head(segment: Segment, document: int, matched: Matched | Spotted) -> str:
    """The head that stands at a page and has a phrase; "" for none."""
    if isinstance(matched, Spotted):
        return "title" if matched.titled else "heading" if matched.headed else ""
    at, end = (int(place) for place in segment.arrays["head_at"][document : document + 2])
    half = at + int(segment.arrays["title_words"][document])
    words = segment.arrays["head_words"]
    for field, head in (("title", words[at:half]), ("heading", words[half:end])):
        if matched.phrase.scope in ("", field) and len(scan(head, matched.cells)):
            return field
    return ""


def _in_head(segment: Segment, source: Source, field: str, matched: Matched | Spotted) -> str:
    """What stands in the head instead of a wrong character's phrase, for corrections."""
    if matched.rule not in NEAR:
        return ""
    head = source.title if field == "title" else source.section
    kept = [at for at, character in enumerate(head) if not is_skipped(character)]
    codes = segment.codes(segment.tables.fold("".join(head[at] for at in kept)))
    place = int(scan(np.array(codes, np.uint16), matched.cells)[0])
    return head[kept[place] : kept[place + len(matched.cells) - 1] + 1]


def _cut(text: str, marks: Sequence[tuple[int, int]]) -> tuple[str, tuple[tuple[int, int], ...]]:
    """A piece of the original text around the first mark, and the marks within it."""
    begin = max(0, min(marks[0][0] - _LEAD, len(text) - SNIPPET_CHARS)) if marks else 0
    end = max(begin + SNIPPET_CHARS, min(marks[0][1], begin + 2 * SNIPPET_CHARS) if marks else 0)
    inside = [(start - begin, min(stop, end) - begin) for start, stop in marks if start < end]
    return text[begin:end], tuple(inside[:_MARKS_MAX])


def _line(text: str, span: tuple[int, int]) -> Line:
    start, end = span
    return Line(
        text[max(0, start - _CONTEXT_CHARS) : start],
        text[start:end],
        text[end : end + _CONTEXT_CHARS],
    )
