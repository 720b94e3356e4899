"""The real world, opened from a home: system clock and entropy, sockets, LMDB, files, threads."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final, TypeVar

from node.hands.config import NodeConfig
from node.hands.ingest.findings import Drawn, Inspection
from node.hands.ingest.isolate import IsolatedDrawer, IsolatedInspector
from node.hands.outside import open_witness_client
from node.hands.storage.file_segments import FileSegmentStore
from node.hands.storage.home import Home
from node.hands.storage.lmdb_kv import LmdbStore
from node.hands.storage.vault import open_vault
from node.hands.tls import load_tls
from node.hands.wire import SocketWire
from node.hands.world import DrawPage, World
from protocol.ids import BlobId, UnixMs
from protocol.limits import GiB, MiB

T = TypeVar("T")

WORKERS: Final = 2  # threads for blocking and CPU-heavy work: an office PC has few cores
INSPECT_SECONDS_MAX: Final = 120.0
DRAW_SECONDS_MAX: Final = 30.0  # for one page


class SystemClock:
    def now(self) -> UnixMs:
        return UnixMs(time.time_ns() // 1_000_000)


class SystemRng:
    def random_bytes(self, count: int) -> bytes:
        return os.urandom(count)


class Threads:
    """BlockingWork on a small pool of threads."""

    def __init__(self) -> None:
        self.pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="work")

    async def run(self, work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self.pool, work, *arguments)


@asynccontextmanager
async def open_world(
    home: Home, config: NodeConfig, ledger_tables: tuple[str, ...], state_tables: tuple[str, ...]
) -> AsyncIterator[World]:
    """The world of one node; everything is closed when the context ends.

    Raises:
        StoreError: a store cannot be opened.
        ConfigError: the TLS key of the home is missing or broken.
    """
    async with AsyncExitStack() as closing:
        ledger = LmdbStore(home.ledger, ledger_tables, config.ledger.map_gib * GiB)
        closing.push_async_callback(ledger.close)
        state = LmdbStore(home.state, state_tables, config.store.map_gib * GiB)
        closing.push_async_callback(state.close)
        threads = Threads()
        closing.callback(threads.pool.shutdown, wait=False, cancel_futures=True)
        clock = SystemClock()
        blobs = await closing.enter_async_context(
            open_vault(
                home.vault,
                home.blobs,
                home.staging,
                threads,
                clock,
                config.store.reserve_mib * MiB,
                config.store.quota_gib * GiB,
            )
        )
        inspector = IsolatedInspector()
        closing.push_async_callback(inspector.close)

        async def inspect(blob: BlobId, name: str) -> Inspection:
            async with blobs.lend(blob) as path:
                return await inspector.inspect(str(path), name, INSPECT_SECONDS_MAX)

        drawer = IsolatedDrawer()
        closing.push_async_callback(drawer.close)

        @asynccontextmanager
        async def drawing(blob: BlobId, name: str) -> AsyncIterator[DrawPage]:
            async with blobs.lend(blob) as path:

                async def draw(page: int, mark: str) -> Drawn:
                    return await drawer.draw(str(path), name, page, mark, DRAW_SECONDS_MAX)

                yield draw

        outside = await closing.enter_async_context(open_witness_client(config.peer.proxy))
        yield World(
            clock=clock,
            rng=SystemRng(),
            wire=SocketWire(load_tls(home.keys), config.peer.proxy),
            outside=outside,
            ledger=ledger,
            state=state,
            blobs=blobs,
            segments=FileSegmentStore(home.index),
            work=threads,
            inspect=inspect,
            drawing=drawing,
            free_bytes=lambda: min(
                shutil.disk_usage(home.root).free,
                blobs.left_bytes + config.store.reserve_mib * MiB,
            ),
        )
