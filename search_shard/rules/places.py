"""Old and new names of places: 姑苏 = 苏州 = 平江, an abolished county = its successors.

A name may be that of several places (吴县 was divided; 江都 is a district and was 扬州): the rule
offers more, it never replaces what was typed.  Specification: docs/spec/rules.md.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final

from search_shard.rules.finder import Finder, Fold, digest
from search_shard.rules.place_table import PLACES
from search_shard.widening import Alternative

ALTERNATIVES_MAX: Final = 8  # of one name in a word

KINDS: Final = {"alias": "别称", "former": "旧称", "abolished": "旧建制"}
LEVELS: Final = "府路军郡"
_NAME: Final = re.compile(r"(~?)([^\d~#-]+)(?:(-?\d+)-(-?\d+))?(?:#(\d{6}))?")


@dataclass(frozen=True, slots=True)
class OldName:
    """A name that a place had, or has beside its present one."""

    text: str
    kind: str  # of KINDS
    first: int = 0  # year, negative before our era, 0 where it is not known
    last: int = 0
    code: str = ""  # under which the state abolished it
    offered: bool = True  # else only read

    @property
    def told(self) -> str:
        """旧称，1113–1276年"""
        years = f"，{_year(self.first)}–{_year(self.last)}年" if self.first or self.last else ""
        return KINDS[self.kind] + years


@dataclass(frozen=True, slots=True)
class Place:
    """A division of today."""

    code: str  # GB/T 2260
    name: str  # 苏州市
    old: tuple[OldName, ...]

    @property
    def short(self) -> str:
        """苏州; what would be one character keeps its suffix (丰县)."""
        return self.name[:-1] if len(self.name) > 2 else self.name

    def offers(self, name: str) -> list[OldName]:
        """What else a text may call the place that ``name`` was found for: names of its own level
        (平江府 for 苏州府), then others and literary ones in turn; of these none that the search
        for the present name or another of them finds anyway."""
        names = [old for old in self.old if old.offered and old.text != name]
        texts = {self.short, *(old.text for old in names)}
        shortest = [old for old in names if not any(t in old.text and t != old.text for t in texts)]
        same_level = (old for old in names if old.text[-1] == name[-1] and name[-1] in LEVELS)
        others = (old for old in shortest if old.kind != "alias")
        aliases = (old for old in shortest if old.kind == "alias")
        in_turn = (old for row in zip_longest(others, aliases) for old in row if old is not None)
        return [*same_level, *in_turn]


class Places:
    """The rule ``place``, and codes of places for filters."""

    rule: Final = "place"

    def __init__(self, fold: Fold) -> None:
        self.version = digest(PLACES)
        self.places = tuple(_read(PLACES))
        self._present: dict[str, list[Place]] = {}
        self._old: dict[str, list[tuple[Place, OldName]]] = {}
        for place in self.places:
            for name in dict.fromkeys((place.name, place.short)):
                self._present.setdefault(fold(name), []).append(place)
            for old in place.old:
                self._old.setdefault(fold(old.text), []).append((place, old))
                if old.code:
                    self._old.setdefault(old.code, []).append((place, old))
        every = {name: self._others(name, fold) for name in {*self._present, *self._old}}
        self._alternatives = {name: others for name, others in every.items() if others}
        self._finder = Finder(self._alternatives)
        self.sign = self._finder.sign

    def alternatives(self, text: str) -> list[Alternative]:
        """Other names of every place that is named in a folded word, or by an abolished code."""
        return [
            Alternative(self.rule, other, start, end, note)
            for start, end in self._finder.find(text)
            for other, note in self._alternatives[text[start:end]]
        ]

    def codes(self, text: str) -> tuple[str, ...]:
        """Codes of today's divisions that a folded name or a code, present or abolished, may mean:
        those that have the name now, then those that had it, which a name with its suffix (姑苏区)
        leaves out.  () for what is no place of the table.
        """
        if any(place.code == text for place in self.places):
            return (text,)
        now = self._present.get(text, [])
        before = [place for place, _ in self._old.get(text, [])]
        if any(place.name == text for place in now):
            before = []
        return tuple(dict.fromkeys(place.code for place in (*now, *before)))

    def old_names(self, code: str) -> tuple[str, ...]:
        """Names to suggest for a division of today: those that a text may offer for it, and those
        under which the state abolished what it succeeds."""
        places = (place for place in self.places if place.code == code)
        names = (old for place in places for old in place.old)
        return tuple(old.text for old in names if old.offered or old.code)

    def told(self, name: str, codes: Collection[str]) -> str:
        """What a folded old name was of the divisions of these codes: 苏州的别称; "" for others."""
        before = (pair for pair in self._old.get(name, []) if pair[0].code in codes)
        return "、".join(dict.fromkeys(f"{place.short}的{old.told}" for place, old in before))

    def _others(self, name: str, fold: Fold) -> tuple[tuple[str, str], ...]:
        """(name, note) of what a place called ``name`` may be called too, the surest first."""
        found: dict[str, str] = {}
        # A county's successors come before the city whose seat it was.
        before = sorted(self._old.get(name, []), key=lambda each: not each[1].code)
        meant = [place for place, _ in before]
        for place, old in before:
            found.setdefault(place.short, f"{old.text}是其{old.told}")
        for place in (*meant, *self._present.get(name, [])):
            for old in place.offers(name):
                if self._may_stand_for(fold(old.text), place):
                    found.setdefault(old.text, f"{place.short}的{old.told}")
        others = ((other, note) for other, note in found.items() if name not in fold(other))
        return tuple(others)[:ALTERNATIVES_MAX]

    def _may_stand_for(self, name: str, place: Place) -> bool:
        """Not where it is today the name of a division elsewhere."""
        return all(other.code[:4] == place.code[:4] for other in self._present.get(name, []))


def _read(table: str) -> Iterator[Place]:
    for entry in re.split(r"\n(?=\d{6} )", table.strip()):
        head, former, alias = (*entry.split("|"), "")[:3]
        code, name = head.split()
        old = [*_names(former, "former"), *_names(alias, "alias")]
        yield Place(code, name, tuple(old))


def _names(text: str, kind: str) -> Iterator[OldName]:
    for word in text.split():
        match = _NAME.fullmatch(word)
        assert match is not None, word
        hidden, name, first, last, code = match.groups()
        years = (int(first or 0), int(last or 0))
        yield OldName(name, "abolished" if code else kind, *years, code or "", not hidden)


def _year(year: int) -> str:
    return f"前{-year}" if year < 0 else str(year or "")
