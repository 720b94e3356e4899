"""Asks many holders for many shards under one deadline, and asks elsewhere when one is silent."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from node.office.patience import Patience
from protocol.ids import OfficeCode
from protocol.messages import HitLine, SearchReply, ShardReply
from search_shard.federate import plan_routes

# Asks one holder for the shards of these offices, within seconds; None when it does not answer.
AskHolder = Callable[[OfficeCode, tuple[OfficeCode, ...], float], Awaitable[SearchReply | None]]


@dataclass(frozen=True, slots=True)
class Answered:
    """A shard's reply and whose node gave it."""

    holder: OfficeCode
    reply: ShardReply


@dataclass(slots=True)
class Gathered:
    """What came in time: the first reply of every shard, and the hits that came with them, each
    with who gave it."""

    shards: dict[OfficeCode, Answered] = field(default_factory=dict)
    hits: list[tuple[OfficeCode, HitLine]] = field(default_factory=list)
    times: list[tuple[OfficeCode, int, float]] = field(default_factory=list)  # shards, seconds

    def take(self, holder: OfficeCode, offices: Sequence[OfficeCode], reply: SearchReply) -> None:
        """Of ``reply`` what was asked for.  Hits of a shard that another has answered for count
        too: they may be better than those that this list ends with."""
        for shard in reply.shards:
            if shard.office in offices:
                self.shards.setdefault(shard.office, Answered(holder, shard))
        self.hits += [(holder, hit) for hit in reply.hits if hit.key.office in offices]

    def join(self, other: Gathered) -> None:
        """Add what came to another question of the same."""
        self.shards = other.shards | self.shards
        self.hits += other.hits
        self.times += other.times

    def drop(self, holder: OfficeCode, office: OfficeCode) -> None:
        """Forget what a holder said of a shard."""
        if (given := self.shards.get(office)) and given.holder == holder:
            del self.shards[office]
        self.hits = [row for row in self.hits if (row[0], row[1].key.office) != (holder, office)]


@dataclass(frozen=True, slots=True)
class _Question:
    holder: OfficeCode
    offices: tuple[OfficeCode, ...]
    asked_at: float


async def fan_out(
    shards: Mapping[OfficeCode, Sequence[OfficeCode]],
    live: frozenset[OfficeCode],
    ask: AskHolder,
    deadline_s: float,
    patience: Patience,
) -> Gathered:
    """The first reply of every shard, as far as they came within ``deadline_s``.

    ``shards``: office → holders by preference.  A shard is asked of its next live holder when the
    one before has failed, or has been silent for longer than ``patience`` has with it.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + deadline_s
    untried = {
        office: patience.order(h for h in holders if h in live)
        for office, holders in shards.items()
    }
    silent_until: dict[OfficeCode, float] = {}  # shards that are being asked for
    asking: dict[asyncio.Task[SearchReply | None], _Question] = {}
    gathered = Gathered()
    try:
        while (left := untried.keys() - gathered.shards) and (now := loop.time()) < end:
            due = {
                str(office): list(map(str, untried[office]))
                for office in left
                if untried[office] and silent_until.get(office, now) <= now
            }
            for name, names in plan_routes(due, live)[0].items():
                holder, offices = OfficeCode(name), tuple(map(OfficeCode, names))
                for office in offices:
                    untried[office].remove(holder)
                    silent_until[office] = now + patience.wait_s(holder)
                task = asyncio.ensure_future(_awaited(ask(holder, offices, end - now)))
                asking[task] = _Question(holder, offices, now)
            if not asking:
                break
            wakes = [silent_until[office] for office in left if untried[office]]
            pause = max(min([end, *wakes]) - now, 0.001)
            done, _ = await asyncio.wait(asking, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                question = asking.pop(task)
                for office in question.offices:
                    silent_until[office] = loop.time()  # whoever is next may be asked at once
                _settle(gathered, question, task.result(), patience, loop.time())
    finally:
        for task, question in asking.items():
            task.cancel()
            patience.fell_silent(question.holder, loop.time())
    return gathered


def _settle(
    gathered: Gathered,
    question: _Question,
    reply: SearchReply | None,
    patience: Patience,
    now: float,
) -> None:
    if reply is None:
        patience.fell_silent(question.holder, now)
        return
    seconds = now - question.asked_at
    patience.answered(question.holder, seconds)
    gathered.times.append((question.holder, len(question.offices), seconds))
    gathered.take(question.holder, question.offices, reply)


async def _awaited(question: Awaitable[SearchReply | None]) -> SearchReply | None:
    return await question
