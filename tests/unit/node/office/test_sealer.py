"""Sealed copies of own files: made, given, wrapped anew, brought back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ledger import holdings, views
from protocol.errors import KeyMismatch
from protocol.ids import BlobId, OfficeCode
from protocol.limits import CHUNK_BYTES, MiB
from protocol.sealing import (
    ChunkCipher,
    SealedFile,
    parse_seal,
    parse_wraps,
    plain_size,
    public_half,
    sealed_chunks,
    sealed_size,
)

PROVINCE, CITY, COUNTY = map(OfficeCode, ("320000", "320500", "320581"))
Play = Callable[..., None]
RECOVERY = bytes(range(1, 33))
LARGE = "".join(f"第{n}行 常熟虞山\n" for n in range(80_000)).encode()  # two chunks and a bit


def view_of(town: Any, item: str, at: OfficeCode = COUNTY) -> views.ItemView:
    with town.node(at).world.state.read() as reader:
        return views.item(reader, item)


async def sealed(town: Any, files: dict[str, bytes], code: OfficeCode = COUNTY) -> views.ItemView:
    """A sealed item, once its seal is known."""
    item = str((await town.report(code, files, rights="sealed"))["item"])
    await town.quiet()
    await town.until(lambda: view_of(town, item, code).seal is not None)
    await town.quiet()
    return view_of(town, item, code)


async def of_large(town: Any, view: views.ItemView) -> SealedFile:
    opened = await town.node(view.owner).sealer.open(view)
    return next(file for file, key in opened if key.file == BlobId.of(LARGE))


async def whole(store: Any, blob: BlobId) -> bytes:
    return await store.read(blob, 0, store.size(blob))


async def blob(town: Any, name: BlobId, code: OfficeCode = COUNTY) -> bytes:
    return await whole(town.node(code).world.blobs, name)


def test_a_sealed_copy_is_made_as_it_is_read_and_stored_nowhere(play: Play) -> None:
    async def story(town: Any) -> None:
        node = town.node(COUNTY)
        view = await sealed(town, {"a.txt": b"secret", "b.txt": LARGE, "c.txt": b"secret"})
        opened = await node.sealer.open(view)
        files = [file for file, _ in opened]
        assert parse_seal(await blob(town, view.seal)) == tuple(files)
        pages = view.pages_blob
        assert {key.file for _, key in opened} == {BlobId.of(b"secret"), BlobId.of(LARGE), pages}
        assert view.sealed_bytes == sum(file.size for file in files)
        for file, key in opened:
            assert node.world.blobs.size(file.sealed) is None
            data = await whole(node.sealer.files, file.sealed)
            assert (BlobId.of(data), len(data)) == (file.sealed, file.size)
            card = await node.sealer.files.card(file.sealed)
            assert (card.size, card.chunks) == (file.size, file.chunks)
            size = plain_size(file.size)
            cipher = ChunkCipher(key.key, key.file, size)
            chunks = [
                cipher.open(n, data[n * CHUNK_BYTES : (n + 1) * CHUNK_BYTES])
                for n in range(sealed_chunks(size))
            ]
            assert BlobId.of(b"".join(chunks)) == key.file

    play(story, PROVINCE, CITY, COUNTY)


def test_any_range_of_a_ciphertext_is_the_same_bytes(play: Play) -> None:
    async def story(town: Any) -> None:
        store = town.node(COUNTY).sealer.files
        view = await sealed(town, {"b.txt": LARGE})
        file = await of_large(town, view)
        data = await whole(store, file.sealed)
        for offset, length in ((0, 5), (CHUNK_BYTES - 3, 9), (2 * MiB, 10**9), (file.size, 5)):
            assert await store.read(file.sealed, offset, length) == data[offset : offset + length]

    play(story, PROVINCE, CITY, COUNTY)


def test_a_file_is_sealed_once_within_an_office_and_never_for_two_alike(play: Play) -> None:
    async def story(town: Any) -> None:
        first = await sealed(town, {"a.txt": LARGE})
        again = await sealed(town, {"b.txt": LARGE, "more.txt": "说明".encode()})
        other = await sealed(town, {"a.txt": LARGE}, CITY)
        names = [
            {file.sealed for file in parse_seal(await blob(town, view.seal, at))}
            for view, at in ((first, COUNTY), (again, COUNTY), (other, CITY))
        ]
        file, same, another = [await of_large(town, view) for view in (first, again, other)]
        assert file == same
        assert file.size == another.size == sealed_size(len(LARGE))
        assert file.sealed in names[0] & names[1]
        assert not names[2] & (names[0] | names[1])

    play(story, PROVINCE, CITY, COUNTY)


def test_open_items_are_not_sealed(play: Play) -> None:
    async def story(town: Any) -> None:
        item = str((await town.report(COUNTY, {"a.txt": b"text"}))["item"])
        await town.quiet()
        assert view_of(town, item).seal is None
        with town.node(COUNTY).world.state.read() as reader:
            roster = town.node(COUNTY).folding.roster
            assert holdings.sealing_key(reader, roster, COUNTY) is None

    play(story, PROVINCE, CITY, COUNTY)


def test_rotation_and_a_recovery_key_wrap_anew_and_seal_nothing_anew(play: Play) -> None:
    async def story(town: Any) -> None:
        node, folder = town.node(COUNTY), town.hosts[COUNTY].folder
        view = await sealed(town, {"a.txt": LARGE})
        before = parse_wraps(await blob(town, view.wraps))
        await node.sealer.rotate(COUNTY)
        await town.until(lambda: view_of(town, view.item).wraps != view.wraps)
        await town.office.change({"recovery": public_half(RECOVERY).hex()})
        wanted = {public_half(folder.sealing(COUNTY)[-1]), public_half(RECOVERY)}
        await town.quiet()
        await town.until(lambda: not node.sealer.waiting)
        now = view_of(town, view.item)
        wraps = parse_wraps(await blob(town, now.wraps))
        assert set(wraps.keys) == wanted
        assert not set(before.keys) & wanted
        assert now.seal == view.seal == wraps.seal
        await town.quiet()
        for code in (PROVINCE, CITY, COUNTY):  # erased wherever it was
            assert town.node(code).world.blobs.size(view.wraps) is None
            assert town.node(code).world.blobs.size(now.wraps) is not None
        file = await of_large(town, now)
        assert BlobId.of(await whole(node.sealer.files, file.sealed)) == file.sealed
        with node.world.state.read() as reader:
            key = holdings.sealing_key(reader, node.folding.roster, COUNTY)
        assert (key.version, key.key) == (2, public_half(folder.sealing(COUNTY)[1]))
        assert not findings(town)

    play(story, PROVINCE, CITY, COUNTY)


def findings(town: Any) -> list[object]:
    with town.node(PROVINCE).world.state.read() as reader:
        return list(views.findings(reader))


def test_a_restart_goes_on_without_sealing_again(play: Play) -> None:
    async def story(town: Any) -> None:
        view = await sealed(town, {"a.txt": LARGE})
        size = town.node(COUNTY).log_size(COUNTY)
        await town.hosts[COUNTY].crash()
        await town.hosts[COUNTY].start()
        await town.quiet()
        await town.node(COUNTY).upkeep.rebuild()  # the derived tables are gone
        town.node(COUNTY).sealer.look_at_all()
        await town.quiet()
        await town.until(lambda: not town.node(COUNTY).sealer.waiting)
        assert town.node(COUNTY).log_size(COUNTY) == size
        file = await of_large(town, view)
        store = town.node(COUNTY).sealer.files
        assert BlobId.of(await whole(store, file.sealed)) == file.sealed
        assert (await store.card(file.sealed)).chunks == file.chunks  # measured again

    play(story, PROVINCE, CITY, COUNTY)


def test_without_its_sealing_key_a_home_is_locked(play: Play) -> None:
    async def story(town: Any) -> None:
        view = await sealed(town, {"a.txt": LARGE})
        host = town.hosts[COUNTY]
        await host.stop()
        host.folder._sealing.clear()
        await host.start()
        await town.until(lambda: host.node.sealer.locked() == [view.item])
        with pytest.raises(KeyMismatch):
            await host.node.sealer.open(view)

    play(story, PROVINCE, CITY, COUNTY)
