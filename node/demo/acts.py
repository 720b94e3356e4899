"""The working day of the demonstration: founding, reporting, review, finding."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from dataclasses import dataclass
from itertools import groupby
from random import Random
from typing import Any, Final

from node.demo.network import Network, Place
from node.demo.plan import (
    CLOSED,
    LATE,
    PASSED,
    REFUSED,
    RETURNED,
    VICTIM,
    WAITING,
    Package,
    Questions,
)
from node.demo.plan import OFFICES as TABLE
from node.demo.screen import Bars, Broken, Screen, until
from node.demo.texts import Phrase

Json = dict[str, Any]

FOUND_SECONDS_MAX: Final = 10.0  # from "reported" to "its own office finds it"
SETTLE_SECONDS_MAX: Final = 240.0
QUERY_MS_MAX: Final = 500
QUERIES: Final = 100
RESIDENT_GIB_MAX: Final = 6
FORMS: Final = ("phrase", "traditional", "pinyin", "typo")
_WAITING = re.compile(r"^fangzhi_waiting_\w+ (\S+)$", re.MULTILINE)
_REASON: Final = "图像分辨率不足，请重新扫描后再报"


@dataclass(slots=True)
class Stage:
    """Everything the acts work with."""

    screen: Screen
    network: Network
    packages: list[Package]
    random: Random
    large: bool  # all offices: its bounds are checks too

    def of(self, fate: str, office: str = "") -> list[Package]:
        return [p for p in self.packages if p.fate == fate and office in ("", p.office)]

    def one(self, fate: str, office: str = "") -> Package:
        return self.of(fate, office)[0]

    @property
    def victim(self) -> Place:
        return self.network.place_of(VICTIM)


async def search(place: Place, query: str, staff: bool = False, limit: int = 20) -> Json:
    answer: Json = await place.get("/api/v1/search", staff, q=query, limit=limit)
    return answer


def hits_of(answer: Json, package: Package, phrase: Phrase) -> list[Json]:
    """The hits on the very page of a package that has the phrase."""
    label = package.label(phrase)
    return [hit for hit in answer["hits"] if (hit["item"], hit["page"]) == (package.item, label)]


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
    status, result = await stage.network.cli("add", home, *folders, "--office", office, heard=heard)
    if "reports" not in result:
        raise Broken(f"fangzhi add {home}", "reports", f"{status} {result}")
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
        raise Broken(f"fangzhi add {home}", "exit status 0", f"{status} {result}")


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


async def listed(place: Place, staff: bool = False) -> dict[str, Json]:
    """Every item that a node lists for the public, or for its staff."""
    found: dict[str, Json] = {}
    after: dict[str, str] = {}
    async with place.ask(staff) as client:
        while True:
            part = await client.get("/api/v1/items", limit=100, **after)
            found.update({line["item"]: line for line in part["items"]})
            if part["next"] is None:
                return found
            after = {"after": part["next"]}


# what the network knows now


async def settle(stage: Stage) -> None:
    """Wait until every log is everywhere and witnessed, and no file or page is on its way."""
    network = stage.network

    async def quiet() -> bool:
        seen = set()
        for place in network.places:
            if any(float(n) for n in _WAITING.findall(await place.text("/metrics"))):
                return False
            offices = (await place.get("/api/v1/offices"))["offices"]
            if any(line["log_size"] != line["witnessed_size"] for line in offices):
                return False
            seen.add(tuple((line["code"], line["log_size"]) for line in offices))
        return len(seen) == 1

    seconds = await until("all logs everywhere, witnessed", quiet, SETTLE_SECONDS_MAX, 0.5)
    offices = (await network.province.get("/api/v1/offices"))["offices"]
    stage.screen.check(
        "in_step",
        "各节点日志一致，文件与索引到位",
        "every node has every log; files and index are in place",
        True,
        事件=sum(line["log_size"] for line in offices),
        秒=seconds,
    )


async def show_visible(stage: Stage) -> None:
    """The public finds what is both 已审 and 公开, and nothing else; the office finds all."""
    network = stage.network
    wrong: list[str] = []
    queries = Counter[str]()
    for fate in (PASSED, CLOSED, RETURNED, WAITING):
        for package in [p for p in stage.of(fate) if p.phrases][:4]:
            query = package.phrases[0].phrase
            queries[fate] += 1
            place = network.place_of(package.office)
            public = [
                bool(hits_of(await search(at, query), package, package.phrases[0]))
                for at in (place, network.province)
            ]
            own = hits_of(await search(place, query, staff=True), package, package.phrases[0])
            if public != [fate == PASSED] * 2 or not own:
                wrong.append(f"{package.title} {fate} {query} {public} {len(own)}")
    stage.screen.check(
        "visible",
        "公众仅见已审且公开者，本机构见其全部",
        "the public finds only what is 已审 and 公开, the office all of its own",
        not wrong,
        检索=dict(queries),
        **({"不符": wrong} if wrong else {}),
    )
    lines = await listed(network.province)
    stage.screen.check(
        "listed",
        "公开目录即已审且公开的卷册",
        "the public list is exactly what was passed and is open",
        set(lines) == {package.item for package in stage.of(PASSED)},
        卷册=len(lines),
    )


async def show_witnessed(stage: Stage) -> None:
    """Every event of every package is signed into a log and witnessed, and by whom."""
    events, bare = 0, []
    witnesses: Counter[str] = Counter()
    async with stage.network.province.ask(staff=True) as client:
        for package in stage.of(PASSED):
            item = await client.get(f"/api/v1/items/{package.item}")
            for event in item["events"]:
                events += 1
                witnesses.update(event["witnessed_by"])
                if not set(event["witnessed_by"]) - {event["office"]}:
                    bare.append(f"{event['office']} #{event['index']}")
    stage.screen.check(
        "witnessed",
        "事件均已签名入册并有他方见证",
        "every event is signed and witnessed by others",
        events > 0 and not bare,
        事件=events,
        见证方=dict(witnesses.most_common()),
        **({"未见证": bare[:5]} if bare else {}),
    )


async def show_replicas(stage: Stage) -> None:
    """Every open file is held by owner, province and a city; no county holds everything."""
    lines = await listed(stage.network.province)
    short = [
        f"{line['item']} {line['holders']}"
        for line in lines.values()
        if len(line["holders"]) < (2 if line["office"] == "320000" else 3)
        or line["office"] not in line["holders"]
    ]
    stored = {p.code: await p.get("/api/v1/status") for p in stage.network.places}
    blobs = {code: status["blobs"] for code, status in stored.items()}
    most = max(blobs[p.code] for p in stage.network.places if p.offices[0].tier == "county")
    example = lines[stage.one(PASSED, VICTIM).item]
    stage.screen.check(
        "replicas",
        "文件各有三份以上副本，分存多处；无一县存全部",
        "every file has its replicas; no county holds everything",
        bool(lines) and not short and most < max(blobs.values()),
        示例=f"{example['title']} 存于 {'、'.join(example['holders'])}",
        存储块=blobs,
        **({"不足": short[:5]} if short else {}),
    )


# queries


async def show_forms(stage: Stage) -> None:
    """Four ways to ask, three nodes: the same hits, the page with the words among them."""
    network = stage.network
    places = [network.province, network.place_of("320100"), stage.victim]
    chosen = [p for p in stage.of(PASSED) if p.phrases]
    chosen = stage.random.sample(chosen, 3)
    for package in chosen:
        phrase, wrong, shown = package.phrases[0], [], {}
        for form in FORMS:
            query = getattr(phrase, form)
            answers = [await search(place, query) for place in places]
            shown[query] = [answer["total"] for answer in answers]
            if any(answer["hits"] != answers[0]["hits"] for answer in answers):
                wrong.append(f"{query}: nodes differ")
            if any(answer["coverage"]["missing"] for answer in answers):
                wrong.append(f"{query}: {[a['coverage']['missing'] for a in answers]} missing")
            # Old books quote each other, in other characters too; our own phrases stand once.
            top = answers[0]["hits"][: None if package.labels else 1]
            if not hits_of({"hits": top}, package, phrase):
                wrong.append(f"{query}: {[(h['title'], h['page'], h['matched_by']) for h in top]}")
        stage.screen.check(
            "forms",
            f"简、繁、拼音、错一字，经 {len(places)} 个节点，均检出该页，命中列表逐条相同",
            "simplified, traditional, pinyin, one wrong character: the same hits through 3 nodes",
            not wrong,
            命中数=shown,
            **({"不符": wrong} if wrong else {}),
        )


async def show_speed(stage: Stage) -> None:
    """Varied queries at the provincial node over all shards."""
    questions = Questions(stage.of(PASSED), stage.random).draw(QUERIES)
    times, partial = [], 0
    async with stage.network.province.ask() as client:
        for question in questions:
            started = time.monotonic()
            answer = await client.get("/api/v1/search", q=question.text)
            times.append(((time.monotonic() - started) * 1000, question))
            partial += bool(answer["coverage"]["missing"])
    times.sort(key=lambda row: row[0])
    p50, p95 = times[len(times) // 2][0], times[len(times) * 95 // 100][0]
    slowest, question = times[-1]
    stage.screen.check(
        "speed",
        "省级节点对全部分库检索",
        "queries at the provincial node over all shards",
        not partial and (p95 < QUERY_MS_MAX or not stage.large),
        检索=len(times),
        p50_ms=round(p50),
        p95_ms=round(p95),
        最慢=f"{round(slowest)} ms {question.text}",
        **({"不全": partial} if partial else {}),
    )


async def show_memory(stage: Stage) -> None:
    """What all nodes hold in memory together."""
    statuses = [await place.get("/api/v1/status") for place in stage.network.places]
    resident = [status["resident_bytes"] for status in statuses]
    stage.screen.check(
        "memory",
        "全部节点常驻内存合计",
        "resident memory of all nodes together",
        sum(resident) < RESIDENT_GIB_MAX * 2**30,
        合计_MiB=sum(resident) >> 20,
        最大_MiB=max(resident) >> 20,
        最小_MiB=min(resident) >> 20,
    )
