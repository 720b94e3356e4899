"""The world as one argument: everything a node may touch.

``node/office`` gets a :class:`World` and touches nothing else, so ``simulations`` can hand it a
pretend one.  The real one is opened from a home by :mod:`node.hands.open_world`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from node.hands.ingest.findings import Drawn, Inspection
from protocol.ids import BlobId
from protocol.ports import (
    BlobStore,
    BlockingWork,
    Clock,
    KeyValueStore,
    Rng,
    SegmentStore,
    Wire,
    WitnessClient,
)

# What a stored blob under a file name turns out to be; never raises for bad content.
Inspect = Callable[[BlobId, str], Awaitable[Inspection]]
# Draws pages of a stored blob under a file name: page (from 1), the words beneath; never raises for
# bad content.
DrawPage = Callable[[int, str], Awaitable[Drawn]]
OpenDrawing = Callable[[BlobId, str], AbstractAsyncContextManager[DrawPage]]


@dataclass(frozen=True, slots=True)
class World:
    clock: Clock
    rng: Rng
    wire: Wire
    outside: WitnessClient
    ledger: KeyValueStore
    state: KeyValueStore
    blobs: BlobStore
    segments: SegmentStore
    work: BlockingWork
    inspect: Inspect
    drawing: OpenDrawing
    free_bytes: Callable[[], int]  # room left for files and the reserve, by disk and quota
