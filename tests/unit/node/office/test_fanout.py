"""Fan-out in pretended time: who is asked, when, and whose answer counts."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from node.office.fanout import Gathered, fan_out
from node.office.patience import Patience
from protocol.ids import OfficeCode
from protocol.messages import HitKey, HitLine, SearchReply, ShardReply
from simulations.loop import run

A, B, C, X, Y, Z = map(OfficeCode, ("320500", "320600", "320700", "320581", "320582", "320681"))


def shard(office: OfficeCode, total: int = 1) -> ShardReply:
    return ShardReply(office, 5, False, total, True, 0, (), ())


def hit(office: OfficeCode) -> HitLine:
    return HitLine(HitKey(1, office, "a", 1), ())


class Holders:
    """``seconds`` each takes to answer, None for never; ``fails`` answer with nothing."""

    def __init__(self, seconds: dict[OfficeCode, float | None], fails: set[OfficeCode]) -> None:
        self.seconds, self.fails = seconds, fails
        self.asked: list[tuple[float, OfficeCode, tuple[OfficeCode, ...]]] = []
        self.cancelled: list[OfficeCode] = []

    async def __call__(
        self, holder: OfficeCode, offices: tuple[OfficeCode, ...], _: float
    ) -> SearchReply | None:
        self.asked.append((asyncio.get_running_loop().time(), holder, offices))
        seconds = self.seconds.get(holder, 0.01)
        try:
            await asyncio.sleep(1e9 if seconds is None else seconds)
        except asyncio.CancelledError:
            self.cancelled.append(holder)
            raise
        if holder in self.fails:
            return None
        return SearchReply(tuple(map(shard, offices)), tuple(map(hit, offices)), 1)


def ask(
    shards: dict[OfficeCode, list[OfficeCode]],
    seconds: dict[OfficeCode, float | None] | None = None,
    fails: set[OfficeCode] | None = None,
    live: set[OfficeCode] | None = None,
    patience: Patience | None = None,
) -> tuple[Holders, Gathered, float]:
    holders = Holders(seconds or {}, fails or set())

    async def story() -> tuple[Gathered, float]:
        alive = frozenset({A, B, C} if live is None else live)
        routes: dict[tuple[OfficeCode, ...], list[OfficeCode]] = {}
        for office, held_by in shards.items():
            routes.setdefault(tuple(h for h in held_by if h in alive), []).append(office)
        answers = await fan_out(routes, holders, 2.0, patience or Patience(0.3))
        return answers, asyncio.get_running_loop().time()

    answers, took = run(story())
    return holders, answers, took


def by_office(answers: Gathered) -> dict[OfficeCode, OfficeCode]:
    return {office: answer.holder for office, answer in answers.shards.items()}


def test_a_holder_of_many_shards_is_asked_once() -> None:
    holders, answers, took = ask({X: [A, X], Y: [A, Y], Z: [B, Z]})
    assert [(who, what) for _, who, what in holders.asked] == [(A, (X, Y)), (B, (Z,))]
    assert by_office(answers) == {X: A, Y: A, Z: B}
    assert took < 0.1


def test_who_is_not_there_is_not_asked() -> None:
    holders, answers, took = ask({X: [A, B], Y: [A]}, live={B})
    assert [who for _, who, _ in holders.asked] == [B]
    assert (by_office(answers), took < 0.1) == ({X: B}, True)


@settings(max_examples=25, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([X, Y, Z]), st.lists(st.sampled_from([A, B, C]), unique=True), max_size=3
    ),
    st.sets(st.sampled_from([A, B, C])),
)
def test_every_shard_is_asked_of_the_first_that_is_there(
    shards: dict[OfficeCode, list[OfficeCode]], live: set[OfficeCode]
) -> None:
    holders, answers, _ = ask(shards, live=live)
    alive = {code: [holder for holder in shards[code] if holder in live] for code in shards}
    assert by_office(answers) == {code: holders[0] for code, holders in alive.items() if holders}
    assert len({who for _, who, _ in holders.asked}) == len(holders.asked)


def test_nobody_to_ask_is_over_at_once() -> None:
    assert ask({X: [A]}, live=set())[1:] == (Gathered(), 0.0)
    assert ask({})[1:] == (Gathered(), 0.0)


def test_a_silent_holder_is_hedged_and_then_left() -> None:
    holders, answers, took = ask({X: [A, B], Y: [A, C]}, {A: None})
    assert [(round(at, 3), who) for at, who, _ in holders.asked] == [(0, A), (0.3, B), (0.3, C)]
    assert by_office(answers) == {X: B, Y: C}
    assert took < 0.5
    assert holders.cancelled == [A]


def test_a_failure_goes_on_without_waiting_for_the_hedge() -> None:
    holders, answers, took = ask({X: [A, B]}, fails={A})
    assert [who for _, who, _ in holders.asked] == [A, B]
    assert (by_office(answers), took < 0.1) == ({X: B}, True)


def test_the_first_of_two_answers_counts() -> None:
    holders, answers, _ = ask({X: [A, B]}, {A: 0.35, B: 0.2})
    assert by_office(answers) == {X: A}
    assert holders.cancelled == [B]


def test_a_hanging_holder_costs_the_deadline_and_no_more() -> None:
    holders, answers, took = ask({X: [A], Y: [B]}, {A: None})
    assert by_office(answers) == {Y: B}
    assert 1.99 < took < 2.01
    assert holders.cancelled == [A]


def test_everybody_failing_is_over_at_once() -> None:
    holders, answers, took = ask({X: [A, B], Y: [A]}, fails={A, B})
    assert (answers, took < 0.1) == (Gathered(), True)
    assert [who for _, who, _ in holders.asked] == [A, B]


def test_answers_that_were_not_asked_for_do_not_count() -> None:
    async def lying(_: OfficeCode, __: tuple[OfficeCode, ...], ___: float) -> SearchReply:
        return SearchReply((shard(Y, 99), shard(X, 1), shard(X, 2)), (hit(Y), hit(X)), 1)

    def story() -> Coroutine[Any, Any, Gathered]:
        return fan_out({(A,): [X, Z]}, lying, 2.0, Patience(0.3))

    answers = run(story())
    assert {office: each.reply.total for office, each in answers.shards.items()} == {X: 1}
    assert answers.hits == [(A, hit(X))]


def test_who_was_silent_is_asked_last_the_next_time() -> None:
    patience = Patience(0.3)
    ask({X: [A, B], Y: [A, C]}, {A: None}, patience=patience)
    holders, answers, took = ask({X: [A, B], Y: [A, C], Z: [A]}, {A: 0.05}, patience=patience)
    assert by_office(answers) == {X: B, Y: C, Z: A}, "it is the only one for one of them"
    assert sorted(who for _, who, _ in holders.asked) == [A, B, C]
    assert took < 0.1


def test_a_usual_answer_late_is_hedged_sooner() -> None:
    patience = Patience(0.3)
    for _ in range(20):
        patience.answered(A, 0.04)
    holders, answers, took = ask({X: [A, B]}, {A: None}, patience=patience)
    assert by_office(answers) == {X: B}
    assert 0.04 < took < 0.1
    assert [(round(at, 2), who) for at, who, _ in holders.asked] == [(0, A), (0.05, B)]


def test_what_a_liar_gave_is_forgotten() -> None:
    gathered = Gathered()
    gathered.take(A, (X, Y), SearchReply((shard(X), shard(Y)), (hit(X), hit(Y)), 1))
    gathered.take(B, (X,), SearchReply((shard(X, 7),), (hit(X),), 1))
    assert gathered.shards[X].reply.total == 1
    gathered.drop(A, X)
    assert (sorted(gathered.shards), gathered.hits) == ([Y], [(A, hit(Y)), (B, hit(X))])
