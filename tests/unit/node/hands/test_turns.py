from __future__ import annotations

import asyncio
import random

import pytest

from node.hands.turns import Turns


def test_one_at_a_time_for_each_key_whoever_comes_and_gives_up_meanwhile() -> None:
    async def story() -> None:
        turns, chance = Turns[str](), random.Random(3)
        inside, order, most = dict.fromkeys("ab", 0), list[int](), 0

        async def come(number: int, key: str) -> None:
            nonlocal most
            async with turns.of(key):
                order.append(number)
                inside[key] += 1
                assert inside[key] == 1
                most = max(most, sum(inside.values()))
                try:
                    await asyncio.sleep(0)
                finally:
                    inside[key] -= 1

        coming = [asyncio.ensure_future(come(number, "ab"[number % 2])) for number in range(50)]
        for _ in range(30):
            await asyncio.sleep(0)
            chance.choice(coming).cancel()
            coming.append(asyncio.ensure_future(come(len(coming), chance.choice("ab"))))
        await asyncio.gather(*coming, return_exceptions=True)
        assert most == 2, "keys do not wait for each other"
        assert len(order) > 40
        assert order[:10] == sorted(order[:10])
        assert not len(turns), "nothing is kept of keys that nobody wants"

    asyncio.run(story())


def test_who_fails_lets_the_next_one_in() -> None:
    async def story() -> None:
        turns = Turns[int]()
        with pytest.raises(ZeroDivisionError):
            async with turns.of(1):
                raise ZeroDivisionError
        async with asyncio.timeout(5), turns.of(1):
            assert len(turns) == 1

    asyncio.run(story())


def test_who_comes_when_the_first_has_left_waits_for_the_second() -> None:
    """The lock must not be forgotten while the second one, who waited for it, has it."""

    async def story() -> None:
        turns, inside = Turns[int](), 0

        async def come(pauses: int) -> None:
            nonlocal inside
            async with turns.of(1):
                inside += 1
                assert inside == 1
                for _ in range(pauses):
                    await asyncio.sleep(0)
                inside -= 1

        first, second = (asyncio.ensure_future(come(pauses)) for pauses in (1, 9))
        await first
        await asyncio.gather(second, come(1))

    asyncio.run(story())
