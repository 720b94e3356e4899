"""Pacing: no more than the rate of the hour, whoever asks how."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import ConfigError
from protocol.ids import UnixMs
from protocol.pacing import BURST_S, Pace, Rates, parse_night

NIGHT = parse_night("22:00-06:00")
RATES = Rates(100, 1000, *NIGHT)


def at(hour: int, minute: int = 0) -> UnixMs:
    """A moment of some day in China."""
    return UnixMs(((20_000 * 24 + hour - 8) * 60 + minute) * 60_000)


@pytest.mark.parametrize(
    ("hour", "minute", "rate"),
    [(21, 59, 100), (22, 0, 1000), (0, 0, 1000), (5, 59, 1000), (6, 0, 100), (12, 0, 100)],
)
def test_the_night_passes_midnight(hour: int, minute: int, rate: int) -> None:
    assert RATES.at(at(hour, minute)) == rate


def test_a_night_within_one_day_and_none_at_all() -> None:
    siesta = Rates(100, 1000, *parse_night("12:00-14:00"))
    assert [siesta.at(at(hour)) for hour in (11, 12, 13, 14)] == [100, 1000, 1000, 100]
    assert Rates(100, 1000, *parse_night("00:00-00:00")).at(at(0)) == 100


@pytest.mark.parametrize(
    "text",
    [
        "",
        "22:00",
        "22-06",
        "24:00-06:00",
        "22:60-06:00",
        "a:bc-06:00",
        "ab:30-06:00",
        "22:3x-06:00",
    ],
)
def test_other_spellings_of_a_night_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="night"):
        parse_night(text)


@given(
    sizes=st.lists(st.integers(1, 500), min_size=1, max_size=30),
    pauses=st.lists(st.floats(0, 5), min_size=30, max_size=30),
)
def test_never_more_than_the_rate_but_for_one_burst(sizes: list[int], pauses: list[float]) -> None:
    pace, now, moves = Pace(RATES), 0.0, list[tuple[float, int]]()
    for size, pause in zip(sizes, pauses, strict=False):
        now += pause
        moves.append((now + pace.wait_s(size, now, at(12)), size))
    for i, (start, _) in enumerate(moves):
        for j in range(i, len(moves)):
            moved = sum(size for _, size in moves[i:j])  # what lies between two beginnings
            assert moved <= 100 * (moves[j][0] - start + BURST_S) + 1e-6


def test_a_lone_question_does_not_wait_and_the_next_waits_its_turn() -> None:
    pace = Pace(RATES)
    assert pace.wait_s(300, 50.0, at(12)) == 0
    assert pace.wait_s(1, 50.0, at(12)) == pytest.approx(3 - BURST_S)
