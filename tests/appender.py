"""An office that appends through the real sequencer and store, to be broken at any step.

``python -m tests.appender`` is a nursery for the sweeps: on its socket (standard input) it reads
the folder of a store and forks a child that opens it, says ``ready``, waits for ``go``, and
appends.  The child publishes every checkpoint when its append is acknowledged, as gossip would.  It
speaks by ``send`` alone, so its only writes and syncs are those of the store.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

from ledger import logbook
from ledger.checkpoint import Checkpoint, log_key, open_checkpoint
from ledger.custody import HoldTake
from ledger.genesis import Genesis
from ledger.log_check import check_log
from ledger.note import ED25519, NoteKey
from ledger.roster import RosterRef
from node.hands.keys import make_office_keys
from node.hands.storage.lmdb_kv import LmdbStore
from node.office.keyring import Keyring
from node.office.node import LEDGER_TABLES
from node.office.sequencer import Sequencer
from protocol.errors import Fatal
from protocol.ids import BlobId, OfficeCode, RootHash, UnixMs, mint_item
from protocol.limits import MiB
from protocol.ports import KeyValueStore
from simulations.clock import SimRng
from simulations.cluster import SimKeys

CODE = OfficeCode("320581")
KEYS = {CODE: make_office_keys(CODE, SimRng(1, CODE).random_bytes)}
GENESIS = Genesis(
    "t.example", OfficeCode("320000"), 1, (NoteKey("root", ED25519, bytes(32)),), bytes(32)
)
ITEM = mint_item(CODE, bytes(8))
BEFORE = (250,)  # batches that are there when the sweep begins
BATCHES = (1, 5, 3, 300)  # over the end of a bundle, and of more than one
FAILED = 9  # exit status of a child whose store has failed it


class _Clock:
    def now(self) -> UnixMs:
        return UnixMs(1_700_000_000_000)


def sequencer(store: KeyValueStore) -> Sequencer:
    made = Sequencer(
        store,
        _Clock(),
        GENESIS,
        Keyring(SimKeys({CODE: (KEYS[CODE],)}), lambda _: None),
        lambda: RosterRef(3, RootHash(bytes(32))),
        lambda _: None,
        lambda *_: None,
    )
    made.gates[CODE].is_open = True
    return made


def open_store(folder: Path) -> LmdbStore:
    return LmdbStore(folder, LEDGER_TABLES, 64 * MiB, reserve_bytes=0)


async def append(
    store: KeyValueStore, batches: tuple[int, ...], word: str, publish: Callable[[bytes], None]
) -> None:
    """Append batches of events that nobody else appends (by ``word``); publish every note."""
    office = sequencer(store)
    for number, count in enumerate(batches):
        blobs = [BlobId.of(f"{word} {number} {at}".encode()) for at in range(count)]
        await office.append(CODE, tuple(HoldTake(ITEM, blob, 1, 1) for blob in blobs))
        publish(note(store))


def note(store: KeyValueStore) -> bytes:
    with store.read() as reader:
        return reader.get("note", CODE.encode()) or b""


def check_whole(store: KeyValueStore, published: list[bytes]) -> Checkpoint:
    """The log is sound, its checkpoint signed, and it goes on from every published one."""
    newest = note(store)
    key = log_key(GENESIS.origin(CODE), KEYS[CODE].log.public)
    checkpoint, _ = open_checkpoint(newest, (key,), ())
    with store.read() as reader:
        assert list(check_log(reader, CODE)) == []
        head = logbook.head(reader, CODE)
        assert (checkpoint.size, checkpoint.root) == (head.size, head.root)
        for other in published:
            known, _ = open_checkpoint(other, (key,), ())
            assert known.size <= head.size, "an acknowledged append is gone"
            assert known.root == logbook.root_at(reader, CODE, known.size), "a fork"
    return checkpoint


def _child(channel: socket.socket, folder: Path) -> int:
    async def main() -> int:
        store = open_store(folder)
        channel.send(b"ready %d\n" % os.getpid())
        assert channel.recv(10) == b"go\n"

        def publish(text: bytes) -> None:
            channel.send(b"published " + text.hex().encode() + b"\n")

        try:
            await append(store, BATCHES, "first", publish)
        except Fatal:
            return FAILED
        await store.close()
        return 0

    return asyncio.run(main())


def _nursery() -> None:
    channel = socket.socket(fileno=0)
    while folder := channel.recv(1000).decode().strip():
        child = os.fork()
        if not child:
            os._exit(_child(channel, Path(folder)))
        _, status = os.waitpid(child, 0)
        channel.send(b"over %d\n" % os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    sys.exit(_nursery())
