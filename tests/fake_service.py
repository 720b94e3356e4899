"""A node made of paper: the whole service of a face over a few items, for face and page tests.

What it holds stands in ``fake_shelf``, what it finds in ``fake_search``.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from typing import Any

from ledger.chain import Seen
from ledger.receipt import Copy, Received, Said
from node.faces.service import Json, Progress, ReadRange
from node.office.answers import (
    PUBLIC,
    Asker,
    CandidateWord,
    CatalogueAnswer,
    CopyReason,
    Element,
    EventLine,
    EvidenceAnswer,
    ExportHit,
    ExportLine,
    ExportReceipt,
    FileLine,
    Finding,
    ForkLine,
    ForkReportLine,
    ImageAnswer,
    ItemAnswer,
    ItemLine,
    LieLine,
    LostTailLine,
    OfficeLine,
    PageAnswer,
    PageProofAnswer,
    Question,
    RecordLine,
    RecordShown,
    SearchAnswer,
    ShortLine,
    StatusAnswer,
    SuggestAnswer,
)
from node.office.fixity import DamagedLine, FixityAnswer, HolderLine
from node.office.uploads import Checksum, Upload
from protocol.errors import (
    AuthError,
    Forbidden,
    Missing,
    NoImage,
    ProofError,
    Rejected,
    Unavailable,
)
from protocol.ids import UnixMs
from search_shard.names import Suggestion
from tests.fake_search import answer, catalogue_answer, hits_for
from tests.fake_shelf import (
    AWAY,
    BOOK,
    CARVED,
    EDITIONS,
    HIDDEN,
    HOSTILE,
    OPEN_FILE,
    OPEN_SHA,
    PAGES,
    PUNCTUATED,
    SHOWN,
    STRANGE,
    TITLES,
    YEARBOOK,
    item_id,
    leaf,
    offices,
)

__all__ = ["YEARBOOK", "item_id"]  # the shelf is asked for through the node

TOKENS = {
    "clerk-token": Asker("clerk", "320582"),
    "admin-token": Asker("administrator", "320582"),
}
SECRET_SHA = hashlib.sha256(b"secret").hexdigest()
BROKEN_SHA = hashlib.sha256(b"broken").hexdigest()
AWAY_SHA = hashlib.sha256(b"away").hexdigest()  # nobody who has it can be reached
FILE_NAME = "张家港市志·样书 <1>.pdf"
MANIFEST = hashlib.sha256(b"manifest").hexdigest()
ORIGIN_HASH = hashlib.sha256(b"fzb.jiangsu.example/320500").hexdigest()
GENESIS = b"fangzhi genesis\n"
CHECKPOINT = b"fzb.jiangsu.example/320500\n3\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n"


NOTICE = "演示数据：本页文字为演示而编，不可引用。"


def line(item: str) -> ItemLine:
    title, kind = (TITLES | EDITIONS)[item]
    return ItemLine(
        item=item,
        office="320582",
        office_name="张家港市",
        title=title,
        kind=kind,
        status="submitted" if item == HIDDEN else "accepted",
        public=item != HIDDEN,
        rights="open",
        pages=len(PAGES),
        files=2,
        file_bytes=len(OPEN_FILE) + 3 * 1024**2,
        holders=("320000", "320500", "320582"),
        witnessed_by=() if item == HIDDEN else ("320000", "320500"),
        images=0 if item == HIDDEN else len(PAGES),
    )


def event(kind: str, office: str, name: str, index: int, witnessed: bool) -> EventLine:
    return EventLine(
        kind=kind,
        office=office,
        office_name=name,
        index=index,
        enrolled=None,
        leaf=hashlib.sha256(kind.encode()).hexdigest(),
        time=1_790_000_000_000 + index * 3_600_000,
        witnessed_by=("320000", "320500") if witnessed else (),
        reason="页码有缺，请补第 12 页。" if kind == "review.return" else "",
    )


EXPIRES = UnixMs(1_800_000_000_000)


SHORT = ShortLine(
    "320581-000000000001v"[:20],
    "320581",
    2,
    ("320000", "320581"),
    (CopyReason("waiting", "320500", False), CopyReason("room", "", True)),
)


class FakeService:
    """The node of 苏州市, which also hosts 张家港市."""

    def __init__(self) -> None:
        self.received: dict[tuple[str, int], bytes] = {}
        self.announced: list[tuple[str, int]] = []
        self.calls: list[tuple[Any, ...]] = []
        self.offices_answering = True
        self.hostile_shown = True
        self.cancelled = False

    def asker_for(self, token: str | None) -> Asker:
        if token is None:
            return PUBLIC
        if token not in TOKENS:
            raise AuthError("token", "one that this node gave out", "another")
        return TOKENS[token]

    async def search(self, question: Question, asker: Asker) -> SearchAnswer:
        self.calls.append(("search", question, asker))
        if question.text == "过载":
            raise Unavailable("search", "room for one more query", "a full queue")
        if question.text == "非 的":
            raise Rejected("query", "a word to look for besides what to leave out", "only 非 (NOT)")
        missing = (AWAY, "320682") if not self.offices_answering else ()
        return answer(question, hits_for(asker, self.hostile_shown), missing)

    async def catalogue(self, question: Question, asker: Asker) -> CatalogueAnswer:
        self.calls.append(("catalogue", question, asker))
        found = catalogue_answer(question, hits_for(asker, self.hostile_shown))
        shown = []
        for hit in found.hits:
            record = self.item(hit.item, asker).record
            at = record["title"].find(question.text)
            marks = {"title": ((at, at + len(question.text)),) if at >= 0 else ()}
            elements = tuple(
                Element(name, text, marks.get(name, ())) for name, text in record.items() if text
            )
            shown.append(
                RecordShown(elements, ("title",), "open", len(PAGES), ("320000", "320500"))
            )
        return CatalogueAnswer(found, tuple(shown))

    async def export(
        self, question: Question, asker: Asker
    ) -> AsyncIterator[ExportHit | ExportReceipt]:
        found = await self.search(question, asker)
        if question.text == "断":
            yield ExportLine(found.hits[0], MANIFEST, "11" * 32, 3, "22" * 32, "33" * 32)
            raise Unavailable("holder", "the rest of the hits", "silence")
        for hit in found.hits:
            if question.records:
                said, holders = {"title": hit.title, "kind": "旧志"}, ("320000", "320500")
                yield RecordLine(hit, said, "open", 3, holders, MANIFEST, "11" * 32)
            else:
                yield ExportLine(hit, MANIFEST, "11" * 32, 3, "22" * 32, "33" * 32)
        as_of = {source.office: source.as_of for source in found.coverage.sources}
        count = len(found.hits)
        yield ExportReceipt(
            found.query, found.total, True, count, True, found.epoch, as_of, found.coverage
        )

    async def page_proof(self, item: str, seq: int) -> PageProofAnswer:
        self._seen(item, PUBLIC)
        line = json.dumps({"page": "37", "text": PAGES[1]}, ensure_ascii=False)
        proven = (item, seq, 3, line, ("44" * 32,), "22" * 32, MANIFEST, "320582", 18, "11" * 32)
        return PageProofAnswer(*proven)

    def lies(self) -> tuple[LieLine, ...]:
        return (LieLine("320500", "320582", BOOK, 2, HOSTILE, '{"text":"志"}', 17, 1_700_000),)

    async def candidate_words(self, text: str, asker: Asker) -> tuple[CandidateWord, ...]:
        words = (CandidateWord("运河", 31), CandidateWord("云和", 2))
        return words if text == "yunhe" else ()

    async def suggest(self, typed: str, limit: int, asker: Asker) -> SuggestAnswer:
        self.calls.append(("suggest", typed, limit, asker))
        if not typed.startswith(("张", "zhang")):
            return SuggestAnswer(typed, (), (), 1)
        rule = "typed" if typed.startswith("张") else "pinyin"
        found = (
            Suggestion("place", "张家港市", 9, ("320582",), rule, (0, 1), "沙洲县今名"),
            Suggestion("title", TITLES[BOOK][0], 3, (BOOK,), rule, (0, 1)),
            Suggestion("heading", f"张{HOSTILE}", 2, (STRANGE,), rule, (0, 1)),
        )
        words = (CandidateWord("张", 14),) if rule == "pinyin" else ()
        return SuggestAnswer(typed, found[:limit], words, 1)

    def _seen(self, item: str, asker: Asker) -> ItemLine:
        if item not in TITLES | EDITIONS:
            raise Missing("item", "an item that this node knows", item)
        if item == HIDDEN and asker.role == "public":
            raise Forbidden("item", "an item that is public", "one in review")
        return line(item)

    def item(self, item: str, asker: Asker) -> ItemAnswer:
        shown = self._seen(item, asker)
        record = {
            "title": shown.title,
            "kind": shown.kind,
            "compiler": "张家港市地方志编纂委员会",
            "publisher": "方志出版社",
            "published": "1904" if item == CARVED else "2013",
            "edition": {CARVED: "光绪三十年刻本", PUNCTUATED: "点校本"}.get(item, ""),
            "span": "1986—2005",
            "place": "江苏省苏州市张家港市",
            "summary": "记述撤县设市以来二十年间自然、政治、经济、文化与社会之变迁。",
            "notice": NOTICE,
        }
        files = (
            FileLine(FILE_NAME, len(OPEN_FILE), OPEN_SHA, "application/pdf", "print_pdf", True),
            FileLine("文本/pages.txt", 3 * 1024**2, BROKEN_SHA, "text/plain", "text", False),
        )
        events = (
            event("version.upload", "320582", "张家港市", 17, witnessed=True),
            event("text.derive", "320582", "张家港市", 18, witnessed=True),
            event("hold.take", "320500", "苏州市", 33, witnessed=True),
            event("review.return", "320500", "苏州市", 35, witnessed=True),
            event("review.accept", "320500", "苏州市", 41, witnessed=False),
            event("receipt.issue", "320000", "江苏省", 8, witnessed=True),
        )
        found = (Finding("Q012", "note", FILE_NAME, "字体未全部嵌入。", "Not all fonts embedded."),)
        to_draw = 3 if item == HIDDEN else 0
        return ItemAnswer(shown, MANIFEST, record, files, events, found, to_draw // 3, to_draw)

    async def proof(self, item: str, asker: Asker) -> bytes:
        self._seen(item, asker)
        if item != BOOK:
            raise Unavailable("proof", "a witnessed log", "a node of paper")
        return b'{"format": "fangzhi/proof/1", "files": {}}'

    def items(self, office: str | None, asker: Asker, after: str, limit: int) -> list[ItemLine]:
        if office not in (None, "320582"):
            return []
        unseen = {HIDDEN} if asker.role == "public" else set()
        unseen |= set() if self.hostile_shown else {STRANGE}
        seen = [line(item) for item in TITLES if item not in unseen]
        start = [shown.item for shown in seen].index(after) + 1 if after else 0
        return seen[start : start + limit]

    async def page(self, item: str, seq: int, asker: Asker) -> PageAnswer:
        shown = self._seen(item, asker)
        if seq > len(PAGES):
            raise Missing("page", f"a page from 1 to {len(PAGES)}", seq)
        return PageAnswer(
            item,
            shown.title,
            NOTICE,
            seq,
            len(PAGES),
            str(35 + seq),
            "卷二 自然环境",
            HOSTILE if item == STRANGE else PAGES[seq - 1],
            OPEN_SHA,
            shown.witnessed_by,
            *((0, 0) if seq == len(PAGES) else SHOWN),
        )

    async def image(self, item: str, seq: int, thumbnail: bool, asker: Asker) -> ImageAnswer:
        shown = self._seen(item, asker)
        if seq >= len(PAGES):
            raise NoImage("image", "a page that could be drawn", "Q303")
        data = leaf(seq, thumbnail)

        async def read(offset: int, length: int) -> AsyncIterator[bytes]:
            yield data[offset : offset + length]

        name = hashlib.sha256(data).hexdigest()
        return ImageAnswer(name, len(data), f"{item}-{seq}.webp", shown.public, read)

    def offices(self) -> list[OfficeLine]:
        return offices()

    def status(self) -> StatusAnswer:
        return StatusAnswer(
            network="fzb.jiangsu.example",
            offices=("320500", "320582"),
            version="0.1.0",
            gate={"320500": "open", "320582": "open"},
            logs={"320500": (42, 42), "320582": (19, 18)},
            spooled=0,
            items={"accepted": 3, "submitted": 1},
            blobs=128,
            blob_bytes=734_003_200,
            shards=("320500", "320582", "320583"),
            links=("320000", "320100"),
            counters={"refused.wire.auth": 2},
            quarantined=(AWAY,),
            lost_tails={"320582": (7, 9)},
            resident_bytes=98_000_000,
            synonyms=3,
            short=(SHORT,),
            short_total=1,
            damaged=1,
        )

    async def fixity(self) -> FixityAnswer:
        return FixityAnswer(
            time=1_790_000_000_000,
            offices=("320500",),
            files=128,
            file_bytes=734_003_200,
            scrub_days=30,
            checked=127,
            oldest=1_780_000_000_000,
            damaged=(DamagedLine(MANIFEST, (SHORT.item,), 1_790_000_000_000, True),),
            repaired=2,
            copies_wanted=3,
            items=4,
            by_copies={"0": 1, "2": 1, "3": 2},
            lost=(SHORT.item,),
            short_total=1,
            short=(SHORT,),
            holders=(HolderLine("320500", "苏州市<地方志>", 3, 9, 10, 7, 1, 20_000, 2),),
            days=30,
        )

    async def receipt(self, item: str) -> bytes:
        if item == CARVED:
            return b'{"format":"fangzhi/receipt/1"}'
        raise Missing(f"receipt of {item}", "one that the province has issued", "none yet")

    async def read_receipt(self, item: str) -> Received:
        seen = Seen("320000", "江苏省", 9, "00", 2, (("320500", 1_790_000_000),), True)
        said = Said("320000", "江苏省", 8, 1_790_000_000_000, seen)
        copies = (Copy(said, 2, 12, True),)
        return Received("00", item, MANIFEST, "sealed", 2, 12, said, said, copies)

    def counters(self) -> dict[str, int]:
        return {"refused.wire.auth": 2, "refused.wire-auth": 1, "waiting.files": 4}

    def evidence(self) -> EvidenceAnswer:
        folder = f"/evidence/{AWAY}/{MANIFEST}"
        report = ForkReportLine("320500", "苏州市<地方志>", 41, 1_790_000_000_000)
        fork = ForkLine(
            office=AWAY,
            office_name="昆山市",
            evidence=MANIFEST,
            shape="chain",
            log_key="fzb.jiangsu.example/320583+00000000+AQ==",
            size_a=5,
            root_a="aa" * 32,
            size_b=9,
            size_said=5,
            root_said="bb" * 32,
            standing=True,
            learned=1_790_000_000_000,
            files=(f"{folder}/a.checkpoint", f"{folder}/b.tlog-proof"),
            reports=(report,),
        )
        tail = LostTailLine("320582", "张家港市", 12, 7, 9, "/evidence/320582/lost/12.checkpoint")
        return EvidenceAnswer((fork,), (tail,))

    def evidence_file(self, path: str) -> bytes:
        if path != f"/evidence/{AWAY}/{MANIFEST}/a.checkpoint":
            raise Missing("evidence", "a file", path)
        return CHECKPOINT

    def genesis(self) -> bytes:
        return GENESIS

    async def open_file(self, sha256: str, asker: Asker) -> tuple[int, str, str, ReadRange]:
        if sha256 == SECRET_SHA:
            raise Forbidden("file", "a file of class open", "office")
        if sha256 not in (OPEN_SHA, BROKEN_SHA, AWAY_SHA):
            raise Missing("file", "a file that a holder has", sha256)

        async def read(offset: int, length: int) -> AsyncIterator[bytes]:
            for start in range(offset, offset + length, 1000):
                if sha256 == AWAY_SHA:
                    raise Missing("file", "one of its holders to answer", "none does now")
                if sha256 == BROKEN_SHA and start - offset >= 3000:
                    raise Unavailable("holder", "the rest of the file", "silence")
                yield OPEN_FILE[start : min(start + 1000, offset + length)]

        media_type = "application/pdf" if sha256 == OPEN_SHA else "text/html"
        return len(OPEN_FILE), media_type, FILE_NAME, read

    async def recall_file(
        self, item: str, sha256: str, asker: Asker
    ) -> tuple[int, str, str, ReadRange]:
        return await self.open_file(sha256, asker)

    def file_items(self, sha256: str, asker: Asker) -> list[tuple[str, int, str, str]]:
        return [("320582", 17, MANIFEST, BOOK)] if sha256 == OPEN_SHA else []

    def manifest(self, sha256: str, asker: Asker) -> bytes:
        if sha256 != MANIFEST:
            raise Missing("manifest", "a manifest kept here", sha256)
        return json.dumps({"title": "样"}, ensure_ascii=False).encode()

    def checkpoint(self, code: str) -> bytes:
        if code != "320500":
            raise Missing("log", "a log kept here", code)
        return CHECKPOINT

    def tile(self, code: str, level: int, number: int, width: int) -> bytes:
        self.calls.append(("tile", code, level, number, width))
        if number > 0:
            raise Missing("tile", "a tile of the log", number)
        return bytes(32 * width)

    def bundle(self, code: str, number: int, width: int) -> bytes:
        self.calls.append(("bundle", code, number, width))
        return b"\0\1x" * width

    def policy(self, code: str) -> bytes:
        if code != "320500":
            raise Missing("log", "a log kept here", code)
        return b"quorum none\n"

    def log_of(self, origin_hash: str) -> str:
        if origin_hash != ORIGIN_HASH:
            raise Missing("origin", "an origin of a log here", origin_hash)
        return "320500"

    def mirrored_checkpoint(self, origin_hash: str) -> bytes:
        return self.checkpoint(self.log_of(origin_hash))

    async def add_checkpoint(self, body: bytes) -> tuple[int, str, bytes]:
        if not body:
            return 400, "text/plain; charset=utf-8", b"no request\n"
        if body == b"stale":
            return 409, "text/x.tlog.size", b"7\n"
        return 200, "text/plain; charset=utf-8", b"-- signature\n"

    def cosigned_checkpoint(self, origin_hash: str) -> bytes:
        if origin_hash != ORIGIN_HASH:
            raise Missing("witness", "an origin that this witness knows", origin_hash)
        return CHECKPOINT

    async def begin_report(self, request: Json, asker: Asker) -> Json:
        self.calls.append(("begin", request, asker))
        if request["record"].get("title") == "相近" and not request.get("confirm"):
            found = {"code": "Q012", "severity": "warning", "path": "", "zh": "题名相近。"}
            near = {**found, "en": "A near title.", "pages": []}
            return {"report": "", "status": "question", "findings": [near]}
        self.announced = [(file["path"], file["size"]) for file in request["files"]]
        self.received = {("r1", number): b"" for number in range(len(self.announced))}
        return await self.report("r1", asker)

    async def report(self, report: str, asker: Asker) -> Json:
        if report != "r1":
            raise Missing("report", "a report that was begun", report)
        files = [
            {"path": path, "size": size, "offset": len(self.received[report, number])}
            for number, (path, size) in enumerate(self.announced)
        ]
        told = {"report": report, "item": BOOK, "status": "open", "expires": EXPIRES}
        return {**told, "files": files, "findings": []}

    async def upload(self, report: str, number: int, asker: Asker) -> Upload:
        if (report, number) not in self.received:
            raise Missing("report", "a file of a report that was begun", f"{report} {number}")
        path, size = self.announced[number]
        return Upload(path, size, len(self.received[report, number]), EXPIRES)

    async def receive(
        self,
        report: str,
        number: int,
        offset: int,
        body: AsyncIterator[bytes],
        checksum: Checksum | None,
        asker: Asker,
    ) -> Upload:
        upload = await self.upload(report, number, asker)
        self.calls.append(("receive", report, number, offset, checksum))
        if offset != upload.offset:
            raise Rejected("file", f"what follows byte {upload.offset}", f"offset {offset}")
        data = b"".join([part async for part in body])
        if checksum and hashlib.new(checksum.algorithm, data).digest() != checksum.digest:
            raise ProofError("Upload-Checksum", "that of the body", "another")
        self.received[report, number] += data
        return await self.upload(report, number, asker)

    async def drop_upload(self, report: str, number: int, asker: Asker) -> None:
        await self.upload(report, number, asker)
        self.received[report, number] = b""

    async def forget_report(self, report: str, asker: Asker) -> None:
        await self.report(report, asker)
        self.received = {}

    async def submit_report(self, report: str, confirm: bool, asker: Asker) -> Json:
        if report not in ("r1", "r2"):
            raise Missing("report", "a report that was begun", report)
        if report == "r2":
            found = Finding("P001", "error", "a.pdf", "没有收到文件。", "The file did not arrive.")
            raise Rejected("report", "every file", (found,))
        self.calls.append(("submit", report, confirm))
        return {
            "item": BOOK,
            "manifest": MANIFEST,
            "log_index": 20,
            "status": "submitted",
            "findings": [],
            "pending": False,
        }

    async def review(self, item: str, verdict: str, reason: str, user: str, asker: Asker) -> Json:
        self._seen(item, asker)
        self.calls.append(("review", item, verdict, reason, user, asker))
        return {"item": item, "log_index": 50}

    async def withdraw(self, item: str, reason: str, user: str, asker: Asker) -> Json:
        self._seen(item, asker)
        self.calls.append(("withdraw", item, reason, user, asker))
        return {"item": item, "log_index": 51}

    async def operate(
        self, command: str, arguments: Json, asker: Asker, progress: Progress
    ) -> Json:
        if command == "doctor":
            return {"well": True}
        if command == "forever":
            try:
                while True:
                    progress("waiting", 1, 2)
                    await asyncio.sleep(0.01)
            finally:
                self.cancelled = True
        if command == "export":
            progress("logs", 1, 2)
            await asyncio.sleep(0.3)
            progress("logs", 2, 2)
            if arguments.get("fail"):
                raise Unavailable("export", "a folder that can be written", "none")
            return {"files": 9}
        raise Missing("command", "a command of this node", command)
