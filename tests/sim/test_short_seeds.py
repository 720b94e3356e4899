"""Twenty short seeds, each in two processes that hash texts differently: every promise holds, and
the two traces are one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from simulations.sweep import Result, read_state

SEEDS = 20
HASH_SEEDS = ("1", "2")
SHORT = ("--nodes", "4", "--days", "0.0012")  # 104 s, and the network's settling


@pytest.mark.slow
def test_twenty_short_seeds_hold_and_have_one_trace_each(tmp_path: Path) -> None:
    states = [tmp_path / f"{hash_seed}.jsonl" for hash_seed in HASH_SEEDS]
    command = [sys.executable, "-m", "simulations", "sweep", "--seeds", f"1..{SEEDS}", *SHORT]
    sweeps = [
        subprocess.Popen(
            [*command, "--jobs", "1", "--state", str(state)],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            stdout=subprocess.PIPE,
            text=True,
        )
        for state, hash_seed in zip(states, HASH_SEEDS, strict=True)
    ]
    told = [sweep.communicate()[0] for sweep in sweeps]
    assert [sweep.returncode for sweep in sweeps] == [0, 0], told[0] + told[1]
    one, other = map(_traces, map(read_state, states))
    assert len(one) == SEEDS
    assert one == other


def _traces(results: list[Result]) -> dict[int, str]:
    return {result.task.seed: result.trace for result in results}
