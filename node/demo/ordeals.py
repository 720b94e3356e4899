"""What must not harm: a killed node, a damaged file, a changed log, an item taken down."""

from __future__ import annotations

import asyncio
import time
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from node.demo.acts import report_at
from node.demo.network import Place
from node.demo.plan import LATE, PASSED, VICTIM, Package
from node.demo.screen import Broken, until
from node.demo.stage import Stage, found, hits_of, search
from node.hands.storage.file_blobs import listing
from protocol.errors import FangzhiError, Forbidden, Missing

Json = dict[str, Any]

WITHDRAWN_SECONDS_MAX: Final = 10.0
BACK_SECONDS_MAX: Final = 60.0


# a county's computer loses power


async def show_killed(stage: Stage) -> None:
    """SIGKILL right after a report was acknowledged: others answer, and nothing is lost."""
    network, screen, victim = stage.network, stage.screen, stage.victim
    package = next(p for p in stage.of(PASSED, VICTIM) if p.phrases)
    phrase = package.phrases[0]
    others = [network.province, network.place_of("320100"), network.place_of("320500")]
    before = [await search(place, phrase.phrase) for place in others]
    late = stage.one(LATE)
    with screen.bars() as bars:
        await report_at(stage, bars, VICTIM, [late])
    await network.kill(victim)
    after = [await search(place, phrase.phrase) for place in others]
    covers = [answer["coverage"] for answer in after]
    stood_in = {s["answered_by"] for c in covers for s in c["sources"] if s["office"] == VICTIM}
    window = await others[0].text(f"/o/{VICTIM}/")
    seq = hits_of(after[0], package, phrase)[0]["seq"] if after[0]["hits"] else 1
    page = await others[0].get(f"/api/v1/items/{package.item}/pages/{seq}")
    screen.check(
        "killed",
        "一县进程被杀，其书页照常检出、照常阅读",
        "a county's process is killed: its pages are still found and read",
        all(hits_of(answer, package, phrase) for answer in after)
        and [found(a) for a in after] == [found(b) for b in before]
        and all(not c["missing"] and c["asked"] == c["answered"] for c in covers)
        and VICTIM not in stood_in
        and package.title in window
        and bool(page["text"]),
        覆盖=f"{covers[0]['answered']}/{covers[0]['asked']} 个分库作答",
        代答=f"{VICTIM} 由 {'、'.join(sorted(stood_in))} 代答",
        毫秒=[answer["took_ms"] for answer in after],
    )

    async def noticed() -> bool:
        offices = (await network.province.get("/api/v1/offices"))["offices"]
        return any(line["code"] == VICTIM and not line["reachable"] for line in offices)

    seconds = await until("the province to notice", noticed, BACK_SECONDS_MAX)
    screen.check("noticed", "省级节点知其离线", "the province knows it is off", True, 秒=seconds)
    await show_restarted(stage, late)


async def show_restarted(stage: Stage, late: Package) -> None:
    """Everything that the killed node had acknowledged is there again."""
    victim = stage.victim
    starting = await stage.network.start(victim)

    async def signs() -> bool:
        gates = (await victim.get("/api/v1/status"))["gate"]
        return set(gates.values()) == {"open"}

    opening = await until("the restarted office to sign", signs, BACK_SECONDS_MAX)
    reported = [p for p in stage.packages if p.office == VICTIM and p.item]
    lost = []
    for package in reported:
        answer = await victim.get(f"/api/v1/items/{package.item}", staff=True)
        uploads = [e["index"] for e in answer["events"] if e["kind"] == "version.upload"]
        if package.log_index not in uploads:
            lost.append(package.item)

    async def witnessed() -> bool:
        answer = await victim.get(f"/api/v1/items/{late.item}", staff=True)
        return bool(answer["line"]["witnessed_by"])

    seconds = await until("the last report to be witnessed", witnessed, BACK_SECONDS_MAX)
    stage.screen.check(
        "nothing_lost",
        "重启后已确认者一件不少",
        "restarted: nothing acknowledged is lost",
        late.item in {p.item for p in reported} and not lost,
        卷册=len(reported),
        被杀前最后确认=f"#{late.log_index}",
        启动秒=starting,
        恢复签名秒=opening,
        获见证秒=seconds,
    )


# evidence


async def show_verified(stage: Stage) -> None:
    """``verify`` of a file that only a county reported, asked of another city's node."""
    package = stage.one(PASSED, VICTIM)
    node = stage.network.place_of("320100")
    result = await stage.network.good(
        "verify", package.file, "--node", node.url, "--genesis", stage.network.genesis
    )
    stage.screen.check(
        "verified",
        "验证一个文件：何人何时登记、何方见证、何处保存",
        "verify one file: who, when, witnessed by whom, held where",
        result["ok"]
        and (result["office"], result["index"]) == (VICTIM, package.log_index)
        and result["witnessed"],
        文件=package.file.name,
        日志=f"{result['office']} #{result['index']}",
        见证=[code for code, _ in result["witnesses"]],
        保存=result["holders"],
    )
    other = stage.network.folder / "other.bin"
    other.write_bytes(package.file.read_bytes() + b"\n")
    status, _ = await stage.network.cli(
        "verify", other, "--node", node.url, "--genesis", stage.network.genesis
    )
    stage.screen.check(
        "not_verified",
        "改动一字节的文件查无登记",
        "a file with one byte more is not vouched for",
        status in (1, 3),
        退出码=status,
    )


async def show_audited(stage: Stage) -> None:
    """``export`` and ``audit`` of the whole network; then the same with a flipped byte."""
    network = stage.network
    folder = network.folder / "export"
    await network.good("export", network.province.home, folder)
    arguments = ("audit", folder, "--genesis", network.genesis)
    started = time.monotonic()
    status, result = await network.cli(*arguments)
    logs = result.get("logs", [])
    stage.screen.check(
        "audited",
        "导出全网日志，凭创始文书独立审计，全部成立",
        "the exported network audited from the genesis note alone: everything holds",
        status == 0
        and result["ok"]
        and len(logs) == sum(len(place.offices) for place in network.places),
        日志=len(logs),
        事件=sum(log["size"] for log in logs),
        秒=round(time.monotonic() - started, 1),
        **({"发现": result["findings"][:3]} if result.get("findings") else {}),
    )
    target = entries_of(folder, VICTIM)
    flip(target, target.stat().st_size // 2)
    status, result = await network.cli(*arguments)
    named = [f for f in result["findings"] if f["office"] == VICTIM and f["index"] >= 0]
    stage.screen.check(
        "log_flipped",
        "日志改动一字节，审计指出机构、序号、缘由",
        "one byte of a log flipped: the audit names office, index and code",
        status == 1 and not result["ok"] and bool(named),
        退出码=status,
        指出=[f"{f['office']} #{f['index']} {f['code']} {f['zh']}" for f in named[:2]],
    )


def entries_of(folder: Path, code: str) -> Path:
    """The file of the first entries of a log in an exported folder."""
    entries = (folder / "log" / code / "tile" / "entries").rglob("*")
    return min(path for path in entries if path.is_file())


def flip(path: Path, at: int) -> None:
    """Change one bit of a byte of a file."""
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)


# a disk decays


async def show_repaired(stage: Stage) -> None:
    """A byte of a stored file flips while its node is off: found by name, and fetched again."""
    network, screen = stage.network, stage.screen
    package = next(p for p in stage.of(PASSED, VICTIM))
    answer = await network.province.get(f"/api/v1/items/{package.item}")
    keepers = {*answer["line"]["holders"]} - {VICTIM, "320000"}
    place = network.place_of(min(keepers))
    file = max(answer["files"], key=lambda file: file["size"])
    sha, blobs = file["sha256"], place.home / "blobs"
    stopping = await network.stop(place)
    screen.check(
        "stopped",
        "收到 SIGTERM 五秒内从容退出",
        "a clean end within 5 s of SIGTERM",
        True,
        秒=stopping,
    )
    stored = places_of(sha, blobs)
    if len(stored) != 1:
        raise Broken(place.name, f"one stored file {sha}", stored)
    path, at = stored[0]
    flip(path, at + file["size"] // 2)
    status, result = await network.cli("doctor", place.home)
    named = [a for a in result["ailments"] if sha in a["what"]]
    screen.check(
        "blob_flipped",
        "存储文件改动一字节，体检指出其名与救治之法",
        "one byte of a stored file flipped: doctor names it and the cure",
        status == 1 and [a["code"] for a in named] == ["file.damaged"],
        退出码=status,
        指出=[f"{a['code']} {a['what']}" for a in named],
    )
    _, told = await network.cli("doctor", place.home, "--repair")
    repairing = [a["cure"] for a in told["ailments"]]
    status, result = await network.cli("doctor", place.home)
    # Images that others drew meanwhile travel to a node that runs; see whether all are in step.
    ailments = [each for each in result["ailments"] if each["code"] != "file.missing"]
    [(path, at)] = places_of(sha, blobs) or [(Path(), 0)]
    whole = path.is_file() and path.read_bytes()[at:].startswith(original(package, sha))
    screen.check(
        "repaired",
        "自他处副本修复，再检无恙",
        "repaired from another holder; doctor finds nothing",
        not ailments and whole,
        修复=repairing,
        **({"余": ailments} if ailments else {}),
    )
    await network.start(place)


def places_of(sha: str, blobs: Path) -> list[tuple[Path, int]]:
    """In which file, and from which byte on, a stored file lies."""
    return [(path, at) for blob, path, at in listing(blobs) if blob.hex == sha]


def original(package: Package, sha: str) -> bytes:
    """The file as it was reported; empty when the package has none of this hash."""
    for path in package.folder.iterdir():
        data = path.read_bytes()
        if sha256(data).hexdigest() == sha:
            return data
    return b""


# an item is taken down


async def show_withdrawn(stage: Stage) -> None:
    """下架: gone from page, index, snippet and API at every node."""
    network, screen = stage.network, stage.screen
    package = next(p for p in stage.of(PASSED, "320115") if p.phrases)
    phrase = package.phrases[0]
    hit = hits_of(await search(network.province, phrase.phrase), package, phrase)[0]
    answer = await network.province.get(f"/api/v1/items/{package.item}")
    sha = answer["files"][0]["sha256"]
    paths = [
        f"/items/{package.item}",
        f"/items/{package.item}/pages/{hit['seq']}",
        f"/api/v1/items/{package.item}",
        f"/api/v1/items/{package.item}/pages/{hit['seq']}",
        f"/api/v1/files/{sha}",
        f"/api/v1/manifests/{answer['manifest']}",
    ]

    async def traces(place: Place) -> list[str]:
        # A search through all shards is dear: it is made when nothing else is left.
        return [path for path in paths if await readable(place, path)] or await found(place)

    async def found(place: Place) -> list[str]:
        answer = await search(place, phrase.phrase)
        left = [hit["snippet"] for hit in answer["hits"] if hit["item"] == package.item]
        if place in places:
            portal = await place.text(f"/search?q={phrase.phrase}")
            left += [f"{place.code} /search"] * (package.item in portal)
        return left

    places = [network.province, network.place_of("320500"), stage.victim]
    before = [len(await traces(place)) + len(await found(place)) for place in network.places]
    owner = network.place_of(package.office)
    started = time.monotonic()
    await network.good("withdraw", owner.home, package.item, "--reason", "内容有误，核实后再发布")
    gone: dict[str, float] = {}

    async def left_at(place: Place) -> list[str]:
        try:
            return await traces(place)
        except FangzhiError as error:  # a relay broken off half-way: not gone for sure, ask again
            return [str(error)]

    async def vanish(place: Place) -> None:
        while await left_at(place):
            if time.monotonic() - started > 3 * WITHDRAWN_SECONDS_MAX:
                return
            await asyncio.sleep(0.1)
        gone[place.code] = round(time.monotonic() - started, 2)

    async with asyncio.TaskGroup() as group:
        for place in network.places:
            group.create_task(vanish(place))
    slowest = max(gone.values(), default=0.0)
    screen.check(
        "withdrawn",
        "下架：页面、索引、摘录、接口在各节点均已不见",
        "taken down: gone from page, index, snippet and API at every node",
        min(before) > len(paths)
        and len(gone) == len(network.places)
        and slowest < WITHDRAWN_SECONDS_MAX,
        题名=package.title,
        此前每节点可见=before,
        节点=f"{len(gone)}/{len(network.places)}",
        最慢秒=slowest,
    )


async def readable(place: Place, path: str) -> bool:
    """Whether the public gets something under a path.

    Raises:
        FangzhiError: the node does not answer properly.
    """
    try:
        await place.read(path)
    except (Missing, Forbidden):
        return False
    except FangzhiError as error:
        if "404" in str(error):  # a page of the portal has no problem document
            return False
        raise
    return True
