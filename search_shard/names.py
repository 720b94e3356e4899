"""Titles, places and headings: a small index of their own, for what is typed while it is typed.

Built from all names at once, in memory: it takes less than a second for 200,000 of them, so it is
never stored.  Specification: docs/spec/names.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, chain, islice
from typing import Final, Self

import numpy as np

from protocol.limits import TITLE_CHARS_MAX
from search_shard.blocks import Array
from search_shard.fold import is_skipped
from search_shard.sounded import END, SoundedTexts, distinct
from search_shard.tables import Tables
from search_shard.typed import Typed, read_typed

KINDS: Final = ("place", "title", "heading")
RULES: Final = ("typed", "pinyin", "initials", "sound", "shape", "other")  # how a name was found
SOURCES_MAX: Final = 4  # of a suggestion that are named
_NEAR_CHARS: Final = range(2, 25)  # of what is typed, for one of its characters to be wrong
_OTHER_CHARS_MIN: Final = 4  # from here on any character may stand for the wrong one
_BREAK: Final = "\n"
_NUMBER_BITS: Final = np.uint64(32)
_NUMBER_MASK: Final = np.uint64(0xFFFFFFFF)
_NEVER: Final = np.uint64(2**64 - 1)
_HEAD: Final = 4096  # ranks that are sorted when there are many


@dataclass(frozen=True, slots=True)
class Name:
    """One thing that has a name.  ``source`` is the item of a title or heading, the office code of
    a place; ``count`` is how many pages it stands for."""

    kind: str
    text: str
    source: str
    count: int


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A name that may be meant, with the pages of all that is called so."""

    kind: str
    text: str
    count: int
    sources: tuple[str, ...]  # at most SOURCES_MAX
    rule: str
    marked: tuple[int, int]  # half-open range of the text's code points that was typed
    note: str = ""  # of an old name of a place: whose it was, and when


def merge_suggestions(parts: Iterable[Iterable[Suggestion]], limit: int) -> list[Suggestion]:
    """The likeliest of several lists in the order of :meth:`Names.suggest`, what several have once,
    with the larger count: the same pages may be in more than one."""
    best: dict[tuple[str, str], Suggestion] = {}
    for suggestion in chain.from_iterable(parts):
        key = suggestion.kind, suggestion.text
        if key not in best or suggestion.count > best[key].count:
            best[key] = suggestion
    return sorted(best.values(), key=_place)[:limit]


def _place(suggestion: Suggestion) -> tuple[int, bool, bool, bool, int, int, str, int]:
    start, end = suggestion.marked
    rule = RULES.index(suggestion.rule)
    return (
        max(rule - RULES.index("initials"), 0),
        start > 0,
        suggestion.rule == "initials",
        end < len(suggestion.text),
        -suggestion.count,
        len(suggestion.text),
        suggestion.text,
        KINDS.index(suggestion.kind),
    )


@dataclass(frozen=True, slots=True)
class Names:
    """Immutable.  Names are numbered in the order in which they are suggested when as good: by
    count falling, then short before long.  Names of one kind that fold to the same are one."""

    kinds: bytes  # place in KINDS
    spellings: str  # as the source with most pages has it, one after another
    spelling_at: Array  # int32: where each begins, and the end
    texts: SoundedTexts  # the folded names, by number
    counts: Array  # int64, of what is not hidden
    sources: tuple[str, ...]  # sorted
    source_at: Array  # int64: where the part of each name in the next two begins, and the end
    source_of: Array  # int32: number of a source, that with most pages first
    source_count: Array  # int32: pages of this name there
    hidden: frozenset[str] = field(default=frozenset())

    @classmethod
    def build(cls, entries: Iterable[Name], tables: Tables) -> Self:
        """Names without a character to type are left out; the order of ``entries`` is no matter."""
        listed = list(entries)
        folded = _folded([name.text[:TITLE_CHARS_MAX] for name in listed], tables)
        keys = [f"{KINDS.index(n.kind)}{text}" for n, text in zip(listed, folded, strict=True)]
        spelled = sorted({key for key in keys if len(key) > 1})
        place = {key: at for at, key in enumerate(spelled)}
        sources = tuple(sorted({name.source for name in listed}))
        number = {source: at for at, source in enumerate(sources)}
        count = np.array([name.count for name in listed], dtype=np.int64)
        group = np.array([place.get(key, len(spelled)) for key in keys], dtype=np.int64)
        totals = np.bincount(group, weights=count, minlength=len(spelled)).astype(np.int64)
        lengths = np.fromiter(map(len, spelled), dtype=np.int64, count=len(spelled))
        order = np.lexsort((lengths, -totals[: len(spelled)]))
        group = np.append(np.argsort(order), len(spelled))[group]  # now the name's number
        source = np.array([number[name.source] for name in listed], dtype=np.int32)
        by_name = np.lexsort((source, -count, group))[: int((group < len(spelled)).sum())]
        source_at = np.searchsorted(group[by_name], np.arange(len(spelled) + 1))
        spellings = [listed[at].text for at in by_name[source_at[:-1]].tolist()]
        spellings = [text[:TITLE_CHARS_MAX] for text in spellings]
        ordered = [spelled[at] for at in order.tolist()]
        return cls(
            kinds=bytes(int(key[0]) for key in ordered),
            spellings="".join(spellings),
            spelling_at=np.array([0, *accumulate(map(len, spellings))], dtype=np.int32),
            texts=SoundedTexts.build([key[1:] for key in ordered], tables),
            counts=totals[order],
            sources=sources,
            source_at=source_at,
            source_of=source[by_name],
            source_count=count[by_name].astype(np.int32),
        )

    def without(self, hidden: frozenset[str]) -> Self:
        """These names as if nothing of the items ``hidden`` had been added, nor of any that were
        hidden before; what is only called so by them is no name any more.  Order and spelling stay
        as they were built."""
        if hidden == self.hidden:
            return self
        shown = np.array([source not in hidden for source in self.sources], dtype=bool)
        pages = np.where(shown[self.source_of], self.source_count, 0)
        before = np.concatenate([[0], np.cumsum(pages)])
        counts = before[self.source_at[1:]] - before[self.source_at[:-1]]
        before = np.concatenate([[0], np.cumsum(shown[self.source_of])])
        gone = before[self.source_at[1:]] == before[self.source_at[:-1]]
        return replace(self, counts=np.where(gone, -1, counts), hidden=hidden)

    def suggest(self, typed: str, limit: int) -> list[Suggestion]:
        """The names that may be meant, the likeliest first: those that begin so, then those that
        have it anywhere, then those with one other character.  Of these the ones spelled in full
        come before those told by initials, a whole name before longer ones, then by number."""
        read = read_typed(typed, self.texts.tables)
        found: dict[int, Suggestion] = {}
        if read.line:
            self._add_best(self._spelled(read, at_start=True), limit, found)
        if read.line and len(found) < limit:
            self._add_best(self._spelled(read, at_start=False), limit, found)
        if len(found) < limit and len(read.line) in _NEAR_CHARS and not read.has_letters:
            self._add_best(self._nearly(read.line), limit, found)
        return list(found.values())

    def words(self, typed: str, limit: int) -> list[tuple[str, int]]:
        """What pinyin may stand for: the (folded) words in names that read so, with the pages of
        these names, the most frequent first.  Every syllable has to be typed to its end."""
        read = read_typed(typed, self.texts.tables)
        totals: dict[str, int] = {}
        if not read.has_letters:
            return []
        for match in self.texts.spelled(read, at_start=False, whole=True):
            windows = self.texts.codes[match.starts[:, None] + np.arange(match.length)]
            words, number = np.unique(windows, axis=0, return_inverse=True)
            pages = np.maximum(self.counts[self.texts.number_of[match.starts]], 0)
            sums = np.bincount(number.ravel(), weights=pages, minlength=len(words))
            for word, total in zip(words.tolist(), sums.tolist(), strict=True):
                text = "".join(self.texts.characters[code] for code in word)
                totals[text] = totals.get(text, 0) + int(total)
        ranked = sorted(totals.items(), key=lambda pair: (-pair[1], pair[0]))
        return [(text, total) for text, total in ranked[:limit] if total]

    def _spelled(self, read: Typed, at_start: bool) -> Iterator[_Ranked]:
        rule = "pinyin" if read.has_letters else "typed"
        for match in self.texts.spelled(read, at_start):
            worse = np.full(len(match.starts), int(match.brief), dtype=np.uint64)
            ranks = self._ranks(match.starts, match.length, worse)
            yield _Ranked(match.starts, ranks, match.length, "initials" if match.brief else rule)

    def _nearly(self, line: str) -> Iterator[_Ranked]:
        """With another character at one place: one that sounds alike, one that looks alike, or,
        when enough is typed, any."""
        for at, character in enumerate(line):
            rest = self.texts.nearly(line, at)
            if not len(rest):
                continue
            here = self.texts.codes[rest + at]
            sound = self.texts.alike_in_sound(character)[here]
            shape = self.texts.alike_in_shape(character)[here] & ~sound
            other = ~sound & ~shape if len(line) >= _OTHER_CHARS_MIN else sound & False
            for how, mask in enumerate((sound, shape, other)):
                starts = rest[mask]
                inside = starts > self.texts.starts[self.texts.number_of[starts]]
                ranks = self._ranks(starts, len(line), np.uint64(2 * how) + inside)
                yield _Ranked(starts, ranks, len(line), RULES[3 + how])

    def _ranks(self, starts: Array, length: int, worse: Array) -> Array:
        """u64, the best lowest: ``worse``, whether there is more of the name, its number."""
        numbers = self.texts.number_of[starts]
        before = starts > self.texts.starts[numbers]
        more = before | (self.texts.codes[starts + length] != END)
        high = worse.astype(np.uint64) << np.uint64(1) | more.astype(np.uint64)
        ranks = high << _NUMBER_BITS | numbers.astype(np.uint64)
        return np.where(self.counts[numbers] < 0, _NEVER, ranks)

    def _add_best(
        self, matches: Iterable[_Ranked], limit: int, found: dict[int, Suggestion]
    ) -> None:
        """Add the names with the lowest ranks until there are ``limit``."""
        matches = [match for match in matches if len(match.starts)]
        # what was found before, and what other matches have too, may take ``limit`` places each
        lowest = [
            (rank, part)
            for part, match in enumerate(matches)
            for rank in _lowest(match.ranks, limit + len(found) + limit * (len(matches) > 1))
        ]
        for rank, part in sorted(lowest):
            number = rank & int(_NUMBER_MASK)
            if len(found) < limit and number not in found:
                match = matches[part]
                at = int(match.starts[np.argmax(match.ranks == np.uint64(rank))])
                found[number] = self._suggestion(number, at, match)

    def _suggestion(self, number: int, start: int, match: _Ranked) -> Suggestion:
        low, high = self.spelling_at[number : number + 2].tolist()
        text = self.spellings[low:high]
        read = [at for at, character in enumerate(text) if not is_skipped(character)]
        first = start - int(self.texts.starts[number])
        low, high = self.source_at[number : number + 2].tolist()
        sources = (self.sources[at] for at in self.source_of[low:high].tolist())
        shown = dict.fromkeys(source for source in sources if source not in self.hidden)
        return Suggestion(
            kind=KINDS[self.kinds[number]],
            text=text,
            count=int(self.counts[number]),
            sources=tuple(islice(shown, SOURCES_MAX)),
            rule=match.rule,
            marked=(read[first], read[first + match.length - 1] + 1),
        )


@dataclass(frozen=True, slots=True)
class _Ranked:
    starts: Array
    ranks: Array
    length: int
    rule: str


def _lowest(ranks: Array, count: int) -> list[int]:
    """The lowest of ``ranks``, each once, without those of hidden names."""
    head = np.partition(ranks, _HEAD)[:_HEAD] if len(ranks) > _HEAD else ranks
    lowest = distinct(head)
    if len(lowest) < count and len(head) < len(ranks):
        lowest = distinct(ranks)
    return [rank for rank in lowest[:count].tolist() if rank != int(_NEVER)]


def _folded(texts: Sequence[str], tables: Tables) -> list[str]:
    """Each text folded, without what matching skips."""
    joined = _BREAK.join(text.replace(_BREAK, " ") for text in texts)
    distinct = "".join(sorted(set(joined) - {_BREAK}))
    folds = zip(distinct, tables.fold(distinct), strict=True)
    mapping = {ord(c): None if is_skipped(c) else folded for c, folded in folds}
    return joined.translate(mapping).split(_BREAK) if texts else []
