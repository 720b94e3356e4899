"""Files named by their content: ``root/aa/rest-of-the-sha256``.

Writer of this folder gains nothing: every reader checks the hash of what it serves or takes.
Its loss is repaired from other holders.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from node.hands.storage.durable import StagedFile, make_directory, remove_file, sync_directory
from protocol.errors import Corrupt, Full, Missing
from protocol.ids import BlobId
from protocol.limits import CHUNK_BYTES
from protocol.ports import BlockingWork

_STAGED = "blob-*.tmp"
_WHERE = "blob store"


class FileBlobStore:
    """BlobStore in a folder.  Reads do not check the content; :meth:`verify` does."""

    def __init__(self, root: Path, staging: Path, reserve_bytes: int, work: BlockingWork) -> None:
        """``staging`` must be on the file system of ``root``; what a crash left there is removed.
        Nothing is stored that would leave less than ``reserve_bytes`` free."""
        self._root = root
        self._staging = staging
        self._reserve_bytes = reserve_bytes
        self._work = work
        self._staged_count = 0
        make_directory(root)
        make_directory(staging)
        for left in staging.glob(_STAGED):
            left.unlink()

    async def put(self, chunks: AsyncIterator[bytes], expect: BlobId | None = None) -> BlobId:
        """See BlobStore.

        Raises:
            Corrupt: the content is not ``expect``.
            Full: no room.
            SyncFailed: the process must end.
        """
        self._staged_count += 1
        path = self._staging / f"blob-{os.getpid()}-{self._staged_count}.tmp"
        upload = await self._work.run(_Upload, path, self._reserve_bytes)
        try:
            async for gathered in _gather(chunks):
                await self._work.run(upload.write, gathered)
            return await self._work.run(self._commit, upload, expect)
        finally:
            await self._work.run(upload.discard)

    async def read(self, blob: BlobId, offset: int, length: int) -> bytes:
        return await self._work.run(self._read, blob, offset, length)

    def size(self, blob: BlobId) -> int | None:
        try:
            return self.path(blob).stat().st_size
        except FileNotFoundError:
            return None

    async def delete(self, blob: BlobId) -> None:
        if self.size(blob) is not None:
            await self._work.run(remove_file, self.path(blob))

    def scan(self) -> Iterator[BlobId]:
        for shelf in sorted(os.listdir(self._root)):
            for rest in sorted(os.listdir(self._root / shelf)):
                yield BlobId.parse(shelf + rest)

    async def verify(self, blob: BlobId) -> None:
        """Read the whole blob and hash it.

        Raises:
            Missing: no such blob.
            Corrupt: the content is not what the name says, or cannot be read.
        """
        await self._work.run(self._verify, blob)

    def path(self, blob: BlobId) -> Path:
        return self._root / blob.hex[:2] / blob.hex[2:]

    # Below: in worker threads.

    def _commit(self, upload: _Upload, expect: BlobId | None) -> BlobId:
        blob = upload.digest()
        if expect is not None and blob != expect:
            raise Corrupt(_WHERE, f"content {expect}", blob)
        final = self.path(blob)
        make_directory(final.parent)
        if final.exists():
            sync_directory(final.parent)  # whoever stored it may not have come to this yet
        else:
            upload.commit(final)
        return blob

    def _read(self, blob: BlobId, offset: int, length: int) -> bytes:
        descriptor = self._open(blob)
        try:
            return _read_exactly(descriptor, offset, length)
        except OSError as error:
            raise Corrupt(_WHERE, f"readable bytes of {blob}", error.strerror) from error
        finally:
            os.close(descriptor)

    def _verify(self, blob: BlobId) -> None:
        descriptor = self._open(blob)
        sha256 = hashlib.sha256()
        offset = 0
        try:
            while chunk := os.pread(descriptor, CHUNK_BYTES, offset):
                sha256.update(chunk)
                offset += len(chunk)
        except OSError as error:
            raise Corrupt(_WHERE, f"readable bytes of {blob}", error.strerror) from error
        finally:
            os.close(descriptor)
        if sha256.digest() != blob.raw:
            raise Corrupt(_WHERE, f"content {blob}", sha256.hexdigest())

    def _open(self, blob: BlobId) -> int:
        try:
            return os.open(self.path(blob), os.O_RDONLY)
        except FileNotFoundError as error:
            raise Missing(_WHERE, f"blob {blob}", "nothing") from error


class _Upload:
    """A staged file and the hash of what is in it.

    The lock is for a caller that is cancelled while a worker still writes: the file must not be
    closed under it.
    """

    def __init__(self, path: Path, reserve_bytes: int) -> None:
        self._reserve_bytes = reserve_bytes
        self._lock = threading.Lock()
        self._check_room(path, 0)
        self._staged = StagedFile(path, mode=0o400)
        self._sha256 = hashlib.sha256()

    def digest(self) -> BlobId:
        return BlobId(self._sha256.digest())

    def write(self, data: bytes) -> None:
        with self._lock:
            self._check_room(self._staged.path, len(data))
            self._sha256.update(data)
            self._staged.write(data)

    def commit(self, final: Path) -> None:
        with self._lock:
            self._staged.commit(final)

    def discard(self) -> None:
        with self._lock:
            self._staged.discard()

    def _check_room(self, path: Path, need_bytes: int) -> None:
        disk = os.statvfs(path.parent)
        free_bytes = disk.f_bavail * disk.f_frsize
        if free_bytes < self._reserve_bytes + need_bytes:
            need = f"{self._reserve_bytes + need_bytes} bytes free"
            raise Full(str(path.parent), need, free_bytes)


async def _gather(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same bytes in pieces worth a trip to a worker thread."""
    pieces: list[bytes] = []
    length = 0
    async for chunk in chunks:
        pieces.append(chunk)
        length += len(chunk)
        if length >= CHUNK_BYTES:
            yield b"".join(pieces)
            pieces, length = [], 0
    if pieces:
        yield b"".join(pieces)


def _read_exactly(descriptor: int, offset: int, length: int) -> bytes:
    """``length`` bytes, fewer only at the end; one pread gives at most 2 GiB."""
    pieces: list[bytes] = []
    while length and (piece := os.pread(descriptor, length, offset)):
        pieces.append(piece)
        offset += len(piece)
        length -= len(piece)
    return b"".join(pieces)
