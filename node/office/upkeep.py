"""What an operator asks of a node: export, rebuild, examine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ledger import logbook, views
from ledger.log_check import LogFinding, check_log
from ledger.roster import Roster
from ledger.settlement import digest
from ledger.tiles import bundle_path, tile_path
from node.hands.world import World
from node.office.accuser import Accuser
from node.office.catalog import every_item, read_small, uses
from node.office.custodian import Custodian
from node.office.exhibits import Exhibits
from node.office.folding import Folding
from node.office.indexer import Indexer
from node.office.keyring import Keyring
from node.office.links import Links
from node.office.replicator import Replicator
from node.office.scrubber import Scrubber
from node.office.sequencer import Sequencer
from node.office.spotcheck import LIE_CODE, SpotChecks
from node.office.submitter import Submitter
from node.office.thesaurus import Thesaurus
from protocol.errors import Corrupt, Missing, Unavailable
from protocol.ids import BlobId, OfficeCode
from protocol.limits import TILE_WIDTH
from protocol.ports import Reader

Progress = Callable[[str, int, int], None]
Sink = Callable[[str, bytes], None]  # relative path, content
Json = dict[str, Any]

Words = tuple[str, str]  # 中文, English
BARRED_CURE: Words = (
    "请与省级核对（fangzhi roster show）；密钥遗失：fangzhi rotate --lost，再请省级准入",
    "ask the province (fangzhi roster show); lost keys: rotate --lost, then admission",
)
REFUSED_CURE: Words = (
    "请与省级核对密钥（fangzhi roster show）；已撤销：fangzhi rotate --lost",
    "compare keys with the province (fangzhi roster show); revoked: rotate --lost",
)
SHUT_CURE: Words = (
    "请让本节点连上上级；其间所报送的均已落盘，待登记",
    "let this node reach its parent; what is reported meanwhile is kept (待登记)",
)
OUTSIDE_CURE: Words = (
    "请联系其运维；在其签名之前，按规则事件可能一直待见证",
    "ask its operator; until it signs, the policy may leave events pending",
)
FORK_CURE: Words = (
    "由省级关闭其密钥（fangzhi roster）；证据见 /evidence 和导出的日志",
    "the province closes its key (fangzhi roster); see /evidence and an export",
)
LIE_CURE: Words = (
    "请告知其运维（重建索引）；证据见 /api/v1/search/lies",
    "tell its operator (rebuild its index); evidence: /api/v1/search/lies",
)
LOG_CURE: Words = (
    "fangzhi doctor HOME --repair（从他处取回），或用备份恢复",
    "fangzhi doctor HOME --repair (from another holder), or restore a backup",
)
FILE_CURE: Words = (
    "fangzhi doctor HOME --repair（从他处取回）",
    "fangzhi doctor HOME --repair (from another holder)",
)
REPAIRED: Words = ("已从他处修复", "repaired from another holder")
LEFT: Words = (
    "完好的部分仍保留；请看哪些保管方不在线：/network",
    "kept for its good chunks; see which holders are off",
)
REMOVED: Words = (
    "已移除；请看哪些保管方不在线：/network",
    "removed; see which holders are off",
)
WAIT_CURE: Words = (
    "请稍候，或看哪些保管方不在线：/network",
    "wait, or see which holders are off: /network",
)
REPAIR_SECONDS_MAX = 20.0  # then the operator hears that nobody gave the file
LOOK_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Ailment:
    """One thing that is wrong at this node, and the cure, each in Chinese and in English."""

    code: str
    zh: str
    what: str
    cure: Words

    def shown(self) -> Json:
        cure_zh, cure = self.cure
        told = {"code": self.code, "zh": self.zh, "what": self.what}
        return {**told, "cure_zh": cure_zh, "cure": cure}


class Upkeep:
    """Operations on the whole of a node."""

    def __init__(
        self,
        world: World,
        keys: Keyring,
        genesis_note: bytes,
        folding: Folding,
        indexer: Indexer,
        custodian: Custodian,
        scrubber: Scrubber,
        thesaurus: Thesaurus,
        accuser: Accuser,
        exhibits: Exhibits,
        sequencer: Sequencer,
        submitter: Submitter,
        checks: SpotChecks,
        replicator: Replicator,
        links: Links,
        roster: Callable[[], Roster],
    ) -> None:
        self._world = world
        self._keys = keys
        self._genesis_note = genesis_note
        self._folding = folding
        self._indexer = indexer
        self._custodian = custodian
        self._scrubber = scrubber
        self._thesaurus = thesaurus
        self._accuser = accuser
        self._exhibits = exhibits
        self._sequencer = sequencer
        self._submitter = submitter
        self._checks = checks
        self._replicator = replicator
        self._links = links
        self._roster = roster

    async def export(self, sink: Sink, progress: Progress) -> Json:
        """Every log as static tiles, and the manifests of public items, as an audit needs them."""
        return await self._world.work.run(self._export, sink, progress)

    def _export(self, sink: Sink, progress: Progress) -> Json:
        sink("genesis.note", self._genesis_note)
        entries = manifests = 0
        roster = self._roster()
        codes = sorted(roster.members)
        with self._world.ledger.read() as reader:  # one moment: events of one log name others'
            for number, code in enumerate(codes):
                progress("log", number, len(codes))
                entries += export_log(reader, code, sink)
                sink(f"log/{code}/policy", roster.policy(code).format())
                if seen := reader.get("witness", code.encode()):  # the last that we co-signed
                    sink(f"witness/{min(self._keys)}/{code}", seen)
        self._exhibits.export(sink)
        with self._world.state.read() as reader:
            for view in every_item(reader):
                text = read_small(reader, view.manifest)
                if view.public and text:
                    sink(f"manifest/{view.manifest.hex}", text)
                    manifests += 1
        progress("log", len(codes), len(codes))
        return {"offices": len(codes), "entries": entries, "manifests": manifests}

    async def rebuild(self) -> Json:
        """Throw the derived state away and fold it again; the digests must be equal."""
        before, after = await self._folding.rebuild()
        await self._indexer.rebuild()
        with self._world.state.read() as reader:
            items = frozenset[str](view.item for view in every_item(reader))
        self._custodian.look_at(items)
        return {"before": before, "after": after, "equal": before == after, "items": len(items)}

    def digest(self) -> str:
        with self._world.state.read() as reader:
            return digest(reader)

    async def examine(self, repair: bool, progress: Progress) -> list[Ailment]:
        """Check logs and files against their hashes, and whatever else tends to go wrong."""
        found: list[Ailment] = []
        codes = sorted({*self._roster().members, *self._keys.hosted})
        for number, code in enumerate(codes):
            progress("log", number, len(codes))
            found += await self._examine_log(code, repair)
        blobs = list(self._world.blobs.scan())
        for number, blob in enumerate(blobs):
            progress("file", number, len(blobs))
            if not await self._is_whole(blob):
                found.append(await self._damaged(blob, repair))
        found += self._missing()
        found += self._unsigned()
        found += self._quarrels()
        return found

    def _unsigned(self) -> Iterator[Ailment]:
        """Offices here that sign nothing, and who does not sign for them."""
        for code, gate in sorted(self._sequencer.gates.items()):
            if gate.barred:
                yield Ailment("office.barred", f"{code} 不再签名", gate.barred, BARRED_CURE)
            elif not gate.is_open:
                with self._world.ledger.read() as reader:
                    why = gate.why_shut(logbook.head(reader, code).size)
                zh = f"{code} 尚未恢复签名，等待上级或见证方确认日志大小"
                yield Ailment("gate.shut", zh, f"{code} does not sign: {why}", SHUT_CURE)
        for (name, code), said in sorted(self._submitter.said.items()):
            if said.refusal:
                what = f"outside witness {name} has not signed the log of {code}: {said.refusal}"
                zh = f"外部见证方 {name} 没有为 {code} 的日志签名"
                yield Ailment("outside.refused", zh, what, OUTSIDE_CURE)
        is_closed = any(gate.barred for gate in self._sequencer.gates.values())  # said above
        if self._keys.refusals and not is_closed and not self._links.live():
            what = "peers do not know the keys of this node: rotated, revoked or abolished"
            zh = "其他节点不承认本节点的密钥：已更换、撤销或撤并"
            yield Ailment("link.key", zh, what, REFUSED_CURE)

    def _quarrels(self) -> Iterator[Ailment]:
        """What others did that does not hold."""
        for code in sorted(self._accuser.quarantined):
            what = f"{code} has signed two histories"
            yield Ailment("log.fork", f"{code} 签了两种历史", what, FORK_CURE)
        for lie in self._checks.lies():
            where = f"on page {lie.seq}" if lie.seq else "in the record"
            what = f"{lie.holder} showed what is not {where} of {lie.item} of {lie.office}"
            at = f"第 {lie.seq} 页" if lie.seq else "著录"
            zh = f"{lie.holder} 所示的内容不在 {lie.office} 的 {lie.item} {at}中"
            yield Ailment(LIE_CODE, zh, what, LIE_CURE)

    async def _examine_log(self, code: OfficeCode, repair: bool) -> list[Ailment]:
        findings = await self._world.work.run(self._findings, code)
        left = findings
        if repair and findings:
            with suppress(Corrupt, Unavailable):  # what is left says so below
                await self._replicator.catchup.mend(code)
            left = await self._world.work.run(self._findings, code)
        return [
            Ailment(
                finding.code,
                f"{code} 的日志损坏，在 {finding.where}",
                f"log {code}, {finding.where}: {finding.message}",
                LOG_CURE if finding in left else REPAIRED,
            )
            for finding in findings
        ]

    def _findings(self, code: OfficeCode) -> list[LogFinding]:
        with self._world.ledger.read() as reader:
            return [
                *check_log(reader, code),
                *self._replicator.check_notes(reader, code),
            ]

    async def _damaged(self, blob: BlobId, repair: bool) -> Ailment:
        with self._world.state.read() as reader:
            used = [f"{view.item} ({kind})" for view, kind in uses(reader, blob)]
            synonyms = views.synonym_table(reader, self._roster().genesis.province)
        if synonyms is not None and synonyms.table == blob:
            used.append("同义词表 the table of synonyms")
        what = f"file {blob.hex} is damaged; it belongs to {', '.join(used) or 'no item'}"
        zh = f"文件 {blob.hex} 已损坏，属于 {'、'.join(used) or '无（没有资源用它）'}"
        cure = FILE_CURE
        if repair:
            here = await self._mend(blob)
            self._thesaurus.look()
            if not here and self._world.blobs.size(blob) is None and used:
                here = await self._is_back(blob)
            cure = REPAIRED if here else LEFT if used else REMOVED
        return Ailment("file.damaged", zh, what, cure)

    async def _is_back(self, blob: BlobId) -> bool:
        """Whether what no item has, and was deleted, is fetched again, as soon as it is."""
        for _ in range(round(REPAIR_SECONDS_MAX / LOOK_SECONDS)):
            if self._world.blobs.size(blob) is not None:
                return True
            await asyncio.sleep(LOOK_SECONDS)
        return False

    async def _is_whole(self, blob: BlobId) -> bool:
        try:
            await self._world.blobs.verify(blob)
        except Corrupt:
            return False
        except Missing:
            return True  # deleted meanwhile
        return True

    async def _mend(self, blob: BlobId) -> bool:
        try:
            async with asyncio.timeout(REPAIR_SECONDS_MAX):
                return await self._scrubber.mend(blob)
        except TimeoutError:
            return False

    def _missing(self) -> list[Ailment]:
        if not self._custodian.incomplete:
            return []
        count = self._custodian.incomplete
        what = f"{count} items have files that have not arrived"
        return [Ailment("file.missing", f"{count} 项资源的文件尚未到齐", what, WAIT_CURE)]


def export_log(reader: Reader, code: OfficeCode, sink: Sink) -> int:
    """One log as static files under ``log/<code>/``; how many entries it has."""
    note = reader.get("note", code.encode())
    if note is None:
        return 0
    size = logbook.head(reader, code).size
    sink(f"log/{code}/checkpoint", note)
    for number in range(-(-size // TILE_WIDTH)):
        width = min(TILE_WIDTH, size - number * TILE_WIDTH)
        sink(
            f"log/{code}/{bundle_path(number, width)}", logbook.bundle(reader, code, number, width)
        )
    level, hashes = 0, size
    while hashes:
        for number in range(-(-hashes // TILE_WIDTH)):
            width = min(TILE_WIDTH, hashes - number * TILE_WIDTH)
            tile = logbook.tile_hashes(reader, code, level, number, width)
            sink(f"log/{code}/{tile_path(level, number, width)}", tile)
        level, hashes = level + 1, hashes // TILE_WIDTH
    return size
