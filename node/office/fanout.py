"""Asks many holders for many shards under one deadline, and asks elsewhere when one is silent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from node.office.patience import Patience
from protocol.ids import OfficeCode
from protocol.messages import HitLine, SearchReply, ShardReply

# Asks one holder for the shards of these offices, within seconds; None when it does not answer.
AskHolder = Callable[
    [OfficeCode, tuple[OfficeCode, ...], float], Coroutine[Any, Any, SearchReply | None]
]


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


@dataclass(slots=True)
class _Group:
    """Shards that the same nodes hold."""

    offices: list[OfficeCode]  # that nobody has answered for
    untried: list[OfficeCode]  # holders; whom to ask next, last
    silent_until: float = 0.0  # by then whoever was asked should have answered


@dataclass(frozen=True, slots=True)
class _Question:
    holder: OfficeCode
    offices: tuple[OfficeCode, ...]
    groups: tuple[_Group, ...]
    asked_at: float


async def fan_out(
    shards: Mapping[tuple[OfficeCode, ...], Sequence[OfficeCode]],
    ask: AskHolder,
    deadline_s: float,
    patience: Patience,
) -> Gathered:
    """The first reply of every shard, as far as they came within ``deadline_s``.

    ``shards``: live holders by preference → offices.  A shard is asked of its next holder when the
    one before has failed, or has been silent for longer than ``patience`` has with it.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + deadline_s
    groups = [
        _Group(list(offices), patience.order(holders)[::-1])
        for holders, offices in shards.items()
        if holders
    ]
    asking: dict[asyncio.Task[SearchReply | None], _Question] = {}
    gathered, settled = Gathered(), asyncio.Event()
    try:
        while (now := loop.time()) < end:
            for question in _due(groups, patience, now):
                task = asyncio.ensure_future(ask(question.holder, question.offices, end - now))
                task.add_done_callback(lambda _: settled.set())
                asking[task] = question
            if not asking:
                break
            wakes = (group.silent_until for group in groups if group.untried)
            with suppress(TimeoutError):
                async with asyncio.timeout_at(min([end, *wakes])):
                    await settled.wait()
            settled.clear()
            for task in [task for task in asking if task.done()]:
                question = asking.pop(task)
                for group in question.groups:
                    group.silent_until = now  # whoever is next may be asked at once
                _settle(gathered, question, task.result(), patience, loop.time())
            for group in groups:
                group.offices = [code for code in group.offices if code not in gathered.shards]
            groups = [group for group in groups if group.offices]
            if not groups:
                break
    finally:
        for task, question in asking.items():
            task.cancel()
            patience.fell_silent(question.holder, loop.time())
    return gathered


def _due(groups: Sequence[_Group], patience: Patience, now: float) -> list[_Question]:
    """Whom to ask now, each once for all that it is asked for."""
    routes: dict[OfficeCode, list[_Group]] = {}
    for group in groups:
        if group.untried and group.silent_until <= now:
            holder = group.untried.pop()
            group.silent_until = now + patience.wait_s(holder)
            routes.setdefault(holder, []).append(group)
    return [
        _Question(holder, tuple(sorted(c for g in asked for c in g.offices)), tuple(asked), now)
        for holder, asked in routes.items()
    ]


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
