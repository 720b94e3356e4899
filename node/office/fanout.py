"""Asks many holders for many shards under one deadline, and asks elsewhere when one is silent."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from protocol.ids import OfficeCode
from protocol.messages import SearchReply, ShardReply
from search_shard.federate import plan_routes

# Asks one holder for the shards of these offices, within seconds; None when it does not answer.
AskHolder = Callable[[OfficeCode, tuple[OfficeCode, ...], float], Awaitable[SearchReply | None]]


@dataclass(frozen=True, slots=True)
class Answered:
    """A shard's reply and whose node gave it."""

    holder: OfficeCode
    reply: ShardReply


async def fan_out(
    shards: Mapping[OfficeCode, Sequence[OfficeCode]],
    live: frozenset[OfficeCode],
    ask: AskHolder,
    deadline_s: float,
    hedge_s: float,
) -> list[Answered]:
    """The first reply of every shard, as far as they came within ``deadline_s``.

    ``shards``: office → holders by preference.  A shard is asked of its next live holder when the
    one before has failed, or has been silent for ``hedge_s``.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + deadline_s
    untried = {office: [h for h in holders if h in live] for office, holders in shards.items()}
    silent_until: dict[OfficeCode, float] = {}  # shards that are being asked for
    asking: dict[asyncio.Task[SearchReply | None], tuple[OfficeCode, tuple[OfficeCode, ...]]] = {}
    answers: dict[OfficeCode, Answered] = {}
    try:
        while len(answers) < len(shards) and (now := loop.time()) < end:
            due = {
                str(office): list(map(str, holders))
                for office, holders in untried.items()
                if office not in answers and silent_until.get(office, now) <= now
            }
            for name, names in plan_routes(due, live)[0].items():
                holder, offices = OfficeCode(name), tuple(map(OfficeCode, names))
                for office in offices:
                    untried[office].remove(holder)
                    silent_until[office] = now + hedge_s
                task = asyncio.ensure_future(_awaited(ask(holder, offices, end - now)))
                asking[task] = (holder, offices)
            if not asking:
                break
            wakes = [silent_until[o] for o in silent_until if o not in answers and untried[o]]
            pause = max(min([end, *wakes]) - now, 0.001)
            done, _ = await asyncio.wait(asking, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                holder, offices = asking.pop(task)
                for office in offices:
                    silent_until[office] = loop.time()  # whoever is next may be asked at once
                reply = task.result()
                for shard in reply.shards if reply is not None else ():
                    if shard.office in offices:
                        answers.setdefault(shard.office, Answered(holder, shard))
    finally:
        for task in asking:
            task.cancel()
    return [answers[office] for office in sorted(answers)]


async def _awaited(question: Awaitable[SearchReply | None]) -> SearchReply | None:
    return await question
