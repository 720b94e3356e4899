"""What is to be seen once the work is done: who finds what, where it is, how fast."""

from __future__ import annotations

import re
import time
from collections import Counter
from typing import Any, Final

from node.demo.network import SETTLE_SECONDS_MAX
from node.demo.plan import CLOSED, PASSED, RETURNED, VICTIM, WAITING, Questions
from node.demo.screen import until
from node.demo.stage import Stage, found, hits_of, listed, search

Json = dict[str, Any]

QUERY_MS_MAX: Final = 500
QUERIES: Final = 100
RESIDENT_GIB_MAX: Final = 6
FORMS: Final = ("phrase", "traditional", "pinyin", "typo")
_WAITING = re.compile(r"^fangzhi_waiting_\w+ (\S+)$", re.MULTILINE)


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
                if not event["witnessed_by"]:
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
    often = Counter(each.phrase for p in stage.packages for each in p.phrases)  # drawn by chance
    chosen = [p for p in stage.of(PASSED) if p.phrases and often[p.phrases[0].phrase] == 1]
    chosen = stage.random.sample(chosen, 3)
    for package in chosen:
        phrase, wrong, shown = package.phrases[0], [], {}
        for form in FORMS:
            query = getattr(phrase, form)
            answers = [await search(place, query) for place in places]
            shown[query] = [answer["total"] for answer in answers]
            if any(found(answer) != found(answers[0]) for answer in answers):
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
