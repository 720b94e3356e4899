"""``python -m simulations COMMAND``: the real network in a pretended world (docs/torture.md).

The same seed gives the same trace hash in every process.  The exit status is 1 if a promise broke.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import structlog

from search_shard.tables import Tables, build_tables
from simulations.checkers import CHECKERS, not_checked
from simulations.faults import Mix
from simulations.plants import PLANTS, hunt
from simulations.play import Outcome, play
from simulations.scale import FOLDER, lines, run_scale
from simulations.scenarios import SCENARIOS, draw
from simulations.shrink import shrink
from simulations.sweep import Result, Task, examine, sweep
from simulations.timeline import timeline

HASH_SEEDS: Final = ("1", "2")
CLOSING: Final = "trace "
HOUR_S: Final = 3600.0
ENDLESS_S: Final = 1e9


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m simulations", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    running = commands.add_parser("run", help="play one seed and show every event")
    _add_task(running)
    running.add_argument("--html", type=Path, help="write the timeline of the run to this file")
    running.add_argument("--twice", action="store_true", help="in two processes; compare traces")
    running.add_argument("--frames", action="store_true", help="show also every frame")
    running.add_argument("--quiet", action="store_true", help="show only the mix and the verdicts")
    running.set_defaults(do=_run)

    sweeping = commands.add_parser("sweep", help="play many seeds, one line each")
    sweeping.add_argument("--seeds", type=_seeds, required=True, metavar="A..B")
    _add_scenario(sweeping)
    sweeping.add_argument("--jobs", type=int, default=2, help="processes")
    sweeping.add_argument("--state", type=Path, help="keep results here, and go on from them")
    sweeping.add_argument("--hours", type=float, default=0, help="begin nothing more after this")
    sweeping.set_defaults(do=_sweep)

    shrinking = commands.add_parser("shrink", help="make a failing mix small")
    _add_task(shrinking)
    shrinking.add_argument("--out", type=Path, help="write the small mix to this file, as JSON")
    shrinking.set_defaults(do=_shrink)

    planting = commands.add_parser("plant", help="plant faults in the node; see who speaks")
    planting.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(PLANTS)}")
    planting.add_argument("--seeds", type=_seeds, default=_seeds("1..5"), metavar="A..B")
    _add_scenario(planting)
    planting.set_defaults(do=_plant)

    scaling = commands.add_parser("scale", help="what 109, 500 and 3,300 offices would cost")
    scaling.add_argument("--out", type=Path, default=FOLDER, metavar="DIR")
    scaling.add_argument("--measure", action="store_true", help="anew, not from saved costs")
    scaling.set_defaults(do=_scale)

    asking = commands.add_parser("checkers", help="what is checked, and what is not")
    asking.set_defaults(do=_checkers)

    options = parser.parse_args(arguments)
    # The nodes' own log lines carry the real time; what matters of them is in the trace.
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    do: Callable[[argparse.Namespace], int] = options.do
    return do(options)


def _add_scenario(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--scenario", choices=SCENARIOS, default="seven")
    parser.add_argument("--nodes", type=int, default=0, help="offices; 0: as the scenario has")
    parser.add_argument("--days", type=float, default=0, help="virtual days; 0: likewise")


def _add_task(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--mix", type=Path, help="play this mix (JSON) instead of drawing one")
    _add_scenario(parser)


def _seeds(text: str) -> range:
    first, dots, last = text.partition("..")
    if not (dots and first.isdigit() and last.isdigit()):
        raise argparse.ArgumentTypeError(f"expected A..B, got {text!r}")
    return range(int(first), int(last) + 1)


def _task(options: argparse.Namespace) -> tuple[Task, Mix]:
    task = Task(options.scenario, options.seed, options.nodes, options.days)
    if options.mix is None:
        return task, draw(task.scenario, task.seed, task.offices, task.days)
    mix = Mix.from_json(options.mix.read_text(encoding="utf-8"))
    return replace(task, scenario=mix.scenario, seed=mix.seed), mix


def _tables() -> Tables:
    return Tables.from_bytes(build_tables())


# run


def _run(options: argparse.Namespace) -> int:
    if options.twice:
        return _twice()
    started = time.perf_counter()

    def show(line: str) -> None:
        kind = line.split(maxsplit=3)[1:3]
        if kind[0] == "mix" or not (options.quiet or (kind[1] == "frame" and not options.frames)):
            print(line)

    _, mix = _task(options)
    outcome = play(mix, _tables(), show)
    _tell(outcome, time.perf_counter() - started)
    if options.html:
        options.html.write_text(timeline(mix, outcome.trace.lines), encoding="utf-8")
        print(f"timeline {options.html}")
    return 0 if outcome.held else 1


def _tell(outcome: Outcome, wall_s: float) -> None:
    for verdict in outcome.verdicts:
        print(verdict)
    shown = (
        f"{len(outcome.trace.lines)} events in {outcome.seconds:.0f} s, played in {wall_s:.1f} s"
    )
    print(f"seed {outcome.mix.seed} {'held' if outcome.held else 'FAILED'}: {shown}")
    print(f"{CLOSING}{outcome.trace.digest}", flush=True)


def _twice() -> int:
    rest = [argument for argument in sys.argv[1:] if argument != "--twice"]
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


# sweep, shrink, plant, scale, checkers


def _sweep(options: argparse.Namespace) -> int:
    tasks = [Task(options.scenario, seed, options.nodes, options.days) for seed in options.seeds]
    seconds_max = options.hours * HOUR_S or ENDLESS_S

    def tell(result: Result) -> None:
        print(result, flush=True)

    results = sweep(tasks, options.jobs, options.state, seconds_max, tell)
    failed = [result for result in results if not result.held]
    names = f": {', '.join(str(result.task.seed) for result in failed)}" if failed else ""
    print(f"{len(results)} of {len(tasks)} seeds played, {len(failed)} failed{names}")
    return 1 if failed else 0


def _shrink(options: argparse.Namespace) -> int:
    task, mix = _task(options)
    tables = _tables()
    first = examine(mix, task, tables)
    print(first, flush=True)
    if first.held:
        return 0

    def fails(smaller: Mix) -> bool:
        """In the way that the whole did: another failure would lead elsewhere."""
        same = examine(smaller, task, tables).fails_like(first)
        print(f"{'FAILED' if same else 'held':6} {_size(smaller)}", flush=True)
        return same

    small = shrink(mix, fails)
    print("\n".join(small.lines()))
    print(examine(small, task, tables))
    if options.out:
        options.out.write_text(small.to_json(), encoding="utf-8")
        print(f"python -m simulations run --mix {options.out}")
    return 1


def _size(mix: Mix) -> str:
    parts = f"{len(mix.machines)} offices, {len(mix.faults)} faults, {len(mix.deeds)} deeds"
    return f"{mix.seconds:.1f} s, {parts}"


def _plant(options: argparse.Namespace) -> int:
    """Status 1 if a plant grew unseen, 2 if there is none of that name."""
    if unknown := sorted(set(options.names) - set(PLANTS)):
        print(f"plant: expected {', '.join(PLANTS)}, got {', '.join(unknown)}")
        return 2
    tables, missed = Tables.from_bytes(build_tables()), False
    for name in options.names or PLANTS:
        mixes = (
            draw(options.scenario, seed, options.nodes, options.days) for seed in options.seeds
        )
        caught = hunt(name, mixes, tables)
        missed |= caught is None
        said = f"seed {caught.seed}: {caught.checker}: {caught.said}" if caught else "not caught"
        print(f"{name:22} {said}", flush=True)
    return 1 if missed else 0


def _scale(options: argparse.Namespace) -> int:
    tables = Tables.from_bytes(build_tables())
    print("\n".join(lines(run_scale(options.out, tables, options.measure))))
    return 0


def _checkers(_options: argparse.Namespace) -> int:
    for name, checker in CHECKERS.items():
        promise = " ".join((checker.__doc__ or "").partition("Not checked:")[0].split())
        print(f"{name}: {promise}\n    not checked: {not_checked(checker)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
