"""Where an audit keeps what it found so far: LMDB rows and a spool in one folder."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final, TypeVar

from ledger.audit import AUDIT_TABLES
from node.hands.storage.lmdb_kv import LmdbStore
from node.hands.storage.spool import FileSpool
from protocol.limits import GiB
from protocol.ports import Reader, Writer

T = TypeVar("T")

_MAP_BYTES: Final = 64 * GiB  # address space; the rows of an audit are few beside its spool


class Workbench:
    """The store and the spool of an audit that runs on a thread beside the event loop.

    Whoever can write the folder decides what the audit concludes.
    """

    def __init__(self, folder: Path) -> None:
        """Raises StoreError when another process has the folder, or it is something else."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._loop = asyncio.get_running_loop()
        self._store = LmdbStore(folder / "rows", AUDIT_TABLES, _MAP_BYTES)
        self.spool = FileSpool(folder)

    def read(self) -> AbstractContextManager[Reader]:
        return self._store.read()

    def run(self, job: Callable[[Writer], T]) -> T:
        """The job in a transaction, durable when this returns; not from the loop's own thread."""
        return asyncio.run_coroutine_threadsafe(self._store.write(job), self._loop).result()

    async def close(self) -> None:
        self.spool.close()
        await self._store.close()
