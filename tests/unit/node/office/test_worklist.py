"""What is missing is looked at again, what changes meanwhile once more, and nothing wakes for
nothing."""

from __future__ import annotations

import asyncio

import pytest

from node.office.worklist import Worklist
from protocol.errors import Full, Missing
from simulations.loop import run


def test_an_item_is_looked_at_until_it_is_done_and_again_when_it_changes() -> None:
    async def main() -> None:
        loop, seen = asyncio.get_running_loop(), list[tuple[str, float]]()

        async def look(item: str) -> bool:
            seen.append((item, loop.time()))
            if item == "busy" and len(seen) == 1:
                work.add(["busy"])  # it changes while it is looked at
            if item == "missing" and loop.time() < 12:
                raise Missing("a file", "here", "not yet")
            return True

        work = Worklist(look, 5.0)
        work.add(["busy"])
        async with asyncio.TaskGroup() as group:
            task = group.create_task(work.run())
            work.add(["missing"])
            await asyncio.sleep(1)
            assert work.waiting == 1
            await asyncio.sleep(3600)
            assert [item for item, _ in seen].count("busy") == 2
            assert [round(at) for item, at in seen if item == "missing"] == [0, 5, 10, 15]
            assert work.waiting == 0
            task.cancel()

    run(main())


def test_without_room_it_ends_and_goes_on_with_the_same_item() -> None:
    async def main() -> None:
        rooms, seen = iter([False, True]), list[str]()

        async def look(item: str) -> bool:
            seen.append(item)
            if not next(rooms):
                raise Full("store", "room", "none")
            return True

        work = Worklist(look, 5.0)
        work.add(["one"])
        with pytest.raises(ExceptionGroup) as ended:
            await work.run()
        assert ended.group_contains(Full)
        assert work.waiting == 1
        async with asyncio.TaskGroup() as group:
            task = group.create_task(work.run())
            await asyncio.sleep(6)
            assert (seen, work.waiting) == (["one", "one"], 0)
            task.cancel()

    run(main())
