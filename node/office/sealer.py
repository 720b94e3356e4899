"""Seals what may leave its owner only as ciphertext, and keeps the keys wrapped (加密保管).

For every item of the classes office and sealed whose owner is hosted here, in this order:

1. not sealed yet, and all files here: seal record, wraps and ``seal.make``;
2. sealed, and its keys open: remember of what the ciphertexts are made, so that they can be given;
3. a file is missing here (a new disk): bring the ciphertext from a holder and open it;
4. wrapped for others than it should be (another sealing key, another recovery key): wrap the same
   keys anew and say ``seal.rewrap``; the old wraps are erased here.

Keys that no key here opens (a lost home) wait for the province's recovery key (:meth:`locked`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

from ledger.custody import KeySeal, SealMake, SealRewrap
from ledger.holdings import sealing_key
from ledger.roster import Roster
from ledger.views import ItemView
from node.hands.world import World
from node.office.catalog import (
    every_item,
    find,
    is_folded,
    note_blob,
    put_bytes,
    read_whole,
    record,
    stale_wraps,
)
from node.office.keyring import KeyFolder, Keyring
from node.office.sealed_files import Keychain, SealedFiles
from node.office.sequencer import Sequencer
from node.office.worklist import Worklist
from protocol.errors import DecodeError, Forbidden, KeyMismatch, Missing
from protocol.ids import BlobId, ChunkRoot, OfficeCode
from protocol.limits import CHUNK_BYTES, SEAL_BYTES_MAX, WRAPS_BYTES_MAX
from protocol.sealing import (
    ChunkCipher,
    FileKey,
    SealedFile,
    Wraps,
    encode_seal,
    parse_seal,
    parse_wraps,
    plain_size,
    public_half,
    sealed_chunks,
    wrap_keys,
)

RETRY_S = 5.0
Bring = Callable[[ItemView, BlobId, ChunkRoot | None], Awaitable[None]]
Opened = tuple[tuple[SealedFile, FileKey], ...]


class Sealer:
    """``files`` gives the sealed copies; ``bring`` stores a file of an item from whoever has it."""

    def __init__(
        self,
        world: World,
        folder: KeyFolder,
        keys: Keyring,
        sequencer: Sequencer,
        roster: Callable[[], Roster],
        bring: Bring,
    ) -> None:
        self._world = world
        self._folder = folder
        self._keys = keys
        self._sequencer = sequencer
        self._roster = roster
        self.bring = bring
        self.keychain = Keychain(folder, world.blobs)
        self.files = SealedFiles(world.blobs, world.state, world.work, self.keychain)
        self._list = Worklist(self._look, RETRY_S)
        self._locked: dict[str, None] = {}
        # what was logged and is perhaps not folded yet: (version, sealing key); wraps of a revision
        self._said: dict[OfficeCode, tuple[int, bytes]] = {}
        self._made: dict[tuple[str, BlobId], BlobId] = {}

    def look_at(self, items: frozenset[str]) -> None:
        self._list.add(items)

    def look_at_all(self) -> None:
        """After the recovery key, or a key of an office here, changed."""
        with self._world.state.read() as reader:
            self.look_at(frozenset(v.item for v in every_item(reader) if v.rights != "open"))

    @property
    def waiting(self) -> int:
        return self._list.waiting

    def locked(self) -> list[str]:
        """Own items whose keys nothing here opens: a matter for the recovery key."""
        return sorted(self._locked)

    async def run(self) -> None:
        self.look_at_all()
        await self._list.run()

    # one item

    async def _look(self, item: str) -> bool:
        """Whether nothing is left to do for now."""
        view = self._own(item)
        if view is None:
            return True
        code = self.acting(view)
        if not self._sequencer.gates[code].is_open or not is_folded(self._world, code):
            return False
        if self._made.get((item, view.manifest), view.wraps) != view.wraps:
            return True  # until the fold has it
        if view.seal is None:
            return await self._make(code, view)
        try:
            opened = await self.open(view)
        except KeyMismatch:
            self._locked[item] = None
            return True  # until other wraps come
        self._locked.pop(item, None)
        await self._restore(view, opened)
        await self._note(code, view, view.wraps, opened)
        await self._rewrap(code, view, opened)
        await self._erase(view)
        return True

    def _own(self, item: str) -> ItemView | None:
        with self._world.state.read() as reader:
            view = find(reader, item)
        roster = self._roster()
        if view is None or view.rights == "open" or view.owner not in roster.members:
            return None
        return view if roster.heir(view.owner) in self._keys else None

    def acting(self, view: ItemView) -> OfficeCode:
        """Who acts for the owner."""
        return self._roster().heir(view.owner)

    async def open(self, view: ItemView) -> Opened:
        """The ciphertexts of a sealed item, each with what opens it, by a key of its owner.

        Raises:
            Missing: it is not sealed, or its seal record or wraps are nowhere to be had.
            KeyMismatch: no key here opens it.
        """
        if view.seal is None or view.wraps is None:
            raise Missing(f"sealed copies of {view.item}", "an item that is sealed", "not yet")
        for kind, blob in (("seal", view.seal), ("wraps", view.wraps)):
            if self._world.blobs.size(blob) is None:
                await self.bring(view, blob, None)
            await note_blob(self._world.state, self._world.blobs, view.item, kind, blob)
        files = parse_seal(await read_whole(self._world.blobs, view.seal, SEAL_BYTES_MAX))
        keys = await self.keychain.open(view.wraps, self._roster().heir(view.owner))
        if len(keys) != len(files):
            raise DecodeError(f"wraps of {view.item}", f"{len(files)} keys", len(keys))
        return tuple(zip(files, keys, strict=True))

    async def _make(self, code: OfficeCode, view: ItemView) -> bool:
        plains = self._plains(view)
        if plains is None:
            return False
        reader = await self.sealing_key(code)
        made: list[tuple[SealedFile, FileKey]] = []
        for file, size in plains.items():
            known = await self.files.known(code, file)
            if known is None:
                key = self._world.rng.random_bytes(32)
                known = await self.files.seal(code, file, size, key), FileKey(key, file)
            made.append(known)
        made.sort(key=lambda pair: pair[0].sealed.raw)
        opened = tuple(made)
        seal = await self._store(view, "seal", encode_seal(self._salt(), [f for f, _ in opened]))
        wraps = await self._wrap(view, seal, opened, self._readers(reader))
        total = sum(file.size for file, _ in opened)
        body = SealMake(view.item, view.manifest, seal, wraps, len(opened), total)
        await self._note(code, view, wraps, opened)
        await self._sequencer.append(code, (body,))
        self._made[view.item, view.manifest] = wraps
        return True

    def _plains(self, view: ItemView) -> dict[BlobId, int] | None:
        """What is to be sealed, and its sizes; None while not all of it is here."""
        with self._world.state.read() as reader:
            manifest = record(reader, view.manifest)
        if manifest is None:
            return None
        plains = {file.sha256: file.size for file in manifest.files}
        if view.pages_blob is not None:
            plains[view.pages_blob] = view.pages_bytes
        size = self._world.blobs.size
        return plains if all(size(file) == plains[file] for file in plains) else None

    async def _note(
        self, code: OfficeCode, view: ItemView, wraps: BlobId | None, opened: Opened
    ) -> None:
        """Have the ciphertexts at hand, and know what they are for."""
        assert wraps is not None
        if not all(self.files.is_noted(file.sealed, wraps) for file, _ in opened):
            await self.files.note(code, view.item, wraps, opened)

    async def _restore(self, view: ItemView, opened: Opened) -> None:
        """Every plaintext is here, from a holder's ciphertext where it was not."""
        for sealed, key in opened:
            if self._world.blobs.size(key.file) is None:
                await self.bring(view, sealed.sealed, sealed.chunks)
                await self._world.blobs.put(self.opened(sealed, key), expect=key.file)
                await self._world.blobs.delete(sealed.sealed)

    async def mend(self, view: ItemView, file: BlobId) -> bool:
        """Put the plaintext of a holder's sealed copy in the place of a damaged file of a sealed
        item here; False if it has no such file.

        Raises:
            Missing, KeyMismatch, ProofError: it cannot be had, or not opened; nothing changed.
        """
        for sealed, key in await self.open(view):
            if key.file == file:
                await self.bring(view, sealed.sealed, sealed.chunks)
                await self._world.blobs.put(self.opened(sealed, key), expect=file)
                await self._world.blobs.delete(sealed.sealed)
                return True
        return False

    async def opened(
        self, sealed: SealedFile, key: FileKey, first: int = 0
    ) -> AsyncIterator[bytes]:
        """The plaintext of a ciphertext that is stored here, from chunk ``first`` on.

        Raises:
            ProofError: a chunk does not open.
        """
        size = plain_size(sealed.size)
        cipher = ChunkCipher(key.key, key.file, size)
        for number in range(first, sealed_chunks(size)):
            data = await self._world.blobs.read(sealed.sealed, number * CHUNK_BYTES, CHUNK_BYTES)
            yield await self._world.work.run(cipher.open, number, data)

    # keys

    async def sealing_key(self, code: OfficeCode) -> bytes:
        """The public key to which an office here seals; made and logged where there is none."""
        privates = self._folder.sealing(code)
        with self._world.state.read() as reader:
            logged = sealing_key(reader, self._roster(), code)
        version, key = (logged.version, logged.key) if logged else (0, b"")
        version, key = max((version, key), self._said.get(code, (0, b"")))
        if not privates:
            self._folder.keep_sealing(code, self._world.rng.random_bytes(32))
        newest = public_half(self._folder.sealing(code)[-1])
        if key != newest:
            self._said[code] = version + 1, newest
            await self._sequencer.append(code, (KeySeal(version + 1, newest),))
        return newest

    async def rotate(self, code: OfficeCode) -> int:
        """Seal to a new key from now on, and wrap everything anew for it; how many items.

        Raises:
            Forbidden: the office is not hosted here.
        """
        if code not in self._keys:
            raise Forbidden("rewrap", f"an office hosted here: {sorted(self._keys)}", code)
        await self.sealing_key(code)
        self._folder.keep_sealing(code, self._world.rng.random_bytes(32))
        with self._world.state.read() as reader:
            own = [v for v in every_item(reader) if v.seal and self._own(v.item) is not None]
        items = [v.item for v in own if self._roster().heir(v.owner) == code]
        self.look_at(frozenset(items))
        if not items:
            await self.sealing_key(code)
        return len(items)

    def _readers(self, own: bytes) -> set[bytes]:
        recovery = self._roster().recovery
        return {own} if recovery is None else {own, recovery.key}

    async def _rewrap(self, code: OfficeCode, view: ItemView, opened: Opened) -> None:
        assert view.wraps is not None
        assert view.seal is not None
        readers = self._readers(await self.sealing_key(code))
        old = parse_wraps(await read_whole(self._world.blobs, view.wraps, WRAPS_BYTES_MAX))
        if set(old.keys) == readers:
            return
        wraps = await self._wrap(view, view.seal, opened, readers)
        await self._note(code, view, wraps, opened)
        await self._sequencer.append(code, (SealRewrap(view.item, view.manifest, wraps),))
        self._made[view.item, view.manifest] = wraps

    async def _erase(self, view: ItemView) -> None:
        """Wraps that others have taken the place of open nothing any more here."""
        with self._world.state.read() as reader:
            stale = stale_wraps(reader, view)
        for wraps in stale:
            self.keychain.forget(wraps)
            await self._world.blobs.delete(wraps)

    async def _wrap(
        self, view: ItemView, seal: BlobId, opened: Opened, readers: set[bytes]
    ) -> BlobId:
        """Store the keys wrapped for these readers."""
        secrets = [key for _, key in opened]
        fresh = partial(self._world.rng.random_bytes, 32)
        keys = {each: wrap_keys(seal, secrets, each, fresh()) for each in sorted(readers)}
        return await self._store(view, "wraps", Wraps(self._salt(), seal, keys).encoded())

    async def wrap_for(self, view: ItemView, reader: bytes) -> BlobId:
        """Store the keys of a sealed item wrapped for one more reader, whom a grant names.

        Raises:
            Missing, KeyMismatch: see :meth:`open`.
        """
        opened = await self.open(view)
        assert view.seal is not None
        return await self._wrap(view, view.seal, opened, {reader})

    async def take_wraps(self, view: ItemView, data: bytes) -> None:
        """Keys that the recovery key wrapped anew for the office here: believe and log them.

        Raises:
            DecodeError: of another seal, or not of all files.
            KeyMismatch: no key here opens them.
        """
        wraps, code = parse_wraps(data), self._roster().heir(view.owner)
        if wraps.seal != view.seal:
            expected = view.seal.short if view.seal else "none"
            raise DecodeError(f"wraps of {view.item}", f"seal {expected}", wraps.seal.short)
        blob = await self._store(view, "wraps", data)
        await self.keychain.open(blob, code)
        await self._sequencer.append(code, (SealRewrap(view.item, view.manifest, blob),))

    async def _store(self, view: ItemView, kind: str, data: bytes) -> BlobId:
        blob = await put_bytes(self._world.blobs, data)
        await note_blob(self._world.state, self._world.blobs, view.item, kind, blob)
        return blob

    def _salt(self) -> str:
        return self._world.rng.random_bytes(16).hex()
