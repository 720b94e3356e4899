"""Texts to words: codes of folded characters, and beside them what restores the original."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from search_shard.blocks import Array
from search_shard.columns import BitColumn, Column
from search_shard.fold import is_skipped
from search_shard.layout import CODES_MAX, MEMBERS
from search_shard.runs import starts_of
from search_shard.tables import Tables

_CHUNK_CHARS = 1 << 16  # decoded at a time: what a processor's cache holds
_COUNTED_CHARS = 1 << 20  # counted at a time: much more than there are distinct ones
_POINTS = 0x110000
_OTHER = 0xFFFD  # folded form of what finds no room among the codes


@dataclass(frozen=True, slots=True)
class Characters:
    """What to do with each character of a batch."""

    told: Array  # u32 by code point: its code, 0 where it is passed over; above 16 bits its place
    # among the members of its class (MEMBERS: an exception), or its number among those passed over
    points: Array  # folded characters by code, from code 1
    members: Array
    skipped: Array

    @property
    def size(self) -> int:
        """One more than the largest code."""
        return len(self.points) + 1

    def blocks(self) -> dict[str, Array]:
        order = np.argsort(self.points)
        return {
            "points": self.points[order],
            "codes": order + 1,
            "members": self.members,
            "skipped": self.skipped,
        }


def characters_of(texts: Sequence[str], tables: Tables) -> Characters:
    """The characters of ``texts``; beyond ``CODES_MAX`` classes the rarest are one."""
    counts = np.zeros(_POINTS, np.int64)
    for _, _, points in _chunks(texts, _COUNTED_CHARS):
        counted = np.bincount(points)
        counts[: len(counted)] += counted
    counts[0] = 1  # ends of texts are not characters; a zero in a text is one, and passed over
    distinct = np.flatnonzero(counts).astype(np.uint32)
    passed = np.array([is_skipped(chr(point)) for point in distinct.tolist()], bool)
    skipped, read = distinct[passed], distinct[~passed]
    folded = tables.fold_points(read)
    classes, number = np.unique(folded, return_inverse=True)
    if len(classes) > CODES_MAX:
        weights = np.bincount(number, weights=counts[read])
        kept = np.argsort(-weights, kind="stable")[: CODES_MAX - 1]
        classes = np.union1d(classes[kept], [_OTHER]).astype(np.uint32)
        folded = np.where(np.isin(folded, classes), folded, np.uint32(_OTHER))
        number = np.searchsorted(classes, folded)
    order = np.argsort(tables.keys(classes), kind="stable")
    code_of_class = np.empty(len(classes), np.uint32)
    code_of_class[order] = np.arange(1, len(classes) + 1)
    code = code_of_class[number]
    by_count = np.lexsort((read, -counts[read], code))
    code, read = code[by_count], read[by_count]
    place = np.arange(len(read)) - np.searchsorted(code, np.arange(len(classes) + 2))[code]
    told = np.zeros(_POINTS, np.uint32)
    told[read] = code | np.minimum(place, MEMBERS).astype(np.uint32) << 16
    told[skipped] = np.arange(len(skipped), dtype=np.uint32) << 16
    members = np.zeros((len(classes) + 1, MEMBERS), np.uint32)
    listed = place < MEMBERS
    members[code[listed], place[listed]] = read[listed]
    return Characters(told, classes[order], members, skipped)


def text_blocks(texts: Sequence[str], known: Characters) -> dict[str, Array]:
    """Words of the texts, each text ended by the boundary, and all that restores the original."""
    size = sum(map(len, texts)) + len(texts)
    words, skips, odd = Column("<u2", size), Column("<u2", size), Column("<u4", size)
    which, shape = BitColumn(2, size), BitColumn(1, size)
    word_count, skip_count, odd_count = (np.zeros(len(texts), np.int64) for _ in range(3))
    for first, end, points in _chunks(texts, _CHUNK_CHARS):
        ends = np.cumsum([len(text) + 1 for text in texts[first:end]])
        told = known.told.take(points)
        is_word = told & np.uint32(0xFFFF) > 0
        is_word[ends - 1] = True
        shape.add(is_word)
        words_told = told[is_word]
        words.add(words_told.astype(np.uint16))
        forms = (words_told >> np.uint32(16)).astype(np.uint8)
        which.add(forms)
        skips.add(told[~is_word] >> np.uint32(16))
        starts = np.concatenate([[0], ends[:-1]])
        word_count[first:end] = np.add.reduceat(is_word, starts, dtype=np.int64)
        skip_count[first:end] = ends - starts - word_count[first:end]
        strange = np.flatnonzero(forms == MEMBERS)
        if len(strange):
            odd.add(points[np.flatnonzero(is_word)[strange]])
            of_text = np.searchsorted(np.cumsum(word_count[first:end]), strange, side="right")
            odd_count[first:end] = np.bincount(of_text, minlength=end - first)
    return {
        "words": words.values,
        "word_at": starts_of(word_count),
        "which": which.end(),
        "odd": odd.values,
        "odd_at": starts_of(odd_count),
        "skips": skips.values,
        "skip_at": starts_of(skip_count),
        "shape": shape.end(),
    }


def head_blocks(heads: Sequence[str], known: Characters) -> dict[str, Array]:
    """Words of titles and headings, in turns; each that has any is ended by the boundary."""
    words = Column("<u2", sum(map(len, heads)) + len(heads))
    sizes = np.zeros(len(heads), np.int64)
    for first, end, points in _chunks(heads, _CHUNK_CHARS):
        codes = (known.told[points] & np.uint32(0xFFFF)).astype(np.uint16)
        ends = np.cumsum([len(head) + 1 for head in heads[first:end]])
        is_word = codes > 0
        counts = np.add.reduceat(is_word, np.concatenate([[0], ends[:-1]]), dtype=np.int64)
        is_word[ends[counts > 0] - 1] = True
        sizes[first:end] = counts + (counts > 0)
        words.add(codes[is_word])
    both = sizes.reshape(-1, 2)
    return {
        "head_words": words.values,
        "head_at": starts_of(both.sum(axis=1)),
        "title_words": both[:, 0],
    }


def _chunks(texts: Sequence[str], least: int) -> Iterator[tuple[int, int, Array]]:
    """Code points of texts first .. end (half-open), each text with a zero after it."""
    start, size = 0, 0
    for at, text in enumerate(texts):
        size += len(text) + 1
        if size >= least or at + 1 == len(texts):
            joined = "\0".join(texts[start : at + 1]) + "\0"
            encoded = joined.encode("utf-32-le", "surrogatepass")
            yield start, at + 1, np.frombuffer(encoded, "<u4")
            start, size = at + 1, 0
