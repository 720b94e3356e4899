"""Answers what is here: items, pages, files, offices, status. Rights are applied before filling."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import Any, Final

from ledger import logbook, views
from ledger.rights import decide
from ledger.roster import Roster
from ledger.views import Fact, ItemView
from node.hands.keys import OfficeKeys
from node.hands.world import World
from node.office.answers import (
    Asker,
    EventLine,
    FileLine,
    Finding,
    ImageAnswer,
    ItemAnswer,
    ItemLine,
    OfficeLine,
    PageAnswer,
)
from node.office.catalog import find, read_small, read_whole, record, records_of
from node.office.custodian import Custodian
from node.office.imager import Imager
from node.office.links import Links
from node.office.shelf import Shelf
from node.office.witnessing import Witnessing
from protocol.errors import DecodeError, FangzhiError, Forbidden, Missing, NoImage
from protocol.ids import BlobId, EventRef, OfficeCode, parse_item, parse_office
from protocol.images import NO_IMAGE, PageImage, parse_images
from protocol.limits import CHUNK_BYTES, PAGES_BLOB_BYTES_MAX
from protocol.ports import Reader
from protocol.records import FileEntry, Manifest, PageText, parse_pages, parse_reason

ReadRange = Callable[[int, int], AsyncIterator[bytes]]
LISTS_MAX: Final = 4  # of service-level images, in memory: a page of thumbnails asks for one often


class Reading:
    """Everything that is asked and changes nothing, but the search."""

    def __init__(
        self,
        world: World,
        keys: Mapping[OfficeCode, OfficeKeys],
        links: Links,
        custodian: Custodian,
        imager: Imager,
        roster: Callable[[], Roster],
        witnessing: Witnessing,
        take_service: Callable[[ItemView], Awaitable[str | None]],
    ) -> None:
        self._world = world
        self._keys = keys
        self._links = links
        self._custodian = custodian
        self._progress = imager.progress
        self._lists: dict[BlobId, tuple[PageImage, ...]] = {}
        self._roster = roster
        self.shelf = Shelf(world.state)
        self._witnessing = witnessing
        self._take_service = take_service

    # items

    def item(self, item: str, asker: Asker) -> ItemAnswer:
        """
        Raises:
            Missing: no such item, as far as this asker may know.
        """
        with self._world.state.read() as reader, self._world.ledger.read() as ledger:
            view = self._view(reader, item, asker, "record")
            manifest = record(reader, view.manifest)
            facts = views.facts(reader, view.item)
            events = tuple(self._event_line(reader, ledger, fact, view, asker) for fact in facts)
            line = self._line(ledger, view, manifest)
        drawn, to_draw = self._progress(view.item) or (0, 0)
        return ItemAnswer(
            line=line,
            manifest=view.manifest.hex,
            record=manifest.record if manifest else {},
            files=self._file_lines(manifest),
            events=events,
            findings=self._findings(view, asker),
            drawn=drawn,
            to_draw=to_draw,
        )

    def items(self, office: str | None, asker: Asker, after: str, limit: int) -> list[ItemLine]:
        """Newest first; the public sees only what is public."""
        lines: list[ItemLine] = []
        with self._world.state.read() as reader, self._world.ledger.read() as ledger:
            for item in self.shelf.newest(office or "", after):
                if len(lines) == limit:
                    break
                view = find(reader, item)
                if view is not None and (view.public or self._may(view, asker, "record")):
                    lines.append(self._line(ledger, view, record(reader, view.manifest)))
        return lines

    async def page(self, item: str, seq: int, asker: Asker) -> PageAnswer:
        """Page ``seq`` (from 1); its text may come from a holder elsewhere.  Behind the pages of
        the text stand those that only images show.

        Raises:
            Missing: no such page.
            Unavailable: nobody who has the text can be reached.
        """
        with self._world.state.read() as reader, self._world.ledger.read() as ledger:
            view = self._view(reader, item, asker, "page_text")
            manifest = record(reader, view.manifest)
            witnesses = self._witnessing.of(ledger, view.upload.origin, view.upload.index)
        total = max(view.pages, view.images)
        if not 1 <= seq <= total:
            raise Missing(f"page {seq} of {item}", f"1 to {total}", seq)
        image = await self._image_of(view, seq, asker)
        page = PageText(str(image.page or seq), "", "", image.file)
        if view.pages_blob is not None and seq <= view.pages:
            data = await self._whole(view, view.pages_blob, view.pages_bytes)
            _, pages = await self._world.work.run(parse_pages, data)
            page = pages[seq - 1]
        return PageAnswer(
            item=item,
            title=manifest.title if manifest else "",
            notice=manifest.record.get("notice", "") if manifest else "",
            seq=seq,
            pages=total,
            page=page.page,
            section=page.section,
            text=page.text,
            file=page.file,
            witnessed_by=witnesses,
            image_width=image.width,
            image_height=image.height,
        )

    async def image(self, item: str, seq: int, thumbnail: bool, asker: Asker) -> ImageAnswer:
        """How page ``seq`` (from 1) is shown, or its thumbnail; may come from a holder elsewhere.

        Raises:
            Missing: no such page, or nothing shows it.
            Unavailable: nobody who has the image can be reached.
        """
        derivative = "thumbnail" if thumbnail else "service_image"
        with self._world.state.read() as reader:
            view = self._view(reader, item, asker, derivative)
        pages = await self._listed(view)
        where = f"{derivative} of page {seq} of {item}"
        if not 1 <= seq <= len(pages):
            raise Missing(where, f"1 to {len(pages)}", seq)
        page = pages[seq - 1]
        name, size = page.image, page.image_bytes
        if thumbnail:
            name, size = page.thumbnail, page.thumbnail_bytes
        if not name:
            raise NoImage(where, "a page that could be drawn", page.finding or "no file shows it")

        async def read(offset: int, length: int) -> AsyncIterator[bytes]:
            data = await self._whole(view, BlobId.parse(name), size)
            yield data[offset : offset + length]

        return ImageAnswer(name, size, f"{item}-{seq}.webp", view.public, read)

    # files

    async def open_file(self, sha256: str, asker: Asker) -> tuple[int, str, str, ReadRange]:
        """(size, media type, name, read); the bytes may be relayed from a holder.

        Raises:
            Missing: no such file, or no holder can be reached.
            Forbidden: the rights of its items do not allow it.
        """
        blob = BlobId.parse(sha256)
        view, entry = self._file_entry(blob, asker)
        here = self._world.blobs.size(blob) is not None
        sources = [] if here else self._custodian.sources(view)

        async def read(offset: int, length: int) -> AsyncIterator[bytes]:
            if here:
                async for chunk in self._local(blob, offset, length):
                    yield chunk
                return
            async for chunk in self._relayed(blob, sources, offset, length):
                yield chunk

        return entry.size, entry.media_type, entry.path.rsplit("/", 1)[-1], read

    def file_items(self, sha256: str, asker: Asker) -> list[tuple[str, int, str, str]]:
        """(office, index of the upload event, manifest, item) of every record of a file."""
        blob = BlobId.parse(sha256)
        with self._world.state.read() as reader:
            found = dict.fromkeys(view for view, _ in records_of(reader, blob))
        shown = [view for view in found if self._may(view, asker, "record")]
        if not shown:
            raise Missing(f"file {blob.short}", "a file that an item records", "none known here")
        return [(v.owner, v.upload.index, v.manifest.hex, v.item) for v in shown]

    def manifest(self, sha256: str, asker: Asker) -> bytes:
        blob = BlobId.parse(sha256)
        with self._world.state.read() as reader:
            item = views.item_of_manifest(reader, blob)
            self._view(reader, item, asker, "record")
            manifest = record(reader, blob)
        if manifest is None:
            raise Missing(f"manifest {blob.short}", "a manifest held here", "not here yet")
        return manifest.encoded()

    def revision(self, item: str, asker: Asker) -> tuple[EventRef, bytes]:
        """Where the upload of an item's present revision stands, and the bytes of its manifest.

        Raises:
            Missing: no such item, as far as this asker may know, or its record is not here.
        """
        with self._world.state.read() as reader:
            view = self._view(reader, item, asker, "record")
            manifest = record(reader, view.manifest)
        if manifest is None:
            raise Missing(f"manifest {view.manifest.short}", "a manifest held here", "not yet")
        return view.upload, manifest.encoded()

    # offices and logs

    def offices(self) -> list[OfficeLine]:
        roster = self._roster()
        reachable = self._links.live()
        with self._world.state.read() as state, self._world.ledger.read() as ledger:
            return [
                self._office_line(state, ledger, member.code, roster, reachable)
                for member in roster.active()
            ]

    def checkpoint(self, code: str) -> bytes:
        with self._world.ledger.read() as reader:
            note = reader.get("note", parse_office(code).encode())
        if note is None:
            raise Missing(f"log {code}", "a log with a checkpoint", "none here")
        return note

    def tile(self, code: str, level: int, number: int, width: int) -> bytes:
        with self._world.ledger.read() as reader:
            return logbook.sound_tile(reader, parse_office(code), level, number, width)

    def bundle(self, code: str, number: int, width: int) -> bytes:
        with self._world.ledger.read() as reader:
            return logbook.bundle(reader, parse_office(code), number, width)

    # parts

    def _view(self, reader: Reader, item: str, asker: Asker, derivative: str) -> ItemView:
        try:
            view = views.item(reader, parse_item(item))
        except DecodeError as error:
            raise Missing("item", "an item id", repr(item[:40])) from error
        if not self._may(view, asker, derivative):
            if view.public or self._may(view, asker, "record"):
                raise Forbidden(f"{derivative} of {item}", "its owner", asker.office or "public")
            # a stranger is not told whether there is something under this id
            raise Missing("item", "an item that is public", item)
        return view

    def _may(self, view: ItemView, asker: Asker, derivative: str) -> bool:
        offices = sorted(self._keys) if asker.office == "*" else [asker.office]
        for office in offices:
            try:
                now = self._world.clock.now()
                decide(self._roster(), view, asker.role, office, derivative, now)
            except Forbidden:
                continue
            return True
        return False

    def _line(self, ledger: Reader, view: ItemView, manifest: Manifest | None) -> ItemLine:
        title = manifest.title if manifest else ""
        return ItemLine(
            item=view.item,
            office=view.owner,
            office_name=self._name(view.owner),
            title=title,
            kind=manifest.record.get("kind", "") if manifest else "",
            status=view.status,
            public=view.public,
            rights=view.rights,
            pages=view.pages,
            files=view.files,
            file_bytes=view.file_bytes,
            holders=view.holders,
            witnessed_by=self._witnessing.of(ledger, view.upload.origin, view.upload.index),
            images=view.images,
        )

    def _name(self, code: str) -> str:
        member = self._roster().members.get(OfficeCode(code))
        return member.name if member else code

    def _event_line(
        self, state: Reader, ledger: Reader, fact: Fact, view: ItemView, asker: Asker
    ) -> EventLine:
        return EventLine(
            kind=fact.kind,
            office=fact.ref.origin,
            office_name=self._name(fact.ref.origin),
            index=fact.ref.index,
            enrolled=views.enrolment(state, fact.ref.origin, fact.signer, fact.ref.index),
            leaf=fact.ref.leaf.hex,
            time=fact.time,
            witnessed_by=self._witnessing.of(ledger, fact.ref.origin, fact.ref.index),
            reason=self._reason(fact, view, asker),
        )

    def _reason(self, fact: Fact, view: ItemView, asker: Asker) -> str:
        blob = getattr(fact.read_body(), "reason", None)
        if blob is None or not self._may(view, asker, "reason"):
            return ""
        with self._world.state.read() as reader:
            data = read_small(reader, blob)
        return parse_reason(data) if data else ""

    def _findings(self, view: ItemView, asker: Asker) -> tuple[Finding, ...]:
        if view.report is None or not self._may(view, asker, "report"):
            return ()
        with self._world.state.read() as reader:
            data = read_small(reader, view.report)
        if not data:
            return ()
        rows: list[dict[str, Any]] = json.loads(data)["findings"]
        return tuple(Finding(r["code"], r["severity"], r["path"], r["zh"], r["en"]) for r in rows)

    def _file_lines(self, manifest: Manifest | None) -> tuple[FileLine, ...]:
        return tuple(
            FileLine(
                path=file.path,
                size=file.size,
                sha256=file.sha256.hex,
                media_type=file.media_type,
                role=file.role,
                here=self._world.blobs.size(file.sha256) is not None,
            )
            for file in (manifest.files if manifest else ())
        )

    def _file_entry(self, blob: BlobId, asker: Asker) -> tuple[ItemView, FileEntry]:
        with self._world.state.read() as reader:
            found = records_of(reader, blob)
        for view, entry in found:
            if self._may(view, asker, "file"):
                return view, entry
        if any(self._may(view, asker, "record") for view, _ in found):
            owner = found[0][0].owner
            raise Forbidden(f"file {blob.short}", f"staff of its owner {owner}", asker.role)
        raise Missing(f"file {blob.short}", "a file that an item records", "none known here")

    def _office_line(
        self, state: Reader, ledger: Reader, code: OfficeCode, roster: Roster, live: Iterable[str]
    ) -> OfficeLine:
        member = roster.member(code)
        covered, signers = self._witnessing.covered(ledger, code)
        return OfficeLine(
            code=code,
            name=member.name,
            tier=member.tier,
            parent=member.parent or "",
            web_url=member.web_url,
            log_size=logbook.head(ledger, code).size,
            witnessed_size=covered,
            witnessed_by=signers,
            items_public=views.counts(state, code)["public"],
            hosted_here=code in self._keys,
            reachable=code in self._keys or code in live,
        )

    async def _image_of(self, view: ItemView, seq: int, asker: Asker) -> PageImage:
        """The line of a page in the list of images; where it cannot be had, the text is read
        without."""
        if seq > view.images or not self._may(view, asker, "service_image"):
            return NO_IMAGE
        try:
            return (await self._listed(view))[seq - 1]
        except FangzhiError:
            return NO_IMAGE

    async def _listed(self, view: ItemView) -> tuple[PageImage, ...]:
        """The list of an item's images; whoever asks was judged before."""
        blob = view.images_blob
        if blob is None:
            raise Missing(f"images of {view.item}", "images that are made", "none yet")
        if blob not in self._lists:
            data = await self._whole(view, blob, view.images_bytes)
            _, pages = await self._world.work.run(parse_images, data)
            while len(self._lists) >= LISTS_MAX:
                del self._lists[next(iter(self._lists))]
            self._lists[blob] = pages
        return self._lists[blob]

    async def _whole(self, view: ItemView, blob: BlobId, size: int) -> bytes:
        """A derived file of ``size`` bytes, from here or from who has it, checked by its name."""
        if self._world.blobs.size(blob) is not None:
            return await read_whole(self._world.blobs, blob, PAGES_BLOB_BYTES_MAX)
        sources = self._custodian.sources(view)
        if not view.public and (giver := await self._take_service(view)):
            sources = [giver]
        chunks = [chunk async for chunk in self._relayed(blob, sources, 0, size)]
        data = b"".join(chunks)
        if BlobId.of(data) != blob:
            raise Missing(
                f"derivative of {view.item}", blob.short, "another content from its holder"
            )
        return data

    async def _local(self, blob: BlobId, offset: int, length: int) -> AsyncIterator[bytes]:
        end = offset + length
        while offset < end:
            chunk = await self._world.blobs.read(blob, offset, min(CHUNK_BYTES, end - offset))
            if not chunk:
                return
            offset += len(chunk)
            yield chunk

    async def _relayed(
        self, blob: BlobId, sources: list[str], offset: int, length: int
    ) -> AsyncIterator[bytes]:
        """Bytes from the first source that answers; another takes over where one stops."""
        end = offset + length
        for source in sources:
            try:
                async for chunk in self._custodian.transfer.stream(
                    blob, source, offset, end - offset
                ):
                    offset += len(chunk)
                    yield chunk
                return
            except FangzhiError:
                continue
        raise Missing(f"file {blob.short}", f"one of {sources} to answer", "none does now")
