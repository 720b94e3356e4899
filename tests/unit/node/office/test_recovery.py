"""A home that lost its sealing keys, and the province's offline recovery key."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ledger import views
from node.office.recovery import RecoveryFile, answer, parse_recovery_file
from protocol.errors import DecodeError, KeyMismatch, Missing
from protocol.ids import BlobId, ItemId, OfficeCode, mint_item
from protocol.sealing import FileKey, Wraps, public_half, unwrap_keys, wrap_keys

PROVINCE, CITY, COUNTY = map(OfficeCode, ("320000", "320500", "320581"))
Play = Callable[..., None]
RECOVERY, OTHER, NEW = (bytes([n]) * 32 for n in (1, 2, 3))
SEAL = BlobId.of(b"seal")
KEYS = (FileKey(bytes(32), BlobId.of(b"file")),)
ITEM = ItemId(mint_item(COUNTY, bytes(8)))


def fixed(count: int) -> bytes:
    return bytes(range(count))


def asked(*readers: bytes) -> RecoveryFile:
    keys = {public_half(p): wrap_keys(SEAL, KEYS, public_half(p), OTHER) for p in readers}
    return RecoveryFile(COUNTY, public_half(NEW), {ITEM: Wraps("0f" * 16, SEAL, keys)})


def hexadecimal(private: bytes) -> str:
    return public_half(private).hex()


def test_the_holder_wraps_the_same_keys_for_the_office() -> None:
    request = parse_recovery_file(asked(RECOVERY, OTHER).encoded())
    answered = answer(request, RECOVERY, hexadecimal(NEW)[:16].upper(), fixed)
    wraps = parse_recovery_file(answered.encoded() + b"\n").items[ITEM]
    assert set(wraps.keys) == {public_half(NEW), public_half(RECOVERY)}
    assert unwrap_keys(wraps, NEW) == unwrap_keys(wraps, RECOVERY) == KEYS
    assert wraps.seal == SEAL


@pytest.mark.parametrize("reader", [hexadecimal(OTHER), hexadecimal(NEW)[:15], ""])
def test_for_another_key_than_the_office_logged_nothing_is_opened(reader: str) -> None:
    with pytest.raises(KeyMismatch, match="that 320581 logged"):
        answer(asked(RECOVERY), RECOVERY, reader, fixed)


def test_a_wrong_recovery_key_is_named() -> None:
    with pytest.raises(KeyMismatch, match=hexadecimal(RECOVERY)[:16]):
        answer(asked(RECOVERY), OTHER, hexadecimal(NEW), fixed)


def test_files_with_another_spelling_are_refused() -> None:
    good = asked(RECOVERY).encoded()
    short = replace(asked(RECOVERY), reader=b"short").encoded()
    for data in (b"", b"{}", good[:-1], good.replace(b"recovery/1", b"recovery/2"), short):
        with pytest.raises(DecodeError):
            parse_recovery_file(data)


def test_a_home_without_its_keys_opens_again(play: Play) -> None:
    async def story(town: Any) -> None:
        await town.office.change({"recovery": hexadecimal(RECOVERY)})
        item = str((await town.report(COUNTY, {"a.txt": b"text"}, rights="sealed"))["item"])
        await town.quiet()
        host = town.hosts[COUNTY]
        with pytest.raises(Missing):
            await host.node.using.recovery.request()
        await town.until(lambda: _view(town, item).seal is not None)
        await host.stop()
        host.folder._sealing.clear()
        await host.start()
        await town.until(lambda: host.node.sealer.locked() == [item])
        request = await host.node.using.recovery.request()
        assert request.office == COUNTY
        assert request.reader == public_half(host.folder.sealing(COUNTY)[-1])
        stranger = replace(request, reader=public_half(OTHER))
        astray = answer(stranger, RECOVERY, hexadecimal(OTHER), fixed)
        with pytest.raises(KeyMismatch):
            await host.node.using.recovery.take(astray.encoded())
        answered = answer(request, RECOVERY, request.reader.hex(), fixed)
        assert await host.node.using.recovery.take(answered.encoded()) == {
            "office": COUNTY,
            "items": 1,
        }
        await town.until(lambda: not host.node.sealer.locked())
        opened = await host.node.sealer.open(_view(town, item))
        assert BlobId.of(b"text") in {key.file for _, key in opened}

    play(story, PROVINCE, CITY, COUNTY)


def _view(town: Any, item: str) -> views.ItemView:
    with town.node(COUNTY).world.state.read() as reader:
        return views.item(reader, item)
