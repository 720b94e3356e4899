"""名称:值 to filters: which items may answer.  Specification: docs/spec/query.md."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from protocol.errors import Rejected
from search_shard.grammar import RIGHTS_NAMES, Condition
from search_shard.lattice import FILTER_VALUES_MAX, YEAR_MAX, Filter, Note
from search_shard.widening import Calendar, Gazetteer, Widener, notes_of, widen

_ITEM_CHARS: Final = 64  # more than any id has
_YEARS: Final = ("published", "span")  # fields whose values are years
_WIDENED: Final = ("office", "place")  # by the table of places
_RIGHTS: Final = {name: value for value, names in RIGHTS_NAMES.items() for name in names}
_YEAR: Final = re.compile(r"公?元?([0-9]{1,4})年?")
_BETWEEN: Final = re.compile(r"\.{2,}|…+|[-–—~～至到]+")


class Filters:
    """Makes filters of conditions, with what parsing knows."""

    def __init__(
        self,
        fold: Callable[[str], str],
        wideners: Sequence[Widener],
        calendar: Calendar | None,
        gazetteer: Gazetteer | None,
        off: Iterable[str],
    ) -> None:
        self._fold, self._wideners = fold, wideners
        self._calendar, self._gazetteer = calendar, gazetteer
        self._off = {*off, "year", "number", "synonym"}  # places only
        self.notes: list[Note] = []

    def filter(self, condition: Condition, excluded: bool) -> Filter:
        """
        Raises:
            Rejected: years that are none, an unknown class of rights, too many values.
        """
        field = condition.field
        if field in _YEARS:
            low, high = self._years(condition)
            return Filter(field, (), low, high, excluded)
        values: dict[str, None] = {}
        for typed, quoted in condition.values:
            for value in self._values(field, typed, quoted):
                values[value] = None
        values.pop("", None)
        if not 1 <= len(values) <= FILTER_VALUES_MAX:
            raise Rejected("query", f"1 to {FILTER_VALUES_MAX} values of {field}", len(values))
        return Filter(field, tuple(values), excluded=excluded)

    def _values(self, field: str, typed: str, quoted: bool) -> Iterable[str]:
        if field == "item":
            return [unicodedata.normalize("NFKC", typed).lower().strip()[:_ITEM_CHARS].strip()]
        if field == "rights":
            known = _RIGHTS.get(typed.strip().casefold())
            if known is None:
                raise Rejected(
                    "query", "rights as 公开, 内部 or 封存 (open, office, sealed)", typed[:20]
                )
            return [known]
        value = self._fold(typed)
        if field not in _WIDENED or quoted or not value:
            return [value]
        forms = widen(value, self._wideners, self._off)
        whole = [form for form in forms if form.parts[0].end - form.parts[0].start == len(value)]
        self.notes += notes_of(value, whole)
        places = None if "place" in self._off else self._gazetteer
        codes = places.codes(value) if places else ()
        return [value, *codes, *(self._fold(form.text) for form in whole)]

    def _years(self, condition: Condition) -> tuple[int, int]:
        typed = "".join(unicodedata.normalize("NFKC", condition.values[0][0]).split())
        if len(condition.values) == 1:
            if found := self._date(typed):
                return found
            for between in _BETWEEN.finditer(typed):  # 至 may be part of an era: 至正三年
                before, after = typed[: between.start()], typed[between.end() :]
                first = self._date(before) if before else (0, 0)
                last = self._date(after) if after else (0, 0)
                if first and last and (before or after):
                    return self._between(before, after, first[0], last[1])
        raise Rejected(
            "query",
            f"{condition.field} as a year or years from 1 to {YEAR_MAX}: 1934, 1990-1999, 1990..,"
            " 民国二十三年",
            repr(",".join(value for value, _ in condition.values)[:40]),
        )

    def _between(self, before: str, after: str, low: int, high: int) -> tuple[int, int]:
        """In order; what ``after`` leaves out is as before: 1990-99, 民国二十年至二十三年."""
        if not 0 < high < low:
            return low, high
        for size in range(1, len(before)):
            whole = self._date(before[:size] + after)
            if whole and whole[1] >= low:
                return low, whole[1]
        return high, low

    def _date(self, typed: str) -> tuple[int, int] | None:
        folded = self._fold(typed)
        if len(folded) < len(typed):
            return None  # a sign inside: not one date
        if arabic := _YEAR.fullmatch(folded):
            year = int(arabic[1])
            return (year, year) if 1 <= year <= YEAR_MAX else None
        found = self._calendar.years(folded) if self._calendar else None
        return (max(found[0], 1), found[1]) if found and found[1] > 0 else None  # not BC
