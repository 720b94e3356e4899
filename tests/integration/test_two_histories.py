"""A county's real keys say one history to one node and another to the next, over real peer links:
everybody quarantines it; status, page, audit and the second checker say the same."""

from __future__ import annotations

import asyncio
import json
import secrets
import urllib.request
from collections.abc import Callable
from typing import Any

from ledger import hash_rows, logbook
from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.custody import HoldTake
from ledger.events import Context, parse_event, sign_event
from ledger.genesis import read_genesis
from ledger.tiles import bundle_path, split_bundle
from node.hands.keys import HomeKeys
from node.hands.storage.memory_kv import MemoryStore
from node.hands.tls import load_tls
from node.hands.wire import SocketWire
from node.office.catchup import Catchup
from node.office.links import Links, Peer
from protocol.handshake import HelloKey, Identity
from protocol.ids import BlobId, OfficeCode, UnixMs
from protocol.messages import Ack, Advert, Heads, HeadsAsk
from tests.second import forks
from tests.second.notes import read_vkey

PROVINCE, CITY, COUNTY = map(OfficeCode, ("320000", "320500", "320581"))
Cli = Callable[..., tuple[int, dict[str, Any], str]]


class Dice:
    def random_bytes(self, count: int) -> bytes:
        return secrets.token_bytes(count)


class Liar:
    """A program with the county's keys, linked to one node; its history ends in ``word``."""

    def __init__(self, network: Any, to: OfficeCode, word: str) -> None:
        home, server = network[COUNTY].home, network[to]
        ((self.keys,),) = [HomeKeys(home / "keys").offices()[COUNTY]]
        self.genesis = read_genesis((network[PROVINCE].home / "genesis.note").read_bytes())
        self.to = to
        peer = HomeKeys(server.home / "keys").offices()[to][-1].event.public
        pin = load_tls(server.home / "keys").fingerprint
        self.store = MemoryStore([logbook.ENTRY, hash_rows.TILE, logbook.HEAD])
        entries = true_entries(server)
        last = parse_event(entries[-1])
        self.store.run(lambda writer: logbook.append(writer, COUNTY, entries))
        with self.store.read() as reader:
            head = logbook.head(reader, COUNTY)
        context = Context(
            self.genesis.id, COUNTY, head.size, head.root, last.roster_size, last.roster_root
        )
        lie = sign_event(
            context, HoldTake(word, BlobId(bytes(32)), 1, 1), UnixMs(0), self.keys.event
        )
        self.store.run(lambda writer: logbook.append(writer, COUNTY, [lie.encoded()]))
        nothing: Any = None
        handlers: dict[str, Any] = {"log.heads": self._heads, "log.note": self._heard}
        self.links = Links(
            SocketWire(None),
            Dice(),
            me=lambda: Identity(self.genesis.id, {COUNTY: self.keys.event}),
            lookup=lambda *_: HelloKey(peer),
            where=lambda _: (server.peer, pin),
            handlers=handlers,
            roster_size=lambda: last.roster_size,
            redial_seconds_max=1,
            refused=lambda: None,
        )
        served = Catchup(self.store, PROVINCE, self.links, *[nothing] * 5, 1)
        handlers |= {"log.entries": served.on_entries, "log.tile": served.on_tile}

    async def tell(self) -> None:
        """Until the node has heard and fetched it all."""
        with self.store.read() as reader:
            head = logbook.head(reader, COUNTY)
        checkpoint = Checkpoint(self.genesis.origin(COUNTY), head.size, head.root)
        advert = Advert(COUNTY, sign_checkpoint(checkpoint, self.keys.log), head.size)
        self.links.keep([self.to])
        running = asyncio.ensure_future(self.links.run())
        async with asyncio.timeout(20):
            while not self.links.peers():
                await asyncio.sleep(0.05)
        await self.links.ask(self.to, "log.note", advert, 5)
        await asyncio.sleep(1)
        await self.links.stop()
        running.cancel()

    async def _heads(self, _peer: Peer, _ask: HeadsAsk) -> Heads:
        return Heads(())

    async def _heard(self, _peer: Peer, _ask: Advert) -> Ack:
        return Ack()


def get(server: Any, path: str) -> bytes:
    with urllib.request.urlopen(f"http://{server.web}{path}", timeout=10) as answer:
        return bytes(answer.read())


def true_entries(server: Any) -> list[bytes]:
    size = int(get(server, f"/log/{COUNTY}/checkpoint").split(b"\n")[1])
    return list(split_bundle(get(server, f"/log/{COUNTY}/{bundle_path(0, size)}")))


def found(bare_network: Any, cli: Cli) -> None:
    """A province, a city, a county that has reported something."""
    network = bare_network
    network.place(PROVINCE, CITY, COUNTY)
    network.init(PROVINCE, "--found", "fzb.test.example")
    requests = []
    for code in (CITY, COUNTY):
        requests.append(network.root / f"{code}.req")
        network.init(code, "--request", requests[-1])
    table = network.root / "table.csv"
    table.write_text("request\n" + "".join(f"{path.name}\n" for path in requests))
    commands = [
        ("admit", network[PROVINCE].home, "--table", table, "--invite", network.root),
        *(
            ("join", network[code].home, "--invite", network.root / f"{code}.invite.json")
            for code in (CITY, COUNTY)
        ),
    ]
    for command in commands:
        status, _, said = cli(*command)
        assert status == 0, said
    network.up(PROVINCE, CITY, COUNTY)
    text = network.root / "志.txt"
    text.write_text("卷一")
    assert cli("report", network[COUNTY].home, text)[0] == 0
    size = network[COUNTY].status()["logs"][COUNTY][0]
    for code in (PROVINCE, CITY):
        network.until(lambda code=code: network[code].status()["logs"][COUNTY][0] == size)


def test_two_histories_told_to_two_nodes(bare_network: Any, cli: Cli) -> None:
    network = bare_network
    found(network, cli)
    network[COUNTY].stop()
    genesis = network[PROVINCE].home / "genesis.note"
    network[CITY].stop()  # so that each hears its history first, and only then the other's
    asyncio.run(Liar(network, PROVINCE, "one").tell())
    network[PROVINCE].stop()
    network[CITY].start()
    asyncio.run(Liar(network, CITY, "another").tell())
    network[PROVINCE].start()
    for code in (PROVINCE, CITY):
        network.until(lambda code=code: network[code].status()["quarantined"] == [COUNTY])
    network[COUNTY].start()  # the honest node of the office hears it too
    network.until(lambda: network[COUNTY].status()["quarantined"] == [COUNTY])
    for code in (PROVINCE, CITY, COUNTY):
        server = network[code]
        assert COUNTY in cli("status", server.home)[1]["quarantined"]
        (fork,) = json.loads(get(server, "/api/v1/evidence"))["forks"]
        assert fork["evidence"] in get(server, "/evidence").decode()
        a, b = (get(server, path) for path in fork["files"])
        assert forks.check_fork(a, b, read_vkey(fork["log_key"])) == fork["shape"] == "same-size"
        folder = network.root / f"export {code}"
        assert cli("export", server.home, folder)[0] == 0
        for source in (folder, f"http://{server.web}"):
            status, answer, said = cli("audit", source, "--genesis", genesis)
            charged = {
                (each["office"], each["detail"])
                for each in answer["findings"]
                if each["code"] == "log.fork"
            }
            assert (status, charged) == (1, {(COUNTY, fork["evidence"])}), said
