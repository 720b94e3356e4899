"""The table of synonyms (同义词表): put by the province, fetched by every node, used by its parser.

Which table is in force follows from the provincial log; its text is a blob that any member may have
from any other.  A node that has not got it yet, or cannot read it, goes on with what it had.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from ledger import logbook, views
from ledger.events import SynonymsPut
from ledger.views import SynonymTable
from node.hands.world import World
from node.office.catalog import put_bytes, read_whole
from node.office.folding import Folding
from node.office.keyring import Keyring
from node.office.sequencer import Sequencer
from node.office.transfer import Transfer, Wanted
from protocol.errors import FangzhiError, Forbidden, Rejected, Unavailable
from protocol.ids import BlobId, OfficeCode
from protocol.limits import SYNONYMS_BYTES_MAX
from search_shard.parse import Rules
from search_shard.rules.synonyms import Synonyms, parse_synonyms, read_synonyms, write_synonyms

Json = dict[str, Any]
RETRY_S = 5.0
CHECK_S = 300.0  # a scrub may have found the file damaged, and dropped it


class Thesaurus:
    """The table in force here."""

    def __init__(
        self,
        world: World,
        keys: Keyring,
        sequencer: Sequencer,
        folding: Folding,
        transfer: Transfer,
        rules: Rules,
        use: Callable[[Rules, int], None],
        wait_s: float,
    ) -> None:
        """``use`` is given ``rules`` with the table beside them whenever another is in force, and
        its version (0 for none)."""
        self._world = world
        self._keys = keys
        self._sequencer = sequencer
        self._folding = folding
        self._transfer = transfer
        self._rules = rules
        self._use = use
        self._wait_s = wait_s
        self._turn = asyncio.Lock()
        self._wake = asyncio.Event()
        self._table: BlobId | None = None  # in use
        self.version = 0  # in use; 0 for none

    def look(self) -> None:
        """The provincial log may name another table."""
        self._wake.set()

    async def run(self) -> None:
        while True:
            self._wake.clear()
            if not await self._open():
                await asyncio.sleep(RETRY_S)
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(CHECK_S if self._table else None):
                    await self._wake.wait()

    async def put(self, text: str) -> Json:
        """Sign the next version of the table (province).

        Raises:
            Forbidden: the province is not hosted here.
            DecodeError: naming the line that does not fit.
            Rejected: it is the table in force.
            Unavailable: the province may not sign now; nothing was signed.
        """
        province = self._folding.roster.genesis.province
        if province not in self._keys:
            raise Forbidden("synonyms", f"the provincial node {province}", sorted(self._keys))
        groups = parse_synonyms(text)
        data = write_synonyms(groups)
        async with self._turn:
            self._require_open(province)
            before = self._named()
            if before is not None and before.table == BlobId.of(data):
                raise Rejected("synonyms", "another table", f"that of version {before.version}")
            version = before.version + 1 if before else 1
            blob = await put_bytes(self._world.blobs, data)
            body = SynonymsPut(version, blob, len(data))
            refs = await self._sequencer.append(province, (body,))
            if not refs:
                raise Unavailable("synonyms", "an open gate of the province", "it shut: 待登记")
            async with asyncio.timeout(self._wait_s):
                await self._folding.until(province, refs[0].index + 1)
        return {
            "version": version,
            "groups": len(groups),
            "table": blob.hex,
            "log_index": refs[0].index,
        }

    async def shown(self) -> Json:
        """The table in force, and which is in use here; ``text`` is "" while its file is not."""
        named = self._named()
        if named is None:
            return {"version": 0, "in_use": self.version, "table": "", "log_index": -1, "text": ""}
        text = ""
        with suppress(FangzhiError):
            text = (await self._read(named)).decode()
        return {
            "version": named.version,
            "in_use": self.version,
            "table": named.table.hex,
            "log_index": named.index,
            "text": text,
        }

    async def _open(self) -> bool:
        """Whether the table in force is here and in use."""
        named = self._named()
        if named is None:
            if self._table is not None:  # the provincial log was cut below it
                self._table, self.version = None, 0
                self._use(self._rules, 0)
            return True
        try:
            if self._world.blobs.size(named.table) is None:
                await self._transfer.fetch(Wanted(named.table), self._sources())
            if named.table != self._table:
                groups = read_synonyms(await self._read(named))
                synonyms = Synonyms(groups, named.version, self._rules.fold)
                self._use(self._rules.beside(synonyms), named.version)
                self._table, self.version = named.table, named.version
        except FangzhiError:
            return False
        return True

    def _named(self) -> SynonymTable | None:
        with self._world.state.read() as reader:
            return views.synonym_table(reader, self._folding.roster.genesis.province)

    async def _read(self, named: SynonymTable) -> bytes:
        return await read_whole(self._world.blobs, named.table, SYNONYMS_BYTES_MAX)

    def _sources(self) -> list[str]:
        """The province, then every other office that is always on."""
        roster = self._folding.roster
        able = [member.code for member in roster.active() if member.always_on]
        codes = dict.fromkeys((roster.genesis.province, *able))
        return [code for code in codes if code not in self._keys]

    def _require_open(self, province: OfficeCode) -> None:
        gate = self._sequencer.gates[province]
        if not gate.is_open:
            with self._world.ledger.read() as reader:
                size = logbook.head(reader, province).size
            raise Unavailable("synonyms", "an open gate of the province", gate.why_shut(size))
