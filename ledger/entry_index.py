"""Which entries speak of an item, which record a log?  Answered from one reading of the logs."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from ledger.events import Anchor, KeyEnroll, KeyRetire, VersionUpload, parse_event
from ledger.proving import Place
from protocol.errors import DecodeError
from protocol.ids import BlobId
from protocol.keys import key_id

_ITEM: Final = re.compile(rb"[1-9][0-9]{5}-[0-9a-z]{12}[0-9a-z*~$=]")
_KINDS: Final = re.compile(rb"version\.upload|anchor|key\.enroll|key\.retire")
_INDEX_BITS: Final = 44  # of a place in 64; the office takes the rest


class EntryIndex:
    """Where entries stand that may matter, in the order in which logs were read: a few integers
    each, so that logs of millions of entries fit."""

    def __init__(self) -> None:
        self._offices: list[str] = []
        self._upload_places, self._manifests = array("Q"), bytearray()
        self._item_places, self._items = array("Q"), array("q")
        self._anchor_places, self._anchored = array("Q"), array("q")
        self._sizes = array("Q")
        self._key_places: dict[tuple[str, bytes], list[int]] = {}

    def add(self, place: Place, entry: bytes) -> None:
        if not self._offices or self._offices[-1] != place[0]:
            self._offices.append(place[0])
        packed = (len(self._offices) - 1) << _INDEX_BITS | place[1]
        item = _ITEM.search(entry)
        if item:
            self._item_places.append(packed)
            self._items.append(hash(item[0]))
        if not _KINDS.search(entry):
            return
        with suppress(DecodeError):
            body = parse_event(entry).read_body()
            if isinstance(body, VersionUpload):
                self._upload_places.append(packed)
                self._manifests += body.manifest.raw
            elif isinstance(body, Anchor):
                for line in body.heads:
                    self._anchor_places.append(packed)
                    self._anchored.append(hash(line.code))
                    self._sizes.append(line.size)
            elif isinstance(body, KeyEnroll | KeyRetire):
                key = key_id(body.key) if isinstance(body, KeyEnroll) else body.key
                self._key_places.setdefault((place[0], key), []).append(place[1])

    def uploads(self) -> Iterator[tuple[Place, BlobId]]:
        for at, packed in enumerate(self._upload_places):
            yield self._place(packed), BlobId(bytes(self._manifests[32 * at : 32 * at + 32]))

    def about(self, item: str) -> Iterator[Place]:
        wanted = hash(item.encode())
        for mark, packed in zip(self._items, self._item_places, strict=True):
            if mark == wanted:
                yield self._place(packed)

    def anchors(self, code: str, index: int) -> Iterator[Place]:
        """Where a size of the log of ``code`` beyond ``index`` may be recorded."""
        wanted = hash(code)
        for mark, size, packed in zip(
            self._anchored, self._sizes, self._anchor_places, strict=True
        ):
            if mark == wanted and size > index:
                yield self._place(packed)

    def keys(self, code: str, key: bytes, index: int) -> Iterator[Place]:
        """Where the log of ``code`` may enrol or retire a user's key (its id) before ``index``."""
        for at in self._key_places.get((code, key), ()):
            if at < index:
                yield code, at

    def _place(self, packed: int) -> Place:
        return self._offices[packed >> _INDEX_BITS], packed & (1 << _INDEX_BITS) - 1
