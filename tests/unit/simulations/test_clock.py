from __future__ import annotations

from simulations.clock import EPOCH_MS, SimClock, SimRng


def test_a_clock_follows_true_time_with_its_offset_and_drift() -> None:
    now = 0.0

    def seconds() -> float:
        return now

    true, year_off, fast = (
        SimClock(seconds),
        SimClock(seconds, offset_ms=-365 * 86_400_000),
        SimClock(seconds, drift_ppm=100),
    )
    assert true.now() == fast.now() == EPOCH_MS
    assert year_off.now() == EPOCH_MS - 365 * 86_400_000
    now = 10_000.0
    assert true.now() == EPOCH_MS + 10_000_000
    assert fast.now() - true.now() == 1000
    true.offset_ms = -5
    assert true.now() == EPOCH_MS + 10_000_000 - 5


def test_chance_is_drawn_from_seed_and_name() -> None:
    first = SimRng(7, "320500").random_bytes(32)
    assert len(first) == 32
    assert SimRng(7, "320500").random_bytes(32) == first
    assert SimRng(7, "320600").random_bytes(32) != first
    assert SimRng(8, "320500").random_bytes(32) != first
    # the very bytes: they must not depend on the process or the Python that draws them
    assert first.hex().startswith("aa2c3e463e2e5fbf")
