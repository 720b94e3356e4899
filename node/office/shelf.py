"""Items in the order people want them, newest first, without reading every item each time."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterator

from node.office.catalog import every_item, find
from protocol.ids import ItemId, item_birth_office
from protocol.ports import KeyValueStore

_Place = tuple[int, str]  # minus the claimed time of upload in ms, item


class Shelf:
    """The order of the items of the ``state`` store, kept up as they change."""

    def __init__(self, state: KeyValueStore) -> None:
        self._state = state
        self._places: dict[str, _Place] = {}
        self._all: list[_Place] = []
        self._by_office: dict[str, list[_Place]] = {}
        self._stale: set[str] | None = None  # None: nothing was read yet

    def look_at(self, items: frozenset[str]) -> None:
        """These items may have changed."""
        if self._stale is not None:
            self._stale |= items

    def newest(self, office: str, after: str) -> Iterator[str]:
        """Items of an office ("": of all), newest first, from behind the item ``after``."""
        self._refresh()
        places = self._by_office.get(office, []) if office else self._all
        place = self._places.get(after)
        start = 0 if place is None else bisect_right(places, place)
        for index in range(start, len(places)):
            yield places[index][1]

    def _refresh(self) -> None:
        if self._stale is None:
            self._places, self._all, self._by_office = {}, [], {}
            with self._state.read() as reader:
                for view in every_item(reader):
                    self._put(view.item, (-view.uploaded_at, view.item))
        elif self._stale:
            with self._state.read() as reader:
                for item in self._stale:
                    known = find(reader, item)
                    if known is not None:
                        self._put(item, (-known.uploaded_at, item))
        self._stale = set()

    def _put(self, item: str, place: _Place) -> None:
        office = self._by_office.setdefault(item_birth_office(ItemId(item)), [])
        before = self._places.get(item)
        if before == place:
            return
        for places in (self._all, office):
            if before is not None:
                del places[bisect_right(places, before) - 1]
            insort(places, place)
        self._places[item] = place
