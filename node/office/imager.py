"""Makes the service-level images (服务级) of own items, in the background.

When an item of an office here has all its files, each page of its PDFs and pictures is drawn
(:mod:`node.hands.ingest.draw`, in a worker), stored and remembered; when all are there, the list is
stored and ``image.derive`` appended.  A report does not wait for it, a restart goes on where it
was, and the same file is drawn once.  Images are derived: what is lost is drawn again, and all are
when MADE is raised.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from importlib.metadata import version
from typing import Final

from ledger.events import ImageDerive
from ledger.roster import Roster
from ledger.views import ItemView
from node.hands.ingest.findings import Drawn
from node.hands.keys import OfficeKeys
from node.hands.world import World
from node.office.catalog import (
    every_item,
    find,
    is_folded,
    note_blob,
    put_bytes,
    read_whole,
    record,
)
from node.office.images import DrawnPage, Images
from node.office.sequencer import Sequencer
from node.office.worklist import Worklist
from protocol.errors import FangzhiError
from protocol.ids import BlobId, OfficeCode, RootHash
from protocol.images import NO_IMAGE, PageImage, encode_images
from protocol.limits import PAGES_BLOB_BYTES_MAX, PAGES_PER_ITEM_MAX
from protocol.merkle import leaf_hash, root_of
from protocol.records import FileEntry, PageText, parse_pages

MADE: Final = 1  # raised when pages are to look otherwise
DRAWABLE: Final = frozenset(
    {"application/pdf", "image/tiff", "image/jp2", "image/jpeg", "image/png"}
)
FAILURES_MAX: Final = 20  # pages of a file one after another; then the rest of it is not tried
RETRY_S: Final = 5.0
_GIVEN_UP: Final = "Q303"
Key = tuple[str, int]  # file (hexadecimal), page of it


class Imager:
    """``sequencer`` says in the owner's log what was made."""

    def __init__(
        self,
        world: World,
        keys: Mapping[OfficeCode, OfficeKeys],
        sequencer: Sequencer,
        roster: Callable[[], Roster],
        images: Images,
    ) -> None:
        self._world = world
        self._keys = keys
        self._sequencer = sequencer
        self._roster = roster
        self._images = images
        self._list = Worklist(self._look, RETRY_S)
        self._said: dict[str, BlobId] = {}  # logged and perhaps not folded yet
        self._progress: dict[str, tuple[int, int]] = {}

    def look_at(self, items: frozenset[str]) -> None:
        self._list.add(items)

    @property
    def waiting(self) -> int:
        """Items that have to be looked at."""
        return self._list.waiting

    def progress(self, item: str) -> tuple[int, int] | None:
        """(pages drawn, pages known so far) of an item that is being drawn."""
        return self._progress.get(item)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._list.run())
            group.create_task(self._look_at_own())

    async def _look_at_own(self) -> None:
        with self._world.state.read() as reader:
            own = [view for view in every_item(reader) if self._is_own(view)]
        for view in own:
            here = self._images.settled(view.item)
            if here is not None and not await self._images.is_whole(here):
                await self._images.doubt([view.item])
            self.look_at(frozenset({view.item}))
            await asyncio.sleep(0)

    # one item

    async def _look(self, item: str) -> bool:
        """Whether nothing is left to do for now."""
        try:
            return await self._make(item)
        finally:
            self._progress.pop(item, None)

    async def _make(self, item: str) -> bool:
        with self._world.state.read() as reader:
            view = find(reader, item)
            manifest = record(reader, view.manifest) if view else None
        if view is None or not self._is_own(view):
            return True
        code = self._roster().heir(view.owner)
        if manifest is None:
            return False
        files = [file for file in manifest.files if file.media_type in DRAWABLE]
        if view.status == "withdrawn":
            await self._images.settle(view, wanted=False)
            await self._images.forget(item, view.owner, [file.sha256 for file in files])
            return True
        if not files:
            return True
        if not self._sequencer.gates[code].is_open or not is_folded(self._world, code):
            return False
        if self._said.get(item, view.images_blob) != view.images_blob:
            return True  # until the fold has it
        self._said.pop(item, None)
        is_new = view.images_made != MADE or view.images_blob is None
        if not is_new and self._images.settled(item) == view.images_blob:
            return True
        if any(self._world.blobs.size(file.sha256) is None for file in files):
            return False
        texts = await self._texts(view)
        drawn = [page async for page in self._draw_all(view, files, texts)]
        if (now := self._present(view)) is None:
            return True  # withdrawn or revised meanwhile, and looked at again
        pages = arranged(texts, drawn)
        if is_new or await self._differs(now, pages):
            await self._say(code, now, pages)
        else:
            await self._images.settle(now, wanted=True)
        return True

    async def _say(self, code: OfficeCode, view: ItemView, pages: list[PageImage]) -> None:
        """Store the list and log it."""
        salt = self._world.rng.random_bytes(16).hex()
        programs = [f"{name} {version(name)}" for name in ("pillow", "pypdfium2")]
        made = " ".join([f"fangzhi-images {MADE}", *programs])
        lines = list(encode_images(salt, view.item, made, pages))
        data = b"".join(line + b"\n" for line in lines)
        blob = await put_bytes(self._world.blobs, data)
        await note_blob(self._world.state, self._world.blobs, view.item, "images", blob)
        root = RootHash(root_of([leaf_hash(line) for line in lines]))
        body = ImageDerive(view.item, view.manifest, MADE, len(pages), root, blob, len(data))
        self._said[view.item] = blob
        await self._sequencer.append(code, (body,))

    async def _differs(self, view: ItemView, pages: list[PageImage]) -> bool:
        """Whether the list that was logged is lost, or says otherwise."""
        assert view.images_blob is not None
        try:
            return list(await self._images.listed(view.images_blob)) != pages
        except FangzhiError:
            return True

    def _present(self, view: ItemView) -> ItemView | None:
        """The item now, unless it was withdrawn or has another revision."""
        with self._world.state.read() as reader:
            now = find(reader, view.item)
        same = now is not None and now.manifest == view.manifest and now.status != "withdrawn"
        return now if same else None

    async def _texts(self, view: ItemView) -> tuple[PageText, ...]:
        if view.pages_blob is None:
            return ()
        data = await read_whole(self._world.blobs, view.pages_blob, PAGES_BLOB_BYTES_MAX)
        return (await self._world.work.run(parse_pages, data))[1]

    async def _draw_all(
        self, view: ItemView, files: list[FileEntry], texts: tuple[PageText, ...]
    ) -> AsyncIterator[PageImage]:
        """Every page of every file, once; stops when the item is withdrawn or revised."""
        known: dict[str, int] = {}  # pages by file, as far as known
        for text in texts:
            if text.file:
                known[text.file] = max(known.get(text.file, 1), _number(text))
        for file in {file.sha256: file for file in files}.values():
            known.setdefault(file.sha256.hex, 1)
        done = 0
        for file in {file.sha256: file for file in files}.values():
            name, page, failures = file.sha256.hex, 0, 0
            async with self._world.drawing(file.sha256, file.path) as draw:
                while page < min(known[name], PAGES_PER_ITEM_MAX):
                    if self._present(view) is None:
                        return
                    page += 1
                    drawn = self._images.drawn(view.owner, file.sha256, page)
                    if drawn is None or drawn.made != MADE:
                        mark = f"{view.owner} · {name[:8]}"
                        given_up = failures >= FAILURES_MAX
                        shown = None if given_up else await draw(page, mark)
                        drawn = await self._store(view, file.sha256, page, shown)
                    known[name] = max(known[name], drawn.pages)
                    failures = 0 if drawn.image.image else failures + 1
                    done += 1
                    self._progress[view.item] = done, sum(known.values())
                    yield drawn.image

    async def _store(
        self, view: ItemView, file: BlobId, page: int, drawn: Drawn | None
    ) -> DrawnPage:
        """Keep a page as it was drawn; None: nobody tried."""
        blobs = self._world.blobs
        if drawn is None or drawn.finding is not None:
            code = drawn.finding.code if drawn and drawn.finding else _GIVEN_UP
            image = PageImage(file.hex, page, "", 0, "", 0, 0, 0, code)
        else:
            image = PageImage(
                file=file.hex,
                page=page,
                image=(await put_bytes(blobs, drawn.image)).hex,
                image_bytes=len(drawn.image),
                thumbnail=(await put_bytes(blobs, drawn.thumbnail)).hex,
                thumbnail_bytes=len(drawn.thumbnail),
                width=drawn.width,
                height=drawn.height,
                finding="",
            )
        kept = DrawnPage(MADE, drawn.pages if drawn else 0, image)
        await self._images.note(view.item, view.owner, kept)
        return kept

    def _is_own(self, view: ItemView) -> bool:
        roster = self._roster()
        return view.owner in roster.members and roster.heir(view.owner) in self._keys


def arranged(texts: tuple[PageText, ...], drawn: list[PageImage]) -> list[PageImage]:
    """What shows each page of an item: the pages of its text first, each with the page of the file
    that it was read from; then those of files without text, in the order of their paths."""
    images: dict[Key, PageImage] = {(page.file, page.page): page for page in drawn}
    read = {text.file for text in texts}
    first = [images.get((text.file, _number(text)), NO_IMAGE) for text in texts]
    return [*first, *(page for page in drawn if page.file not in read)][:PAGES_PER_ITEM_MAX]


def _number(text: PageText) -> int:
    """Which page of its file a text was read from: labels are ``3``, or ``3-1`` for a part of it
    (node/hands/ingest/text.py)."""
    head = text.page.split("-", 1)[0]
    return int(head) if head.isascii() and head.isdecimal() else 0
