"""Members that lie: each is the real node of an office that has one thing replaced or added.

A row of :data:`VILLAINS` is what it does from the beginning of the fault to its end, and whether it
could.  A node that is started again is honest again.  What each must not bring about is in the
comment of its row; the checkers look at the honest.

Claiming an earlier time is the fault ``jump``: a clock that is set back a year.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final

from ledger import logbook
from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.custody import HoldTake
from node.hands.keys import OfficeKeys
from node.office.catalog import every_item
from node.office.node import Node
from node.office.snapshots import AsOf
from protocol.errors import FangzhiError
from protocol.ids import OfficeCode, RootHash
from protocol.messages import Advert, HeadsAsk, HitKey, HitLine, SearchAsk, SearchReply
from search_shard.lattice import Query
from simulations.cluster import Cluster, Host
from simulations.faults import Fault

ASK_S: Final = 20.0
FLOOD: Final = 200  # questions at once
REPLAY_S: Final = 5.0
SCORE_MAX: Final = 2**31
Act = Callable[[Cluster, Fault], Awaitable[bool]]


async def _fork(cluster: Cluster, fault: Fault) -> bool:
    host, node = _villain(cluster, fault)
    if node is None or not node.links.peers() or not node.log_size(host.code):
        return False
    size = node.log_size(host.code)
    note = _note(node, _keys(host), host.code, size, b"another history")
    cluster.trace.record(host.code, "forks", size=size)
    await _tell_all(node, Advert(host.code, note, size))
    return True


async def _impersonate(cluster: Cluster, fault: Fault) -> bool:
    host, node = _villain(cluster, fault)
    if node is None:
        return False
    for code in cluster.hosts:
        if code != host.code:
            size = node.log_size(code)
            note = _note(node, _keys(host), code, size + 1, b"claimed")
            await _tell_all(node, Advert(code, note, size))
    return True


async def _hold_nothing(cluster: Cluster, fault: Fault) -> bool:
    host, node = _villain(cluster, fault)
    if node is None:
        return False
    with node.world.state.read() as reader:
        views = [view for view in every_item(reader) if view.owner != host.code]
    holds = tuple(
        HoldTake(view.item, view.manifest, view.files, view.file_bytes)
        for view in views
        if view.rights == "open" and host.code not in view.holders
    )
    if holds:
        await host.ask(lambda running: running.sequencer.append(host.code, holds[:5]))
    return bool(holds)


async def _invent_hits(cluster: Cluster, fault: Fault) -> bool:
    _, node = _villain(cluster, fault)
    if node is None:
        return False
    honest = node.shards.search

    async def invented(
        ask: SearchAsk, query: Query, held: Sequence[AsOf], seconds: float
    ) -> SearchReply:
        """The best hits are of items that do not exist, and of pages that do not say this."""
        reply = await honest(ask, query, held, seconds)
        hits = tuple(
            HitLine(_better(line.key, number), line.shown) for number, line in enumerate(reply.hits)
        )
        return replace(reply, hits=hits)

    node.shards.search = invented  # type: ignore[method-assign]
    return True


async def _flood(cluster: Cluster, fault: Fault) -> bool:
    """Without a pause, and as much as the links take."""
    host, node = _villain(cluster, fault)
    if node is None:
        return False
    loop = asyncio.get_running_loop()
    while loop.time() < fault.until and host.node is node:
        peers = [peer.key for peer in node.links.peers()]
        asks = (
            node.links.ask_peer(peer, "log.heads", HeadsAsk(), ASK_S)
            for peer in peers
            for _ in range(FLOOD)
        )
        await asyncio.gather(*asks, return_exceptions=True)
        await asyncio.sleep(0.1)
    return True


async def _replay(cluster: Cluster, fault: Fault) -> bool:
    """The notes of now, again and again while the logs go on."""
    host, node = _villain(cluster, fault)
    if node is None:
        return False
    with node.world.ledger.read() as reader:
        old = [
            Advert(code, note, logbook.head(reader, code).size)
            for code in cluster.hosts
            if (note := reader.get("note", code.encode()))
        ]
    while asyncio.get_running_loop().time() < fault.until and host.node is node:
        for advert in old:
            await _tell_all(node, advert)
        await asyncio.sleep(REPLAY_S)
    return True


def _villain(cluster: Cluster, fault: Fault) -> tuple[Host, Node | None]:
    (code,) = fault.whom
    return cluster.hosts[code], cluster.hosts[code].node


def _keys(host: Host) -> OfficeKeys:
    return host.folder.generations[host.code][-1]


def _note(node: Node, keys: OfficeKeys, code: OfficeCode, size: int, tree: bytes) -> bytes:
    root = RootHash(hashlib.sha256(tree).digest())
    return sign_checkpoint(Checkpoint(node.genesis.origin(code), size, root), keys.log)


async def _tell_all(node: Node, advert: Advert) -> None:
    for peer in node.links.peers():
        with suppress(FangzhiError):  # a refusal, as it should be
            await node.links.ask_peer(peer.key, "log.note", advert, ASK_S)


def _better(key: HitKey, number: int) -> HitKey:
    item = key.item if number % 2 else key.item[:-1] + "0"
    return HitKey(SCORE_MAX - number, key.office, item, key.seq + 1)


VILLAINS: Final[dict[str, Act]] = {
    "forks": _fork,  # everybody is shown another root: all convict it, and nobody else
    "impersonates": _impersonate,  # signs for others with its own key: refused, nobody convicted
    "holds nothing": _hold_nothing,  # its log says it keeps files: readers get them from others
    "invents hits": _invent_hits,  # nobody shows what is not public or does not exist
    "floods": _flood,  # others are served, in bounded memory
    "replays": _replay,  # old notes: nothing gets shorter, nobody is convicted
}
