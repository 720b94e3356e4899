"""``python -m simulations [run] --seed N``: play a scenario; exit status 1 if a promise broke.

The same seed gives the same trace hash in every process; ``--twice`` plays it in two processes
that hash texts differently and compares.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from typing import Final

import structlog

from search_shard.tables import Tables, build_tables
from simulations.play import Outcome, play
from simulations.scenarios import SCENARIOS, draw

HASH_SEEDS: Final = ("1", "2")
CLOSING: Final = "trace "


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m simulations", description=__doc__)
    parser.add_argument("command", nargs="?", choices=["run"], default="run")
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--scenario", choices=SCENARIOS, default="seven")
    parser.add_argument("--nodes", type=int, default=0, help="offices; 0: as the scenario has")
    parser.add_argument("--days", type=float, default=0, help="virtual days; 0: likewise")
    parser.add_argument("--seeds", type=int, default=1, help="how many seeds, one after the other")
    parser.add_argument("--twice", action="store_true", help="in two processes; compare traces")
    parser.add_argument("--frames", action="store_true", help="show also every frame")
    parser.add_argument("--quiet", action="store_true", help="show only the mix and the verdicts")
    options = parser.parse_args(arguments)
    if options.twice:
        return _twice(arguments)
    # The nodes' own log lines carry the real time; what matters of them is in the trace.
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    tables = Tables.from_bytes(build_tables())

    def show(line: str) -> None:
        kind = line.split(maxsplit=3)[1:3]
        if kind[0] == "mix" or not (options.quiet or (kind[1] == "frame" and not options.frames)):
            print(line)

    held = True
    for seed in range(options.seed, options.seed + options.seeds):
        started = time.perf_counter()
        mix = draw(options.scenario, seed, options.nodes, options.days)
        outcome = play(mix, tables, show)
        held &= _tell(seed, outcome, time.perf_counter() - started)
    return 0 if held else 1


def _tell(seed: int, outcome: Outcome, wall_s: float) -> bool:
    for verdict in outcome.verdicts:
        print(verdict)
    shown = (
        f"{len(outcome.trace.lines)} events in {outcome.seconds:.0f} s, played in {wall_s:.1f} s"
    )
    print(f"seed {seed} {'held' if outcome.held else 'FAILED'}: {shown}")
    print(f"{CLOSING}{outcome.trace.digest}", flush=True)
    return outcome.held


def _twice(arguments: list[str]) -> int:
    rest = [argument for argument in arguments if argument != "--twice"]
    command = [sys.executable, "-m", "simulations", *rest]
    plays = [
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        )
        for seed in HASH_SEEDS
    ]
    told = [play.communicate()[0] for play in plays]
    print(told[0], end="")
    traces = {
        tuple(line for line in text.splitlines() if line.startswith(CLOSING)) for text in told
    }
    worst = max(play.returncode for play in plays)
    print("the traces are equal" if len(traces) == 1 else f"the traces differ: {sorted(traces)}")
    return worst if len(traces) == 1 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
