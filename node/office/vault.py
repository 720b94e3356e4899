"""The services that keep files for ever, assembled: they bring, lend, check, challenge, attest."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from ledger.roster import Roster, RosterHistory
from ledger.views import ItemView
from node.hands.config import NodeConfig
from node.hands.world import World
from node.office.access import Access
from node.office.catalog import damaged
from node.office.challenger import Challenger
from node.office.custodian import Custodian
from node.office.fixity import Fixity
from node.office.imager import Imager
from node.office.images import Images
from node.office.keyring import Keyring
from node.office.lending import Lending
from node.office.links import Handler, Links
from node.office.receipts import Receipts
from node.office.scrubber import Scrubber
from node.office.sealer import Sealer
from node.office.sequencer import Sequencer
from node.office.transfer import ARRIVAL, Transfer, Wanted
from protocol.ids import BlobId, ChunkRoot, OfficeCode
from protocol.pacing import Pace, rates_of


class Vault:
    """``arrived`` is told of items whose files came, ``calling`` when others are to be dialled."""

    def __init__(
        self,
        world: World,
        config: NodeConfig,
        genesis_note: bytes,
        keys: Keyring,
        links: Links,
        sequencer: Sequencer,
        sealer: Sealer,
        access: Access,
        history: Callable[[], RosterHistory],
        arrived: Callable[[str], None],
        calling: Callable[[], None],
        reachable: Callable[[], frozenset[OfficeCode]],
    ) -> None:
        self._world = world
        settings = config.transfer
        rates = rates_of(settings.day_kib_s, settings.night_kib_s, settings.night)

        def roster() -> Roster:
            return history().newest

        self.transfer = Transfer(
            world.blobs, links, world.clock, Pace(rates), config.peer.request_s_max
        )
        self.images = Images(world.state, world.blobs, world.work)
        self.imager = Imager(world, keys, sequencer, roster, self.images)
        self.custodian = Custodian(
            world.state,
            world.blobs,
            keys,
            links,
            self.transfer,
            sequencer,
            roster,
            self.images,
            arrived,
            calling,
            config.keeping,
        )
        self.scrubber = Scrubber(
            world.state,
            world.blobs,
            world.clock,
            keys,
            self.transfer,
            self.custodian,
            sequencer,
            roster,
            sealer,
            self.images,
            self.imager.look_at,
            config.store.scrub_days,
        )
        self.challenger = Challenger(
            world,
            sealer.files,
            keys,
            links,
            sequencer,
            roster,
            self.scrubber.suspect,
            config.keeping.checks_per_day,
        )
        self.lending = Lending(
            world.state,
            sealer.files,
            world.clock,
            roster,
            access.lends,
            Pace(rates),
            self.scrubber.suspect,
            self.challenger.is_asked,
        )
        self.fixity = Fixity(
            world,
            keys,
            self.custodian,
            self.scrubber,
            roster,
            reachable,
            config.store.scrub_days,
        )
        self.receipts = Receipts(world, genesis_note, keys, sequencer, history)

    @property
    def services(self) -> tuple[Callable[[], Awaitable[None]], ...]:
        """What runs as long as the node does."""
        running = (self.custodian, self.imager, self.scrubber, self.challenger, self.receipts)
        return tuple(service.run for service in running)

    @property
    def handlers(self) -> dict[str, Handler]:
        return {
            "blob.read": self.lending.on_read,
            "blob.tree": self.lending.on_tree,
            "hold.challenge": self.lending.on_challenge,
        }

    async def open(self) -> None:
        """Drop what a former life left of copies that are here and sound."""

        def keep(name: str) -> bool:
            if not name.startswith(ARRIVAL):
                return True
            blob = BlobId.parse(name.removeprefix(ARRIVAL))
            return self._world.blobs.size(blob) is None or damaged(reader, blob)

        with self._world.state.read() as reader:
            await self._world.blobs.forget_arrivals(keep)

    async def bring(self, view: ItemView, blob: BlobId, chunks: ChunkRoot | None) -> None:
        """Store a file of an item from whoever has it.

        Raises:
            Missing: nobody who can be reached; Full: no room.
        """
        await self.transfer.fetch(Wanted(blob, chunks), self.custodian.sources(view))

    def look_at(self, items: frozenset[str]) -> None:
        """Something was said of these items."""
        self.custodian.look_at(items)
        self.imager.look_at(items)
        self.receipts.look_at(items)
