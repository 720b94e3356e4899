"""``fangzhi demo``: founds a network on this machine, shows what it does, and checks every word.

The nodes are processes of their own, driven by command line and HTTP as anybody would; what is
shown is counted, and the exit status is 0 only when every check held.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from random import SystemRandom
from tempfile import TemporaryDirectory
from typing import Any, Final

from node.demo import acts, ordeals, plan, sights
from node.demo.network import STOP_SECONDS_MAX, Network
from node.demo.plan import Package
from node.demo.screen import Screen
from node.demo.stage import Stage
from protocol.errors import ConfigError

Json = dict[str, Any]

INTERRUPTED: Final = 130
# (code, 中文, English, what to do)
_ACTS: Final = (
    ("roster", "成员", "members", acts.show_network),
    ("report", "报送", "reporting", acts.report),
    ("own", "报送即检", "found by its own office", acts.show_own),
    ("review", "审核", "review by the tier above", acts.review),
    ("settle", "同步", "logs, files and index in step", sights.settle),
    ("visible", "谁能看见什么", "who sees what", sights.show_visible),
    ("witness", "签名与见证", "signed and witnessed", sights.show_witnessed),
    ("replicas", "副本", "replicas", sights.show_replicas),
    ("forms", "四种问法，三个节点", "four ways to ask, three nodes", sights.show_forms),
    ("speed", "检索用时", "query times", sights.show_speed),
    ("memory", "内存", "memory", sights.show_memory),
    ("killed", "断电", "power loss at a county", ordeals.show_killed),
    ("verify", "验证", "verify", ordeals.show_verified),
    ("withdraw", "下架", "withdrawal", ordeals.show_withdrawn),
    ("repair", "坏盘", "a decaying disk", ordeals.show_repaired),
    ("again", "同步", "in step again", sights.settle),
    ("audit", "审计", "audit", ordeals.show_audited),
)


async def demo(arguments: argparse.Namespace) -> tuple[int, Json]:
    """Found, show, stay up (on a terminal), stop.  1 when a check did not hold.

    Raises:
        ConfigError: ``--home`` is not empty, or the corpus cannot be read.
    """
    this = asyncio.current_task()
    assert this is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, this.cancel)
    screen = Screen()
    started = time.monotonic()
    with _folder(arguments.home) as folder:
        network = Network.plan(folder, plan.hosting(arguments.offices))
        status, shown = 0, False
        try:
            await _show(arguments, screen, network)
            shown = True
            seconds = round(time.monotonic() - started, 1)
            _conclude(screen, seconds)
            if sys.stderr.isatty() and not arguments.once:
                await _stay(screen, network)
        except asyncio.CancelledError:
            status = 0 if shown else INTERRUPTED
        finally:
            ended = await _stop(screen, network)
        status = status or (0 if screen.ok else 1)
        seconds = round(time.monotonic() - started, 1)
        portals = {place.code: place.url for place in network.places}
    return status, {
        "ok": status == 0,
        "offices": sum(len(place.offices) for place in network.places),
        "processes": len(network.places),
        "seconds": seconds,
        "steps": screen.steps,
        "checks": screen.checks,
        "portals": portals,
        "ended": ended,
    }


async def _show(arguments: argparse.Namespace, screen: Screen, network: Network) -> None:
    random = SystemRandom()
    packages: list[Package] = []
    corpus = arguments.corpus or ""
    count = plan.count_of(arguments.offices, corpus)  # a corpus that cannot be read founds nothing
    with screen.step("found", "建网", "founding"), screen.bars() as bars:
        homes = bars.add("建立节点 homes", 2 * len(network.places))
        books = bars.add("编制卷册 packages", count)
        where = network.folder / "packages"
        task = asyncio.current_task()
        assert task is not None

        def made() -> None:
            if task.cancelling():
                raise asyncio.CancelledError  # we are the thread that nobody can cancel
            books()

        with ThreadPoolExecutor(1) as thread:  # its end is waited for, so nothing writes after us
            making = asyncio.get_running_loop().run_in_executor(
                thread, plan.packages, arguments.offices, corpus, where, random, made
            )
            await network.found(homes)
            packages = await making
    stage = Stage(screen, network, packages, random, arguments.offices == "all")
    for code, zh, en, act in _ACTS:
        if screen.broken:
            return
        with screen.step(code, zh, en):
            await act(stage)


def _conclude(screen: Screen, seconds: float) -> None:
    held = sum(check["ok"] for check in screen.checks)
    zh = "全部成立" if screen.ok else "有未成立者"
    screen.say(f"\n  {held}/{len(screen.checks)} 项{zh} checks held，共 {seconds} s")


async def _stay(screen: Screen, network: Network) -> None:
    """Keep what runs up until somebody ends it."""
    if not (running := network.running()):
        return
    screen.say("\n  各节点门户 portals（Ctrl-C 结束 ends）")
    for place in running:
        screen.say(f"{place.url}/  {place.name} · {place.offices[0].english}")
    await asyncio.Event().wait()


async def _stop(screen: Screen, network: Network) -> list[str]:
    """Stop all nodes; a check says whether each ended well, and in time."""
    ends = await network.stop_all()
    wrong = [str(end) for end in ends if isinstance(end, BaseException)]
    seconds = max((end for end in ends if not isinstance(end, BaseException)), default=0.0)
    if ends:
        screen.check(
            "ended",
            "各节点从容退出，不留进程",
            "every node ended in time, no process is left",
            not wrong,
            节点=len(ends),
            最慢秒=seconds,
            限秒=STOP_SECONDS_MAX,
            **({"不符": wrong} if wrong else {}),
        )
    return wrong


@contextmanager
def _folder(home: str | None) -> Iterator[Path]:
    """The new or empty folder ``home``, which is kept; or one that goes at the end."""
    if home is None:
        with TemporaryDirectory(prefix="fangzhi-") as folder:
            yield Path(folder)
        return
    path = Path(home).absolute()
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise ConfigError(home, "a new or empty folder for the demonstration", "something is there")
    path.mkdir(parents=True, exist_ok=True)
    yield path
