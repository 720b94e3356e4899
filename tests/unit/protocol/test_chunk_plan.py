"""The plan of a transfer, played with sources that answer, lie, are damaged, slow or vanish."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.chunk_plan import SILENT_MAX, WINDOW_MAX, WRONG_MAX, ChunkPlan


@dataclass
class Source:
    """How one source behaves; times in seconds."""

    takes: float = 0.1
    damaged: frozenset[int] = frozenset()
    lies: bool = False
    until: float = 1e9  # then it is gone
    asked: list[int] = field(default_factory=list)


def play(wanted: set[int], sources: dict[str, Source], seed: int = 1) -> tuple[set[int], float]:
    """Run a plan to its end: (chunks that came, seconds)."""
    plan, draw, now, here = ChunkPlan(wanted, sources), random.Random(seed), 0.0, set[int]()
    waiting: list[tuple[float, str, int]] = []
    while not plan.is_done and not plan.is_stuck:
        for name, chunk in plan.questions(now):
            source = sources[name]
            source.asked.append(chunk)
            took = source.takes if now < source.until else 5.0
            waiting.append((now + took * draw.uniform(0.8, 1.2), name, chunk))
        if not waiting:
            wake = plan.wakes_at()
            assert wake is not None
            assert wake > now, "nothing to wait for"
            now = wake
            continue
        waiting.sort()
        now, name, chunk = waiting.pop(0)
        open_now = [n for _, n, _ in waiting]
        assert all(open_now.count(n) <= WINDOW_MAX for n in sources)
        source = sources[name]
        if now > source.until:
            plan.silent(name, chunk, now)
        elif source.lies or chunk in source.damaged:
            plan.wrong(name, chunk)
        elif plan.came(name, chunk):
            assert chunk not in here
            here.add(chunk)
    assert plan.is_done == (here == wanted)
    return here, now


chunks = st.sets(st.integers(0, 40), max_size=30)


@settings(max_examples=60)
@given(wanted=chunks, damaged=st.lists(st.frozensets(st.integers(0, 40), max_size=2), max_size=3))
def test_what_one_source_lacks_another_gives(
    wanted: set[int], damaged: list[frozenset[int]]
) -> None:
    sources = {f"s{n}": Source(damaged=bad) for n, bad in enumerate(damaged)}
    here, _ = play(wanted, sources)
    nowhere = frozenset.intersection(*damaged) if damaged else frozenset(wanted)
    assert here == wanted if not wanted & nowhere else here <= wanted - nowhere


def test_everything_is_asked_once_in_order_of_one_source() -> None:
    source = Source()
    play(set(range(20)), {"a": source})
    assert source.asked == list(range(20))


def test_several_sources_share_the_work() -> None:
    _, alone = play(set(range(200)), {"a": Source()})
    sources = {name: Source() for name in "abc"}
    _, together = play(set(range(200)), sources)
    assert together < 0.45 * alone
    assert min(len(source.asked) for source in sources.values()) > 50


def test_a_liar_is_asked_only_a_few_times() -> None:
    sources = {"liar": Source(takes=0.01, lies=True), "good": Source()}
    here, _ = play(set(range(50)), sources)
    assert len(here) == 50
    assert len(sources["liar"].asked) <= WRONG_MAX + WINDOW_MAX


def test_a_liar_alone_ends_it() -> None:
    source = Source(lies=True)
    here, _ = play(set(range(1000)), {"liar": source})
    assert not here
    assert len(source.asked) <= WRONG_MAX + WINDOW_MAX


def test_one_that_vanishes_half_way_costs_no_chunk() -> None:
    sources = {"gone": Source(until=1.0), "good": Source()}
    here, _ = play(set(range(100)), sources)
    assert len(here) == 100


def test_all_gone_ends_it_after_a_few_tries() -> None:
    source = Source(until=1.0)
    here, end = play(set(range(100)), {"gone": source})
    assert 0 < len(here) < 100
    assert end < 60
    assert len(source.asked) < len(here) + SILENT_MAX * WINDOW_MAX + WINDOW_MAX


def test_a_slow_source_does_not_hold_up_the_end() -> None:
    sources = {"slow": Source(takes=100.0), "fast": Source(takes=0.1)}
    here, end = play(set(range(60)), sources)
    assert len(here) == 60
    assert end < 30


def test_a_chunk_that_waits_for_a_busy_source_holds_nobody_else_up() -> None:
    plan = ChunkPlan(range(8), ["a", "b"])
    given_to_b = next(chunk for name, chunk in plan.questions(0.0) if name == "b")
    plan.wrong("b", given_to_b)  # now only a can give it, and a has enough to do
    assert plan.questions(0.0) == [("b", 4)]
