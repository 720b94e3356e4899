from __future__ import annotations

from node.office.patience import KNOWN_FROM, PROBE_S, PROBE_S_MAX, WAIT_S_MIN, Patience
from protocol.ids import OfficeCode

A, B, C = map(OfficeCode, ("320500", "320600", "320700"))


def used_to(seconds: float, *others: float) -> Patience:
    patience = Patience(0.3)
    for each in (*[seconds] * 60, *others):
        patience.answered(A, each)
    return patience


def test_a_stranger_is_given_the_longest_wait() -> None:
    patience = Patience(0.3)
    assert patience.wait_s(A) == 0.3
    for _ in range(KNOWN_FROM - 1):
        patience.answered(A, 0.001)
    assert patience.wait_s(A) == 0.3
    patience.answered(A, 0.001)
    assert patience.wait_s(A) == WAIT_S_MIN


def test_the_wait_is_a_little_more_than_usual() -> None:
    assert 0.1 < used_to(0.1).wait_s(A) < 0.15
    assert used_to(0.1, 0.28).wait_s(A) == used_to(0.1).wait_s(A), "one late answer is none"
    assert used_to(0.1, *[0.2] * 10).wait_s(A) > 0.2
    assert used_to(5.0).wait_s(A) == 0.3


def test_who_fell_silent_is_asked_last_until_it_speaks() -> None:
    patience = Patience(0.3)
    patience.fell_silent(A, 10.0)
    assert patience.order([A, B, C]) == [B, C, A]
    assert patience.next_probe() is not None
    assert patience.due(10.0) == []
    assert patience.due(11.0) == [A]
    patience.spoke(A)
    assert patience.order([A, B]) == [A, B]
    assert (patience.due(11.0), patience.next_probe()) == ([], None)


def test_probes_grow_rare_until_an_answer() -> None:
    patience, now, pauses = Patience(0.3), 0.0, []
    for _ in range(20):
        patience.fell_silent(A, now)
        probe = patience.next_probe()
        assert probe is not None
        pauses.append(round(probe - now, 6))
        now = probe
    assert pauses == sorted(pauses)
    assert pauses[0] < 0.1
    assert pauses[-1] == PROBE_S_MAX
    patience.spoke(A)
    patience.fell_silent(A, now)
    assert patience.next_probe() == now + PROBE_S_MAX, "a probe alone is no answer"
    patience.answered(A, 0.1)
    patience.fell_silent(A, now)
    assert patience.next_probe() == now + PROBE_S
