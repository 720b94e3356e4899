"""Seven real nodes under a few fixed seeds; a mix that once found a bug stays, with its name."""

from __future__ import annotations

import subprocess
import sys

import pytest
import structlog

from search_shard.tables import Tables
from simulations.disk import SimDisk
from simulations.play import Outcome, play
from simulations.scenarios import draw

SHORT = ("--nodes", "4", "--days", "0.0012")


@pytest.fixture(autouse=True)
def _quiet_nodes() -> object:
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    yield
    structlog.reset_defaults()


def broken(outcome: Outcome) -> str:
    return "\n".join(str(verdict) for verdict in outcome.verdicts if verdict.wrong)


def test_the_same_seed_gives_the_same_trace_in_processes_that_hash_otherwise() -> None:
    command = [sys.executable, "-m", "simulations", "run", "--seed", "7", *SHORT, "--twice"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert done.stdout.splitlines()[0].endswith("mix scenario seven, seed 7, 4 offices, 104 s")
    assert done.stdout.endswith("the traces are equal\n")


@pytest.mark.parametrize("seed", [10, 14])
def test_every_promise_holds(seed: int, tables: Tables) -> None:
    outcome = play(draw("seven", seed), tables)
    assert outcome.held, broken(outcome)


def test_a_disk_that_forgets_what_it_had_confirmed_is_found_out(
    tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = SimDisk.crash

    def forget(disk: SimDisk) -> None:
        honest(disk)
        disk._blobs.content.clear()

    monkeypatch.setattr(SimDisk, "crash", forget)
    outcome = play(draw("seven", 7), tables)
    assert "is gone or damaged" in broken(outcome)
