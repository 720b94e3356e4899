"""The sealed copies of own files, made as they are read: nothing is stored twice.

A ciphertext is a function of a plaintext and its key (:mod:`protocol.sealing`).  Which ciphertext
belongs to which plaintext stands in derived tables, made again from seal record and wraps when they
are lost:

==============  ======================  ==========================================================
``sealed``      ciphertext              SealedRow
``sealed_as``   office, plaintext       the ciphertext: within one office a file is sealed once, and
                                        never for two offices alike
``leaves``      ciphertext              its leaf hashes
==============  ======================  ==========================================================

No table has a key: keys are opened from the wraps with the private halves in ``keys/`` and kept in
memory for as long as they are used.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from node.office.catalog import BLOB, LEAVES, SEALED, SEALED_AS, read_whole
from node.office.keyring import KeyFolder
from protocol.chunks import ChunkHasher, root_of_leaves
from protocol.errors import Corrupt, DecodeError, KeyMismatch, Missing
from protocol.ids import BlobId, OfficeCode, UnixMs
from protocol.limits import CHUNK_BYTES, STATE_ROW_BYTES_MAX, WRAPS_BYTES_MAX
from protocol.ports import Arrival, BlobStore, BlockingWork, Card, KeyValueStore, Reader, Writer
from protocol.sealing import (
    PLAIN_CHUNK_BYTES,
    ChunkCipher,
    FileKey,
    SealedFile,
    parse_wraps,
    plain_size,
    public_half,
    sealed_chunks,
    sealed_size,
    unwrap_keys,
)
from protocol.shapes import pack, unpack

OPENED_MAX: Final = 64  # sets of keys in memory


@dataclass(frozen=True, slots=True)
class SealedRow:
    """Of what a ciphertext is made."""

    file: BlobId
    size: int  # of the plaintext
    office: OfficeCode
    wraps: BlobId
    number: int  # of its key in the wraps


class Keychain:
    """Opens wrapped keys with the sealing keys kept here."""

    def __init__(self, folder: KeyFolder, blobs: BlobStore) -> None:
        self._folder = folder
        self._blobs = blobs
        self._opened: OrderedDict[BlobId, tuple[FileKey, ...]] = OrderedDict()

    async def open(self, wraps: BlobId, code: OfficeCode) -> tuple[FileKey, ...]:
        """The keys in a stored blob of wraps, by any sealing key that ``code`` ever had.

        Raises:
            Missing: the blob is not here.
            KeyMismatch: it is wrapped for none of these keys.
            DecodeError: it is no wraps.
        """
        if wraps not in self._opened:
            found = parse_wraps(await read_whole(self._blobs, wraps, WRAPS_BYTES_MAX))
            ours = [p for p in self._folder.sealing(code) if public_half(p) in found.keys]
            if not ours:
                expected = " or ".join(key.hex()[:16] for key in found.keys)
                where = f"wrapped keys {wraps.short}"
                raise KeyMismatch(where, f"the key {expected}", f"none of these of {code}")
            self._opened[wraps] = unwrap_keys(found, ours[-1])
        self._opened.move_to_end(wraps)
        while len(self._opened) > OPENED_MAX:
            self._opened.popitem(last=False)
        return self._opened[wraps]

    def forget(self, wraps: BlobId) -> None:
        self._opened.pop(wraps, None)


class SealedFiles:
    """A blob store that has the sealed copies of own files beside what is stored."""

    def __init__(
        self,
        blobs: BlobStore,
        state: KeyValueStore,
        work: BlockingWork,
        keychain: Keychain,
    ) -> None:
        self._blobs = blobs
        self._state = state
        self._work = work
        self._keychain = keychain

    # what is stored as it is

    async def put(self, chunks: AsyncIterator[bytes], expect: BlobId | None = None) -> BlobId:
        return await self._blobs.put(chunks, expect)

    async def arrive(self, name: str, size: int) -> Arrival:
        return await self._blobs.arrive(name, size)

    async def forget_arrivals(self, keep: Callable[[str], bool]) -> None:
        await self._blobs.forget_arrivals(keep)

    async def verify(self, blob: BlobId) -> None:
        row = self._row(blob)
        await self._blobs.verify(blob if row is None else row.file)

    async def delete(self, blob: BlobId) -> None:
        await self._blobs.delete(blob)

    def scan(self) -> Iterator[BlobId]:
        return self._blobs.scan()

    def checks(self) -> Iterator[tuple[UnixMs, BlobId]]:
        return self._blobs.checks()

    # what may be made

    def size(self, blob: BlobId) -> int | None:
        row = self._row(blob)
        if row is None:
            return self._blobs.size(blob)
        return None if self._blobs.size(row.file) is None else sealed_size(row.size)

    async def read(self, blob: BlobId, offset: int, length: int) -> bytes:
        row = self._row(blob)
        if row is None:
            return await self._blobs.read(blob, offset, length)
        cipher = await self._cipher(row)
        end = min(offset + length, sealed_size(row.size))
        parts = []
        for number in range(offset // CHUNK_BYTES, -(-end // CHUNK_BYTES)):
            start = number * CHUNK_BYTES
            sealed = await self._chunk(row, cipher, number)
            parts.append(sealed[max(offset - start, 0) : end - start])
        return b"".join(parts)

    async def card(self, blob: BlobId) -> Card:
        row = self._row(blob)
        if row is None:
            return await self._blobs.card(blob)
        checked = (await self._blobs.card(row.file)).checked
        return Card(sealed_size(row.size), root_of_leaves(await self.leaves(blob)), checked)

    async def leaves(self, blob: BlobId) -> bytes:
        row = self._row(blob)
        if row is None:
            return await self._blobs.leaves(blob)
        with self._state.read() as reader:
            known = reader.get(LEAVES, blob.raw)
        if known is None:
            made, known = await self._measure(row, await self._cipher(row))
            if made != blob:
                raise Corrupt(f"file {row.file.short}", f"what seals to {blob.short}", made.short)
            leaves = known
            await self._state.write(lambda writer: writer.put(LEAVES, blob.raw, leaves))
        return known

    def made_of(self, blob: BlobId) -> BlobId:
        """What is stored for a file: itself, or the plaintext that it is made of."""
        row = self._row(blob)
        return blob if row is None else row.file

    # for the sealer

    async def seal(self, code: OfficeCode, file: BlobId, size: int, key: bytes) -> SealedFile:
        """What ``file`` becomes under ``key``; reads all of it.  Its leaves are kept."""
        row = SealedRow(file, size, code, file, 0)
        sealed, leaves = await self._measure(row, ChunkCipher(key, file, size))
        await self._state.write(lambda writer: writer.put(LEAVES, sealed.raw, leaves))
        return SealedFile(sealed, sealed_size(size), root_of_leaves(leaves))

    async def known(self, code: OfficeCode, file: BlobId) -> tuple[SealedFile, FileKey] | None:
        """The sealed copy that ``code`` has of a file already, whatever item it came with."""
        with self._state.read() as reader:
            sealed = reader.get(SEALED_AS, code.encode() + file.raw)
            row = self._row_in(reader, BlobId(sealed)) if sealed is not None else None
        if sealed is None or row is None:
            return None
        try:
            key = (await self._keychain.open(row.wraps, code))[row.number]
        except (Missing, KeyMismatch, DecodeError, IndexError):
            return None  # its wraps were erased: seal it anew
        name = BlobId(sealed)
        root = root_of_leaves(await self.leaves(name))
        return SealedFile(name, sealed_size(row.size), root), key

    async def note(
        self,
        code: OfficeCode,
        item: str,
        wraps: BlobId,
        opened: Iterable[tuple[SealedFile, FileKey]],
    ) -> None:
        """Remember of what these ciphertexts are made, and for which item; they come in the order
        of the wraps."""

        def job(writer: Writer) -> None:
            for number, (sealed, key) in enumerate(opened):
                file = key.file
                row = SealedRow(file, plain_size(sealed.size), code, wraps, number)
                writer.put(BLOB, sealed.sealed.raw + item.encode(), b"sealed")
                writer.put(SEALED, sealed.sealed.raw, pack(row))
                writer.put(SEALED_AS, code.encode() + file.raw, sealed.sealed.raw)

        await self._state.write(job)

    def is_noted(self, sealed: BlobId, wraps: BlobId) -> bool:
        row = self._row(sealed)
        return row is not None and row.wraps == wraps

    async def _measure(self, row: SealedRow, cipher: ChunkCipher) -> tuple[BlobId, bytes]:
        """(name, leaf hashes) of a ciphertext."""
        whole, tree = sha256(), ChunkHasher()

        def take(number: int, plain: bytes) -> None:
            sealed = cipher.seal(number, plain)
            whole.update(sealed)
            tree.update(sealed)

        for number in range(sealed_chunks(row.size)):
            await self._work.run(take, number, await self._plain(row, number))
        return BlobId(whole.digest()), tree.finished()

    async def _chunk(self, row: SealedRow, cipher: ChunkCipher, number: int) -> bytes:
        plain = await self._plain(row, number)
        return await self._work.run(cipher.seal, number, plain)

    async def _plain(self, row: SealedRow, number: int) -> bytes:
        start = number * PLAIN_CHUNK_BYTES
        length = min(PLAIN_CHUNK_BYTES, row.size - start)
        plain = await self._blobs.read(row.file, start, length) if length else b""
        if len(plain) != length:
            raise Corrupt(f"file {row.file.short}", f"{length} bytes at {start}", len(plain))
        return plain

    async def _cipher(self, row: SealedRow) -> ChunkCipher:
        key = (await self._keychain.open(row.wraps, row.office))[row.number]
        return ChunkCipher(key.key, row.file, row.size)

    def _row(self, blob: BlobId) -> SealedRow | None:
        """None for what is stored, or unknown."""
        if self._blobs.size(blob) is not None:
            return None
        with self._state.read() as reader:
            return self._row_in(reader, blob)

    def _row_in(self, reader: Reader, blob: BlobId) -> SealedRow | None:
        row = reader.get(SEALED, blob.raw)
        if row is None:
            return None
        return unpack(SealedRow, row, bytes_max=STATE_ROW_BYTES_MAX, where="sealed file")
