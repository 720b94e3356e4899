"""How fast the simulation plays: ``python -m benchmarks.simulation [--offices 7] [--days 30]``.

Plays a scenario and prints virtual seconds per second of this process, what was done, and with
``--profile`` (which makes it about twice as slow) where the time went: by module, own time.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import resource
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Final

import structlog

from search_shard.tables import Tables, build_tables
from simulations.play import Outcome, play
from simulations.scenarios import draw

ROOT: Final = Path(__file__).resolve().parent.parent
MODULES: Final = 25  # so many lines of a profile


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.simulation", description=__doc__)
    parser.add_argument("--scenario", default="seven")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--offices", type=int, default=7)
    parser.add_argument("--days", type=float, default=30)
    parser.add_argument("--profile", action="store_true", help="and where the time went")
    options = parser.parse_args(arguments)
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    tables = Tables.from_bytes(build_tables())
    mix = draw(options.scenario, options.seed, options.offices, options.days)
    profile = cProfile.Profile(time.process_time)
    wall, cpu = time.perf_counter(), time.process_time()
    if options.profile:
        profile.enable()
    outcome = play(mix, tables)
    profile.disable()
    _tell(outcome, time.perf_counter() - wall, time.process_time() - cpu)
    if options.profile:
        _tell_profile(profile)
    return 0 if outcome.held else 1


def _tell(outcome: Outcome, wall_s: float, cpu_s: float) -> None:
    deeds = Counter(deed.what for deed in outcome.mix.deeds)
    done = Counter(line.split()[2] for line in outcome.trace.lines)
    mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{len(outcome.mix.machines)} offices, {outcome.seconds / 86_400:.2f} days")
    print(f"took {wall_s:.1f} s, {cpu_s:.1f} s of a processor; at most {mib} MiB")
    print(f"{outcome.seconds / wall_s:,.0f} virtual seconds per second")
    print("deeds: " + ", ".join(f"{what} {count}" for what, count in deeds.items()))
    print("trace: " + ", ".join(f"{what} {count}" for what, count in done.most_common(8)))
    for verdict in outcome.verdicts:
        print(verdict)
    print(f"trace {outcome.trace.digest}")


def _tell_profile(profile: cProfile.Profile) -> None:
    own: Counter[str] = Counter()
    for (file, _, name), (_, _, own_s, *_) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        path = Path(file)
        is_ours = path.is_relative_to(ROOT) and ".venv" not in path.parts
        own[str(path.relative_to(ROOT)) if is_ours else f"{path.stem} {name}"[:60]] += own_s
    for module, seconds in own.most_common(MODULES):
        print(f"{seconds:8.2f} s  {module}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
