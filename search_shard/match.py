"""Finding a phrase in one segment: posting lists first, then the text itself.

Two characters, and more where all shorter runs in them are common, are answered by a list alone;
other phrases intersect the lists of their runs, rarest first, and what is left is verified on the
text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import itemgetter
from typing import Final, TypeAlias

import numpy as np

from search_shard.blocks import Array
from search_shard.fold import is_skipped
from search_shard.grams import COMMON_PAGES
from search_shard.lattice import SPOKEN, Phrase
from search_shard.layout import CHAMPIONS, MEMBERS
from search_shard.postings import COUNT_MAX, NOTHING, Table
from search_shard.runs import rows_of
from search_shard.segment import Segment
from search_shard.sets import either, keep_common
from search_shard.trace import SILENT, Trace

Deadline = Callable[[], bool]  # True when time is over

_SCAN_WORDS: Final = 1 << 20  # of text looked at between two looks at the clock
_SCAN_DOCUMENTS: Final = 512  # likewise, where documents are looked at one by one
_WAYS_MAX: Final = 1024  # pairs of syllables looked up for two neighbours
_FEW: Final = 64  # documents whose heads are looked at one by one


class Late(Exception):
    """Time was over before the answer was whole; a signal inside this room."""


@dataclass(frozen=True, slots=True)
class Sounds:
    """A set of codes: what a spoken position allows."""

    ranges: tuple[tuple[int, int], ...]  # half-open
    mask: Array  # bool for every code
    syllables: tuple[int, ...]  # numbers from 1


Cell: TypeAlias = "int | Sounds"


@dataclass(frozen=True, slots=True)
class Found:
    """Documents in rising order, and how often each has the phrase (up to ``COUNT_MAX``)."""

    documents: Array
    counts: Array


NONE: Final = Found(NOTHING, NOTHING)


def cells_of(segment: Segment, phrase: Phrase) -> list[Cell]:
    """The phrase in codes of ``segment``; empty if some position has nothing here."""
    text = segment.tables.fold(phrase.text) if phrase.rule == "literal" else phrase.text
    cells: list[Cell] = []
    if not phrase.sounds:
        codes = segment.codes(text)
        return [] if 0 in codes else [*codes]
    for at, character in enumerate(text):
        if character == SPOKEN:
            sounds = sounds_of(segment, phrase.sounds[at])
            if not sounds.ranges:
                return []
            cells.append(sounds)
            continue
        code = segment.code(character)
        if not code:
            return []
        cells.append(code)
    return cells


def sounds_of(segment: Segment, syllables: Iterable[str]) -> Sounds:
    ranges: list[tuple[int, int]] = []
    numbers = []
    mask = np.zeros(len(segment.homes), bool)
    for syllable in syllables:
        number = segment.tables.syllable_number(syllable)
        if number is not None:
            numbers.append(number + 1)
            ranges += segment.codes_of_syllable(syllable)
    for low, high in ranges:
        mask[low:high] = True
    return Sounds(tuple(ranges), mask, tuple(numbers))


def find(
    segment: Segment, phrase: Phrase, cells: Sequence[Cell], late: Deadline, trace: Trace
) -> Found:
    """Every document whose text has ``cells`` (not empty) one after another, counted exactly.

    Raises:
        Late: the deadline passed.
    """
    if phrase.rule == "literal" and not _is_plain(segment, phrase.text, cells):
        return _literal(segment, phrase.text, cells, late, trace)
    return _find(segment, cells, late, trace)


def _find(segment: Segment, cells: Sequence[Cell], late: Deadline, trace: Trace) -> Found:
    if len(cells) == 1:
        return _single(segment, cells[0], late)
    codes = [cell for cell in cells if isinstance(cell, int)]
    if len(codes) == len(cells):
        return find_codes(segment, codes, late, trace)
    lists = lists_of_cells(segment, cells)
    if lists is None:
        return NONE
    trace.lists(lists)
    if lists and lists[0][3] == len(cells):
        return _counted(lists[0][1], lists[0][2])
    documents = candidates(lists)
    trace.step("candidates", "", segment.pages if documents is None else len(documents))
    return _count_places(segment, places_in(segment, documents, cells, late))


def find_codes(
    segment: Segment, codes: Sequence[int], late: Deadline, trace: Trace = SILENT
) -> Found:
    """Every document whose text has two or more codes one after another, counted exactly.

    Raises:
        Late: the deadline passed.
    """
    lists = lists_of_codes(segment, codes)
    trace.lists(lists)
    if not lists:
        return NONE
    if lists[0][3] == len(codes):
        return Found(*lists[0][1].counted(lists[0][2][0]))
    documents = candidates(lists)
    assert documents is not None, "there are lists"
    trace.step("candidates", "", len(documents))
    return _counted_few(segment, documents.tolist(), codes, late)


def _single(segment: Segment, cell: Cell, late: Deadline) -> Found:
    if isinstance(cell, int):
        low, high = segment.champion_at[cell], segment.champion_at[cell + 1]
        if segment.totals[cell] < CHAMPIONS:  # and so the best are all
            best = segment.arrays["champions"][low:high].tolist()
            return _counted_few(segment, sorted(best), [cell], late)
    return _count_places(segment, places_in(segment, None, [cell], late))


# (documents, table, numbers in the table whose documents together are meant, how many positions)
PostingList: TypeAlias = tuple[int, Table, tuple[int, ...], int]


def lists_of_codes(segment: Segment, codes: Sequence[int]) -> list[PostingList]:
    """The posting lists of two or more codes, the shortest first, or the one that is the whole
    answer; empty if one of them is."""
    pairs = segment.levels[0]
    table = pairs.table
    find, count = table.find, table.count
    lists: list[PostingList] = []
    numbers: list[int] = []  # of the common pairs, 0 for others
    first = codes[0]
    for second in codes[1:]:
        pair = find(first, second)
        if pair < 0:
            return []
        documents = count(pair)
        lists.append((documents, table, (pair,), 2))
        numbers.append(pairs.number(pair) if documents > COMMON_PAGES else 0)
        first = second
    if len(lists) > 1:
        if sum(map(bool, numbers)) > 1:
            return _longer(segment, codes, numbers, lists)
        lists.sort(key=itemgetter(0))
    return lists


def _longer(
    segment: Segment, codes: Sequence[int], numbers: list[int], lists: list[PostingList]
) -> list[PostingList]:
    """``lists``, and those of the longer runs where shorter ones are common."""
    for width, level in enumerate(segment.levels[1:], start=3):
        found: list[int] = []
        for at, (left, right) in enumerate(pairwise(numbers)):
            found.append(0)
            if left and right:
                run = level.table.find(left, codes[at + width - 1])
                if run < 0:
                    return []
                documents = level.table.count(run)
                lists.append((documents, level.table, (run,), width))
                if width == len(codes):
                    return lists[-1:]
                if documents > COMMON_PAGES:
                    found[-1] = level.number(run)
        if not any(found):
            break
        numbers = found
    lists.sort(key=itemgetter(0))
    return lists


def lists_of_cells(segment: Segment, cells: Sequence[Cell]) -> list[PostingList] | None:
    """The posting lists of neighbours, the shortest first; None if one of them is empty."""
    lists: list[PostingList] = []
    for first, second in pairwise(cells):
        if isinstance(first, int) and isinstance(second, int):
            pair = segment.pairs.find(first, second)
            if pair < 0:
                return None
            lists.append((segment.pairs.count(pair), segment.pairs, (pair,), 0))
            continue
        spoken = _spoken_pairs(segment, first, second)
        if spoken is not None:
            if not spoken:
                return None
            total = sum(map(segment.syllables.count, spoken))
            whole = not isinstance(first, int) and not isinstance(second, int)
            lists.append((total, segment.syllables, spoken, 2 if whole else 0))
    lists.sort(key=itemgetter(0))
    return lists


def _spoken_pairs(segment: Segment, first: Cell, second: Cell) -> tuple[int, ...] | None:
    """Pairs of syllables of two neighbours; None when one of them has no reading."""
    ways: list[tuple[int, ...]] = []
    for cell in (first, second):
        if isinstance(cell, int):
            home = int(segment.homes[cell])
            if not home:
                return None
            ways.append((home,))
        else:
            ways.append(cell.syllables)
    if len(ways[0]) * len(ways[1]) > _WAYS_MAX:
        return None
    table = segment.syllables
    found = (table.find(left, right) for left in ways[0] for right in ways[1])
    return tuple(pair for pair in found if pair >= 0)


def _counted(table: Table, pairs: Sequence[int]) -> Found:
    if len(pairs) == 1:
        return Found(*table.counted(pairs[0]))
    documents, counts = zip(*map(table.counted, pairs), strict=True)
    sums = np.bincount(np.concatenate(documents), np.concatenate(counts))
    present = np.flatnonzero(sums)
    return Found(present, np.minimum(sums[present], COUNT_MAX).astype(np.int64))


def candidates(lists: Sequence[PostingList]) -> Array | None:
    """Documents that have every pair somewhere (or most of them: verification follows); None for
    all documents."""
    documents: Array | None = None
    for count, table, pairs, _ in lists:
        if documents is not None and len(documents) <= 4 + count // 1000:
            break
        listed = _documents(table, pairs)
        documents = listed if documents is None else keep_common(documents, listed)
    return documents


def _documents(table: Table, pairs: Sequence[int]) -> Array:
    if len(pairs) == 1:
        return table.documents(pairs[0])
    return either([table.documents(pair) for pair in pairs])


def verified(
    segment: Segment, documents: Sequence[int], phrases: Sequence[Sequence[int]], late: Deadline
) -> tuple[list[int], list[list[int]]]:
    """Which of ``documents`` have the codes of every phrase one after another, and how often.

    Raises:
        Late: the deadline passed.
    """
    patterns = ["".join(map(chr, codes)) for codes in phrases]
    kept: list[int] = []
    counts: list[list[int]] = []
    for number, document in enumerate(documents):
        if number % _SCAN_DOCUMENTS == 0 and late():
            raise Late
        text = segment.spoken(document)
        often = []
        for pattern in patterns:
            count = occurrences(text, pattern)
            if not count:
                break
            often.append(min(count, COUNT_MAX))
        else:
            kept.append(document)
            counts.append(often)
    return kept, counts


def _counted_few(
    segment: Segment, documents: Sequence[int], codes: Sequence[int], late: Deadline
) -> Found:
    kept, counts = verified(segment, documents, [codes], late)
    return Found(np.array(kept, np.int64), np.array([often for (often,) in counts], np.int64))


def occurrences(text: str, pattern: str) -> int:
    """How often, overlapping ones too."""
    count = text.count(pattern)
    if not count or pattern[0] not in pattern[1:]:
        return count
    count, at = 0, text.find(pattern)
    while at >= 0:
        count, at = count + 1, text.find(pattern, at + 1)
    return count


def places_in(
    segment: Segment, documents: Array | None, cells: Sequence[Cell], late: Deadline
) -> Array:
    """Where ``cells`` begin among the words of ``documents`` (None: of all), rising."""
    words, word_at = segment.arrays["words"], segment.arrays["word_at"]
    if documents is None:
        documents = np.arange(len(word_at) - 1)
    starts = word_at[documents].astype(np.int64)
    sizes = word_at[documents.astype(np.int64) + 1] - starts
    ends = np.cumsum(sizes)
    found = [np.empty(0, np.int64)]
    first = 0
    while first < len(documents):
        if late():
            raise Late
        done = int(ends[first - 1]) if first else 0
        stop = max(first + 1, int(np.searchsorted(ends, done + _SCAN_WORDS, side="right")))
        begin, end = int(starts[first]), int(starts[stop - 1] + sizes[stop - 1])
        if end - begin == int(ends[stop - 1]) - done:  # neighbours: no copy
            found.append(scan(words[begin:end], cells) + begin)
        else:
            index = rows_of(starts[first:stop], sizes[first:stop])
            found.append(index[scan(words[index], cells)])
        first = stop
    return np.concatenate(found)


def scan(words: Array, cells: Sequence[Cell]) -> Array:
    """Where ``cells`` stand one after another in ``words``; boundaries match nothing."""
    last = len(words) - len(cells)
    if last < 0:
        return np.empty(0, np.int64)
    order = sorted(range(len(cells)), key=lambda at: not isinstance(cells[at], int))
    first = order[0]
    places: Array = np.flatnonzero(_test(words[first : first + last + 1], cells[first]))
    for at in order[1:]:
        places = places[_test(words[places + at], cells[at])]
    return places


def _test(words: Array, cell: Cell) -> Array:
    inside: Array
    if isinstance(cell, int):
        inside = words == np.uint16(cell)
    elif len(cell.ranges) == 1:
        low, high = cell.ranges[0]
        inside = words - np.uint16(low) < np.uint16(high - low)
    else:
        inside = cell.mask[words]
    return inside


def _count_places(segment: Segment, places: Array) -> Found:
    if not len(places):
        return NONE
    at = np.searchsorted(segment.arrays["word_at"], places, side="right") - 1
    documents, counts = np.unique(at, return_counts=True)
    return Found(documents, np.minimum(counts, COUNT_MAX))


def _is_plain(segment: Segment, text: str, cells: Sequence[Cell]) -> bool:
    """Whether every character is the only one of its class here, so that nothing is to verify."""
    members = segment.arrays["members"]
    return all(
        int(members[code * MEMBERS]) == ord(character) and not members[code * MEMBERS + 1]
        for character, code in zip(text, cells, strict=True)
        if isinstance(code, int)
    )


def _literal(
    segment: Segment, text: str, cells: Sequence[Cell], late: Deadline, trace: Trace
) -> Found:
    """Documents with these very characters."""
    folded = _find(segment, cells, late, trace)
    places = places_in(segment, folded.documents, cells, late)
    return _count_places(segment, keep_literal(segment, places, text))


def keep_literal(segment: Segment, places: Array, text: str) -> Array:
    """Those of ``places`` in the words where the very characters of ``text`` stand."""
    members, words = segment.arrays["members"], segment.arrays["words"]
    for at, character in enumerate(text):
        index = places + at
        forms = segment.forms(index)
        points = members[words[index].astype(np.int64) * MEMBERS + np.minimum(forms, MEMBERS - 1)]
        same = points == np.uint32(ord(character))
        strange = np.flatnonzero(forms == MEMBERS)
        if len(strange):
            same[strange] = [
                _strange(segment, int(place)) == ord(character) for place in index[strange]
            ]
        places = places[same]
    return places


def _strange(segment: Segment, place: int) -> int:
    """The original of a word that is an exception."""
    document = int(np.searchsorted(segment.arrays["word_at"], place, side="right")) - 1
    return int(segment.written(document)[place - segment.word_at[document]])


def find_heads(segment: Segment, phrase: Phrase, cells: Sequence[Cell]) -> tuple[Array, Array]:
    """Documents at which a title stands that has ``cells`` (not empty), and those of headings."""
    titled, headed = heads_with(segment, cells)
    if phrase.rule == "literal" and not _is_plain(segment, phrase.text, cells):
        titled = _keep(
            titled, lambda document: phrase.text in _read(segment.source(document).title)
        )
        headed = _keep(
            headed, lambda document: phrase.text in _read(segment.source(document).section)
        )
    return titled, headed


def _keep(documents: Array, holds: Callable[[int], bool]) -> Array:
    return np.array([document for document in documents.tolist() if holds(document)], np.int64)


def _read(text: str) -> str:
    """``text`` without what is skipped."""
    return "".join(character for character in text if not is_skipped(character))


def heads_with(segment: Segment, cells: Sequence[Cell]) -> tuple[Array, Array]:
    """As :func:`find_heads`, of folded characters."""
    codes = [cell for cell in cells if isinstance(cell, int)]
    if len(codes) == len(cells) > 1:
        documents = _rarest(segment.heads, codes)
        if len(documents) <= _FEW:
            return _in_heads(segment, documents, "".join(map(chr, codes)))
    words = segment.arrays["head_words"]
    at = scan(words, cells)
    if not len(at):
        return NOTHING, NOTHING
    head_at = segment.arrays["head_at"]
    documents = np.searchsorted(head_at, at, side="right") - 1
    in_title = at - head_at[documents] < segment.arrays["title_words"][documents]
    return np.unique(documents[in_title]), np.unique(documents[~in_title])


def _rarest(table: Table, codes: Sequence[int]) -> Array:
    """Documents of the rarest pair of neighbours; empty if one pair is nowhere."""
    pairs = []
    for first, second in pairwise(codes):
        pair = table.find(first, second)
        if pair < 0:
            return NOTHING
        pairs.append(pair)
    return table.documents(min(pairs, key=table.count))


def _in_heads(segment: Segment, documents: Array, pattern: str) -> tuple[Array, Array]:
    if not len(documents):
        return NOTHING, NOTHING
    heads = [(document, segment.title_and_heading(document)) for document in documents.tolist()]
    titled = [document for document, (title, _) in heads if pattern in title]
    headed = [document for document, (_, heading) in heads if pattern in heading]
    return np.array(titled, np.int64), np.array(headed, np.int64)
