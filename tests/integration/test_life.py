"""The life of a version resource through real processes, driven by the command line alone."""

from __future__ import annotations

import hashlib
import secrets
import signal
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from node.hands.storage.file_blobs import listing

PROVINCE, CITY, COUNTY, COUNTY2 = "320000", "320500", "320581", "320582"
Cli = Callable[..., tuple[int, dict[str, Any], str]]


def found(cli: Cli, server: Any, word: str) -> list[str]:
    """Items that the public finds at a node, asked by HTTP."""
    status, answer, said = cli("search", word, "--node", f"http://{server.web}", "--literal")
    assert status == 0, said
    return [hit["item"] for hit in answer["hits"]]


def http(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_report_review_search_withdraw(network: Any, cli: Cli, folder: Path) -> None:
    word = "".join(chr(0x4E00 + b) for b in secrets.token_bytes(6))
    (folder / "志.txt").write_text(f"卷一 {word} 建置")
    everybody = [network[code] for code in (PROVINCE, CITY, COUNTY, COUNTY2)]
    status, answer, said = cli("report", network[COUNTY].home, folder / "志.txt", "--kind", "旧志")
    assert (status, answer["reports"][0]["status"]) == (0, "submitted"), said
    item = answer["reports"][0]["item"]

    # the office finds its own at once; the public nothing, anywhere
    def office_finds() -> bool:
        hits = cli("search", word, "--node", network[COUNTY].home, "--literal")[1]["hits"]
        return [hit["item"] for hit in hits] == [item]

    network.until(office_finds)
    assert [found(cli, server, word) for server in everybody] == [[]] * 4
    assert http(f"http://{network[CITY].web}/api/v1/items/{item}") == 404

    # its reviewer is the city: neither the county itself nor the province
    for code in (COUNTY, PROVINCE):
        status, _, said = cli("review", network[code].home, item, "--pass")
        assert status == 1
        assert f"its reviewer {CITY}" in said
    network.until(lambda: cli("review", network[CITY].home, item, "--pass")[0] == 0)
    for server in everybody:
        network.until(lambda server=server: found(cli, server, word) == [item])

    # 下架: gone from every node within ten seconds
    began = time.monotonic()
    assert cli("withdraw", network[COUNTY].home, item, "--reason", "重印")[0] == 0
    for server in everybody:
        network.until(lambda server=server: found(cli, server, word) == [], 10)
        url = f"http://{server.web}/api/v1/items/{item}"
        network.until(lambda url=url: http(url) == 404, 10)
    assert time.monotonic() - began < 10
    assert cli("withdraw", network[COUNTY].home, item, "--reason", "重印")[0] == 1


def test_sigterm_is_clean_and_quick(network: Any, cli: Cli) -> None:
    server = network[COUNTY2]
    began = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - began < 5
    assert not (server.home / "socket").exists()
    assert "Traceback" not in server.said()
    server.start()
    network.until(lambda: server.status()["gate"] == {COUNTY2: "open"})


def test_kill_9_in_a_stream_of_reports_loses_nothing_acknowledged(
    network: Any, cli: Cli, folder: Path
) -> None:
    """A command that has begun to send rides through the death of the node."""
    server = network[COUNTY2]
    acknowledged: list[str] = []
    for number in range(20):
        path = folder / f"{number}.txt"
        path.write_text(f"第{number}部 {secrets.token_hex(8)}")
        if number == 7:  # dies somewhere in the next reports
            killer, dead = _kill_soon(server, 0.15)
        elif number > 7 and dead.is_set():
            killer.join()
        status, answer, _ = cli("report", server.home, path)
        if not status and answer["reports"][0].get("item"):
            acknowledged.append(answer["reports"][0]["item"])
    killer.join()
    assert len(acknowledged) >= 15
    network.until(lambda: server.status()["gate"] == {COUNTY2: "open"})
    for item in acknowledged:
        status, answer, said = cli("fetch", item, "--node", server.home, "-o", folder / item)
        assert status == 0, said
    network.until(lambda: _sizes(network, COUNTY2) == {server.status()["logs"][COUNTY2][0]})
    assert cli("doctor", server.home)[1]["ailments"] == []


def _sizes(network: Any, code: str) -> set[int]:
    return {network[at].status()["logs"][code][0] for at in (PROVINCE, CITY, COUNTY)}


def _kill_soon(server: Any, seconds: float) -> tuple[threading.Thread, threading.Event]:
    """Kills it, says so, and starts it again, once a command that runs it meanwhile lets go of its
    home."""
    dead = threading.Event()

    def kill() -> None:
        time.sleep(seconds)
        server.stop(signal.SIGKILL)
        dead.set()
        server.launch()
        while server.process.poll() is not None or "serves at" not in server.said():
            time.sleep(0.05)
            if server.process.poll() is not None:
                assert "no other process" in server.said(), server.said()
                server.launch()

    thread = threading.Thread(target=kill)
    thread.start()
    return thread, dead


def is_stored(home: Path, sha: str) -> bool:
    return any(blob.hex == sha for blob, _, _ in listing(home / "blobs"))


def test_backup_and_restore_never_fork(network: Any, cli: Cli, folder: Path) -> None:
    server = network[COUNTY2]
    backup, old = folder / "backup", folder / "old"
    assert cli("backup", server.home, backup)[0] == 0
    (folder / "a.txt").write_text("备份之后")
    sha = hashlib.sha256((folder / "a.txt").read_bytes()).hexdigest()
    status, answer, _ = cli("report", server.home, folder / "a.txt")
    assert status == 0
    after = answer["reports"][0]["item"]
    size = server.status()["logs"][COUNTY2][0]
    network.until(lambda: _sizes(network, COUNTY2) == {size})
    network.until(lambda: is_stored(network[CITY].home, sha))
    server.stop()
    server.home.rename(old)
    assert cli("restore", backup, server.home)[0] == 0
    server.start()
    network.until(lambda: server.status()["gate"] == {COUNTY2: "open"})
    status, answer, _ = cli("report", server.home, folder / "a.txt", "--title", "恢复之后")
    assert (status, answer["reports"][0]["status"]) == (0, "submitted")
    assert answer["reports"][0]["log_index"] >= size, "it goes on after what it had signed"
    network.until(lambda: _sizes(network, COUNTY2) == {server.status()["logs"][COUNTY2][0]})
    # what the disk took along comes back from its keepers
    network.until(lambda: is_stored(server.home, sha))
    fetch = ("fetch", after, "--node", server.home, "-o", folder / "again")
    network.until(lambda: cli(*fetch)[0] == 0)
    for code in (PROVINCE, CITY, COUNTY):
        assert network[code].status()["counters"]["logs.quarantined"] == 0
