"""Gets files of an own or granted item back from whoever is up (调取).

What is here is read here, every chunk checked by the tree that the manifest names.  Otherwise the
sealed copies at the holders serve: each ciphertext chunk is fetched from the first holder that
gives it and opened with the key of this office, which proves it, so a holder that lies costs one
question.  Any range can be read, so what was interrupted goes on where it stopped.

Every giver logs ``access.fetch`` first; the references of these events are the receipt (调取回执).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from ledger import logbook, views
from ledger.events import parse_event
from ledger.recall import RecalledFile, RecallReceipt
from ledger.rights import whom_to_ask
from ledger.roster import Roster
from ledger.views import ItemView
from node.hands.world import World
from node.office.access import Access
from node.office.catalog import note_blob, read_whole, record, records_of
from node.office.keyring import Keyring
from node.office.links import Links
from node.office.sealer import Opened, Sealer
from protocol.chunks import check_chunk, check_leaves
from protocol.errors import Corrupt, FangzhiError, Forbidden, Missing, ProofError
from protocol.fetching import FetchAsk, Fetched
from protocol.ids import BlobId, EventRef, LeafHash, OfficeCode
from protocol.limits import ACCESSES_PER_RECALL_MAX, CHUNK_BYTES, SEAL_BYTES_MAX
from protocol.merkle import leaf_hash
from protocol.messages import BlobAsk, Chunk
from protocol.records import FileEntry, Manifest
from protocol.sealing import (
    PLAIN_CHUNK_BYTES,
    ChunkCipher,
    FileKey,
    SealedFile,
    parse_seal,
    plain_size,
)

Json = dict[str, Any]
ReadRange = Callable[[int, int], AsyncIterator[bytes]]


@dataclass(frozen=True, slots=True)
class Source:
    """A giver that has said in its log that it gives."""

    office: OfficeCode
    access: EventRef


class Recall:
    """For the offices hosted here."""

    def __init__(
        self,
        world: World,
        keys: Keyring,
        links: Links,
        sealer: Sealer,
        access: Access,
        roster: Callable[[], Roster],
        request_s: float,
    ) -> None:
        self._world = world
        self._keys = keys
        self._links = links
        self._sealer = sealer
        self._access = access
        self._roster = roster
        self._request_s = request_s

    async def begin(self, what: str) -> Json:
        """Open an item (by its id) or one file (by its hash) for an office hosted here: what can be
        read now, and the receipt.

        Raises:
            Missing: nothing of the name, or nobody who has it can be reached.
            Forbidden: none of these offices may have it; says why and whom to ask.
        """
        view, wanted = self._named(what)
        office, _ = self._access.judge(view, self._keys, "file")
        manifest = await self._manifest(view)
        files = [file for file in manifest.files if wanted in (None, file.sha256)]
        here = all(self._world.blobs.size(file.sha256) is not None for file in files)
        if here and self._is_own(view):
            accesses = [await self._access.open(view, (office,), "file")]
        else:
            accesses = [source.access for source in await self._sources(view)]
        receipt = RecallReceipt(
            network=self._roster().genesis.id.hex,
            item=view.item,
            manifest=view.manifest.hex,
            by=office,
            time=self._world.clock.now(),
            files=tuple(RecalledFile(f.path, f.sha256.hex, f.size) for f in files),
            accesses=tuple(accesses[:ACCESSES_PER_RECALL_MAX]),
        )
        return {"receipt": receipt.encoded().decode(), **receipt.members()}

    async def open_file(self, item: str, sha256: str) -> tuple[int, str, str, ReadRange]:
        """(size, media type, name, read) of one file, for an office hosted here.

        Raises:
            Missing, Forbidden: as :meth:`begin`.
        """
        with self._world.state.read() as reader:
            view = views.item(reader, item)
        office, _ = self._access.judge(view, self._keys, "file")
        blob = BlobId.parse(sha256)
        found = [f for f in (await self._manifest(view)).files if f.sha256 == blob]
        if not found:
            raise Missing(f"file {blob.short}", f"a file of {item}", "none of them")
        if self._world.blobs.size(blob) is not None and self._is_own(view):
            await self._access.open(view, (office,), "file")
        name = found[0].path.rsplit("/", 1)[-1]
        return (
            found[0].size,
            found[0].media_type,
            name,
            lambda offset, length: self.read(view, found[0], offset, length),
        )

    async def take_service(self, view: ItemView) -> str | None:
        """Have the owner log that this node takes the service level of an item (服务级); the owner.
        None: an office here has a right of its own, and may read it wherever it is.

        Raises:
            Forbidden: it refuses; Unavailable: it cannot be reached.
        """
        if self._access.has_right(view, self._keys, "page_text"):
            return None
        owner = whom_to_ask(self._roster(), view)
        ask = FetchAsk(view.item, "service")
        await self._links.ask(owner, "item.fetch", ask, self._request_s)
        return owner

    def check(self, data: bytes) -> Json:
        """Hold a receipt against the logs here: its ``{item, by, accesses, files}``.

        Raises:
            DecodeError: it is no receipt.
            ProofError: an event that it names is another one.
            Missing: an event that it names has not reached this node.
        """
        receipt = RecallReceipt.decode(data)
        for ref in receipt.accesses:
            with self._world.ledger.read() as reader:
                if logbook.head(reader, ref.origin).size <= ref.index:
                    where = f"access {ref.origin} {ref.index}"
                    raise Missing(where, "an entry of the log as it is here", "a shorter log")
                entry = logbook.entry(reader, ref.origin, ref.index)
            said = EventRef(ref.origin, ref.index, LeafHash(leaf_hash(entry)))
            receipt.expect(ref, said, parse_event(entry).read_body())
        told = receipt.members()
        return {name: told[name] for name in ("item", "by", "accesses", "files")}

    async def read(
        self, view: ItemView, entry: FileEntry, offset: int, length: int
    ) -> AsyncIterator[bytes]:
        """Plaintext of a file that is not everybody's, every byte of it proven.

        Raises:
            Missing: neither here nor at a holder that can be reached.
            Forbidden: as :meth:`begin`.
        """
        end = min(offset + length, entry.size)
        if self._world.blobs.size(entry.sha256) is not None:
            try:
                async for part in self._local(entry, offset, end):
                    offset += len(part)
                    yield part
                return
            except (Corrupt, ProofError, Missing):
                if offset >= end:
                    return  # else the copies elsewhere go on where ours is damaged
        sealed, key = await self._key_of(view, entry.sha256)
        cipher = ChunkCipher(key.key, key.file, plain_size(sealed.size))
        sources = await self._sources(view)
        while offset < end:
            number, skip = divmod(offset, PLAIN_CHUNK_BYTES)
            plain = await self._chunk(sources, sealed, cipher, number)
            part = plain[skip : skip + end - offset]
            offset += len(part)
            yield part

    async def _chunk(
        self, sources: list[Source], sealed: SealedFile, cipher: ChunkCipher, number: int
    ) -> bytes:
        """One chunk from the first source that gives it right; the others go to the end."""
        for source in list(sources):
            try:
                ask = BlobAsk(sealed.sealed, number * CHUNK_BYTES, CHUNK_BYTES)
                chunk = await self._links.ask(source.office, "blob.read", ask, self._request_s)
                assert isinstance(chunk, Chunk)
                return await self._world.work.run(cipher.open, number, chunk.data)
            except FangzhiError as error:
                self._links.count(error.code)
                sources.remove(source)
                sources.append(source)
        tried = [source.office for source in sources]
        raise Missing(f"file {sealed.sealed.short}", f"chunk {number} from one of {tried}", "none")

    async def _local(self, entry: FileEntry, offset: int, end: int) -> AsyncIterator[bytes]:
        leaves = await self._world.blobs.leaves(entry.sha256)
        check_leaves(entry.chunks, entry.size, leaves)
        while offset < end:
            number, skip = divmod(offset, CHUNK_BYTES)
            data = await self._world.blobs.read(entry.sha256, number * CHUNK_BYTES, CHUNK_BYTES)
            check_chunk(leaves, number, data)
            part = data[skip : skip + end - offset]
            offset += len(part)
            yield part

    # who gives, and what opens it

    async def _sources(self, view: ItemView) -> list[Source]:
        """Holders that can be reached and have logged the access.

        Raises:
            Missing: none.
            Forbidden: those that could be reached refuse.
        """
        owner = whom_to_ask(self._roster(), view)
        candidates = dict.fromkeys((owner, *view.sealed_holders))
        found: list[Source] = []
        refusal: FangzhiError | None = None
        for office in [code for code in candidates if code not in self._keys]:
            try:
                ask = FetchAsk(view.item, "file")
                told = await self._links.ask(office, "item.fetch", ask, self._request_s)
                assert isinstance(told, Fetched)
                found.append(Source(office, told.access))
            except FangzhiError as error:
                self._links.count(error.code)
                refusal = error if error.code == Forbidden.code else refusal
        if not found:
            expected = f"one of {list(candidates)} to have it and be up"
            raise refusal or Missing(f"item {view.item}", expected, "none is")
        return found

    async def _key_of(self, view: ItemView, file: BlobId) -> tuple[SealedFile, FileKey]:
        opened = self._sealer.open(view) if self._is_own(view) else self._granted(view)
        for sealed, key in await opened:
            if key.file == file:
                return sealed, key
        raise Missing(f"file {file.short}", f"a sealed file of {view.item}", "none")

    async def _granted(self, view: ItemView) -> Opened:
        """What a grant opens, by the wraps that it names."""
        office, grant = self._access.judge(view, self._keys, "file")
        if grant is None or grant.wraps is None or view.seal is None:
            raise Missing(f"keys of {view.item}", "a grant that carries them", "none")
        await self._sources(view)  # the keys, too, are read after the access is logged
        blobs, state = self._world.blobs, self._world.state
        for kind, blob in (("seal", view.seal), ("wraps", grant.wraps)):
            if blobs.size(blob) is None:
                await self._sealer.bring(view, blob, None)
            await note_blob(state, blobs, view.item, kind, blob)
        files = parse_seal(await read_whole(blobs, view.seal, SEAL_BYTES_MAX))
        keys = await self._sealer.keychain.open(grant.wraps, office)
        return tuple(zip(files, keys, strict=True))

    def _named(self, what: str) -> tuple[ItemView, BlobId | None]:
        """The item, and the one file of it that was named."""
        with self._world.state.read() as reader:
            if len(what) != 64:
                return views.item(reader, what), None
            blob = BlobId.parse(what)
            found = [view for view, _ in records_of(reader, blob)]
        for view in found:
            try:
                self._access.judge(view, self._keys, "file")
            except Forbidden:
                continue
            return view, blob
        if found:
            self._access.judge(found[0], self._keys, "file")
        raise Missing(f"file {blob.short}", "a file that an item records", "none known here")

    async def _manifest(self, view: ItemView) -> Manifest:
        with self._world.state.read() as reader:
            manifest = record(reader, view.manifest)
        if manifest is None:
            await self._sources(view)
            await self._sealer.bring(view, view.manifest, None)
            state, blobs = self._world.state, self._world.blobs
            await note_blob(state, blobs, view.item, "manifest", view.manifest)
            with state.read() as reader:
                manifest = record(reader, view.manifest)
        if manifest is None:
            raise Missing(f"manifest {view.manifest.short}", "the record of the item", "none")
        return manifest

    def _is_own(self, view: ItemView) -> bool:
        return whom_to_ask(self._roster(), view) in self._keys
