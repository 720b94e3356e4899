from __future__ import annotations

import hashlib

from simulations.trace import Trace


def test_a_line_per_event_and_one_hash_of_all() -> None:
    shown: list[str] = []
    trace = Trace(lambda: 12.25, shown.append)
    empty = trace.digest
    trace.record("320500", "dial", to="320000:7000", connection=3)
    trace.record("network", "heal")
    assert trace.lines == shown
    assert trace.lines == [
        "   12.250000 320500 dial to=320000:7000 connection=3",
        "   12.250000 network heal",
    ]
    text = "".join(line + "\n" for line in trace.lines)
    assert trace.digest == hashlib.sha256(text.encode()).hexdigest() != empty
