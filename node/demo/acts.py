"""The working day of the demonstration: founding, reporting, review."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from itertools import groupby
from typing import Any, Final

from node.demo.network import SETTLE_SECONDS_MAX, Network, Place
from node.demo.plan import CLOSED, LATE, PASSED, REFUSED, RETURNED, WAITING, Package
from node.demo.plan import OFFICES as TABLE
from node.demo.screen import Bars, Broken, until
from node.demo.stage import Stage, listed

Json = dict[str, Any]

FOUND_SECONDS_MAX: Final = 10.0  # from "reported" to "its own office finds it"
_REASON: Final = "图像分辨率不足，请重新扫描后再报"


# founding


async def show_network(stage: Stage) -> None:
    network, screen = stage.network, stage.screen
    members = sum(len(place.offices) for place in network.places)

    async def agreed() -> bool:
        for place in network.places:
            status = await place.get("/api/v1/status")
            if len(status["logs"]) != members or set(status["gate"].values()) != {"open"}:
                return False
        return True

    seconds = await until("the same roster and open gates everywhere", agreed, SETTLE_SECONDS_MAX)
    pids = {place.process.pid for place in network.places if place.process}
    screen.check(
        "founded",
        "建网：各节点名册一致，可以登记",
        "founded: every node knows every member and signs",
        len(pids) == len(network.places),
        机构=members,
        进程=len(pids),
        秒=seconds,
    )


# reporting


async def report(stage: Stage) -> None:
    """Every office reports its packages; the defective one is refused."""
    due = sorted((p for p in stage.packages if p.fate != LATE), key=lambda p: p.office)
    sizes = sum(path.stat().st_size for p in due for path in p.folder.iterdir())
    started = time.monotonic()
    with stage.screen.bars() as bars:
        async with asyncio.TaskGroup() as group:
            for office, packages in groupby(due, key=lambda package: package.office):
                group.create_task(report_at(stage, bars, office, list(packages)))
    seconds = time.monotonic() - started
    acknowledged = [p for p in due if p.item and p.log_index >= 0]
    stage.screen.check(
        "reported",
        "报送：全部受理并登记入册",
        "reported: all packages acknowledged and logged",
        len(acknowledged) == len(due) - len(stage.of(REFUSED)),
        卷册=len(acknowledged),
        机构=len({p.office for p in due}),
        MB=round(sizes / 1e6, 1),
        秒=round(seconds, 1),
    )


async def report_at(stage: Stage, bars: Bars, office: str, packages: list[Package]) -> None:
    """Report the packages of one office in one command, and check each answer."""
    advance = bars.add(f"{TABLE[office].name} 报送", len(packages))

    def heard(line: str) -> None:
        if line.startswith("《"):
            advance()

    home = stage.network.place_of(office).home
    folders = [package.folder for package in packages]
    # Chronicles that a table of words made may have one title.
    status, result = await stage.network.cli(
        "report", home, *folders, "--office", office, "--confirm", heard=heard
    )
    if "reports" not in result:
        raise Broken(f"fangzhi report {home}", "reports", f"{status} {result}")
    refused = 0
    for package, told in zip(packages, result["reports"], strict=True):
        if told["status"] == "submitted":
            package.item, package.log_index = told["item"], told["log_index"]
        if package.fate == REFUSED:
            refused += 1
            errors = [f for f in told["findings"] if f["severity"] == "error"]
            ok = told["status"] == "refused" and bool(errors) and status == 1
            stage.screen.check(
                "refused",
                "有错的卷册不予受理并说明原因",
                "a defective package is refused with findings",
                ok,
                意见=[f"{f['code']} {f['path']}：{f['zh']}" for f in errors],
            )
    if status != (1 if refused else 0):
        raise Broken(f"fangzhi report {home}", "exit status 0", f"{status} {result}")


async def show_own(stage: Stage) -> None:
    """Before any review an office finds its own at once, by its home; the public finds nothing."""
    package = stage.one(WAITING)
    place = stage.network.place_of(package.office)
    query = package.phrases[0].phrase

    async def found() -> bool:
        result = await stage.network.good("search", query, "--node", place.home)
        return any(hit["item"] == package.item for hit in result["hits"])

    seconds = await until("the office to find its own", found, FOUND_SECONDS_MAX)
    outside = await stage.network.good("search", query, "--node", place.url)
    stage.screen.check(
        "own_at_once",
        "报送后本机构立即可检索，公众不可见",
        "an office finds its own at once, the public does not",
        not outside["hits"] and outside["total"] == 0,
        检索词=query,
        秒=seconds,
        公众命中=outside["total"],
    )


# review


async def review(stage: Stage) -> None:
    """The tier above passes and returns; both are seen by the office that reported."""
    network = stage.network
    passed, returned = [*stage.of(PASSED), *stage.of(CLOSED)], stage.of(RETURNED)

    async def arrived(place: Place, items: list[Package]) -> None:
        async def all_known() -> bool:
            known = await listed(place, staff=True)
            return all(package.item in known for package in items)

        await until(f"reports to arrive at {place.name}", all_known, SETTLE_SECONDS_MAX, 0.3)

    async def judge(place: Place, items: list[Package], bars: Bars, *verdict: str) -> None:
        await arrived(place, items)
        advance = bars.add(f"{place.offices[0].name} 审核", len(items))

        def heard(line: str) -> None:
            if ": " in line:
                advance()

        await network.good("review", place.home, *[p.item for p in items], *verdict, heard=heard)

    with stage.screen.bars() as bars:
        async with asyncio.TaskGroup() as group:
            for place, items in by_reviewer(network, passed).items():
                group.create_task(judge(network.place_of(place), items, bars, "--pass"))
            for place, items in by_reviewer(network, returned).items():
                at = network.place_of(place)
                group.create_task(judge(at, items, bars, "--return", _REASON))
    counted: Counter[str] = Counter()

    async def told() -> bool:
        counted.clear()
        for place in network.places:
            own = await listed(place, staff=True)
            codes = {row.code for row in place.offices}
            counted.update(line["status"] for line in own.values() if line["office"] in codes)
        return counted["accepted"] == len(passed) and counted["returned"] == len(returned)

    seconds = await until("verdicts to reach the offices", told, SETTLE_SECONDS_MAX, 0.3)
    answer = await network.place_of(returned[0].office).get(
        f"/api/v1/items/{returned[0].item}", staff=True
    )
    reasons = [event["reason"] for event in answer["events"] if event["reason"]]
    stage.screen.check(
        "reviewed",
        "上级审核：审核通过、退回返工，报送机构均已得知",
        "reviewed by the tier above; the offices know",
        reasons == [_REASON],
        审核通过=counted["accepted"],
        退回返工=counted["returned"],
        待审核=counted["submitted"],
        秒=seconds,
    )


def by_reviewer(network: Network, packages: list[Package]) -> dict[str, list[Package]]:
    """Packages by the node (its first office) where the tier above reviews them."""
    found: dict[str, list[Package]] = {}
    for package in packages:
        parent = TABLE[package.office].parent or package.office
        found.setdefault(network.place_of(parent).code, []).append(package)
    return found
