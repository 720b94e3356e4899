"""A flipped bit in a tile, a bundle, a checkpoint or a witness's state: found by the doctor and at
use, never served, built upon or signed by as if it were good, and healed where somebody has it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from ledger import hash_rows, logbook
from ledger.log_check import check_log
from node.hands.storage.memory_kv import MemoryStore
from node.office.links import Peer
from node.office.node import LEDGER_TABLES
from protocol.errors import Corrupt, Unavailable
from protocol.messages import EntriesAsk, TileAsk
from simulations.loop import run
from tests.appender import BEFORE, CODE, append, check_whole, open_store
from tests.keepers import LOG, TABLES, Keeper, Keepers, keepers, kept, made, note_of, until

SIZE = 70_000  # three levels of tiles


def flip(store: MemoryStore, table: str, key: bytes, at: int = -1) -> None:
    def job(writer: Any) -> None:
        value = bytearray(writer.get(table, key))
        value[at] ^= 1
        writer.put(table, key, bytes(value))

    store.run(job)


def tile(level: int, number: int, width: int = 256) -> tuple[str, bytes, TileAsk | EntriesAsk]:
    return (
        hash_rows.TILE,
        hash_rows.row_key(LOG, 2 * level, number * 16 + (width - 1) // 16),
        TileAsk(LOG, level, number, width),
    )


def entry(index: int) -> tuple[str, bytes, TileAsk | EntriesAsk]:
    return logbook.ENTRY, logbook.entry_key(LOG, index), EntriesAsk(LOG, index - 2, index + 1)


ROWS = {
    "full tile": tile(0, 7),
    "last tile": tile(0, SIZE // 256, SIZE % 256),
    "roots of the rows of a tile": (
        hash_rows.TILE,
        hash_rows.row_key(LOG, 1, 7),
        TileAsk(LOG, 0, 7, 256),
    ),
    "tile of level 1": tile(1, 0),
    "last tile of level 1": tile(1, 1, SIZE // 256 - 256),
    "tile of level 2": tile(2, 0, 1),
    "entry": entry(300),
    "last entry": entry(SIZE - 1),
}


def play(story: Callable[[Keepers], Awaitable[None]]) -> None:
    async def main() -> None:
        async with keepers() as here:
            await story(here)

    run(main())  # type: ignore[arg-type]


def findings(keeper: Keeper) -> list[str]:
    with keeper.store.read() as reader:
        return [finding.code for finding in check_log(reader, LOG)]


WHOLE = kept(made(SIZE))
PART = kept(made(SIZE - 3_000)).dump()
PEER = Peer("320001#1", (LOG,), False, 0, (LOG,))


@pytest.mark.parametrize("row", ROWS)
def test_a_damaged_row_is_found_not_served_and_healed(row: str) -> None:
    async def story(here: Keepers) -> None:
        damaged = MemoryStore(TABLES, WHOLE.dump())
        table, key, ask = ROWS[row]
        flip(damaged, table, key)
        ill = await here.join(damaged)
        well = await here.join(WHOLE)
        assert findings(ill)
        answer = ill.catchup.on_tile if isinstance(ask, TileAsk) else ill.catchup.on_entries
        with pytest.raises(Corrupt):
            await answer(PEER, ask)  # type: ignore[arg-type]
        # who catches up gets everything from the other, and neither is taken for a liar
        keeper = await here.join(MemoryStore(TABLES, PART))
        keeper.told(note_of(WHOLE), ill)
        await until(lambda: bool(keeper.reached))
        assert keeper.dump() == well.dump()
        assert not [code for code in keeper.links.counters if code.startswith("catchup")]
        await ill.catchup.mend(LOG)
        assert findings(ill) == []
        assert ill.dump() == well.dump()

    play(story)


def test_missing_rows_are_healed_too() -> None:
    async def story(here: Keepers) -> None:
        damaged = MemoryStore(TABLES, WHOLE.dump())
        for table, key, _ in ROWS.values():
            damaged.run(lambda writer, t=table, k=key: writer.delete(t, k))
        ill = await here.join(damaged)
        with pytest.raises(Unavailable):
            await ill.catchup.mend(LOG)
        well = await here.join(WHOLE)
        await until(lambda: bool(ill.links.peers()))
        await ill.catchup.mend(LOG)
        assert ill.dump() == well.dump()

    play(story)


@pytest.mark.parametrize("at", [0, 7, 8, -1])
def test_a_damaged_head_stops_everything_that_would_follow_from_it(at: int) -> None:
    async def story(here: Keepers) -> None:
        damaged = MemoryStore(TABLES, WHOLE.dump())
        flip(damaged, logbook.HEAD, LOG.encode(), at)
        with damaged.read() as reader:
            assert [finding.code for finding in check_log(reader, LOG)] == ["log.head"]
        ill = await here.join(damaged)
        for ask in (
            ill.catchup.on_entries(PEER, EntriesAsk(LOG, 0, 1)),
            ill.catchup.on_tile(PEER, TileAsk(LOG, 0, SIZE // 256, 1)),
            ill.catchup.mend(LOG),
        ):
            with pytest.raises(Corrupt):
                await ask

    play(story)


@pytest.mark.parametrize(
    ("table", "key"),
    [
        (logbook.HEAD, CODE.encode()),
        (hash_rows.TILE, hash_rows.row_key(CODE, 0, 0)),
        (logbook.ENTRY, logbook.entry_key(CODE, 3)),
    ],
)
@pytest.mark.parametrize("at", [0, 5, -1])
def test_an_office_never_signs_what_follows_from_a_damaged_row(
    table: str, key: bytes, at: int
) -> None:
    async def story() -> None:
        store = MemoryStore(LEDGER_TABLES)
        published: list[bytes] = []
        await append(store, BEFORE, "before", published.append)
        with store.read() as reader:
            place = at % len(reader.get(table, key) or b"")
        flip(store, table, key, place)
        with store.read() as reader:
            assert list(check_log(reader, CODE))
        try:
            await append(store, (1, 5, 3), "after", published.append)
        except Corrupt:
            assert table == logbook.HEAD
        flip(store, table, key, place)
        check_whole(store, published)  # signed as if nothing had been damaged, or not at all
        assert len(published) == (1 if table == logbook.HEAD else 4)

    asyncio.run(story())


@pytest.mark.parametrize("cut", [0, 1, 512, 2_048, 4_095])
def test_a_commit_whose_last_page_is_torn_is_as_if_it_had_not_been(
    tmp_path: Path, cut: int
) -> None:
    """Pages of a commit may reach the disk in any part and order before the one that names its root
    does; here all of them have, and the last one only up to a byte."""
    page = 4096
    published: list[bytes] = []

    async def story() -> None:
        store = open_store(tmp_path / "store")
        await append(store, BEFORE, "before", published.append)
        old = (tmp_path / "store" / "data.mdb").read_bytes()
        await append(store, (300,), "lost", lambda _: None)
        await store.close()
        new = (tmp_path / "store" / "data.mdb").read_bytes()
        assert len(new) > len(old), "the last page belongs to the lost commit"
        torn = old[: 2 * page] + new[2 * page : len(new) - page + cut]
        (tmp_path / "store" / "data.mdb").write_bytes(torn)
        store = open_store(tmp_path / "store")
        check_whole(store, published)
        await append(store, (2, 260), "after", published.append)
        check_whole(store, published)
        await store.close()

    asyncio.run(story())
