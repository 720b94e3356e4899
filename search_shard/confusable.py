"""Characters that look alike: what a typist or a scanner takes one for the other.

Two characters are alike as far as they are made of the same telling parts, at any depth (青清情,
斯撕其), where a part counts the more, the fewer characters have it and the nearer it is to the
whole; and as their four-corner codes agree (戊戌).  Of equally alike ones the common is meant.
Both come from packages alone: no list of pairs, ours or anybody's, decides.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from search_shard.blocks import Array
from search_shard.fold import rarity

ALIKE_MAX = (250, 160, 48)  # characters one may be mistaken for, by how rare it is
_CROWD = 3000  # a part deep inside that more characters have is no likeness
_DEPTH_MAX = 4
_DECAY = 0.8  # of a part's weight for each level of depth
_RARE = (1.0, 0.4, 0.1)  # how likely a character is the one meant, by how rare it is
_DIRECT, _CONTAINED, _SAME_CORNERS, _THREE_CORNERS = 1.25, 0.6, 0.5, 0.2


def alike_table(
    characters: Iterable[str],
    ways: Mapping[str, Sequence[Sequence[str]]],
    corners: Mapping[str, str],
) -> dict[str, str]:
    """For each character those it may be mistaken for, the likest first, at most ``ALIKE_MAX``.

    ``ways``: character → its decompositions; ``corners``: character → four-corner code.
    """
    known = sorted(set(characters))
    parts = _Parts(known, ways)
    by_corner = _by_corner(known, corners)
    meant = np.array([_RARE[rarity(character)] for character in known])
    table = {}
    for at, character in enumerate(known):
        likeness = parts.likeness(character, at)
        code = corners.get(character, "")[:4]
        for mask in _masks(code):
            likeness[by_corner[mask]] += _THREE_CORNERS  # four times where all four agree
        likeness[by_corner[code]] += _SAME_CORNERS - 4 * _THREE_CORNERS
        likeness *= meant
        likeness[at] = 0
        most = ALIKE_MAX[rarity(character)]
        found = np.argpartition(-likeness, min(most, len(known) - 1))[:most]
        found = found[np.lexsort((found, -likeness[found]))]
        found = found[likeness[found] > 0]
        if len(found):
            table[character] = "".join(known[other] for other in found.tolist())
    return table


class _Parts:
    """Who has which part at which depth, and how much each says."""

    def __init__(self, known: Sequence[str], ways: Mapping[str, Sequence[Sequence[str]]]) -> None:
        cut = _Cut(ways)
        self._depths = [cut.depths(character) for character in known]
        having: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for at, depths in enumerate(self._depths):
            for part, depth in depths.items():
                having[part].append((at, depth))
        self._weigh(known, having)

    def _weigh(self, known: Sequence[str], having: Mapping[str, list[tuple[int, int]]]) -> None:
        size = len(known)
        norm = np.full(size, 1.0)
        self._deep: dict[str, tuple[Array, Array]] = {}
        self._near: dict[str, tuple[Array, Array]] = {}
        self._inside: dict[str, tuple[Array, Array]] = {}
        number = set(known)
        for part, holders in having.items():
            who = np.array([at for at, _ in holders])
            depth = np.array([depth for _, depth in holders])
            faded = _DECAY**depth
            if len(who) <= _CROWD:
                told = math.log(size / len(who)) ** 2 * faded
                norm[who] += told
                self._deep[part] = who, told
            near = who[depth <= 1]
            if len(near):
                telling = (math.log(size / len(near)) / math.log(size + 1)) ** 2
                self._near[part] = near, np.full(len(near), _DIRECT * telling)
            if part in number:
                self._inside[part] = who, _CONTAINED * faded
        self._root = np.sqrt(norm)
        self._deep = {
            part: (who, told / self._root[who]) for part, (who, told) in self._deep.items()
        }
        self._number = {character: at for at, character in enumerate(known)}

    def likeness(self, character: str, at: int) -> Array:
        """Of every known character to this one."""
        depths = self._depths[at]
        inside = [
            (self._number[part], depth) for part, depth in depths.items() if part in self._number
        ]
        who = [np.array([number for number, _ in inside], dtype=np.int64)]
        how = [np.array([_CONTAINED * _DECAY**depth for _, depth in inside])]
        for part, depth in depths.items():
            if part in self._deep:
                who.append(self._deep[part][0])
                how.append(self._deep[part][1] * (_DECAY**depth / self._root[at]))
            if depth <= 1 and part in self._near:
                who.append(self._near[part][0])
                how.append(self._near[part][1])
        for own in (self._near, self._inside):  # those that it is itself a part of
            if character in own:
                who.append(own[character][0])
                how.append(own[character][1])
        total = np.bincount(np.concatenate(who), np.concatenate(how), len(self._depths))
        return np.asarray(total)


class _Cut:
    """Decompositions followed down: each part of a character and how deep it lies."""

    def __init__(self, ways: Mapping[str, Sequence[Sequence[str]]]) -> None:
        self._ways = ways
        self._cut: dict[tuple[str, int], dict[str, int]] = {}

    def depths(self, character: str) -> dict[str, int]:
        """Part → depth; itself at 0."""
        return self._below(character, _DEPTH_MAX)

    def _below(self, character: str, levels: int) -> dict[str, int]:
        if (character, levels) in self._cut:
            return self._cut[character, levels]
        found = {character: 0}
        for way in self._ways.get(character, ()) if levels else ():
            for part in way:
                for deeper, depth in self._below(part, levels - 1).items():
                    found[deeper] = min(found.get(deeper, depth + 1), depth + 1)
        self._cut[character, levels] = found
        return found


def _masks(code: str) -> list[str]:
    """A four-corner code with each of its digits left open."""
    return [code[:at] + "?" + code[at + 1 :] for at in range(len(code))]


def _by_corner(known: Sequence[str], corners: Mapping[str, str]) -> defaultdict[str, Array]:
    held: defaultdict[str, list[int]] = defaultdict(list)
    for at, character in enumerate(known):
        code = corners.get(character, "")[:4]
        for mask in (code, *_masks(code)) if code else ():
            held[mask].append(at)
    none = np.zeros(0, dtype=np.int64)
    return defaultdict(lambda: none, {mask: np.array(numbers) for mask, numbers in held.items()})
