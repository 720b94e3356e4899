"""Blocks of rows in files that only grow (see ledger/spool.py); and the same in memory.

Whoever can write these files decides what an audit concludes; losing them costs an audit.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from node.hands.storage.durable import sync_file


@dataclass(frozen=True)
class FilePages:
    """What workers read: the files in ``folder``, one a table."""

    folder: Path

    def read(self, table: str, offset: int, length: int) -> bytes:
        with (self.folder / f"{table}.rows").open("rb", buffering=0) as file:
            return os.pread(file.fileno(), length, offset)


class FileSpool:
    """Appends to the files in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files = {
            table: (folder / f"{table}.rows").open("ab", buffering=0)
            for table in ("fact", "by_manifest")
        }

    def pages(self) -> FilePages:
        return FilePages(self._folder)

    def append(self, table: str, data: bytes) -> int:
        file = self._files[table]
        offset = file.seek(0, os.SEEK_END)
        file.write(data)
        return offset

    def sync(self) -> None:
        for file in self._files.values():
            sync_file(file.fileno(), Path(file.name))

    def cut(self, table: str, length: int) -> None:
        self._files[table].truncate(length)

    def close(self) -> None:
        for file in self._files.values():
            file.close()


@dataclass
class MemorySpool:
    """Spool and Pages in one, for a single process."""

    content: dict[str, bytearray] = field(default_factory=dict)

    def pages(self) -> MemorySpool:
        return self

    def read(self, table: str, offset: int, length: int) -> bytes:
        return bytes(self.content[table][offset : offset + length])

    def append(self, table: str, data: bytes) -> int:
        kept = self.content.setdefault(table, bytearray())
        kept += data
        return len(kept) - len(data)

    def sync(self) -> None:
        """Nothing here outlives the process."""

    def cut(self, table: str, length: int) -> None:
        del self.content.setdefault(table, bytearray())[length:]
