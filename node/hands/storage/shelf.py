"""Where the bytes of blobs lie: a folder (``file_blobs``) or an object store (``object_blobs``)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from node.hands.storage.cards import Facts, Place, StoredCard
from protocol.ids import BlobId


class Shelf(Protocol):
    """Bytes by their names; it believes what it is told of them.

    Raises, everywhere:
        Missing: a blob that is not at its place.
        Corrupt: bytes that cannot be read.
        Full: no room; nothing was kept.
        Unavailable: the store does not answer.
    """

    @property
    def number(self) -> int: ...

    async def take(self, staged: Path, facts: Facts) -> Place:
        """Have the bytes of a finished file, durably; the file is gone then.  What lay there is
        there till then, and does not outlive it, for it may be damaged."""

    async def take_small(self, batch: Sequence[tuple[Facts, bytes]]) -> list[Place]:
        """Have these bytes, durably; as :meth:`take`."""

    async def read(self, blob: BlobId, place: Place, offset: int, length: int) -> bytes:
        """See BlobStore; of a packed blob nothing beyond its end may be asked."""

    async def feed(
        self, blob: BlobId, place: Place, size: int, take: Callable[[memoryview], None]
    ) -> None:
        """Give all bytes to ``take``, piece after piece, in a thread; each lasts for its call."""

    async def remove(self, blob: BlobId, place: Place, size: int) -> None:
        """Forget the bytes, durably; they cannot be found again here."""

    async def tidy(self) -> None:
        """Give back room that removed blobs still take."""

    def own_file(self, blob: BlobId, place: Place) -> Path | None:
        """The file that is the blob and nothing else, if there is one."""

    def changes(self) -> Iterator[tuple[BlobId, StoredCard | None]]:
        """At the start: what the cards do not know yet of this shelf, or wrongly think they know;
        after a crash a little, after the loss of the cards everything."""

    async def clear(self) -> None:
        """Remove everything: no card names this shelf."""

    async def close(self) -> None: ...
