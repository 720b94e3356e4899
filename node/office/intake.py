"""Takes in what a clerk reports (报送): files first, then checks, then signed events.

A report begins with the list of its files, so that a hostile name, a missing title, a full disk or
a record that may be here already is told before the first byte.  Files come in pieces
(:mod:`node.office.uploads`) and become blobs; nothing refers to them until the report is submitted
and its checks found no error, so a report that is interrupted, refused or forgotten leaves nothing
behind.  Submitting appends, in one batch, the upload, the text and the office's own holding.
docs/spec/hand-in.md.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from hashlib import sha256
from typing import Any

from ledger.custody import HoldTake
from ledger.events import TextDerive, VersionUpload
from ledger.roster import Roster
from ledger.views import ItemView
from node.hands.ingest.findings import Finding, Inspection, finding
from node.hands.ingest.package import check_package
from node.hands.keys import OfficeKeys
from node.hands.world import World
from node.office.catalog import find, note_blob, put_bytes, read_small
from node.office.drafts import Draft, DraftFile, Drafts
from node.office.duplicates import Duplicates, Earlier
from node.office.sequencer import Sequencer
from node.office.uploads import Checksum, Upload, Uploads
from node.office.users import Users
from protocol.errors import DecodeError, Forbidden, Full, Rejected
from protocol.ids import BlobId, EventRef, ItemId, OfficeCode, RootHash, mint_item, parse_item
from protocol.limits import FILE_BYTES_MAX, REPORTS_OPEN_MAX
from protocol.merkle import leaf_hash, root_of
from protocol.records import (
    REPORT_FORMAT,
    RIGHTS_CLASSES,
    FileEntry,
    Manifest,
    PageText,
    encode_json,
    encode_pages,
    parse_manifest,
)

Json = dict[str, Any]
EXPIRE_S = 3600.0


class Intake:
    """Reports of the offices hosted here."""

    def __init__(
        self,
        world: World,
        keys: Mapping[OfficeCode, OfficeKeys],
        sequencer: Sequencer,
        users: Users,
        roster: Callable[[], Roster],
        fold: Callable[[str], str],
        reserve_bytes: int,
        wait_hours: int,
        changed: Callable[[frozenset[str]], None],
    ) -> None:
        """``fold`` makes spellings of a title alike; a report waits ``wait_hours`` for its next
        byte."""
        self._world = world
        self._keys = keys
        self._sequencer = sequencer
        self._users = users
        self._roster = roster
        self._reserve_bytes = reserve_bytes
        self._changed = changed
        self._duplicates = Duplicates(world, roster, fold)
        self._drafts = Drafts(world.ledger)
        self._uploads = Uploads(world, self._drafts, self._speaker, wait_hours)

    async def begin(self, request: Json) -> Json:
        """Open a report: ``{office, item?, as?, record, rights?, confirm?, files: [{path, size,
        modified?}]}``; who asks for the same again gets the report that is open already.  What the
        report of a revision leaves out of record and rights is as it was; a new item is open.

        The answer is that of :meth:`status`, or has the ``status`` ``refused`` (an error among the
        ``findings``) or ``question`` (begin again with ``confirm`` to go on).

        Raises:
            Full: the disk has no room for these files.
            Forbidden: the office is not hosted here, the item is another's, or the user ``as`` may
                not report.
            Rejected: too many reports are open.
        """
        office = self._office(request)
        user = self._users.speaker(office, str(request.get("as", "")), "version.upload")
        files, record, rights = _files(request), _record(request), _rights(request)
        before = self._before(office, str(request.get("item") or ""))
        if before is not None:
            record, rights = self._revised(before, record), rights or before.rights
        rights = rights or RIGHTS_CLASSES[0]
        named = [(file.path, file.size) for file in files]
        findings = check_package(named, record, rights)
        if any(found.severity == "error" for found in findings):
            return _told("refused", findings)
        wanted = [str(request.get("item", "")), user.hex(), record, rights]
        asked = _digest([office, *wanted, [[f.path, f.size, f.modified] for f in files]])
        if (draft := self._drafts.like(asked)) is not None:
            return await self.status(draft.report)
        item = before.item if before else mint_item(office, self._world.rng.random_bytes(8))
        near = await self._duplicates.near(office, record, item)
        if near and request.get("confirm") is not True:
            return _told("question", [*findings, *(earlier.near() for earlier in near)])
        await self._expect_room(files)
        draft = Draft(
            report=self._world.rng.random_bytes(12).hex(),
            office=office,
            item=item,
            record=record,
            rights=rights,
            files=files,
            user=user.hex(),
            begun=self._world.clock.now(),
            known=tuple(earlier.item for earlier in near),
        )
        await self._drafts.open(draft, asked)
        return await self.status(draft.report)

    async def status(self, report: str) -> Json:
        """``{report, item, status: "open", expires, files: [{path, size, offset}], findings}``:
        how far an open report is.

        Raises:
            Missing: no such report.
        """
        draft = self._drafts.load(report)
        self._speaker(draft)
        offsets = await self._uploads.offsets(draft)
        files = [
            {"path": file.path, "size": file.size, "offset": offset}
            for file, offset in zip(draft.files, offsets, strict=True)
        ]
        expires = self._uploads.expires(draft)
        opened = {"report": report, "item": draft.item, "expires": expires, "files": files}
        return {**_told("open", []), **opened}

    async def upload(self, report: str, number: int) -> Upload:
        """How far file ``number`` is; see :class:`Uploads` for what can go wrong."""
        return await self._uploads.status(report, number)

    async def receive(
        self,
        report: str,
        number: int,
        body: AsyncIterator[bytes],
        offset: int = 0,
        checksum: Checksum | None = None,
    ) -> Upload:
        """Take what follows the first ``offset`` bytes of a file."""
        return await self._uploads.receive(report, number, offset, body, checksum)

    async def drop(self, report: str, number: int) -> None:
        """Forget what came of a file; it may be sent anew."""
        self._speaker(self._drafts.load(report))
        await self._uploads.discard(report, number)

    async def submit(self, report: str, confirm: bool = False) -> Json:
        """Check everything and, without an error, sign and append the events.

        Returns ``{item, manifest, log_index, status, findings, pending}``; ``status`` is
        ``refused`` (nothing was kept), ``question`` (a record of a near title came meanwhile:
        submit again with ``confirm``), ``submitted`` or, while the gate is shut, ``spooled``.
        """
        draft = self._drafts.load(report)
        blobs = [await self._uploads.finish(draft, number) for number in range(len(draft.files))]
        whole = [blob for blob in blobs if blob is not None]
        if len(whole) < len(blobs):
            paths = zip(draft.files, blobs, strict=True)
            missing = [file.path for file, blob in paths if blob is None]
            raise Rejected(f"report {report}", "every file received", f"missing {missing[:3]}")
        near = await self._duplicates.near(draft.office, draft.record, draft.item)
        if not confirm and {earlier.item for earlier in near} - set(draft.known):
            return _told("question", [earlier.near() for earlier in near])
        findings, entries, pages = await self._examine(draft, whole, near)
        if any(f.severity == "error" for f in findings):
            await self.forget(report)
            return {**_told("refused", findings), "pending": False}
        code, item = OfficeCode(draft.office), ItemId(draft.item)
        user = self._speaker(draft)  # it may be retired now
        manifest = Manifest(self._salt(), item, code, draft.rights, draft.record, tuple(entries))
        bodies = await self._store(code, item, manifest, findings, pages)
        refs = await self._sequencer.append(code, bodies, user)
        await self._drafts.close(report)
        await self._uploads.discard_all(draft, {})
        self._changed(frozenset({item}))
        return self._answer(item, manifest, findings, refs)

    async def forget(self, report: str) -> None:
        """Drop a report and the files that nothing else refers to."""
        draft = self._drafts.load(report)
        came = self._drafts.arrived(report)
        await self._drafts.close(report)
        await self._uploads.discard_all(draft, came)

    async def run(self) -> None:
        """Forget what expired, for as long as the node runs."""
        while True:
            await self.expire()
            await asyncio.sleep(EXPIRE_S)

    async def expire(self) -> int:
        """Forget reports of which nothing came for long; returns how many."""
        await self._uploads.tidy()
        now = self._world.clock.now()
        stale = [d for d in self._drafts.every() if self._uploads.expires(d) < now]
        for draft in stale:
            await self.forget(draft.report)
        return len(stale)

    async def _expect_room(self, files: tuple[DraftFile, ...]) -> None:
        """Room for these files and for what open reports still wait for."""
        drafts = self._drafts.every()
        if len(drafts) >= REPORTS_OPEN_MAX:
            raise Rejected("report", f"fewer than {REPORTS_OPEN_MAX} open reports", len(drafts))
        total = sum(file.size for file in files)
        room = self._world.free_bytes() - self._reserve_bytes
        for draft in drafts:
            room -= sum(file.size for file in draft.files)
            room += sum(await self._uploads.offsets(draft))
        if total > room:
            expected = f"room for {total} bytes above the reserve and within the quota"
            raise Full("report", expected, f"{max(room, 0)}")

    def _speaker(self, draft: Draft) -> bytes:
        """
        Raises:
            Forbidden: who began the report may hand in no more.
        """
        return self._users.speaker(draft.office, draft.user, "version.upload")

    async def _examine(
        self, draft: Draft, blobs: list[BlobId], near: list[Earlier]
    ) -> tuple[list[Finding], list[FileEntry], list[PageText]]:
        named = [(file.path, file.size) for file in draft.files]
        findings = check_package(named, draft.record, draft.rights)
        findings += [earlier.near() for earlier in near]
        entries: list[FileEntry] = []
        pages: list[PageText] = []
        seen: dict[str, str] = {}
        for file, blob in sorted(zip(draft.files, blobs, strict=True), key=lambda f: f[0].path):
            path = file.path
            inspection: Inspection = await self._world.inspect(blob, path)
            findings += inspection.findings
            if blob.hex in seen:
                findings.append(finding("Q010", path, other=seen[blob.hex]))
            elif earlier := self._duplicates.same(blob, draft.office, draft.item):
                findings.append(earlier.same(path))
            seen.setdefault(blob.hex, path)
            role, media = inspection.role_guess, inspection.media_type
            chunks = (await self._world.blobs.card(blob)).chunks
            entries.append(FileEntry(path, file.size, blob, chunks, media, role))
            shown_by = "" if role == "text" else blob.hex
            pages += [replace(page, file=shown_by) for page in inspection.pages or ()]
        return findings, entries, pages

    async def _store(
        self,
        code: OfficeCode,
        item: ItemId,
        manifest: Manifest,
        findings: list[Finding],
        pages: list[PageText],
    ) -> tuple[object, ...]:
        """Store manifest, report and pages, and note what every file is for: the event bodies."""
        blobs, state = self._world.blobs, self._world.state
        manifest_id = await put_bytes(blobs, manifest.encoded())
        await note_blob(state, blobs, item, "manifest", manifest_id)
        report = {"format": REPORT_FORMAT, "salt": self._salt()}
        report_id = await put_bytes(
            blobs, encode_json({**report, "findings": list(map(shown, findings))})
        )
        await note_blob(state, blobs, item, "report", report_id)
        for file in manifest.files:
            await note_blob(state, blobs, item, "files", file.sha256)
        with state.read() as reader:
            before = find(reader, item)
        total = sum(file.size for file in manifest.files)
        bodies: list[object] = [
            VersionUpload(
                item=item,
                manifest=manifest_id,
                rights=manifest.rights,
                files=len(manifest.files),
                file_bytes=total,
                supersedes=before.manifest if before else None,
                report=report_id,
            )
        ]
        if pages:
            lines = list(encode_pages(self._salt(), item, pages))
            data = b"".join(line + b"\n" for line in lines)
            pages_id = await put_bytes(blobs, data)
            await note_blob(state, blobs, item, "pages", pages_id)
            root = RootHash(root_of([leaf_hash(line) for line in lines]))
            bodies.append(TextDerive(item, manifest_id, len(pages), root, pages_id, len(data)))
        bodies.append(HoldTake(item, manifest_id, len(manifest.files), total))
        return tuple(bodies)

    def _answer(
        self,
        item: ItemId,
        manifest: Manifest,
        findings: list[Finding],
        refs: tuple[EventRef, ...],
    ) -> Json:
        return {
            "item": item,
            "manifest": BlobId.of(manifest.encoded()).hex,
            "log_index": refs[0].index if refs else None,
            "status": "submitted" if refs else "spooled",
            "findings": list(map(shown, findings)),
            "pending": True,
        }

    def _office(self, request: Json) -> OfficeCode:
        hosted = sorted(self._keys)
        office = OfficeCode(str(request.get("office") or next(iter(hosted), "")))
        if office not in self._keys:
            raise Forbidden("report.office", f"an office hosted here: {hosted}", office)
        return office

    def _before(self, office: OfficeCode, asked: str) -> ItemView | None:
        """The office's own item (or one that it acts for) that gets a revision; None: a new one."""
        if not asked:
            return None
        item = parse_item(asked)
        with self._world.state.read() as reader:
            view = find(reader, item)
        if view is None or self._roster().heir(view.owner) != office:
            raise Forbidden("report.item", f"an item of {office}", item)
        return view

    def _revised(self, before: ItemView, record: dict[str, str]) -> dict[str, str]:
        """The record of ``before`` with what ``record`` says anew; an empty text takes one out."""
        with self._world.state.read() as reader:
            text = read_small(reader, before.manifest)
        kept = parse_manifest(text).record if text else {}
        return {element: words for element, words in {**kept, **record}.items() if words}

    def _salt(self) -> str:
        return self._world.rng.random_bytes(16).hex()


def shown(one: Finding) -> Json:
    """A finding as the JSON of API and report blob."""
    return {
        "code": one.code,
        "severity": one.severity,
        "path": one.path,
        "zh": one.zh,
        "en": one.en,
        "pages": list(one.pages),
    }


def _told(status: str, findings: list[Finding]) -> Json:
    return {"report": "", "status": status, "findings": list(map(shown, findings))}


def _digest(asked: object) -> bytes:
    return sha256(json.dumps(asked, sort_keys=True).encode()).digest()


def _files(request: Json) -> tuple[DraftFile, ...]:
    files = request.get("files")
    if not isinstance(files, list):
        raise DecodeError("report.files", "a list", type(files).__name__)
    return tuple(
        DraftFile(
            _text(file, "path"),
            _number(file, "size", FILE_BYTES_MAX),
            _number({"modified": 0, **file}, "modified", 2**53),
        )
        for file in files
    )


def _text(file: Any, name: str) -> str:
    if not isinstance(file, dict) or not isinstance(file.get(name), str):
        raise DecodeError(f"report.files.{name}", "a text", repr(file)[:60])
    return str(file[name])


def _number(file: Json, name: str, most: int) -> int:
    value = file.get(name)
    if type(value) is not int or not 0 <= value <= most:
        raise DecodeError(f"report.files.{name}", f"0 to {most}", repr(value)[:40])
    return value


def _rights(request: Json) -> str:
    """The class that was asked for, "" where nothing was said."""
    rights = str(request.get("rights") or "")
    if rights not in ("", *RIGHTS_CLASSES):
        raise DecodeError("report.rights", f"one of {RIGHTS_CLASSES}", rights)
    return rights


def _record(request: Json) -> dict[str, str]:
    record = request.get("record", {})
    if not isinstance(record, dict) or not all(isinstance(v, str) for v in record.values()):
        raise DecodeError("report.record", "an object of texts", repr(record)[:60])
    return {str(key): value for key, value in record.items()}
