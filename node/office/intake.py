"""Takes in what a clerk reports (报送): files first, then checks, then signed events.

A report begins with the list of its files, so that a hostile name, a missing title or a full disk
is refused before the first byte.  Files stream into the content-addressed store; nothing refers to
them until the report is submitted and its checks found no error, so a report that is interrupted,
refused or forgotten leaves nothing behind.  Submitting appends, in one batch, the upload, the text
and the office's own holding.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from typing import Any

from ledger.events import HoldTake, TextDerive, VersionUpload
from ledger.merkle import leaf_hash, root_of
from ledger.roster import Roster
from node.hands.ingest.findings import Finding, Inspection, finding
from node.hands.ingest.package import check_package
from node.hands.keys import OfficeKeys
from node.hands.world import World
from node.office.catalog import BLOB, find, note_blob, put_bytes, uses
from node.office.sequencer import Sequencer
from node.office.users import Users
from protocol.errors import DecodeError, Forbidden, Full, Missing, Rejected
from protocol.ids import BlobId, EventRef, ItemId, OfficeCode, RootHash, mint_item, parse_item
from protocol.limits import FILE_BYTES_MAX
from protocol.records import (
    REPORT_FORMAT,
    RIGHTS_CLASSES,
    FileEntry,
    Manifest,
    PageText,
    encode_json,
    encode_pages,
)

REPORT = "report"  # table of the ledger store: report id -> its JSON
Json = dict[str, Any]


class Intake:
    """Reports of the offices hosted here."""

    def __init__(
        self,
        world: World,
        keys: Mapping[OfficeCode, OfficeKeys],
        sequencer: Sequencer,
        users: Users,
        roster: Callable[[], Roster],
        reserve_bytes: int,
        changed: Callable[[frozenset[str]], None],
    ) -> None:
        self._world = world
        self._keys = keys
        self._sequencer = sequencer
        self._users = users
        self._roster = roster
        self._reserve_bytes = reserve_bytes
        self._changed = changed
        self._receiving: set[tuple[str, int]] = set()

    async def begin(self, request: Json) -> Json:
        """Open a report: ``{office, item?, as?, record, rights, files: [{path, size}]}``.

        Raises:
            Rejected: an error finding; ``got`` names the codes.
            Full: the disk has no room for these files.
            Forbidden: the office is not hosted here, the item is another's, or the user ``as`` may
                not report.
        """
        office, item = self._whose(request)
        user = self._users.speaker(office, str(request.get("as", "")), "version.upload")
        files = [(_text(file, "path"), _size(file)) for file in _list(request, "files")]
        record, rights = _record(request), str(request.get("rights", "open"))
        if rights not in RIGHTS_CLASSES:
            raise DecodeError("report.rights", f"one of {RIGHTS_CLASSES}", rights)
        findings = check_package(files, record, rights)
        if any(f.severity == "error" for f in findings):
            return {"report": "", "status": "refused", "findings": list(map(shown, findings))}
        total = sum(size for _, size in files)
        room = self._world.free_bytes() - self._reserve_bytes
        if total > room:
            raise Full("report", f"room for {total} bytes above the reserve", f"{max(room, 0)}")
        report = self._world.rng.random_bytes(12).hex()
        await self._save(
            report,
            {
                "office": office,
                "item": item,
                "record": record,
                "rights": rights,
                "files": [{"path": path, "size": size, "sha256": ""} for path, size in files],
                "user": user.hex(),
                "begun": self._world.clock.now(),
            },
        )
        return {"report": report, "status": "open", "findings": list(map(shown, findings))}

    async def receive(self, report: str, number: int, body: AsyncIterator[bytes]) -> Json:
        """Store file ``number`` of a report.

        Raises:
            Missing: no such report or file.
            DecodeError: more or fewer bytes than announced; nothing was kept.
        """
        draft = self._load(report)
        if not 0 <= number < len(draft["files"]):
            raise Missing(f"report {report}", f"files 0 to {len(draft['files']) - 1}", number)
        if (report, number) in self._receiving:
            raise Rejected(f"report {report}", "one upload of a file at a time", f"file {number}")
        expected = draft["files"][number]["size"]
        self._receiving.add((report, number))
        try:
            blob = await self._world.blobs.put(_exactly(body, expected, draft["files"][number]))
        finally:
            self._receiving.discard((report, number))
        await self._world.ledger.write(lambda writer: _set_hash(writer, report, number, blob))
        return {"sha256": blob.hex, "size": expected}

    async def submit(self, report: str) -> Json:
        """Check everything and, without an error, sign and append the events.

        Returns ``{item, manifest, log_index, status, findings, pending}``; ``status`` is
        ``refused`` (nothing was kept), ``submitted`` or, while the gate is shut, ``spooled``.
        """
        draft = self._load(report)
        missing = [file["path"] for file in draft["files"] if not file["sha256"]]
        if missing:
            raise Rejected(f"report {report}", "every file received", f"missing {missing[:3]}")
        findings, entries, pages = await self._examine(draft)
        if any(f.severity == "error" for f in findings):
            await self.forget(report)
            return {"status": "refused", "findings": list(map(shown, findings)), "pending": False}
        code, item = OfficeCode(draft["office"]), ItemId(draft["item"])
        user = self._users.speaker(code, draft["user"], "version.upload")  # it may be retired now
        manifest = Manifest(
            self._salt(), item, code, draft["rights"], draft["record"], tuple(entries)
        )
        bodies = await self._store(code, item, manifest, findings, pages)
        refs = await self._sequencer.append(code, bodies, user)
        await self._close(report)
        self._changed(frozenset({item}))
        return self._answer(item, manifest, findings, refs)

    async def forget(self, report: str) -> None:
        """Drop a report and the files that nothing else refers to."""
        draft = self._load(report)
        await self._close(report)
        blobs = {BlobId.parse(file["sha256"]) for file in draft["files"] if file["sha256"]}
        with self._world.ledger.read() as reader:
            others = {
                file["sha256"]
                for _, row in reader.scan(REPORT)
                for file in json.loads(row)["files"]
            }
        for blob in sorted(blobs):
            with self._world.state.read() as reader:
                used = next(reader.scan(BLOB, blob.raw), None) is not None
            if not used and blob.hex not in others:
                await self._world.blobs.delete(blob)

    async def expire(self, hours: int) -> int:
        """Forget reports begun longer ago than this; returns how many."""
        oldest = self._world.clock.now() - hours * 3_600_000
        with self._world.ledger.read() as reader:
            drafts = [(key.decode(), json.loads(row)) for key, row in reader.scan(REPORT)]
        stale = [report for report, draft in drafts if draft["begun"] < oldest]
        for report in stale:
            await self.forget(report)
        return len(stale)

    async def _examine(self, draft: Json) -> tuple[list[Finding], list[FileEntry], list[PageText]]:
        findings = list(
            check_package(
                [(file["path"], file["size"]) for file in draft["files"]],
                draft["record"],
                draft["rights"],
            )
        )
        entries: list[FileEntry] = []
        pages: list[PageText] = []
        seen: dict[str, str] = {}
        for file in sorted(draft["files"], key=lambda file: file["path"]):
            path, blob = file["path"], BlobId.parse(file["sha256"])
            inspection: Inspection = await self._world.inspect(blob, path)
            findings += inspection.findings
            if blob.hex in seen:
                findings.append(finding("Q010", path, other=seen[blob.hex]))
            elif other := self._reported_in(blob, draft):
                findings.append(finding("Q011", path, item=other))
            seen.setdefault(blob.hex, path)
            role, media = inspection.role_guess, inspection.media_type
            entries.append(FileEntry(path, file["size"], blob, media, role))
            shown_by = "" if role == "text" else blob.hex
            pages += [replace(page, file=shown_by) for page in inspection.pages or ()]
        return findings, entries, pages

    def _reported_in(self, blob: BlobId, draft: Json) -> str:
        """Another item of the same office that has this file, "" if none."""
        with self._world.state.read() as reader:
            for view, kind in uses(reader, blob):
                if kind == "files" and view.owner == draft["office"] and view.item != draft["item"]:
                    return view.item
        return ""

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

    def _whose(self, request: Json) -> tuple[OfficeCode, ItemId]:
        """The office that reports, and the item: a new one, or its own (or one that it acts for)
        that gets a revision."""
        hosted = sorted(self._keys)
        office = OfficeCode(str(request.get("office") or next(iter(hosted), "")))
        if office not in self._keys:
            raise Forbidden("report.office", f"an office hosted here: {hosted}", office)
        if not request.get("item"):
            return office, mint_item(office, self._world.rng.random_bytes(8))
        item = parse_item(str(request["item"]))
        with self._world.state.read() as reader:
            view = find(reader, item)
        if view is None or self._roster().heir(view.owner) != office:
            raise Forbidden("report.item", f"an item of {office}", item)
        return office, item

    def _salt(self) -> str:
        return self._world.rng.random_bytes(16).hex()

    def _load(self, report: str) -> Json:
        with self._world.ledger.read() as reader:
            row = reader.get(REPORT, report.encode()[:64] or b"-")
        if row is None:
            raise Missing("report", "a report that was begun and not yet submitted", report[:40])
        draft: Json = json.loads(row)
        return draft

    async def _save(self, report: str, draft: Json) -> None:
        row = json.dumps(draft).encode()
        await self._world.ledger.write(lambda writer: writer.put(REPORT, report.encode(), row))

    async def _close(self, report: str) -> None:
        await self._world.ledger.write(lambda writer: writer.delete(REPORT, report.encode()))


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


def _set_hash(writer: Any, report: str, number: int, blob: BlobId) -> None:
    row = writer.get(REPORT, report.encode())
    if row is None:
        raise Missing(f"report {report}", "an open report", "it was submitted or forgotten")
    draft = json.loads(row)
    draft["files"][number]["sha256"] = blob.hex
    writer.put(REPORT, report.encode(), json.dumps(draft).encode())


async def _exactly(body: AsyncIterator[bytes], size: int, file: Json) -> AsyncIterator[bytes]:
    """``body``, which must be ``size`` bytes long."""
    where, got = f"file {file['path']}", 0
    async for chunk in body:
        got += len(chunk)
        if got > size:
            raise DecodeError(where, f"{size} bytes as announced", "more")
        yield chunk
    if got != size:
        raise DecodeError(where, f"{size} bytes as announced (send the file again)", got)


def _list(request: Json, name: str) -> list[Any]:
    value = request.get(name)
    if not isinstance(value, list):
        raise DecodeError(f"report.{name}", "a list", type(value).__name__)
    return value


def _text(file: Any, name: str) -> str:
    if not isinstance(file, dict) or not isinstance(file.get(name), str):
        raise DecodeError(f"report.files.{name}", "a text", repr(file)[:60])
    return str(file[name])


def _size(file: Any) -> int:
    size = file.get("size") if isinstance(file, dict) else None
    if type(size) is not int or not 0 <= size <= FILE_BYTES_MAX:
        raise DecodeError("report.files.size", f"0 to {FILE_BYTES_MAX} bytes", repr(size)[:40])
    return size


def _record(request: Json) -> dict[str, str]:
    record = request.get("record", {})
    if not isinstance(record, dict) or not all(isinstance(v, str) for v in record.values()):
        raise DecodeError("report.record", "an object of texts", repr(record)[:60])
    return {str(key): value for key, value in record.items()}
