"""What every KeyValueStore promises (protocol/ports.py), on each backend."""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.hands.storage.lmdb_kv import LmdbStore
from node.hands.storage.memory_kv import MemoryStore
from protocol.errors import Full, Unavailable
from protocol.limits import KEY_BYTES_MAX, MiB
from protocol.ports import KeyValueStore, Reader, Writer
from simulations.disk import SimDisk
from simulations.loop import run as run_simulated

TABLES = ("a", "b")
Story = Callable[[KeyValueStore], Awaitable[Any]]
Play = Callable[[Story], Any]


def play_lmdb(story: Story) -> Any:
    async def tell() -> Any:
        with tempfile.TemporaryDirectory() as folder:
            store = LmdbStore(Path(folder) / "kv", TABLES, 64 * MiB, reserve_bytes=0)
            try:
                return await story(store)
            finally:
                await store.close()

    return asyncio.run(tell())


def play_memory(story: Story) -> Any:
    async def tell() -> Any:
        return await story(MemoryStore(TABLES))

    return asyncio.run(tell())


def play_simulated(story: Story) -> Any:
    async def tell() -> Any:
        store = SimDisk(1, "disk").key_value("kv", TABLES)
        try:
            return await story(store)
        finally:
            await store.close()

    return run_simulated(tell())


PLAYS = {"lmdb": play_lmdb, "memory": play_memory, "simulated": play_simulated}


@pytest.fixture(params=PLAYS)
def play(request: pytest.FixtureRequest) -> Play:
    return PLAYS[request.param]


def put(key: bytes, value: bytes = b"v", table: str = "a") -> Callable[[Writer], None]:
    return lambda writer: writer.put(table, key, value)


def pairs(store: KeyValueStore, table: str = "a", **how: Any) -> list[tuple[bytes, bytes]]:
    with store.read() as reader:
        return list(reader.scan(table, **how))


def test_a_write_is_read_and_its_result_returned(play: Play) -> None:
    async def story(store: KeyValueStore) -> None:
        def job(writer: Writer) -> str:
            writer.put("a", b"k", b"")
            writer.put("b", b"k", b"other table")
            assert writer.get("a", b"k") == b""
            return "done"

        assert await store.write(job) == "done"
        with store.read() as reader:
            assert reader.get("a", b"k") == b""
            assert reader.get("b", b"k") == b"other table"
            assert reader.get("a", b"absent") is None

    play(story)


def test_a_job_that_raises_leaves_nothing_and_spares_the_others(play: Play) -> None:
    async def story(store: KeyValueStore) -> None:
        await store.write(put(b"old", b"1"))

        def bad(writer: Writer) -> None:
            writer.put("a", b"old", b"2")
            writer.put("b", b"new", b"2")
            writer.delete("a", b"first")
            raise ZeroDivisionError

        first, failed, last = await asyncio.gather(
            store.write(put(b"first")),
            store.write(bad),
            store.write(put(b"last")),
            return_exceptions=True,
        )
        assert (first, last) == (None, None)
        assert isinstance(failed, ZeroDivisionError)
        assert pairs(store) == [(b"first", b"v"), (b"last", b"v"), (b"old", b"1")]
        assert pairs(store, "b") == []

    play(story)


def test_a_job_alone_that_raises_leaves_nothing(play: Play) -> None:
    async def story(store: KeyValueStore) -> None:
        await store.write(put(b"old", b"1"))

        def bad(writer: Writer) -> None:
            writer.put("a", b"old", b"2")
            writer.put_many("b", [(b"new", b"2"), (b"newer", b"2")])
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await store.write(bad)
        assert pairs(store) == [(b"old", b"1")]
        assert pairs(store, "b") == []
        await store.write(put(b"next"))
        assert pairs(store) == [(b"next", b"v"), (b"old", b"1")]

    play(story)


def test_many_puts_are_puts_in_turn(play: Play) -> None:
    async def story(store: KeyValueStore) -> None:
        def job(writer: Writer) -> list[bytes]:
            writer.put_many("a", [])
            writer.put_many("a", [(b"b", b"1"), (b"d", b"1"), (b"f", b"")])
            seen = []
            for key, _ in writer.scan("a"):
                seen.append(key)
                if key == b"b":  # the scan finds its place again
                    writer.put_many("a", [(b"e", b"3"), (b"a", b"3"), (b"c", b"3"), (b"c", b"4")])
            return seen

        assert await store.write(job) == [b"b", b"c", b"d", b"e", b"f"]
        assert dict(pairs(store)) == {
            b"a": b"3",
            b"b": b"1",
            b"c": b"4",
            b"d": b"1",
            b"e": b"3",
            b"f": b"",
        }
        for key in (b"", bytes(KEY_BYTES_MAX + 1)):
            with pytest.raises(ValueError, match="1 to 511 bytes"):
                await store.write(lambda w, key=key: w.put_many("a", [(b"x", b""), (key, b"")]))
        assert len(pairs(store)) == 6

    play(story)


def test_jobs_run_in_order_of_call(play: Play) -> None:
    async def story(store: KeyValueStore) -> None:
        def append(number: int) -> Callable[[Writer], int]:
            def job(writer: Writer) -> int:
                before = writer.get("a", b"list") or b""
                writer.put("a", b"list", before + bytes([number]))
                return len(before)

            return job

        got = await asyncio.gather(*(store.write(append(number)) for number in range(200)))
        assert got == list(range(200))
        with store.read() as reader:
            assert reader.get("a", b"list") == bytes(range(200))

    play(story)


def test_a_snapshot_does_not_see_later_writes(play: Play) -> None:
    async def story(store: KeyValueStore) -> None:
        await store.write(put(b"k", b"old"))
        with store.read() as reader:
            scan = reader.scan("a")
            await store.write(put(b"k", b"new"))
            await store.write(put(b"l"))
            await store.write(lambda writer: writer.delete("a", b"k"))
            assert reader.get("a", b"k") == b"old"
            assert list(scan) == list(reader.scan("a")) == [(b"k", b"old")]
        assert pairs(store) == [(b"l", b"v")]

    play(story)


def test_nothing_is_visible_before_its_write_returns_whole(play: Play) -> None:
    async def story(store: KeyValueStore) -> None:
        def both(writer: Writer) -> None:
            writer.put("a", b"one", b"")
            writer.put("b", b"two", b"")

        writing = asyncio.ensure_future(store.write(both))
        while not writing.done():
            with store.read() as reader:
                seen = reader.get("a", b"one"), reader.get("b", b"two")
            assert seen in {(None, None), (b"", b"")}
            await asyncio.sleep(0.0001)

    play(story)


def test_scans(play: Play) -> None:
    keys = [b"a", b"b", b"b\x00", b"b\xfe", b"b\xff", b"b\xff\xff", b"c", b"\xff", b"\xff\xff"]

    async def story(store: KeyValueStore) -> None:
        assert pairs(store) == pairs(store, reverse=True) == []

        def job(writer: Writer) -> None:
            for key in keys:
                writer.put("a", key, key)

        await store.write(job)

        def found(**how: Any) -> list[bytes]:
            return [key for key, _ in pairs(store, **how)]

        assert found() == keys
        assert found(reverse=True) == keys[::-1]
        assert found(prefix=b"b") == keys[1:6]
        assert found(prefix=b"b", reverse=True) == keys[5:0:-1]
        assert found(prefix=b"b\xff", reverse=True) == [b"b\xff\xff", b"b\xff"]
        assert found(prefix=b"\xff", reverse=True) == [b"\xff\xff", b"\xff"]
        assert found(prefix=b"b", start=b"b\xff") == [b"b\xff", b"b\xff\xff"]
        assert found(prefix=b"b", start=b"a") == keys[1:6]
        assert found(prefix=b"b", start=b"c") == []
        assert found(start=b"b\x01") == keys[3:]
        assert found(prefix=b"b", start=b"zzz", reverse=True) == keys[5:0:-1]
        assert found(prefix=b"nothing") == found(prefix=b"nothing", reverse=True) == []

    play(story)


@pytest.mark.parametrize("reverse", [False, True])
def test_a_job_may_write_while_it_scans(play: Play, reverse: bool) -> None:
    async def story(store: KeyValueStore) -> None:
        def fill(writer: Writer) -> None:
            for number in range(20):
                writer.put("a", bytes([number]), b"")

        def halve(writer: Writer) -> list[int]:
            seen = []
            for key, _ in writer.scan("a", reverse=reverse):
                seen.append(key[0])
                writer.delete("a", key)
                # and the one that would have come next
                writer.delete("a", bytes([key[0] + (-1 if reverse else 1)]) or b"x")
                writer.put("b", key, b"")
            return seen

        await store.write(fill)
        expected = list(range(19, 0, -2)) if reverse else list(range(0, 20, 2))
        assert await store.write(halve) == expected
        assert pairs(store) == []
        assert len(pairs(store, "b")) == 10

    play(story)


@pytest.mark.parametrize("reverse", [False, True])
def test_a_scan_over_many_pages_finds_its_place_after_any_writes(play: Play, reverse: bool) -> None:
    """Each step gives the next key as the table is now, whatever was written around the place."""
    first = {(3 * number).to_bytes(2, "big"): bytes(number % 7 * 100) for number in range(300)}

    def fill(writer: Writer) -> None:
        for key, value in first.items():
            writer.put("a", key, value)

    def walk(writer: Writer, seed: int) -> None:
        chance = random.Random(seed)
        model = dict(writer.scan("a"))
        steps = iter(writer.scan("a", reverse=reverse))
        last: bytes | None = None
        for _ in range(400):
            ahead = [
                key for key in model if last is None or (key < last if reverse else key > last)
            ]
            expected = (max if reverse else min)(ahead) if ahead else None
            found = next(steps, None)
            assert found == (None if expected is None else (expected, model[expected]))
            if expected is None:
                break
            last = expected
            for _ in range(chance.randrange(4)):
                near = int.from_bytes(last, "big") + chance.randrange(-3, 4)
                key = min(max(near, 0), 999).to_bytes(2, "big")
                if chance.random() < 0.6:
                    writer.delete("a", key)
                    model.pop(key, None)
                else:
                    model[key] = bytes(chance.choice([0, 10, 900]))
                    writer.put("a", key, model[key])

    async def story(store: KeyValueStore) -> None:
        await store.write(fill)
        for seed in range(5):
            await store.write(partial(walk, seed=seed))

    play(story)


def test_the_longest_key_fits_and_a_longer_or_empty_one_is_a_mistake(play: Play) -> None:
    async def story(store: KeyValueStore) -> None:
        longest = b"\xff" * KEY_BYTES_MAX
        await store.write(put(longest))
        assert pairs(store, prefix=longest, reverse=True) == [(longest, b"v")]
        for key in (b"", longest + b"x"):
            with pytest.raises(ValueError, match="1 to 511 bytes"):
                await store.write(put(key))
            with store.read() as reader, pytest.raises(ValueError, match="1 to 511 bytes"):
                reader.get("a", key)
        assert len(pairs(store)) == 1

    play(story)


def test_an_unknown_table_is_a_mistake(play: Play) -> None:
    async def story(store: KeyValueStore) -> None:
        with pytest.raises(KeyError):
            await store.write(put(b"k", table="c"))
        with store.read() as reader, pytest.raises(KeyError):
            reader.scan("c")

    play(story)


def test_a_cancelled_caller_does_not_hold_up_the_others(play: Play) -> None:
    async def story(store: KeyValueStore) -> None:
        lost = asyncio.ensure_future(store.write(put(b"lost")))
        await asyncio.sleep(0)
        lost.cancel()
        await store.write(put(b"k"))
        await asyncio.gather(lost, return_exceptions=True)
        assert (b"k", b"v") in pairs(store)

    play(story)


def test_a_closed_store_refuses(play: Play) -> None:
    async def story(store: KeyValueStore) -> None:
        waiting = asyncio.ensure_future(store.write(put(b"k")))
        await asyncio.sleep(0)
        await store.close()
        await waiting  # what was handed in before is done
        with pytest.raises(Unavailable):
            await store.write(put(b"l"))
        with pytest.raises(Unavailable), store.read():
            pass
        await store.close()

    play(story)


key = st.binary(min_size=1, max_size=3)
step = st.one_of(
    st.tuples(st.just("put"), key, st.binary(max_size=4)),
    st.tuples(st.just("put_many"), key, st.binary(max_size=4)),
    st.tuples(st.just("delete"), key, st.just(b"")),
)
job = st.tuples(st.lists(step, max_size=6), st.booleans())


@pytest.mark.parametrize("name", PLAYS)
@settings(max_examples=15, deadline=None)
@given(batches=st.lists(st.lists(job, max_size=4), max_size=4), prefix=st.binary(max_size=2))
def test_any_jobs_leave_what_a_dict_would_hold(
    name: str, batches: list[list[tuple[list[Any], bool]]], prefix: bytes
) -> None:
    model: dict[bytes, bytes] = {}

    def make(steps: list[Any], fails: bool) -> Callable[[Writer], dict[bytes, bytes]]:
        def job(writer: Writer) -> dict[bytes, bytes]:
            for what, key, value in steps:
                if what == "put":
                    writer.put("a", key, value)
                elif what == "put_many":
                    writer.put_many("a", [(key, b"before"), (key, value), (key + b"!", value)])
                else:
                    writer.delete("a", key)
            if fails:
                raise ZeroDivisionError
            return dict(writer.scan("a"))

        return job

    def check(reader: Reader) -> None:
        assert list(reader.scan("a")) == sorted(model.items())
        chosen = sorted(pair for pair in model.items() if pair[0].startswith(prefix))
        assert list(reader.scan("a", prefix)) == chosen
        assert list(reader.scan("a", prefix, reverse=True)) == chosen[::-1]

    async def story(store: KeyValueStore) -> None:
        for batch in batches:
            got = await asyncio.gather(
                *(store.write(make(*job)) for job in batch), return_exceptions=True
            )
            for (steps, fails), result in zip(batch, got, strict=True):
                if fails:
                    assert isinstance(result, ZeroDivisionError)
                    continue
                for what, key, value in steps:
                    if what == "put":
                        model[key] = value
                    elif what == "put_many":
                        model[key] = model[key + b"!"] = value
                    else:
                        model.pop(key, None)
                assert result == model
            with store.read() as reader:
                check(reader)

    PLAYS[name](story)


def test_a_full_map_costs_only_the_jobs_that_do_not_fit(tmp_path: Path) -> None:
    async def story() -> None:
        store = LmdbStore(tmp_path / "kv", TABLES, 1 * MiB, reserve_bytes=0)
        got = await asyncio.gather(
            store.write(put(b"small")),
            store.write(put(b"large", bytes(4 * MiB))),
            store.write(put(b"small too")),
            return_exceptions=True,
        )
        assert [type(result) for result in got] == [type(None), Full, type(None)]
        await store.write(put(b"later"))
        assert [key for key, _ in pairs(store)] == [b"later", b"small", b"small too"]
        await store.close()

    asyncio.run(story())


def test_the_map_can_be_filled_to_the_last_page_and_stays_whole(tmp_path: Path) -> None:
    async def story() -> list[bytes]:
        store = LmdbStore(tmp_path / "kv", TABLES, 1 * MiB, reserve_bytes=0)
        kept = []
        for number in range(600):
            batch = [b"%05d %d" % (number, part) for part in range(3)]
            got = await asyncio.gather(
                *(store.write(put(key, bytes(1500))) for key in batch), return_exceptions=True
            )
            assert all(result is None or isinstance(result, Full) for result in got)
            kept += [key for key, result in zip(batch, got, strict=True) if result is None]
        assert 200 < len(kept) < 1800
        assert [key for key, _ in pairs(store)] == kept
        await store.close()
        return kept

    kept = asyncio.run(story())

    async def again() -> None:
        store = LmdbStore(tmp_path / "kv", TABLES, 1 * MiB)
        assert [key for key, _ in pairs(store)] == kept
        await store.close()

    asyncio.run(again())


def test_a_failed_commit_ends_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import lmdb

    from protocol.errors import Fatal

    class Broken:
        """An environment whose outermost commits fail as on a dying disk."""

        def __init__(self, real: Any) -> None:
            self.real = real

        def begin(self, **how: Any) -> Any:
            if "parent" in how or not how:
                return self.real.begin(**how)
            raise lmdb.Error("mdb_txn_commit: Input/output error")

        def close(self) -> None:
            self.real.close()

    async def story() -> None:
        store = LmdbStore(tmp_path / "kv", TABLES, 1 * MiB, reserve_bytes=0)
        await store.write(put(b"k"))
        monkeypatch.setattr(store, "_env", Broken(store._env))
        both = (store.write(put(b"l")), store.write(put(b"m")))
        assert all(
            isinstance(result, Fatal)
            for result in await asyncio.gather(*both, return_exceptions=True)
        )
        monkeypatch.undo()  # the disk seems well again: too late
        with pytest.raises(Fatal):
            await store.write(put(b"n"))
        with pytest.raises(Fatal), store.read():
            pass
        await store.close()

    asyncio.run(story())


def test_memory_dump_makes_an_equal_store() -> None:
    store = MemoryStore(TABLES)
    store.run(put(b"k"))
    store.run(put(b"j", table="b"))
    copy = MemoryStore(TABLES, store.dump())
    assert copy.dump() == store.dump() == {"a": {b"k": b"v"}, "b": {b"j": b"v"}}
    copy.run(put(b"k", b"changed"))
    assert store.dump()["a"] == {b"k": b"v"}
