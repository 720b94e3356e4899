"""The people of an office, as they use its node: clerks, reviewers, readers.

They do what people do when a node does not answer: they try again later.  Every deed has a stream
of chance of its own, so that one less changes nothing of the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from random import Random
from typing import Any, Final

from ledger import views
from node.demo.texts import Phrase, Writer
from node.office.answers import PUBLIC, VERBATIM, Question, SearchAnswer
from node.office.catalog import every_item
from node.office.node import Node
from protocol.errors import FangzhiError, Missing, Unavailable
from protocol.ids import BlobId, OfficeCode
from protocol.limits import HITS_MAX
from simulations.clock import draws
from simulations.cluster import Cluster, Host
from simulations.faults import Deed
from simulations.history import History, Reported

PAGES: Final = (3, 6)
TRY_AGAIN_S: Final = (2.0, 15.0)
TRIES_MAX: Final = 40
CLOSING_S: Final = 90.0
Package = tuple[dict[str, bytes], tuple[str, ...], tuple[Phrase, ...]]


class Office:
    """Who works at ``host``."""

    def __init__(self, cluster: Cluster, host: Host, history: History) -> None:
        self._cluster, self._host, self._history = cluster, host, history
        self._volumes = 0

    def chance(self, deed: Deed) -> Random:
        return draws(self._cluster.mix.seed, str(deed))

    # clerks

    async def report(self, chance: Random, item: str = "", rights: str = "") -> None:
        """Hand in a new package (or a new revision of ``item``) until it is acknowledged; its class
        is drawn where ``rights`` does not name one."""
        self._volumes += 1
        writer = Writer(self._host.row, chance)
        title = f"{writer.title('新方志')}（{self._volumes}）"
        package = _package(writer, chance.randint(*PAGES))
        self._history.written.append(package[1])
        drawn = "open" if chance.random() < 0.85 else chance.choice(("office", "sealed"))
        for _ in range(TRIES_MAX):
            try:
                answer = await self._host.ask(
                    lambda node: _hand_in(
                        node, self._host.code, item, title, rights or drawn, package[0]
                    )
                )
            except FangzhiError as error:
                self._say("report failed", error=error.code)
                await asyncio.sleep(chance.uniform(*TRY_AGAIN_S))
                continue
            self._acknowledged(answer, package)
            return

    async def mend(self, chance: Random) -> None:
        """Report again what was returned; take down what should not have been reported."""
        for view in await self._own(lambda view: view.status == "returned"):
            await self.report(chance, view.item)
        public = await self._own(lambda view: view.public)
        if public and chance.random() < 0.1:
            item = chance.choice(public).item
            await self._decide("withdraw", item, lambda node: node.desk.withdraw(item, "重印"))

    # reviewers

    async def review(self, chance: Random) -> None:
        """Pass, or sometimes return, what the offices below have reported."""
        for view in await self._waiting():
            verdict = "pass" if chance.random() < 0.85 else "return"
            await self._decide(verdict, view.item, self._reviewing(view.item, verdict))

    # readers

    async def search(self, chance: Random) -> None:
        """Ask for the words of some page, and see whether the answer says what it is."""
        if not self._history.reports:
            return
        wanted = chance.choice(self._history.reports)
        phrase = chance.choice(wanted.phrases)[0]
        before, known = self._public_pages(phrase), self._public()
        try:
            answer = await self._host.ask(
                lambda node: node.searcher.search(Question(phrase, VERBATIM, HITS_MAX), PUBLIC)
            )
        except FangzhiError as error:
            self._say("search failed", error=error.code)
            return
        after = self._public_pages(phrase)
        missing = "+".join(answer.coverage.missing) or "nothing"
        covered = f"{answer.coverage.answered}/{answer.coverage.asked}"
        self._say("searched", hits=len(answer.hits), covered=covered, missing=missing)
        self._judge(answer, before, after)
        if strange := {hit.item for hit in answer.hits} - known - self._public():
            what = f"{self._host.code} shows {sorted(strange)}"
            self._history.blame("coverage", f"{what}, which it does not know as public")

    def _public(self) -> set[str]:
        return {view.item for view in self._known("") if view.public}

    def _judge(self, answer: SearchAnswer, before: Pages, after: Pages) -> None:
        self._history.searches += 1
        here = before.get(self._host.code, set()) & after.get(self._host.code, set())
        found = {(hit.item, hit.seq) for hit in answer.hits}
        for source in answer.coverage.sources:
            self._history.shards_answered += 1
            holder = OfficeCode(source.answered_by)
            had = before.get(holder, set()) & after.get(holder, set()) & here
            lost = {page for page in had if page[0].startswith(source.office)} - found
            if lost:
                what = f"{self._host.code} was told that {holder} answered for {source.office}"
                self._history.blame("coverage", f"{what}, without {sorted(lost)}")

    def _public_pages(self, phrase: str) -> Pages:
        """By node: the (item, page) with ``phrase`` that it knows as public."""
        texts = {report.manifest: report.pages for report in self._history.reports}
        known: Pages = {}
        for host in self._cluster.up():
            assert host.node is not None
            with host.node.world.state.read() as reader:
                known[host.code] = {
                    (view.item, seq)
                    for view in views.items(reader, public_only=True)
                    for seq, text in enumerate(texts.get(view.manifest, ()), 1)
                    if phrase in text
                }
        return known

    # those who keep the keys

    async def rotate(self, _chance: Random) -> None:
        """New keys, while the old ones are still good."""
        await self._change({"rotate": [self._host.next_keys(lost=False)]})

    async def revoke(self, _chance: Random) -> None:
        """The keys are lost or stolen: the province closes them and admits the office anew."""
        await self._change({"revoke": self._host.code})
        await self._change({"admit": [self._host.next_keys(lost=True)]})

    async def close(self, _chance: Random) -> None:
        """The state abolishes the office; the one above acts for its items.  Its machine stays on
        for a while, and then for good it does not."""
        parent = self._host.row.parent or self._cluster.province.code
        await self._change({"abolish": self._host.code, "successor": parent})
        await asyncio.sleep(CLOSING_S)
        self._history.gone.add(self._host.code)
        await self._host.stop()

    async def _change(self, what: dict[str, Any]) -> None:
        (kind,) = set(what) - {"successor"}
        for pause in range(1, TRIES_MAX):
            try:
                return await self._cluster.change(what)
            except (Unavailable, Missing) as error:  # the province is down, or has no anchor yet
                self._say(f"{kind} failed", error=error.code)
                await asyncio.sleep(5 * pause)
            except TimeoutError:
                return None  # it stands in the log
        return None

    # small things

    def _acknowledged(self, answer: dict[str, Any], package: Package) -> None:
        files, pages, phrases = package
        index = answer["log_index"]
        self._say(answer["status"], item=answer["item"], index=index)
        if index is not None:
            self._history.acknowledge(self._host, index, 3)
        spelled = ((p.phrase, p.traditional, p.typo, p.pinyin) for p in phrases)
        self._history.reports.append(
            Reported(
                item=answer["item"],
                office=self._host.code,
                manifest=BlobId.parse(answer["manifest"]),
                files=tuple(BlobId.of(data) for data in files.values()),
                pages=pages,
                phrases=tuple(spelled),
            )
        )

    async def _decide(self, what: str, item: str, decide: Any) -> None:
        try:
            answer = await self._host.ask(decide)
        except FangzhiError as error:
            self._say(f"{what} failed", item=item, error=error.code)
            return
        self._say(answer["status"], item=item, index=answer["log_index"])
        if answer["log_index"] is not None:
            self._history.acknowledge(self._host, answer["log_index"], 1)

    def _reviewing(self, item: str, verdict: str) -> Any:
        return lambda node: node.desk.review(item, verdict, "缺页" if verdict == "return" else "")

    async def _own(self, wanted: Any) -> list[views.ItemView]:
        return [view for view in self._known(self._host.code) if wanted(view)]

    async def _waiting(self) -> list[views.ItemView]:
        node = self._host.node
        if node is None:
            return []
        roster, code = node.folding.roster, self._host.code
        return [
            view
            for view in self._known("")
            if view.status == "submitted" and roster.reviewer_of(view.owner) == code
        ]

    def _known(self, owner: str) -> list[views.ItemView]:
        node = self._host.node
        if node is None:
            return []
        with node.world.state.read() as reader:
            return list(every_item(reader, owner))

    def _say(self, event: str, **facts: object) -> None:
        self._cluster.trace.record(self._host.code, event, **facts)


Pages = dict[OfficeCode, set[tuple[str, int]]]

DEEDS: Final[dict[str, Callable[[Office, Random], Awaitable[None]]]] = {
    "report": Office.report,
    "review": Office.review,
    "mend": Office.mend,
    "search": Office.search,
    "rotate": Office.rotate,
    "revoke": Office.revoke,
    "close": Office.close,
}


def _package(writer: Writer, count: int) -> Package:
    pages, phrases = writer.pages(count)
    texts = tuple("\n".join([page.chapter, *page.paragraphs]) for page in pages)
    return {"正文.txt": "\f".join(texts).encode()}, texts, phrases


async def _hand_in(
    node: Node, office: str, item: str, title: str, rights: str, files: dict[str, bytes]
) -> dict[str, Any]:
    """One report, from its first byte to its answer."""
    record = {"title": title, "kind": "新方志", "notice": "演示数据"}
    listed = [{"path": path, "size": len(data)} for path, data in files.items()]
    asked = {"office": office, "item": item, "record": record, "rights": rights, "confirm": True}
    begun = await node.intake.begin({**asked, "files": listed})
    for number, data in enumerate(files.values()):
        came = begun["files"][number]["offset"]  # of an earlier try that broke off
        await node.intake.receive(begun["report"], number, _chunks(data[came:]), came)
    return await node.intake.submit(begun["report"], confirm=True)


async def _chunks(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), 1000):
        yield data[start : start + 1000]
