"""The inspector survives its worker, and the worker is kept in bounds."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from node.hands.ingest.inspect import inspect_file
from node.hands.ingest.isolate import IsolatedInspector
from protocol.limits import GiB

READY = "import os,sys,time,struct;o=sys.stdout.buffer;o.write(bytes(4));o.flush();"
READ = "i=sys.stdin.buffer;i.read(struct.unpack('>I',i.read(4))[0]);"

Start = Callable[..., IsolatedInspector]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    started: list[IsolatedInspector] = []

    def make(script: str = "", **options: float) -> IsolatedInspector:
        command = {"command": (sys.executable, "-c", script)} if script else {}
        started.append(IsolatedInspector(**command, **options))  # type: ignore[arg-type]
        return started[-1]

    yield make
    for inspector in started:
        await inspector.close()


@pytest.fixture
def text(tmp_path: Path) -> str:
    path = tmp_path / "a.txt"
    path.write_text("沭阳县\f\ue000", encoding="utf-8")
    return str(path)


def reason(inspection: object) -> str:
    (found,) = inspection.findings  # type: ignore[attr-defined]
    assert found.code == "Q002"
    assert found.severity == "error"
    return str(found.en)


async def test_the_answer_is_that_of_inspect_file(start: Start, text: str) -> None:
    inspector = start()
    expected = inspect_file(text, "卷一.txt")
    assert await inspector.inspect(text, "卷一.txt", 20) == expected
    first = inspector._worker
    assert await inspector.inspect(text, "卷一.txt", 20) == expected
    assert inspector._worker is first  # one interpreter for many files


async def test_many_at_once_take_turns(start: Start, text: str) -> None:
    inspector = start()
    answers = await asyncio.gather(*(inspector.inspect(text, f"{n}.txt", 20) for n in range(20)))
    assert [answer.findings[0].path for answer in answers] == [f"{n}.txt" for n in range(20)]


async def test_a_file_that_is_not_there(start: Start) -> None:
    assert "FileNotFoundError" in reason(await start().inspect("/nowhere/a", "a.pdf", 20))


async def test_names_and_paths_that_are_not_utf8(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "\udcff"
    path.write_bytes(b"x")
    (found,) = (await start().inspect(str(path), "\udcff", 20)).findings
    assert found.code == "Q006"
    assert found.path == "\\udcff"


async def test_a_crash_is_a_finding_and_the_next_file_gets_a_new_worker(start: Start) -> None:
    inspector = start(f"{READY}{READ}os.abort()")
    assert "worker -6" in reason(await inspector.inspect("/a", "a.pdf", 20))
    assert "worker -6" in reason(await inspector.inspect("/b", "b.pdf", 20))


async def test_a_worker_that_cannot_start(start: Start) -> None:
    assert "worker 3" in reason(await start("raise SystemExit(3)").inspect("/a", "a.pdf", 20))
    missing = IsolatedInspector(("/nowhere/python",))
    assert "FileNotFoundError" in reason(await missing.inspect("/a", "a.pdf", 20))


async def test_the_deadline_kills(start: Start) -> None:
    inspector = start(f"{READY}{READ}time.sleep(60)")
    loop = asyncio.get_running_loop()
    before = loop.time()
    assert "> 0.2 s" in reason(await inspector.inspect("/a", "a.pdf", 0.2))
    assert loop.time() - before < 10
    assert inspector._worker is None


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("b'\\xff'*9", "DecodeError"),  # announces 4 GiB
        ("b'\\0\\0\\0\\5hello'", "DecodeError"),
        ("b'\\0\\0\\1\\0short'", "IncompleteReadError"),
    ],
)
async def test_nonsense_from_the_worker_is_not_believed(
    start: Start, answer: str, said: str
) -> None:
    inspector = start(f"{READY}{READ}o.write({answer});o.flush()")
    assert said in reason(await inspector.inspect("/a", "a.pdf", 20))


async def test_who_stops_waiting_leaves_no_answer_behind(start: Start, text: str) -> None:
    inspector = start()
    await inspector.inspect(text, "a.txt", 20)
    try:
        async with asyncio.timeout(0):
            await inspector.inspect(text, "stale.txt", 20)
    except TimeoutError:
        pass
    answer = await inspector.inspect(text, "fresh.txt", 20)
    assert answer.findings[0].path == "fresh.txt"


async def test_an_idle_worker_ends(start: Start, text: str) -> None:
    inspector = start(idle_seconds=0.01)
    await inspector.inspect(text, "a.txt", 20)
    worker = inspector._worker
    assert worker is not None
    async with asyncio.timeout(10):
        assert await worker.wait() == 0
    assert inspector._worker is None
    assert (await inspector.inspect(text, "a.txt", 20)).pages is not None


async def test_the_worker_is_bounded(start: Start, text: str) -> None:
    limits = Path("/proc/self/limits")
    if not limits.exists():
        pytest.skip("no /proc on this system")
    inspector = start()
    await inspector.inspect(text, "a.txt", 7)
    assert inspector._worker is not None
    rows = Path(f"/proc/{inspector._worker.pid}/limits").read_text()
    bounds = {row[:26].strip(): row[26:].split()[0] for row in rows.splitlines()[1:]}
    assert bounds["Max address space"] == str(2 * GiB)
    assert bounds["Max file size"] == "0"
    assert bounds["Max core file size"] == "0"
    assert 7 <= int(bounds["Max cpu time"]) <= 12
    environment = Path(f"/proc/{inspector._worker.pid}/environ").read_bytes()
    assert b"HOME=" not in environment
