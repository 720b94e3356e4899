"""One wrong character: which other words stand in a segment that differ from a phrase in one place.

A place may be wrong if every pair of neighbours beside it stands.  The documents with those pairs
are read where they are few; otherwise each character that sounds or looks like the one typed, and
stands between its neighbours, is looked for.  Every such word is found, in every document.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np

from search_shard.blocks import Array
from search_shard.lattice import NEAR_LENGTHS, OTHER_LENGTHS, Phrase
from search_shard.likeness import Likeness, alike_codes
from search_shard.match import Deadline, Late, candidates, find_heads, occurrences
from search_shard.postings import COUNT_MAX, Table, may_have
from search_shard.runs import sizes_of, turns
from search_shard.segment import Segment
from search_shard.sets import keep_common
from search_shard.trace import Trace

OTHER_PAGES: Final = 500  # of a shard with a pair that is left; with more, not any character
_READ_MAX: Final = 400  # documents that are read before like characters are looked for
_READ_AGAIN: Final = 64  # documents between two looks at the clock
_TEXT, _TITLE, _HEADING = range(3)


class Word(NamedTuple):
    """The phrase with another character."""

    at: int
    code: int
    character: str
    rule: str  # of lattice.NEAR
    likeness: int


class Rows(NamedTuple):
    """Where words stand: number of the word, document, how often (1 in a title or heading)."""

    numbers: Array
    documents: Array
    counts: Array


NO_ROWS: Final = Rows(*(np.empty(0, np.int64),) * 3)


@dataclass(frozen=True, slots=True)
class Corrections:
    """The words with one other character that stand in a segment, and where."""

    words: list[Word]
    texts: Rows
    titles: Rows
    headings: Rows


@dataclass(frozen=True, slots=True)
class Typed:
    """A phrase in one segment: its codes, and for each two neighbours the number of their pair in
    the texts, -1 where it stands nowhere."""

    segment: Segment
    phrase: Phrase
    codes: list[int]
    pairs: list[int]


def is_correctable(phrase: Phrase) -> bool:
    """Whether words with one other character than a phrase are looked for at all."""
    return bool(phrase.near) and not phrase.sounds and len(phrase.text) in NEAR_LENGTHS


def typed_in(segment: Segment, phrase: Phrase) -> Typed:
    codes = segment.codes(phrase.text)
    return Typed(segment, phrase, codes, _pairs(segment.pairs, codes))


def open_places(typed: Sequence[Typed], allowed: Sequence[Array | None]) -> frozenset[int]:
    """The places of a phrase, in the segments of a shard, where any other character may stand:
    a pair beside it stands on at most ``OTHER_PAGES`` pages that are allowed (None: all are)."""
    phrase = typed[0].phrase
    if "other" not in phrase.near or phrase.scope or len(phrase.text) not in OTHER_LENGTHS:
        return frozenset()
    rare = []
    for at in range(len(phrase.text) - 1):
        pages = 0
        for one, mask in zip(typed, allowed, strict=True):
            pages += _pages(one.segment.pairs, one.pairs[at], mask)
        if pages <= OTHER_PAGES:
            rare.append(at)
    if len(rare) > 2:  # no place touches them all
        return frozenset(range(len(phrase.text)))
    return frozenset(place for place in range(len(phrase.text)) if set(rare) - {place - 1, place})


def corrections(
    typed: Typed, everything: Collection[int], late: Deadline, trace: Trace
) -> Corrections:
    """The words with one other character that stand here, like the one typed or, at the places
    ``everything``, any.

    Raises:
        Late: the deadline passed.
    """
    found = _Found(typed)
    if not typed.phrase.scope:
        _into_texts(found, everything, late)
    _into_heads(found, late)
    trace.step("near", typed.phrase.text, len(found.words))
    return found.corrections()


@dataclass(slots=True)
class _Found:
    """The corrections so far."""

    typed: Typed
    words: list[Word] = field(default_factory=list)
    numbers: dict[tuple[int, int], int] = field(default_factory=dict)  # (place, code) → word
    rows: tuple[list[Rows], ...] = field(default_factory=lambda: ([], [], []))

    def add(self, word: Word, where: int, documents: Array, counts: Array | None = None) -> None:
        number = self.numbers.setdefault((word.at, word.code), len(self.words))
        if number == len(self.words):
            self.words.append(word)
        if counts is None:
            counts = np.ones(len(documents), np.int64)
        self.rows[where].append(Rows(np.full(len(documents), number), documents, counts))

    def add_all(self, words: Iterable[Word]) -> int:
        """The number of the first of words that are all new."""
        first = len(self.words)
        self.words.extend(words)
        self.numbers.update(
            ((word.at, word.code), number)
            for number, word in enumerate(self.words[first:], start=first)
        )
        return first

    def corrections(self) -> Corrections:
        return Corrections(self.words, *map(_joined, self.rows))


def _joined(parts: Sequence[Rows]) -> Rows:
    if len(parts) == 1:
        return parts[0]
    return Rows(*map(np.concatenate, zip(*parts, strict=True))) if parts else NO_ROWS


def _into_texts(found: _Found, everything: Collection[int], late: Deadline) -> None:
    typed = found.typed
    segment, codes = typed.segment, typed.codes
    likeness = Likeness(segment.tables, typed.phrase)
    for at, documents in _places(segment.pairs, codes, typed.pairs):
        if late():
            raise Late
        anything = at in everything
        if documents is None or not (len(documents) <= _READ_MAX or anything):
            _alike_in_texts(found, at, documents, late)
            continue
        for code, here, counts in _others(segment, documents, codes, at, late):
            character = segment.folded[code]
            rule, likely = likeness.of(at, character)
            if anything or rule != "other":
                word = Word(at, code, character, rule, likely)
                found.add(word, _TEXT, here, np.minimum(counts, COUNT_MAX))


def _alike_in_texts(found: _Found, at: int, documents: Array | None, late: Deadline) -> None:
    """Words with another character of like sound or shape at a place; ``documents``: as
    :func:`_places`."""
    typed = found.typed
    segment, codes = typed.segment, typed.codes
    standing = _standing(segment.pairs, found, at)
    first = found.add_all(standing.words(segment, at))
    if len(codes) == 2:
        pairs = standing.right if at == 0 else standing.left
        found.rows[_TEXT].append(_rows(segment.pairs, pairs, first))
        return
    keys = _with_both(segment, standing, documents)
    often = _often(segment, codes, at, standing.codes, keys, late)
    kept = np.flatnonzero(often)
    if len(kept):
        keys = keys[kept]
        found.rows[_TEXT].append(Rows(first + (keys >> 16), keys & 0xFFFF, often[kept]))


def _often(
    segment: Segment, codes: Sequence[int], at: int, others: Array, keys: Array, late: Deadline
) -> Array:
    """For each key, number among ``others`` << 16 | document, how often the phrase with that code
    at the place stands there (up to ``COUNT_MAX``)."""
    if segment.kernel is not None:
        if late():
            raise Late
        narrow = np.array(codes, np.uint16), at, others.astype(np.uint16), keys.astype(np.uint64)
        return np.frombuffer(segment.kernel.often(*narrow), np.uint8).astype(np.int64)
    patterns = ["".join(map(chr, [*codes[:at], code, *codes[at + 1 :]])) for code in others]
    often = np.zeros(len(keys), np.int64)
    read, text = -1, ""
    for turn, row in enumerate(np.argsort(keys & 0xFFFF, kind="stable").tolist()):
        if turn % _READ_AGAIN == 0 and late():
            raise Late
        number, document = divmod(int(keys[row]), 1 << 16)
        if document != read:
            read, text = document, segment.spoken(document)
        often[row] = min(occurrences(text, patterns[number]), COUNT_MAX)
    return often


def _into_heads(found: _Found, late: Deadline) -> None:
    typed = found.typed
    segment, codes, scope = typed.segment, typed.codes, typed.phrase.scope
    for at, _ in _places(segment.heads, codes, _pairs(segment.heads, codes)):
        for word in _standing(segment.heads, found, at).words(segment, at):
            if late():
                raise Late
            changed = [*codes[:at], word.code, *codes[at + 1 :]]
            titled, headed = find_heads(segment, typed.phrase, changed)
            if len(titled) and scope != "heading":
                found.add(word, _TITLE, titled)
            if len(headed) and scope != "title":
                found.add(word, _HEADING, headed)


def _places(
    table: Table, codes: Sequence[int], pairs: Sequence[int]
) -> Iterator[tuple[int, Array | None]]:
    """The places that may be wrong, and the documents with every pair beside each (some more, but
    few); None where there is no pair beside it."""
    absent = [at for at, pair in enumerate(pairs) if pair < 0]
    first, last = 0, len(codes) - 1
    if absent:
        first, last = absent[-1], absent[0] + 1  # what every absent pair touches
    for at in range(first, last + 1):
        if 0 in codes[:at] or 0 in codes[at + 1 :]:
            continue
        beside = [*pairs[: max(at - 1, 0)], *pairs[at + 1 :]]
        lists = sorted((table.count(pair), pair) for pair in beside)
        documents = candidates([(count, table, (pair,), 2) for count, pair in lists])
        if documents is None or len(documents):
            yield at, documents


def _others(
    segment: Segment, documents: Array, codes: Sequence[int], at: int, late: Deadline
) -> Iterator[tuple[int, Array, Array]]:
    """Each code that stands at a place of the phrase, the rest of which is there too, the
    documents and how often; the code typed left out."""
    if segment.kernel is not None:
        if late():
            raise Late
        narrow = np.array(codes, np.uint16), at, documents.astype(np.uint16)
        places = np.frombuffer(segment.kernel.around(*narrow), np.uint32)
    else:
        places = np.array(list(_read(segment, documents.tolist(), codes, at, late)), np.uint32)
    places = np.sort(places)
    new = np.flatnonzero(turns(places))
    counts = sizes_of(new, len(places))
    places = places[new].astype(np.int64)
    groups = np.flatnonzero(turns(places >> 16))
    for start, end in pairwise([*groups.tolist(), len(places)]):
        yield int(places[start]) >> 16, places[start:end] & 0xFFFF, counts[start:end]


def _read(
    segment: Segment, documents: Iterable[int], codes: Sequence[int], at: int, late: Deadline
) -> Iterator[int]:
    """code << 16 | document for every time that another code stands at the place."""
    pattern = "".join(map(chr, codes))
    left, right, typed = pattern[:at], pattern[at + 1 :], pattern[at]
    anchor, shift = (left, at) if len(left) >= len(right) else (right, -1)
    for number, document in enumerate(documents):
        if number % _READ_AGAIN == 0 and late():
            raise Late
        text = segment.spoken(document)
        start = text.find(anchor)
        while start >= 0:
            place = start + shift
            if (
                at <= place < len(text)
                and text[place] != typed
                and text.startswith(left, place - at)
                and text.startswith(right, place + 1)
            ):
                yield ord(text[place]) << 16 | document
            start = text.find(anchor, start + 1)


class _Standing(NamedTuple):
    """Characters that may stand at a place between its neighbours; the pair of each with the one
    on the left, and on the right (empty where there is none)."""

    codes: Array
    likeness: Array
    sounds: Array
    left: Array
    right: Array

    def words(self, segment: Segment, at: int) -> Iterator[Word]:
        for code, likeness, sounds in zip(*(one.tolist() for one in self[:3]), strict=True):
            rule = "sound" if sounds else "shape"
            yield Word(at, code, segment.folded[code], rule, likeness)


def _standing(table: Table, found: _Found, at: int) -> _Standing:
    """Those that sound or look like what was typed at a place."""
    typed = found.typed
    segment, codes = typed.segment, typed.codes
    others, likeness, sounds = alike_codes(segment, typed.phrase, at)
    here = np.flatnonzero(others != codes[at])
    if at + 1 < len(codes):
        right = np.array(codes[at + 1])
        here = here[may_have(segment.beside, others[here], right)]
    left_pairs = right_pairs = np.empty(0, np.int64)
    if at:
        start, end = table.first_at[codes[at - 1]], table.first_at[codes[at - 1] + 1]
        seconds = np.asarray(table.seconds)[start:end]
        place = seconds.searchsorted(others[here])
        place[place == len(seconds)] = 0
        same = np.flatnonzero(seconds[place] == others[here]) if len(seconds) else place[:0]
        here, left_pairs = here[same], place[same] + start
    if at + 1 < len(codes):
        find, right_code = table.find, codes[at + 1]
        right_pairs = np.array([find(other, right_code) for other in others[here].tolist()], int)
        stands = right_pairs >= 0
        here, right_pairs = here[stands], right_pairs[stands]
        left_pairs = left_pairs[stands] if at else left_pairs
    return _Standing(others[here], likeness[here], sounds[here], left_pairs, right_pairs)


def _with_both(segment: Segment, standing: _Standing, documents: Array | None) -> Array:
    """number among the codes << 16 | document, of those of ``documents`` that have its pairs"""
    both = (standing.left, standing.right)
    sides = [_postings(segment.pairs, pairs) for pairs in both if len(pairs)]
    if not sides:
        return np.empty(0, np.int64)
    keys = sides[0] if len(sides) == 1 else keep_common(*sides)
    if documents is not None:
        mask = np.zeros(segment.pages, bool)
        mask[documents] = True
        keys = keys[mask[keys & 0xFFFF]]
    return keys


def _rows(table: Table, pairs: Array, first: int) -> Rows:
    """Where each of ``pairs`` stands; they are the words from ``first`` on."""
    parts = [table.counted(pair) for pair in pairs.tolist()]
    if not parts:
        return NO_ROWS
    documents, counts = (np.concatenate(each) for each in zip(*parts, strict=True))
    numbers = np.repeat(np.arange(first, first + len(pairs)), [len(one) for one, _ in parts])
    return Rows(numbers, documents, counts)


def _postings(table: Table, pairs: Array) -> Array:
    """Place among ``pairs`` << 16 | document, rising."""
    parts = [table.documents(pair) | np.int64(at << 16) for at, pair in enumerate(pairs.tolist())]
    return np.concatenate(parts)


def _pairs(table: Table, codes: Sequence[int]) -> list[int]:
    find = table.find
    return [find(left, right) if left and right else -1 for left, right in pairwise(codes)]


def _pages(table: Table, pair: int, allowed: Array | None) -> int:
    """How many of the pages that are allowed have a pair."""
    if pair < 0:
        return 0
    if allowed is None:
        return table.count(pair)
    return int(np.count_nonzero(allowed[table.documents(pair)]))
