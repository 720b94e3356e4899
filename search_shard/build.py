"""Pages to a segment, by sorting: one u64 for every pair of neighbouring characters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass

import numpy as np

from protocol.errors import Rejected
from search_shard.blocks import Array, pack_blocks
from search_shard.fold import is_skipped
from search_shard.layout import (
    CHAMPIONS,
    CODES_MAX,
    KINDS,
    MAGIC,
    MEMBERS,
    Page,
    Source,
    records,
)
from search_shard.postings import (
    COUNT_MAX,
    build_table,
    mapped,
    rows_of,
    slices,
    sorted_keys,
    turns,
)
from search_shard.rank import HEADING_SCORE, TITLE_SCORE, damping, text_scores
from search_shard.tables import SYLLABLE_SHIFT, Tables

SEGMENT_PAGES_MAX = 65_536  # a document is a u16
COMMON_PAGES = 512  # pairs on more pages than this are followed by a third character
_COMMON_MAX = 60_000  # of such pairs
_SCORE_MAX = 0xFFFF
_CHUNK_CHARS = 1 << 18  # decoded at a time
_POINTS = 0x110000
_OTHER = 0xFFFD  # folded form of what finds no room among the codes
_HEAD_CHARS_MAX = 60_000  # of a title or heading that is searchable


@dataclass(frozen=True, slots=True)
class _Characters:
    """What to do with each character of a batch, by code point."""

    code: Array  # u16: of its class; 0 where it is passed over
    which: Array  # u8: its place among the members of the class; MEMBERS: an exception
    skip: Array  # u16: its number among those passed over
    points: Array  # folded characters by code, from code 1
    members: Array
    skipped: Array


def build_segment(pages: Sequence[Page], tables: Tables) -> bytes:
    """The segment of ``pages``; equal pages in any order give equal bytes.

    In a batch with more than 55,295 distinct folded characters the rarest are kept but not found.

    Raises:
        Rejected: more than 65,536 pages.
    """
    if len(pages) > SEGMENT_PAGES_MAX:
        raise Rejected("segment", f"at most {SEGMENT_PAGES_MAX} pages", len(pages))
    ordered = sorted(pages, key=lambda page: (page.office, page.item, page.seq, page.page))
    heads = _heads(ordered)
    known = _characters([page.text for page in ordered], heads, tables)
    arrays = _codes(known) | _text(ordered, known) | _head_words(heads, known)
    arrays |= _records(ordered) | _postings(arrays, known, tables)
    blocks = {
        name: np.ascontiguousarray(arrays[name], dtype=kind).data for name, kind in KINDS.items()
    }
    return pack_blocks(MAGIC, tables.digest, blocks)


def _heads(pages: Sequence[Page]) -> list[str]:
    """Title and heading of each page: a title stands at the first page of its item, a heading at
    the first page of its section, so that a title that matches is one hit and not one a page."""
    fields: list[str] = []
    seen: set[tuple[str, ...]] = set()
    for page in pages:
        for kind, name in (("title", page.title), ("section", page.section)):
            mark = (kind, page.office, page.item, name)
            fields.append("" if mark in seen else name[:_HEAD_CHARS_MAX])
            seen.add(mark)
    return fields


def _chunks(texts: Sequence[str]) -> Iterator[tuple[int, int, Array]]:
    """Code points of texts first .. end (half-open), each text with a zero after it."""
    start, size = 0, 0
    for at, text in enumerate(texts):
        size += len(text) + 1
        if size >= _CHUNK_CHARS or at + 1 == len(texts):
            joined = "\0".join(texts[start : at + 1]) + "\0"
            encoded = joined.encode("utf-32-le", "surrogatepass")
            yield start, at + 1, np.frombuffer(encoded, "<u4")
            start, size = at + 1, 0


def _characters(texts: Sequence[str], heads: Sequence[str], tables: Tables) -> _Characters:
    counts = np.zeros(_POINTS, np.int64)
    for part in (texts, heads):
        for _, _, points in _chunks(part):
            counts += np.bincount(points, minlength=_POINTS)
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
    code_of_class = np.empty(len(classes), np.uint16)
    code_of_class[order] = np.arange(1, len(classes) + 1, dtype=np.uint16)
    code, which = np.zeros(_POINTS, np.uint16), np.zeros(_POINTS, np.uint8)
    code[read] = code_of_class[number]
    by_count = read[np.lexsort((read, -counts[read], code[read]))]
    starts = np.searchsorted(code[by_count], np.arange(1, len(classes) + 1))
    place = np.arange(len(by_count)) - starts[code[by_count].astype(np.int64) - 1]
    which[by_count] = np.minimum(place, MEMBERS)
    members = np.zeros((len(classes) + 1, MEMBERS), np.uint32)
    told = place < MEMBERS
    members[code[by_count[told]], place[told]] = by_count[told]
    skip = np.zeros(_POINTS, np.uint16)
    skip[skipped] = np.arange(len(skipped), dtype=np.uint16)
    return _Characters(code, which, skip, classes[order], members, skipped)


def _codes(known: _Characters) -> dict[str, Array]:
    order = np.argsort(known.points)
    return {
        "points": known.points[order],
        "codes": order + 1,
        "members": known.members,
        "skipped": known.skipped,
    }


def _text(pages: Sequence[Page], known: _Characters) -> dict[str, Array]:
    """Words of the texts, each text ended by the boundary, and all that restores the original."""
    texts = [page.text for page in pages]
    size = sum(map(len, texts)) + len(texts)
    shape = np.empty(size, bool)
    words, which, odd, skips = [], [], [], []
    word_count, skip_count, odd_count = (np.zeros(len(texts), np.int64) for _ in range(3))
    at = 0
    for first, end, points in _chunks(texts):
        ends = np.cumsum([len(text) + 1 for text in texts[first:end]])
        codes = known.code[points]
        is_word = codes > 0
        is_word[ends - 1] = True
        shape[at : at + len(points)] = is_word
        at += len(points)
        forms = known.which[points[is_word]]
        words.append(codes[is_word])
        which.append(forms)
        odd.append(points[is_word][forms == MEMBERS])
        skips.append(known.skip[points[~is_word]])
        starts = np.concatenate([[0], ends[:-1]])
        word_count[first:end] = np.add.reduceat(is_word, starts, dtype=np.int64)
        skip_count[first:end] = ends - starts - word_count[first:end]
        edges = np.concatenate([[0], np.cumsum(word_count[first:end])[:-1]])
        odd_count[first:end] = np.add.reduceat(forms == MEMBERS, edges, dtype=np.int64)
    return {
        "words": _joined(words, np.uint16),
        "word_at": _starts(word_count),
        "which": _packed(_joined(which, np.uint8)),
        "odd": _joined(odd, np.uint32),
        "odd_at": _starts(odd_count),
        "skips": _joined(skips, np.uint16),
        "skip_at": _starts(skip_count),
        "shape": np.packbits(shape),
    }


def _packed(forms: Array) -> Array:
    """Four two-bit numbers a byte, the first in the lowest bits."""
    padded = np.zeros(-(-len(forms) // 4) * 4, np.uint8)
    padded[: len(forms)] = forms
    four = padded.reshape(-1, 4)
    packed: Array = four[:, 0] | four[:, 1] << 2 | four[:, 2] << 4 | four[:, 3] << 6
    return packed


def _head_words(heads: Sequence[str], known: _Characters) -> dict[str, Array]:
    """Words of titles and headings; each that has any is ended by the boundary."""
    words: list[Array] = []
    sizes = np.zeros(len(heads), np.int64)
    for first, end, points in _chunks(heads):
        codes = known.code[points]
        ends = np.cumsum([len(head) + 1 for head in heads[first:end]])
        is_word = codes > 0
        counts = np.add.reduceat(is_word, np.concatenate([[0], ends[:-1]]), dtype=np.int64)
        is_word[ends[counts > 0] - 1] = True
        sizes[first:end] = counts + (counts > 0)
        words.append(codes[is_word])
    both = sizes.reshape(-1, 2)
    return {
        "head_words": _joined(words, np.uint16),
        "head_at": _starts(both.sum(axis=1)),
        "title_words": both[:, 0],
    }


def _records(pages: Sequence[Page]) -> dict[str, Array]:
    numbers: dict[Source, int] = {}
    source_of = [
        numbers.setdefault(
            Source(page.office, page.item, page.title, page.section, page.file, page.log_index),
            len(numbers),
        )
        for page in pages
    ]
    source_at, sources = records(astuple(source) for source in numbers)
    label_at, labels = records(page.page for page in pages)
    return {
        "source_of": np.array(source_of, dtype=np.uint16),
        "source_at": source_at,
        "sources": sources,
        "logged": np.array([source.log_index for source in numbers], dtype=np.uint64),
        "seqs": np.array([page.seq for page in pages], dtype=np.uint32),
        "label_at": label_at,
        "labels": labels,
    }


def _postings(arrays: dict[str, Array], known: _Characters, tables: Tables) -> dict[str, Array]:
    """The tables of pairs in texts, of their syllables, of triples of common pairs, of pairs in
    titles and headings, and the best documents of single characters."""
    size = len(known.points) + 1
    words, word_at = arrays["words"], arrays["word_at"]
    documents = np.repeat(np.arange(len(word_at) - 1, dtype=np.uint16), np.diff(word_at))
    firsts, seconds = words[:-1], words[1:]
    head_words, head_at = arrays["head_words"], arrays["head_at"]
    in_heads = np.repeat(np.arange(len(head_at) - 1, dtype=np.uint16), np.diff(head_at))
    found = {"heads": build_table(head_words[:-1], head_words[1:], in_heads[:-1], size)}
    pairs = found["pairs"] = build_table(firsts, seconds, documents[:-1], size)
    common = _common(pairs)
    found["triples"] = build_table(*_triples(words, documents, common, size))
    found["syllables"] = build_table(*_syllables(words, documents, known.points, tables))
    named = {
        f"{table}.{name}": array for table, one in found.items() for name, array in one.items()
    }
    return {"common": common, **named, **_champions(arrays, documents, in_heads, size)}


def _common(pairs: dict[str, Array]) -> Array:
    """first << 16 | second of the pairs that stand in more than ``COMMON_PAGES`` documents."""
    long = np.flatnonzero((pairs["sizes"] == 255) & (pairs["seconds"] > 0))
    at = pairs["where"][long] & np.uint32(0x7FFFFFFF)
    counts = pairs["lists"][at] | pairs["lists"][at + 1].astype(np.uint32) << 16
    many = np.flatnonzero(counts > COMMON_PAGES)
    if len(many) > _COMMON_MAX:
        many = np.sort(
            many[np.argsort(-counts[many].astype(np.int64), kind="stable")[:_COMMON_MAX]]
        )
    firsts = np.searchsorted(pairs["first_at"], long[many], side="right") - 1
    common: Array = firsts.astype(np.uint32) << 16 | pairs["seconds"][long[many]]
    return common


def _triples(
    words: Array, documents: Array, common: Array, size: int
) -> tuple[Array, Array, Array, int]:
    """Where two common pairs overlap: number of the first (from 1), the third code, document."""
    rows, columns = np.zeros(size, np.int64), np.zeros(size, np.int64)
    for ranks, codes in ((rows, common >> 16), (columns, common & 0xFFFF)):
        distinct = np.unique(codes)
        ranks[distinct] = np.arange(1, len(distinct) + 1)
    width = int(columns.max(initial=0)) + 1
    number = np.zeros((int(rows.max(initial=0)) + 1) * width, np.uint16)
    numbers = np.arange(1, len(common) + 1)
    number[rows[common >> 16] * width + columns[common & 0xFFFF]] = numbers
    rows = (rows * width).astype(np.uint32)
    columns = columns.astype(np.uint32)
    pair = mapped(number, mapped(rows, words[:-1]) + mapped(columns, words[1:]))
    at = np.flatnonzero((pair[:-1] > 0) & (pair[1:] > 0))
    return pair[at], words[at + 2], documents[at], len(common) + 1


def _syllables(
    words: Array, documents: Array, points: Array, tables: Tables
) -> tuple[Array, Array, Array, int]:
    """Pairs of syllables (from 1; 0: not read), every reading of a character with every one of its
    neighbour."""
    home, guest_of, guests = _readings(points, tables)
    counts = np.diff(guest_of).astype(np.uint8)
    sounds = mapped(home, words)
    firsts, seconds = sounds[:-1], sounds[1:]
    read = mapped(counts > 0, words)
    at = np.flatnonzero(read[:-1] | read[1:])
    left, right = words[at].astype(np.int64), words[at + 1].astype(np.int64)
    ways = (counts[left] + np.uint8(1)).astype(np.int64) * (counts[right] + np.uint8(1))
    row = np.repeat(np.arange(len(at)), ways - 1)
    turn = rows_of(np.ones(len(at), np.int64), ways - 1)  # 1 .. ways - 1: one is both at home
    left, right = left[row], right[row]
    width = counts[right].astype(np.int64) + 1
    first_turn, second_turn = turn // width, turn % width
    more_firsts = _reading(home, guest_of, guests, left, first_turn)
    more_seconds = _reading(home, guest_of, guests, right, second_turn)
    return (
        np.concatenate([firsts, more_firsts]),
        np.concatenate([seconds, more_seconds]),
        np.concatenate([documents[:-1], documents[at][row]]),
        len(tables.syllables) + 1,
    )


def _reading(home: Array, guest_of: Array, guests: Array, codes: Array, turn: Array) -> Array:
    at = np.minimum(guest_of[codes] + np.maximum(turn - 1, 0), max(len(guests) - 1, 0))
    further = guests[at] if len(guests) else home[codes]
    found: Array = np.where(turn == 0, home[codes], further)
    return found


def _readings(points: Array, tables: Tables) -> tuple[Array, Array, Array]:
    """Of every code: syllable at home (from 1; 0: none), where further ones begin, and these."""
    none = len(tables.syllables)
    homes = (tables.keys(points) >> SYLLABLE_SHIFT).astype(np.int64)
    home = np.concatenate([[0], np.where(homes == none, 0, homes + 1)]).astype(np.uint16)
    codes, syllables = tables.guests_of(points)
    counts = np.bincount(codes + 1, minlength=len(points) + 1)
    return home, _starts(counts), (syllables + 1).astype(np.uint16)


def _champions(
    arrays: dict[str, Array], documents: Array, in_heads: Array, size: int
) -> dict[str, Array]:
    """Of every code: in how many documents it is, and the best of them with their scores."""
    words, heads = arrays["words"], arrays["head_words"]
    dampings = damping(np.diff(arrays["word_at"]))
    at_title = np.arange(len(heads)) - arrays["head_at"][in_heads] < arrays["title_words"][in_heads]
    fields = np.concatenate([np.zeros(len(words), np.uint16), 1 + at_title.astype(np.uint16)])
    columns = (np.concatenate([words, heads]), np.concatenate([documents, in_heads]), fields)
    totals = np.zeros(size, np.int64)
    best, scored = [], []
    for keys in sorted_keys(columns, size):
        for rows in slices(keys, 32):
            places, scores = _place_scores(rows, dampings)
            code = places >> np.uint64(16)
            held = np.bincount(code.astype(np.int64), minlength=size)
            totals += held
            order = code << np.uint64(32) | places & np.uint64(0xFFFF)
            order |= (_SCORE_MAX - scores).astype(np.uint64) << np.uint64(16)
            order.sort()
            some = held[held > 0]
            kept = order[rows_of(np.cumsum(some) - some, np.minimum(some, CHAMPIONS))]
            best.append(kept & np.uint64(0xFFFF))
            scored.append(_SCORE_MAX - (kept >> np.uint64(16) & np.uint64(0xFFFF)).astype(np.int64))
    return {
        "totals": np.maximum(totals, 1) - 1,
        "champion_at": _starts(np.minimum(totals, CHAMPIONS)),
        "champions": _joined(best, np.uint64),
        "champion_scores": _joined(scored, np.int64),
    }


def _place_scores(rows: Array, dampings: Array) -> tuple[Array, Array]:
    """code << 16 | document, each once, and what a character scores there; ``rows`` sorted by code,
    document, field (0 text, 1 heading, 2 title)."""
    runs = np.flatnonzero(turns(rows))
    counts = np.diff(runs, append=len(rows))
    run = rows[runs]
    field, place = run & np.uint64(0xFFFF), run >> np.uint64(16)
    text = field == 0
    scores = np.where(field == 1, HEADING_SCORE, TITLE_SCORE)
    in_text = (place[text] & np.uint64(0xFFFF)).astype(np.int64)
    scores[text] = text_scores(np.minimum(counts[text], COUNT_MAX), dampings[in_text])
    new = np.flatnonzero(turns(place))
    if len(new) == len(place):
        return place, scores
    return place[new], np.add.reduceat(scores, new)


def _joined(parts: Sequence[Array], kind: type[np.generic]) -> Array:
    return np.concatenate([np.empty(0, kind), *parts])


def _starts(sizes: Array) -> Array:
    return np.concatenate([[0], np.cumsum(sizes)])
