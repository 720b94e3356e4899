"""Homes that know less than was signed: no fork, nothing refused, all registered in the end."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.integration.conftest import FANGZHI

PROVINCE, CITY, COUNTY, COUNTY2 = "320000", "320500", "320581", "320582"
Cli = Callable[..., tuple[int, dict[str, Any], str]]


def size_of(server: Any, code: str) -> int:
    return int(server.status()["logs"][code][0])


def spread(network: Any, code: str) -> None:
    """Wait until everybody has the log of ``code`` as its own office has it."""
    size = size_of(network[code], code)
    others = [network[at] for at in (PROVINCE, CITY, COUNTY, COUNTY2)]
    network.until(lambda: {size_of(server, code) for server in others} == {size})


def report(cli: Cli, server: Any, folder: Path, text: str) -> dict[str, Any]:
    path = folder / "志.txt"
    path.write_text(text)
    status, answer, said = cli("report", server.home, path, "--confirm")
    assert status == 0, said
    return dict(answer["reports"][0])


def registers_what_it_spooled(network: Any, cli: Cli, folder: Path, size: int, word: str) -> None:
    """The county starts alone, takes a report, refills when its parent is back, and registers."""
    server = network[COUNTY2]
    network[CITY].stop()
    server.start()
    waiting = report(cli, server, folder, f"{word}：待登记")
    assert waiting["pending"]
    assert server.status()["spooled"] > 0
    assert size_of(server, COUNTY2) < size
    network[CITY].start()
    network.until(lambda: server.status()["gate"] == {COUNTY2: "open"}, 40)
    network.until(lambda: server.status()["spooled"] == 0)
    assert size_of(server, COUNTY2) > size, "it goes on after what it had signed"
    after = report(cli, server, folder, f"{word}：之后")
    assert after["log_index"] >= size
    spread(network, COUNTY2)
    for code in (PROVINCE, CITY, COUNTY, COUNTY2):
        counters = network[code].status()["counters"]
        assert (counters["logs.quarantined"], counters["logs.lost-tails"]) == (0, 0)
    status, shown, said = cli("status", server.home)
    assert (status, shown["quarantined"]) == (0, []), said


def test_an_older_disk_refills_and_registers(network: Any, cli: Cli, folder: Path) -> None:
    server, old = network[COUNTY2], folder / "old"
    assert cli("backup", server.home, folder / "backup")[0] == 0
    report(cli, server, folder, "备份之后")
    spread(network, COUNTY2)
    size = size_of(server, COUNTY2)
    server.stop()
    server.home.rename(old)
    assert cli("restore", folder / "backup", server.home)[0] == 0
    registers_what_it_spooled(network, cli, folder, size, "旧盘")


def test_an_empty_ledger_refills_and_registers(network: Any, cli: Cli, folder: Path) -> None:
    server = network[COUNTY2]
    report(cli, server, folder, "磁盘坏掉之前")
    spread(network, COUNTY2)
    size = size_of(server, COUNTY2)
    server.stop()
    for part in ("ledger", "state", "index"):
        shutil.rmtree(server.home / part)
    registers_what_it_spooled(network, cli, folder, size, "空盘")


def test_a_second_process_is_refused(network: Any) -> None:
    server = network[COUNTY2]
    command = [*FANGZHI, "serve", str(server.home)]
    second = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert second.returncode == 3
    words = "expected a home that no other process uses, got process"
    assert f"{words} {server.process.pid} in it" in second.stderr
    assert server.status()["gate"] == {COUNTY2: "open"}
