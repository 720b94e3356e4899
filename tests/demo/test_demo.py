"""``fangzhi demo`` from end to end, as a user runs it; and that it leaves nothing behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow]

DEMO = (sys.executable, "-m", "node.cli.main", "demo")
SECONDS_MAX = 400  # two minutes on an idle machine; tests run beside each other
SHOWN = {
    "founded",
    "refused",
    "reported",
    "own_at_once",
    "reviewed",
    "in_step",
    "visible",
    "listed",
    "witnessed",
    "replicas",
    "forms",
    "speed",
    "memory",
    "killed",
    "noticed",
    "nothing_lost",
    "verified",
    "not_verified",
    "withdrawn",
    "stopped",
    "blob_flipped",
    "repaired",
    "audited",
    "log_flipped",
    "ended",
}


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Temporary folders of the demonstration are made where we can count them."""
    return {**os.environ, "TMPDIR": str(tmp_path)}


def processes_of(folder: Path) -> list[str]:
    """Command lines of processes that work in ``folder``."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue  # it has just ended
        if str(folder) in line:
            found.append(line)
    return found


def test_every_shown_thing_holds(environment: dict[str, str], tmp_path: Path) -> None:
    done = subprocess.run(
        [*DEMO, "--once", "--json"],
        capture_output=True,
        env=environment,
        timeout=SECONDS_MAX,
        check=False,
    )
    told = done.stderr.decode()
    assert done.returncode == 0, told
    result = json.loads(done.stdout)  # one object and nothing else
    checks = {check["code"]: check for check in result["checks"]}
    assert result["ok"]
    assert all(check["ok"] for check in result["checks"])
    assert set(checks) == SHOWN
    assert (result["offices"], result["processes"]) == (7, 7)
    assert checks["reported"]["figures"]["卷册"] == 13
    assert checks["listed"]["figures"]["卷册"] == 10
    assert (
        checks["reviewed"]["figures"] | {"审核通过": 11, "退回返工": 1, "待审核": 1}
        == (checks["reviewed"]["figures"])
    )
    assert checks["withdrawn"]["figures"]["最慢秒"] < 10
    assert re.search(r"320583 #\d+ ", checks["log_flipped"]["figures"]["指出"][0])
    assert "✓" in told
    assert "\x1b" not in told  # no bars and colours where there is no terminal
    assert processes_of(tmp_path) == []
    assert list(tmp_path.glob("fangzhi-*")) == []


def test_an_interrupt_ends_it_and_leaves_nothing(
    environment: dict[str, str], tmp_path: Path
) -> None:
    process = subprocess.Popen([*DEMO], stderr=subprocess.PIPE, env=environment)
    try:
        end = time.monotonic() + 90
        while not processes_of(tmp_path):
            assert time.monotonic() < end, "no node was started"
            time.sleep(0.2)
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130
    finally:
        process.kill()
        process.wait()
    assert processes_of(tmp_path) == []
    assert list(tmp_path.glob("fangzhi-*")) == []


def test_a_home_that_is_not_empty_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").touch()
    done = subprocess.run(
        [*DEMO, "--home", str(tmp_path), "--once"], capture_output=True, check=False
    )
    assert done.returncode == 2
    assert "a new or empty folder" in done.stderr.decode()
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
