"""One wrong character: which other words stand in a segment that differ from a phrase in one place.

A place may be wrong if every pair of neighbours beside it stands.  The documents with those pairs
are read where they are few; otherwise each character that sounds or looks like the one typed, and
stands between its neighbours, is looked for.  Every such word is found, in every document.

The compiled kernel answers where there is one, and what it answers is defined here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np

from protocol.errors import Corrupt
from search_shard.blocks import Array
from search_shard.lattice import NEAR, NEAR_LENGTHS, OTHER_LENGTHS, Phrase
from search_shard.likeness import Likeness, alike_codes, alike_to
from search_shard.match import Deadline, Late, candidates, find_codes, heads_with
from search_shard.postings import COUNT_MAX, Table
from search_shard.rank import HEADING_SCORE, TITLE_SCORE, text_scores
from search_shard.runs import turns
from search_shard.segment import Segment
from search_shard.trace import Trace

OTHER_PAGES: Final = 500  # of a shard with a pair that is left; with more, not any character
IN_TEXT, IN_TITLE, IN_HEADING = 1, 2, 4
_FIELDS: Final = {"": IN_TEXT | IN_TITLE | IN_HEADING, "title": IN_TITLE, "heading": IN_HEADING}
_READ_MAX: Final = 400  # documents that are read before like characters are looked for
_READ_AGAIN: Final = 64  # documents between two looks at the clock


@dataclass(frozen=True, slots=True)
class Corrections:
    """The words with one other character that stand in a segment, by rising place and code, and
    where: by rising word and document."""

    places: Array  # of each word, where the other character stands,
    codes: Array  # its code,
    likeness: Array  # half bits,
    rules: Array  # place in lattice.NEAR,
    pages: Array  # and how many pages that are allowed have it
    numbers: Array  # of each word and document where it stands: place among the words,
    documents: Array
    details: Array  # score below the class,
    fields: Array  # and IN_TEXT, IN_TITLE, IN_HEADING


_KINDS: Final = ("u1", "<u2", "i1", "u1", "<u4", "<u4", "<u2", "<u2", "u1")  # of the columns


def is_correctable(phrase: Phrase) -> bool:
    """Whether words with one other character than a phrase are looked for at all."""
    return bool(phrase.near) and not phrase.sounds and len(phrase.text) in NEAR_LENGTHS


def open_places(
    segments: Sequence[Segment], phrase: Phrase, allowed: Sequence[Array | None]
) -> frozenset[int]:
    """The places of a phrase, in the segments of a shard, where any other character may stand:
    a pair beside it stands on at most ``OTHER_PAGES`` pages that are allowed (None: all are)."""
    if "other" not in phrase.near or phrase.scope or len(phrase.text) not in OTHER_LENGTHS:
        return frozenset()
    pages = [0] * (len(phrase.text) - 1)
    for segment, mask in zip(segments, allowed, strict=True):
        for at, pair in enumerate(_pairs(segment.pairs, segment.codes(phrase.text))):
            pages[at] += _pages(segment.pairs, pair, mask)
    rare = {at for at, count in enumerate(pages) if count <= OTHER_PAGES}
    return frozenset(place for place in range(len(phrase.text)) if rare - {place - 1, place})


def corrections(
    segment: Segment,
    phrase: Phrase,
    everything: Collection[int],
    allowed: Array | None,
    late: Deadline,
    trace: Trace,
) -> Corrections:
    """The words with one other character that stand here, like the one typed or, at the places
    ``everything``, any.

    Raises:
        Late: the deadline passed.
        Corrupt: the segment is damaged in a way that no checksum tells.
    """
    if segment.kernel is not None:
        found = _compiled(segment, phrase, everything, allowed, late)
    else:
        spots = [*_in_heads(segment, phrase, late)]
        if not phrase.scope:
            spots += _in_texts(segment, phrase, everything, late)
        found = _joined(segment, phrase, spots, allowed)
    trace.step("near", phrase.text, len(found.places))
    return found


def _compiled(
    segment: Segment,
    phrase: Phrase,
    everything: Collection[int],
    allowed: Array | None,
    late: Deadline,
) -> Corrections:
    assert segment.kernel is not None, "asked of segments with a kernel"
    alike = partial(alike_to, segment, phrase)
    anything = sum(1 << at for at in everything)
    try:
        columns = segment.kernel.near(
            phrase.text, alike, late, anything, _FIELDS[phrase.scope], allowed
        )
    except ValueError as error:
        raise Corrupt("segment", "numbers within their blocks", str(error)) from error
    if columns is None:
        raise Late
    return Corrections(*map(np.frombuffer, columns, _KINDS))


class _Spots(NamedTuple):
    """Where the words with another code at a place stand in one field."""

    at: int
    codes: Array
    documents: Array
    details: Array
    field: int


def _joined(
    segment: Segment, phrase: Phrase, spots: Iterable[_Spots], allowed: Array | None
) -> Corrections:
    """Words in order; the fields of a document are one."""
    keys, details, fields = (
        [np.empty(0, np.int64)],
        [np.empty(0, np.int64)],
        [np.empty(0, np.int64)],
    )
    for one in spots:
        keys.append(one.at << 32 | one.codes.astype(np.int64) << 16 | one.documents)
        details.append(one.details)
        fields.append(np.full(len(one.documents), one.field))
    key = np.concatenate(keys)
    order = np.argsort(key, kind="stable")
    key = key[order]
    first = np.flatnonzero(turns(key))
    if not len(first):
        return Corrections(*(np.empty(0, kind) for kind in _KINDS))
    detail = np.add.reduceat(np.concatenate(details)[order], first)
    field = np.bitwise_or.reduceat(np.concatenate(fields)[order], first)
    key = key[first]
    words, numbers = np.unique(key >> 16, return_inverse=True)
    documents = key & 0xFFFF
    shown = numbers if allowed is None else numbers[allowed[documents]]
    likeness = Likeness(segment.tables, phrase)
    told = [likeness.of(word >> 16, segment.folded[word & 0xFFFF]) for word in words.tolist()]
    return Corrections(
        words >> 16,
        words & 0xFFFF,
        np.array([bits for _, bits in told]),
        np.array([NEAR.index(rule) for rule, _ in told]),
        np.bincount(shown, minlength=len(words)),
        numbers,
        documents,
        detail,
        field,
    )


def _in_texts(
    segment: Segment, phrase: Phrase, everything: Collection[int], late: Deadline
) -> Iterator[_Spots]:
    codes = segment.codes(phrase.text)
    for at, documents in _places(segment.pairs, codes):
        if late():
            raise Late
        if documents is None or not (len(documents) <= _READ_MAX or at in everything):
            for other in _standing(segment, segment.pairs, phrase, codes, at):
                found = find_codes(segment, [*codes[:at], other, *codes[at + 1 :]], late)
                yield _text_spots(segment, at, np.array(other), found.documents, found.counts)
            continue
        read = Counter(_read(segment, documents.tolist(), codes, at, late))
        keys = np.array([*read], np.int64)
        counts = np.minimum(np.array([*read.values()], np.int64), COUNT_MAX)
        if at not in everything:
            alike = np.isin(keys >> 16, alike_codes(segment, phrase, at)[0])
            keys, counts = keys[alike], counts[alike]
        yield _text_spots(segment, at, keys >> 16, keys & 0xFFFF, counts)


def _text_spots(segment: Segment, at: int, codes: Array, documents: Array, counts: Array) -> _Spots:
    details = text_scores(counts, segment.dampings[documents])
    return _Spots(at, codes, documents, details, IN_TEXT)


def _in_heads(segment: Segment, phrase: Phrase, late: Deadline) -> Iterator[_Spots]:
    codes = segment.codes(phrase.text)
    for at, _ in _places(segment.heads, codes):
        for other in _standing(segment, segment.heads, phrase, codes, at):
            if late():
                raise Late
            titled, headed = heads_with(segment, [*codes[:at], other, *codes[at + 1 :]])
            for field, documents, score in (
                (IN_TITLE, titled, TITLE_SCORE),
                (IN_HEADING, headed, HEADING_SCORE),
            ):
                if _FIELDS[phrase.scope] & field:
                    scores = np.full(len(documents), score)
                    yield _Spots(at, np.array(other), documents, scores, field)


def _places(table: Table, codes: Sequence[int]) -> Iterator[tuple[int, Array | None]]:
    """The places that may be wrong, and the documents with every pair beside each (some more, but
    few); None where there is no pair beside it."""
    pairs = _pairs(table, codes)
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


def _standing(
    segment: Segment, table: Table, phrase: Phrase, codes: Sequence[int], at: int
) -> list[int]:
    """Codes that sound or look like what was typed at a place, and stand between its neighbours."""
    others, _, _ = alike_codes(segment, phrase, at)
    return [
        other
        for other in others.tolist()
        if other != codes[at]
        and (not at or table.find(codes[at - 1], other) >= 0)
        and (at + 1 == len(codes) or table.find(other, codes[at + 1]) >= 0)
    ]


def _pairs(table: Table, codes: Sequence[int]) -> list[int]:
    """Number of the pair of each two neighbours; -1 where it stands nowhere."""
    find = table.find
    return [find(left, right) if left and right else -1 for left, right in pairwise(codes)]


def _pages(table: Table, pair: int, allowed: Array | None) -> int:
    """How many of the pages that are allowed have a pair."""
    if pair < 0:
        return 0
    if allowed is None:
        return table.count(pair)
    return int(np.count_nonzero(allowed[table.documents(pair)]))
