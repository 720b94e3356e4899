"""What is measured in a process of its own: a reader's memory, a client's rate, a build's peak.

``python -m benchmarks.shard.process TASK ENGINE TABLES FOLDER FILE``; prints one line of JSON.
A client waits for a line on its input, so that two start at once.  Memory is read from /proc.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, astuple
from itertools import cycle
from pathlib import Path

import numpy as np

from benchmarks.shard.answers import Case, Engine, Reader
from benchmarks.shard.corpus import Section, pages_of
from benchmarks.shard.ours import NAME, build_pages, our_engine
from search_shard.tables import Tables

CLIENT_SECONDS = 3.0
_WARM = 50
_BETWEEN = 64  # queries between two looks at the clock


def engine_called(name: str, tables: Tables) -> Engine:
    if name == NAME:
        return our_engine(tables)
    from benchmarks.shard.folding import Folding  # noqa: PLC0415 the peers weigh something
    from benchmarks.shard.peers import all_peers  # noqa: PLC0415

    return next(engine for engine in all_peers(Folding(tables)) if engine.name == name)


def memory(name: str) -> int:
    """A line of /proc/self/status, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name + ":")) * 1024


def read_memory(reader: Reader, cases: Sequence[Case]) -> dict[str, int]:
    """Resident bytes after the queries; of them, ``mapped`` are clean pages of the index file."""
    for case in cases:
        reader.ask(case)
    return {"resident": memory("VmRSS"), "mapped": memory("RssFile"), "own": memory("RssAnon")}


def run_client(reader: Reader, cases: Sequence[Case]) -> dict[str, float]:
    asked = [case for case in cases if reader.ask(case) is not None]
    for case in asked[:_WARM]:
        reader.ask(case)
    print("ready", flush=True)
    sys.stdin.readline()
    done, started = 0, time.perf_counter()
    for case in cycle(asked):
        reader.ask(case)
        done += 1
        if done % _BETWEEN == 0 and time.perf_counter() - started > CLIENT_SECONDS:
            break
    return {"per_second": done / (time.perf_counter() - started)}


def build_peak(tables: Tables, file: Path, folder: Path) -> dict[str, int]:
    """Bytes that a build takes at its worst moment over what the documents take."""
    with file.open(encoding="utf-8") as lines:
        sections = [Section(*json.loads(line)) for line in lines]
    pages = pages_of(sections)
    del sections
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    before = memory("VmRSS")
    build_pages(pages, tables, folder)
    return {"over_documents": memory("VmHWM") - before, "documents": before}


def start(task: str, engine: str, tables: Path, folder: Path, file: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", __name__, task, engine, str(tables), str(folder), str(file)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> dict[str, float]:
    output, _ = process.communicate("\n")
    if process.returncode:
        raise SystemExit(f"{process.args} ended with {process.returncode}")
    answer: dict[str, float] = json.loads(output.splitlines()[-1])
    return answer


def throughput(engine: str, tables: Path, folder: Path, file: Path) -> float:
    """Queries a second that two clients, each a process of its own, are answered together."""
    clients = [start("client", engine, tables, folder, file) for _ in range(2)]
    for client in clients:
        assert client.stdout is not None
        client.stdout.readline()
    for client in clients:
        assert client.stdin is not None
        client.stdin.write("\n")
        client.stdin.flush()
    return sum(finish(client)["per_second"] for client in clients)


def write_cases(cases: Sequence[Case], file: Path) -> Path:
    file.write_text("\n".join(json.dumps(asdict(case)) for case in cases), "utf-8")
    return file


def write_sections(sections: Sequence[Section], file: Path) -> Path:
    with file.open("w", encoding="utf-8") as out:
        out.writelines(json.dumps(astuple(section)) + "\n" for section in sections)
    return file


def main(task: str, name: str, tables_file: str, folder: str, file: str) -> None:
    tables = Tables.from_bytes(np.fromfile(tables_file, dtype=np.uint8).data)
    if task == "build":
        with tempfile.TemporaryDirectory() as scratch:
            print(json.dumps(build_peak(tables, Path(file), Path(scratch))))
        return
    rows = [json.loads(line) for line in Path(file).read_text("utf-8").splitlines()]
    cases = [Case(**row) for row in rows]
    reader = engine_called(name, tables).open(Path(folder))
    result = (read_memory if task == "memory" else run_client)(reader, cases)
    print(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
