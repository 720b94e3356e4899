"""The service-level images (服务级) that stand here, and what becomes of those nobody needs.

Two tables: ``imaged`` (item → the list all of whose images are here, noted and counted) and
``drawn`` (office, file, page → how that page of an own file was drawn, so that nothing is drawn
twice).  All of it is derived: what is lost the owner makes again, and of a withdrawn item, or of a
list that another took the place of, nothing stays.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from ledger.views import ItemView
from node.office.catalog import DRAWN, IMAGED, drop_use, put_use, read_whole
from protocol.errors import FangzhiError
from protocol.ids import BlobId, OfficeCode
from protocol.images import PageImage, parse_images
from protocol.limits import IMAGES_BLOB_BYTES_MAX
from protocol.ports import BlobStore, BlockingWork, KeyValueStore, Writer
from protocol.shapes import pack, unpack

ROW_BYTES_MAX: Final = 1024
Blobs = dict[BlobId, str]
"""Stored files with their kinds."""


@dataclass(frozen=True, slots=True)
class DrawnPage:
    """A page of a file as version ``made`` of the drawing shows it; ``pages`` of the file."""

    made: int
    pages: int
    image: PageImage


class Images:
    """Belongs to one node; the imager, the custodian and the scrubber share it."""

    def __init__(self, state: KeyValueStore, blobs: BlobStore, work: BlockingWork) -> None:
        self._state = state
        self._blobs = blobs
        self._work = work

    async def listed(self, blob: BlobId) -> tuple[PageImage, ...]:
        """The pages of a list that is stored here.

        Raises:
            Missing, Corrupt, DecodeError: it is not here, or not as it was.
        """
        data = await read_whole(self._blobs, blob, IMAGES_BLOB_BYTES_MAX)
        _, pages = await self._work.run(parse_images, data)
        return pages

    def settled(self, item: str) -> BlobId | None:
        """The list of an item all of whose images stand here."""
        with self._state.read() as reader:
            row = reader.get(IMAGED, item.encode())
        return None if row is None else BlobId(row)

    async def settle(self, view: ItemView, wanted: bool) -> None:
        """All images of the present list are here if they are ``wanted``; forget every other image
        of the item."""
        before, now = self.settled(view.item), view.images_blob if wanted else None
        if before == now:
            return
        keep = await self._named(now) if now else {}
        old = await self._named(before) if before else {}
        gone: list[BlobId] = []
        sizes = {blob: self._blobs.size(blob) or 0 for blob in {*keep, *old}}

        def job(writer: Writer) -> None:
            for blob, kind in keep.items():
                put_use(writer, view.item, kind, blob, sizes[blob])
            dropped = old.keys() - keep.keys()
            gone.extend(b for b in dropped if drop_use(writer, view.item, b, sizes[b]))
            if now:
                writer.put(IMAGED, view.item.encode(), now.raw)
            else:
                writer.delete(IMAGED, view.item.encode())

        await self._state.write(job)
        for blob in gone:
            await self._blobs.delete(blob)

    async def doubt(self, items: Iterable[str]) -> None:
        """Images of these items are perhaps not all here any more: they are looked for again."""
        keys = [item.encode() for item in items]

        def job(writer: Writer) -> None:
            for key in keys:
                writer.delete(IMAGED, key)

        await self._state.write(job)

    async def is_whole(self, blob: BlobId) -> bool:
        """Whether a list and all that it names are here."""
        try:
            named = await self._named(blob)
        except FangzhiError:
            return False
        return all(self._blobs.size(each) is not None for each in named)

    async def _named(self, blob: BlobId) -> Blobs:
        """A list and what it names."""
        if self._blobs.size(blob) is None:
            return {blob: "images"}
        return {blob: "images", **named_by(await self.listed(blob))}

    # pages of own files

    def drawn(self, office: OfficeCode, file: BlobId, page: int) -> DrawnPage | None:
        """How a page was drawn, if its pictures are still here."""
        with self._state.read() as reader:
            row = reader.get(DRAWN, _key(office, file, page))
        if row is None:
            return None
        drawn = unpack(DrawnPage, row, bytes_max=ROW_BYTES_MAX, where="drawn")
        whole = all(self._blobs.size(blob) is not None for blob in named_by([drawn.image]))
        return drawn if whole else None

    async def note(self, item: str, office: OfficeCode, drawn: DrawnPage) -> None:
        """Remember how a page of an item was drawn."""
        kinds = named_by([drawn.image])
        sizes = {blob: self._blobs.size(blob) or 0 for blob in kinds}
        key = _key(office, BlobId.parse(drawn.image.file), drawn.image.page)

        def job(writer: Writer) -> None:
            for blob, kind in kinds.items():
                put_use(writer, item, kind, blob, sizes[blob])
            writer.put(DRAWN, key, pack(drawn))

        await self._state.write(job)

    async def forget(self, item: str, office: OfficeCode, files: Iterable[BlobId]) -> None:
        """Drop what was drawn of the files of an item, where nothing else needs it: it was
        withdrawn, perhaps before there was a list."""
        gone: list[BlobId] = []
        prefixes = [office.encode() + file.raw for file in files]

        def job(writer: Writer) -> None:
            for prefix in prefixes:
                for key, row in list(writer.scan(DRAWN, prefix)):
                    drawn = unpack(DrawnPage, row, bytes_max=ROW_BYTES_MAX, where="drawn")
                    writer.delete(DRAWN, key)
                    named = [(b, self._blobs.size(b) or 0) for b in named_by([drawn.image])]
                    gone.extend(b for b, size in named if drop_use(writer, item, b, size))

        await self._state.write(job)
        for blob in gone:
            await self._blobs.delete(blob)


def named_by(pages: Iterable[PageImage]) -> Blobs:
    """The pictures of these pages."""
    named: Blobs = {}
    for page in pages:
        if page.image:
            named[BlobId.parse(page.image)] = "image"
            named[BlobId.parse(page.thumbnail)] = "thumbnail"
    return named


def _key(office: OfficeCode, file: BlobId, page: int) -> bytes:
    return office.encode() + file.raw + page.to_bytes(4, "big")
