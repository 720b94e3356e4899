"""From a lost home to its files: the province's offline recovery key at work.

Three steps, by files that people carry: the office that lost its keys asks
(``fangzhi/recovery/1``: its new sealing key and the wraps it cannot open), the holder of the
recovery key wraps the same keys for it, offline, and the office takes them.  docs/spec/sealing.md.

Whoever opens a request must know that its key is the office's: :func:`answer` wants the beginning
of that key from another source, which is the office's ``key.seal`` as any other node shows it.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from ledger import views
from node.hands.world import World
from node.office.catalog import read_whole
from node.office.sealer import Sealer
from protocol.errors import DecodeError, KeyMismatch, Missing
from protocol.ids import ItemId, OfficeCode, parse_item, parse_office
from protocol.limits import WRAPS_BYTES_MAX, MiB
from protocol.records import decode_json, encode_json
from protocol.sealing import Wraps, parse_wraps, public_half, unwrap_keys, wrap_keys

FORMAT: Final = "fangzhi/recovery/1"
FILE_BYTES_MAX: Final = 256 * MiB
READER_CHARS_MIN: Final = 16  # of a key that somebody compares
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class RecoveryFile:
    """A request, or the answer to it: ``reader`` is the new sealing key of ``office``."""

    office: OfficeCode
    reader: bytes
    items: dict[ItemId, Wraps]

    def encoded(self) -> bytes:
        items = {
            item: b64encode(wraps.encoded()).decode() for item, wraps in sorted(self.items.items())
        }
        fields = {"format": FORMAT, "items": items, "office": self.office}
        return encode_json({**fields, "reader": self.reader.hex()})


def parse_recovery_file(data: bytes) -> RecoveryFile:
    """
    Raises:
        DecodeError: not a request or answer.
    """
    fields = decode_json(data.strip(), bytes_max=FILE_BYTES_MAX, where="recovery file")
    try:
        items = {
            parse_item(item): parse_wraps(b64decode(wraps, validate=True))
            for item, wraps in fields["items"].items()
        }
        office, reader = parse_office(fields["office"]), bytes.fromhex(fields["reader"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DecodeError("recovery file", "its fields", repr(error)[:80]) from error
    file = RecoveryFile(office, reader, items)
    if file.encoded() != data.strip() or len(reader) != 32:
        raise DecodeError("recovery file", "its canonical fields and no others", "others")
    return file


def answer(
    request: RecoveryFile, private: bytes, reader: str, random_bytes: Callable[[int], bytes]
) -> RecoveryFile:
    """The keys of every item of the request, wrapped for the office and again for the recovery
    key ``private``.

    Raises:
        KeyMismatch: ``reader`` is not the beginning of the office's key, or something is wrapped
            for another recovery key.
    """
    if len(reader) < READER_CHARS_MIN or not request.reader.hex().startswith(reader.lower()):
        expected = f"{READER_CHARS_MIN} or more digits of the key that {request.office} logged"
        raise KeyMismatch("recovery request", expected, request.reader.hex()[:READER_CHARS_MIN])
    own = public_half(private)
    items = {}
    for item, wraps in request.items.items():
        secrets = unwrap_keys(wraps, private)
        keys = {
            public: wrap_keys(wraps.seal, secrets, public, random_bytes(32))
            for public in (request.reader, own)
        }
        items[item] = replace(wraps, salt=random_bytes(16).hex(), keys=keys)
    return replace(request, items=items)


class Recovery:
    """The office's side of it."""

    def __init__(self, world: World, sealer: Sealer) -> None:
        self._world = world
        self._sealer = sealer

    async def request(self) -> RecoveryFile:
        """Ask for everything that no key here opens, for the one office that it concerns.

        Raises:
            Missing: nothing is locked.
        """
        items: dict[ItemId, Wraps] = {}
        office: OfficeCode | None = None
        for item in self._sealer.locked():
            with self._world.state.read() as reader:
                view = views.item(reader, item)
            assert view.wraps is not None
            code = self._sealer.acting(view)
            if office not in (None, code):
                continue  # of another office of this node: the next request
            office = code
            data = await read_whole(self._world.blobs, view.wraps, WRAPS_BYTES_MAX)
            items[view.item] = parse_wraps(data)
        if office is None:
            raise Missing("recovery", "sealed items that no key here opens", "none")
        return RecoveryFile(office, await self._sealer.sealing_key(office), items)

    async def take(self, data: bytes) -> Json:
        """Believe an answer: ``{office, items}``; the files follow by themselves.

        Raises:
            DecodeError: not an answer, or of other seals.
            KeyMismatch: not wrapped for a key here.
        """
        file = parse_recovery_file(data)
        for item, wraps in file.items.items():
            with self._world.state.read() as reader:
                view = views.item(reader, item)
            await self._sealer.take_wraps(view, wraps.encoded())
        self._sealer.look_at(frozenset(file.items))
        return {"office": file.office, "items": len(file.items)}
