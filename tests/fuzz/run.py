"""The long fuzz run: ``python -m tests.fuzz.run --inputs 1000000 [--seed N] [--only NAME]``.

Each target runs in a process of its own.  With ``--coverage`` libFuzzer (atheris, where it is
installed) chooses the inputs by what code they reach; without it they are mutations of the seeds,
which is faster and needs nothing.  Fails when a decoder raises anything but a FangzhiError, when
one input takes more than a second of CPU, or when memory grows by more than 64 MiB over the first
hundredth of a run (256 MiB with coverage, whose corpus stays in memory).
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random

SECONDS_MAX = 1.0
GROWTH_MIB_MAX = {False: 64, True: 256}


class Watch:
    """Counts and measures; ``report`` is what a run tells."""

    def __init__(self, name: str, coverage: bool) -> None:
        from tests.fuzz.targets import targets

        self.target = next(each for each in targets() if each.name == name)
        self.coverage = coverage
        self.inputs = self.taken = 0
        self.slowest, self.slowest_bytes = 0.0, 0
        self.warm_mib = 0.0
        self.fault = ""
        self.started = time.monotonic()

    def feed(self, data: bytes) -> None:
        from protocol.errors import FangzhiError

        self.inputs += 1
        began = time.process_time()
        try:
            self.target.decode(data)
            self.taken += 1
        except FangzhiError:
            pass
        except Exception as error:
            self.fault = f"{type(error).__name__}: {error} for {data[:2000].hex()}"
        seconds = time.process_time() - began
        if seconds > self.slowest:
            self.slowest, self.slowest_bytes = seconds, len(data)

    def report(self) -> dict[str, object]:
        growth = peak_mib() - self.warm_mib
        fault = self.fault
        if not fault and self.slowest > SECONDS_MAX:
            fault = f"{self.slowest:.1f} s for {self.slowest_bytes} bytes"
        if not fault and growth > GROWTH_MIB_MAX[self.coverage]:
            fault = f"memory grew by {growth:.0f} MiB"
        return {
            "target": self.target.name,
            "inputs": self.inputs,
            "taken": self.taken,
            "seconds": round(time.monotonic() - self.started, 1),
            "slowest_ms": round(self.slowest * 1000, 1),
            "slowest_bytes": self.slowest_bytes,
            "peak_mib": round(peak_mib()),
            "growth_mib": round(growth, 1),
            "fault": fault,
        }


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def mutations(watch: Watch, inputs: int, seed: int) -> None:
    from tests.fuzz.mutate import mutated

    random = Random(f"{watch.target.name} {seed}")
    for number in range(inputs):
        watch.feed(mutated(random, watch.target.seeds))
        if number == inputs // 100:
            watch.warm_mib = peak_mib()
        if watch.fault:
            break


def covered(watch: Watch, inputs: int, seed: int, answer: Path) -> None:
    """Never returns: libFuzzer owns the process, and the last input ends it."""
    import atheris

    from tests.fuzz.mutate import mutated

    random = Random(seed)

    def one(data: bytes) -> None:
        watch.feed(data)
        if watch.inputs == inputs // 100:
            watch.warm_mib = peak_mib()
        if watch.inputs >= inputs or watch.fault:
            answer.write_text(json.dumps(watch.report()))
            os._exit(0)

    def mutate(data: bytes, size_max: int, number: int) -> bytes:
        """Half by libFuzzer, half by the shape of the input."""
        if number & 1:
            return bytes(atheris.Mutate(data, size_max))
        return mutated(random, (data or b"\0", *watch.target.seeds))[:size_max]

    with tempfile.TemporaryDirectory() as folder:
        for at, each in enumerate(watch.target.seeds):
            Path(folder, str(at)).write_bytes(each)
        arguments = [f"-seed={seed + 1}", f"-runs={inputs + 1}", "-max_len=20000", "-timeout=0"]
        atheris.Setup(
            [sys.argv[0], "-rss_limit_mb=2048", *arguments, folder], one, custom_mutator=mutate
        )
        atheris.Fuzz()


def child(arguments: argparse.Namespace) -> None:
    if arguments.coverage:
        import atheris

        with atheris.instrument_imports(include=["protocol", "ledger", "search_shard", "node"]):
            watch = Watch(arguments.child, True)
        covered(watch, arguments.inputs, arguments.seed, arguments.answer)
    watch = Watch(arguments.child, False)
    mutations(watch, arguments.inputs, arguments.seed)
    arguments.answer.write_text(json.dumps(watch.report()))


def run_one(name: str, arguments: argparse.Namespace, inputs: int) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder, "answer")
        command = [sys.executable, "-m", "tests.fuzz.run", "--child", name, "--answer", str(answer)]
        command += ["--inputs", str(inputs), "--seed", str(arguments.seed)]
        if arguments.coverage:
            command.append("--coverage")
        try:
            done = subprocess.run(
                command, capture_output=True, check=False, timeout=60 + inputs * SECONDS_MAX
            )
        except subprocess.TimeoutExpired:
            return {"target": name, "inputs": 0, "fault": "hangs"}
        if answer.is_file():
            told: dict[str, object] = json.loads(answer.read_text())
            return told
        fault = f"ended with {done.returncode}: {done.stderr[-600:].decode(errors='replace')}"
        return {"target": name, "inputs": 0, "fault": fault}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m tests.fuzz.run")
    parser.add_argument("--inputs", type=int, default=1_000_000, help="in all, over all targets")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", metavar="NAME", help="one target")
    parser.add_argument("--coverage", action="store_true", help="guided by atheris")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--answer", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments)
        return 0
    if arguments.coverage and importlib.util.find_spec("atheris") is None:
        parser.error("atheris is not installed")
    from tests.fuzz.targets import targets

    names = [each.name for each in targets() if arguments.only in (None, each.name)]
    print("| target | inputs | taken | s | slowest, ms | its bytes | peak MiB | grew MiB |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    reports = []
    for name in names:
        told = run_one(name, arguments, -(-arguments.inputs // len(names)))
        reports.append(told)
        print("|", " | ".join(str(value) for key, value in told.items() if key != "fault"), "|")
        if told["fault"]:
            print(f"FAULT in {name}: {told['fault']}")
        sys.stdout.flush()
    inputs = sum(int(str(each["inputs"])) for each in reports)
    faults = sum(bool(each["fault"]) for each in reports)
    print(f"\n{inputs} inputs, {len(reports)} targets, {faults} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
