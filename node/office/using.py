"""The services by which what is not open is used, assembled: grants, recovery, access, recall."""

from __future__ import annotations

from collections.abc import Callable

from ledger.roster import Roster
from node.hands.world import World
from node.office.access import Access
from node.office.granting import Granting
from node.office.keyring import Keyring
from node.office.links import Handler, Links
from node.office.recall import Recall
from node.office.recovery import Recovery
from node.office.sealer import Sealer
from node.office.sequencer import Sequencer
from node.office.users import Users


class Using:
    def __init__(
        self,
        world: World,
        keys: Keyring,
        links: Links,
        sequencer: Sequencer,
        users: Users,
        sealer: Sealer,
        roster: Callable[[], Roster],
        request_s: float,
    ) -> None:
        self.access = access = Access(world, keys, sequencer, roster)
        self.granting = Granting(world, keys, sequencer, users, sealer, roster)
        self.recovery = Recovery(world, sealer)
        self.recall = Recall(world, keys, links, sealer, access, roster, request_s)

    @property
    def handlers(self) -> dict[str, Handler]:
        return {"item.fetch": self.access.on_fetch}
