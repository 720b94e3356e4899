"""Reports that were begun and not yet submitted, as they stand in the ledger store.

Table ``report``: report id -> SHA-256 of what was asked for, then the draft as JSON, which never
changes.  Table ``arrived``: report id, then a file's number (u32) -> its SHA-256, or nothing while
only a part has come; or ``FFFFFFFF`` -> when the last byte came (ms, u64).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from protocol.errors import Missing
from protocol.ids import BlobId, UnixMs
from protocol.ports import KeyValueStore, Reader, Writer

REPORT: Final = "report"
ARRIVED: Final = "arrived"
TABLES: Final = (REPORT, ARRIVED)
_ID_CHARS_MAX: Final = 64
DIGEST_BYTES: Final = 32
_TOUCHED: Final = 2**32 - 1

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class DraftFile:
    path: str
    size: int
    modified: int  # ms by the clerk's computer, 0 when it was not said


@dataclass(frozen=True, slots=True)
class Draft:
    """What one report will be."""

    report: str
    office: str
    item: str
    record: dict[str, str]
    rights: str
    files: tuple[DraftFile, ...]
    user: str  # key id, hexadecimal; "" for the office itself
    begun: UnixMs
    known: tuple[str, ...]  # items of a near title that the clerk was told of, and went on

    def file(self, number: int) -> DraftFile:
        """
        Raises:
            Missing: no file of that number.
        """
        if not 0 <= number < len(self.files):
            expected = f"files 0 to {len(self.files) - 1}"
            raise Missing(f"report {self.report}", expected, number)
        return self.files[number]


class Drafts:
    """The open reports of this node."""

    def __init__(self, store: KeyValueStore) -> None:
        self._store = store
        self._read: dict[str, Draft] = {}  # as far as looked at; a draft never changes

    def load(self, report: str) -> Draft:
        """
        Raises:
            Missing: no such report, or it was submitted or forgotten.
        """
        with self._store.read() as reader:
            return self._load(reader, report)

    def every(self) -> list[Draft]:
        with self._store.read() as reader:
            return [self._load(reader, key.decode()) for key, _ in reader.scan(REPORT)]

    def like(self, asked: bytes) -> Draft | None:
        """The open report that was begun with the request of this SHA-256."""
        with self._store.read() as reader:
            for key, row in reader.scan(REPORT):
                if row[:DIGEST_BYTES] == asked:
                    return self._load(reader, key.decode())
        return None

    def arrived(self, report: str) -> dict[int, bytes]:
        """:meth:`came` of every file of which something has come."""
        with self._store.read() as reader:
            rows = [(int.from_bytes(key[-4:], "big"), row) for key, row in _rows(reader, report)]
        return {at: row for at, row in rows if at != _TOUCHED}

    def came(self, report: str, number: int) -> bytes | None:
        """What has come of a file: None nothing, b"" a part, else the SHA-256 of the whole."""
        with self._store.read() as reader:
            return reader.get(ARRIVED, _key(report, number))

    def last_heard(self, draft: Draft) -> UnixMs:
        """When it was begun, or a byte of it came last."""
        with self._store.read() as reader:
            row = reader.get(ARRIVED, _key(draft.report, _TOUCHED))
        return UnixMs(int.from_bytes(row, "big")) if row else draft.begun

    async def open(self, draft: Draft, asked: bytes) -> None:
        row = (
            asked
            + json.dumps(
                {
                    "office": draft.office,
                    "item": draft.item,
                    "record": draft.record,
                    "rights": draft.rights,
                    "files": [[file.path, file.size, file.modified] for file in draft.files],
                    "user": draft.user,
                    "begun": draft.begun,
                    "known": draft.known,
                }
            ).encode()
        )
        await self._store.write(lambda writer: writer.put(REPORT, draft.report.encode(), row))

    async def touch(self, report: str, number: int, now: UnixMs) -> None:
        """Bytes of a file begin to come.

        Raises:
            Missing: the report is not open.
        """

        def job(writer: Writer) -> None:
            self._expect(writer, report)
            writer.put(ARRIVED, _key(report, _TOUCHED), now.to_bytes(8, "big"))
            if writer.get(ARRIVED, _key(report, number)) is None:
                writer.put(ARRIVED, _key(report, number), b"")

        await self._store.write(job)

    async def set_blob(self, report: str, number: int, blob: BlobId | None) -> None:
        """A file is whole, or (None) nothing has come of it.

        Raises:
            Missing: the report is not open.
        """

        def job(writer: Writer) -> None:
            self._expect(writer, report)
            if blob is None:
                writer.delete(ARRIVED, _key(report, number))
            else:
                writer.put(ARRIVED, _key(report, number), blob.raw)

        await self._store.write(job)

    async def close(self, report: str) -> None:
        def job(writer: Writer) -> None:
            writer.delete(REPORT, report.encode())
            for key, _ in list(_rows(writer, report)):
                writer.delete(ARRIVED, key)

        await self._store.write(job)
        self._read.pop(report, None)

    def expect_open(self, report: str) -> None:
        """
        Raises:
            Missing: it was submitted or forgotten.
        """
        with self._store.read() as reader:
            self._expect(reader, report)

    def wanted(self) -> frozenset[BlobId]:
        """The whole files of open reports."""
        with self._store.read() as reader:
            return frozenset(
                BlobId(row) for _, row in reader.scan(ARRIVED) if len(row) == DIGEST_BYTES
            )

    def _expect(self, reader: Reader, report: str) -> bytes:
        row = reader.get(REPORT, report.encode()[:_ID_CHARS_MAX] or b"-")
        if row is None:
            expected = "a report that was begun and not yet submitted or forgotten"
            raise Missing("report", expected, report[:40])
        return row

    def _load(self, reader: Reader, report: str) -> Draft:
        row = self._expect(reader, report)
        if (draft := self._read.get(report)) is None:
            fields: Json = json.loads(row[DIGEST_BYTES:])
            files = tuple(DraftFile(*file) for file in fields.pop("files"))
            known = tuple(fields.pop("known"))
            draft = self._read[report] = Draft(report=report, files=files, known=known, **fields)
        return draft


def _key(report: str, number: int) -> bytes:
    return report.encode() + number.to_bytes(4, "big")


def _rows(reader: Reader, report: str) -> Iterator[tuple[bytes, bytes]]:
    return reader.scan(ARRIVED, report.encode())
