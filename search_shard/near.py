"""One wrong character: which other words stand in a segment that differ from a phrase in one place.

The places are tried one by one.  The rest of the phrase, which is fixed, tells the few documents to
look at; where nothing is fixed (or it is on too many pages) each character that may stand between
the neighbours of its place is looked for as a word of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, TypeVar

import numpy as np

from search_shard.blocks import Array
from search_shard.lattice import NEAR_LENGTHS, OTHER_LENGTHS, Phrase
from search_shard.match import (
    NONE,
    Deadline,
    Found,
    Late,
    PostingList,
    candidates,
    find_codes,
    find_heads,
)
from search_shard.postings import COUNT_MAX, Table, may_have
from search_shard.segment import Segment
from search_shard.trace import Trace

_PAGES_MAX: Final = 2000  # with a half of the word, in which any other character is looked for
_WORDS_MAX: Final = 200  # that are looked for one by one, for each place
_READ_MAX: Final = 64  # documents that are read rather than that
_READ_EACH: Final = 8  # and more for each of these words
_READ_AGAIN: Final = 64  # documents between two looks at the clock

Others = Mapping[int, str]  # code that may stand at a place → rule
T = TypeVar("T")


@dataclass(slots=True)
class Correction:
    """A word that stands somewhere: where, and how often in the texts."""

    rule: str
    codes: list[int]
    found: Found = NONE
    counts: dict[int, int] = field(default_factory=dict)  # what was read, by document
    titled: list[int] = field(default_factory=list)
    headed: list[int] = field(default_factory=list)


def corrections(
    segment: Segment, phrase: Phrase, late: Deadline, trace: Trace
) -> Iterator[Correction]:
    """The words with one other character that stand here; by sound rather than by shape, and
    these rather than any other.

    Raises:
        Late: the deadline passed.
    """
    if phrase.sounds or len(phrase.text) not in NEAR_LENGTHS:
        return
    codes = segment.codes(phrase.text)
    if codes.count(0) > 1:
        return
    known = set()
    for one in _alike(segment, phrase, codes, late, trace):
        known.add(tuple(one.codes))
        yield one
    if "other" not in phrase.near or phrase.scope:
        return
    for at, other in _unlike(segment, codes, late)[:_WORDS_MAX]:
        changed = [*codes[:at], other, *codes[at + 1 :]]
        if tuple(changed) not in known:
            yield Correction("other", changed, find_codes(segment, changed, late))


def _alike(
    segment: Segment, phrase: Phrase, codes: Sequence[int], late: Deadline, trace: Trace
) -> Iterator[Correction]:
    places = _standing(segment, codes, phrase)
    trace.step("near", phrase.text, sum(map(len, places.values())))
    found: dict[tuple[int, int], Correction] = {}
    texts: dict[int, str] = {}
    heads: dict[int, tuple[str, str]] = {}

    def word(at: int, other: int) -> Correction:
        if (at, other) not in found:
            changed = [*codes[:at], other, *codes[at + 1 :]]
            found[at, other] = Correction(places[at][other], changed)
        return found[at, other]

    if not phrase.scope:
        for at, others, documents in _documents(segment.pairs, codes, places):
            if documents is None:
                for other in others:
                    if late():
                        raise Late
                    one = word(at, other)
                    one.found = find_codes(segment, one.codes, late)
                continue
            look = _Look(codes, at, others)
            for document, text in _read(documents, segment.spoken, texts, late):
                for other in look.into(text):
                    counts = word(at, other).counts
                    counts[document] = counts.get(document, 0) + 1
    for at, others, documents in _documents(segment.heads, codes, places):
        if documents is None:
            for other in others:
                one = word(at, other)
                titled, headed = find_heads(segment, phrase, one.codes)
                one.titled, one.headed = titled.tolist(), headed.tolist()
            continue
        look = _Look(codes, at, others)
        for document, (title, heading) in _read(documents, segment.title_and_heading, heads, late):
            for other in set(look.into(title)):
                word(at, other).titled.append(document)
            for other in set(look.into(heading)):
                word(at, other).headed.append(document)
    for one in found.values():
        if one.counts:
            often = np.minimum(np.array(list(one.counts.values())), COUNT_MAX)
            one.found = Found(np.array(list(one.counts)), often)
        if len(one.found.documents) or one.titled or one.headed:
            yield one


def sounding(segment: Segment, character: str) -> Array:
    """Codes of the characters that share a reading, however rare, with a folded one, rising."""
    if character.isascii():
        return np.empty(0, np.int64)
    tables = segment.tables
    syllables = tables.every_reading(character)
    parts = [
        *(np.arange(low, high) for low, high in map(segment.home_of_syllable, syllables)),
        segment.codes_of("".join(map(tables.sounding, syllables))),
    ]
    return np.unique(np.concatenate(parts))


def looking(segment: Segment, character: str) -> Array:
    """Codes of the characters that look like a folded character, rising."""
    return segment.codes_of(segment.tables.alike_to(character))


def _unlike(segment: Segment, codes: Sequence[int], late: Deadline) -> list[tuple[int, int]]:
    """(place, other code) of words of texts with any other character in one place, read from the
    pages that have the half of the word without that place."""
    size = len(codes)
    if size not in OTHER_LENGTHS:
        return []
    halves = (range(max(2, size // 2)), range(min(size // 2, size - 2), size))
    words = [[codes[at] for at in half] for half in halves]
    found = [find_codes(segment, word, late).documents for word in words if all(word)]
    pages = sorted({page for documents in found for page in documents[:_PAGES_MAX].tolist()})
    typed = [re.escape(chr(code)) if code else "(?!)" for code in codes]
    places = [at for at in range(size) if not all(at in half for half in halves)]
    ways = ["".join((*typed[:at], "(.)", *typed[at + 1 :])) for at in places]
    pattern = re.compile(f"(?=(?:{'|'.join(ways)}))", re.DOTALL)
    others = {
        (places[match.lastindex - 1], ord(match[match.lastindex]))
        for _, text in _read(np.array(pages, np.int64), segment.spoken, {}, late)
        for match in pattern.finditer(text)
        if match.lastindex
    }
    return sorted((at, other) for at, other in others if other != codes[at])


def _standing(segment: Segment, codes: Sequence[int], phrase: Phrase) -> dict[int, Others]:
    """For each place that may be wrong the other codes that may stand between its neighbours, as
    far as the filter of pairs tells."""
    wrong = [codes.index(0)] if 0 in codes else range(len(codes))
    ways = [way for way in (("shape", looking), ("sound", sounding)) if way[0] in phrase.near]
    tried = [(at, rule, alike(segment, phrase.text[at])) for rule, alike in ways for at in wrong]
    if not tried:
        return {}
    sizes = [len(others) for _, _, others in tried]
    others = np.concatenate([others for _, _, others in tried])
    typed, last = np.array([0, *codes, 0]), len(codes) - 1
    place = np.repeat([at for at, _, _ in tried], sizes)
    stands = others != typed[place + 1]
    stands &= (place == 0) | may_have(segment.beside, typed[place], others)
    stands &= (place == last) | may_have(segment.beside, others, typed[place + 2])
    places: dict[int, dict[int, str]] = {}
    end = 0
    for (at, rule, _), size in zip(tried, sizes, strict=True):
        start, end = end, end + size
        standing = others[start:end][stands[start:end]].tolist()
        if standing:
            places.setdefault(at, {}).update(dict.fromkeys(standing, rule))
    return dict(places)


def _documents(
    table: Table, codes: Sequence[int], places: Mapping[int, Others]
) -> Iterator[tuple[int, Collection[int], Array | None]]:
    """(place, codes that may stand there, documents to read for them); None for the documents:
    look for each word by itself."""
    lists: list[PostingList | None] = []
    for left, right in pairwise(codes):
        pair = table.find(left, right) if left and right else -1
        lists.append((table.count(pair), table, (pair,), 2) if pair >= 0 else None)
    for at, others in places.items():
        fixed = [one for number, one in enumerate(lists) if number not in (at - 1, at)]
        if None in fixed:
            continue
        documents = candidates(sorted((one for one in fixed if one), key=lambda one: one[0]))
        if documents is None or len(documents) > _READ_MAX + _READ_EACH * len(others):
            yield at, list(others)[:_WORDS_MAX], None
        elif len(documents):
            yield at, others.keys(), documents


def _read(
    documents: Array, fields: Callable[[int], T], known: dict[int, T], late: Deadline
) -> Iterator[tuple[int, T]]:
    """Each document and its text; what was read for one place is ``known`` to the next."""
    for number, document in enumerate(documents.tolist()):
        if number % _READ_AGAIN == 0 and late():
            raise Late
        if document not in known:
            known[document] = fields(document)
        yield document, known[document]


class _Look:
    """Looks for a phrase with one of several codes at one place."""

    def __init__(self, codes: Sequence[int], at: int, others: Iterable[int]) -> None:
        pattern = "".join(map(chr, codes))
        self.left, self.right = pattern[:at], pattern[at + 1 :]
        self.others = frozenset(map(chr, others))

    def into(self, text: str) -> Iterator[int]:
        """The code at the place, for every time the phrase stands in a text."""
        left, right = self.left, self.right
        anchor, shift = (left, len(left)) if len(left) >= len(right) else (right, -1)
        start = text.find(anchor)
        while start >= 0:
            place = start + shift
            if (
                len(left) <= place < len(text)
                and text[place] in self.others
                and text.startswith(left, place - len(left))
                and text.startswith(right, place + 1)
            ):
                yield ord(text[place])
            start = text.find(anchor, start + 1)
