"""Every hit of one snapshot, with what proves each, page after page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

from node.office.answers import (
    Asker,
    ExportHit,
    ExportLine,
    ExportReceipt,
    Hit,
    Question,
    RecordLine,
    SearchAnswer,
)
from node.office.catalog import find, record
from node.office.searcher import Searcher
from protocol.limits import EXPORT_LINES_MAX, EXPORT_SECONDS_MAX, HITS_MAX
from protocol.ports import KeyValueStore


class Exporter:
    """Exports of results."""

    def __init__(self, state: KeyValueStore, searcher: Searcher) -> None:
        self._state = state
        self._searcher = searcher

    async def export(
        self, question: Question, asker: Asker
    ) -> AsyncIterator[ExportHit | ExportReceipt]:
        """The hits in order, at most EXPORT_LINES_MAX of them and for EXPORT_SECONDS_MAX, then the
        receipt.  The first answer comes before anything is yielded, so what it raises can still be
        told.

        Raises:
            As :meth:`Searcher.search`.
        """
        end = asyncio.get_running_loop().time() + EXPORT_SECONDS_MAX
        asked = replace(question, limit=HITS_MAX, page="", facets=False, explain=False)
        answer = first = await self._searcher.search(asked, asker)
        written = 0
        missing = set(first.coverage.missing)
        while True:
            for hit in answer.hits[: EXPORT_LINES_MAX - written]:
                line = self._record(hit) if asked.records else self._line(hit)
                if line is not None:
                    written += 1
                    yield line
            missing |= set(answer.coverage.missing)
            over = asyncio.get_running_loop().time() > end
            if not answer.next or written >= EXPORT_LINES_MAX or over:
                break
            answer = await self._searcher.search(replace(asked, page=answer.next), asker)
        complete = not answer.next and not missing and first.total_is_exact
        yield _receipt(first, written, complete)

    def _line(self, hit: Hit) -> ExportLine | None:
        """None for a hit whose item was withdrawn or replaced meanwhile."""
        with self._state.read() as reader:
            view = find(reader, hit.item)
        if view is None or view.text_ref is None or view.pages_root is None:
            return None
        if view.withdrawn is not None or view.text_ref.index != hit.log_index:
            return None
        assert view.pages_blob is not None, "it has a root, so it has pages"
        return ExportLine(
            hit=hit,
            manifest=view.manifest.hex,
            event=view.text_ref.leaf.hex,
            pages=view.pages,
            pages_root=view.pages_root.hex,
            pages_blob=view.pages_blob.hex,
        )

    def _record(self, hit: Hit) -> RecordLine | None:
        """As :meth:`_line`, of a hit in the catalogue."""
        with self._state.read() as reader:
            view = find(reader, hit.item)
            manifest = record(reader, view.manifest) if view is not None else None
        if view is None or view.withdrawn is not None or view.upload.index != hit.log_index:
            return None
        return RecordLine(
            hit=hit,
            record=manifest.record if manifest else {"title": hit.title},
            rights=view.rights,
            pages=view.pages,
            holders=view.holders,
            manifest=view.manifest.hex,
            event=view.upload.leaf.hex,
        )


def _receipt(first: SearchAnswer, lines: int, complete: bool) -> ExportReceipt:
    return ExportReceipt(
        query=first.query,
        total=first.total,
        total_is_exact=first.total_is_exact,
        lines=lines,
        complete=complete,
        epoch=first.epoch,
        as_of={source.office: source.as_of for source in first.coverage.sources},
        coverage=first.coverage,
    )
