"""Who may read the files here, by chunk and by tree; and what the pace does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from node.office.links import Peer
from protocol.chunks import leaves_of
from protocol.errors import Corrupt, Forbidden, Missing, Unavailable
from protocol.ids import BlobId, OfficeCode
from protocol.limits import CHUNK_BYTES
from protocol.messages import BlobAsk, TreeAsk
from protocol.pacing import Pace, Rates
from protocol.possession import ChallengeAsk, possession

PROVINCE, CITY, COUNTY = map(OfficeCode, ("320000", "320500", "320581"))
Play = Callable[..., None]
TEXT = "常熟虞山".encode()
FILE = BlobId.of(TEXT)
NONCE = bytes(range(32))


def test_only_keepers_are_served_until_it_is_public(play: Play) -> None:
    async def story(town: Any) -> None:
        item = (await town.report(COUNTY, {"a.txt": TEXT}))["item"]
        await town.report(COUNTY, {"s.txt": b"secret"}, rights="sealed")
        await town.quiet()
        lending, ask = town.node(COUNTY).vault.lending, BlobAsk(FILE, 0, 10**9)
        city, guest = Peer("a", (CITY,), True, 9, (CITY,)), Peer("b", (), True, 9, (CITY,))
        chunk = await lending.on_read(city, ask)
        assert (chunk.data, chunk.size_total) == (TEXT, len(TEXT))
        assert len(chunk.data) <= CHUNK_BYTES
        tree = await lending.on_tree(city, TreeAsk(FILE, 0))
        assert (tree.size_total, tree.leaves) == (len(TEXT), leaves_of(TEXT))
        assert (await lending.on_tree(city, TreeAsk(FILE, 1))).leaves == b""
        shown = await lending.on_challenge(city, ChallengeAsk(FILE, NONCE, (0,)))
        assert shown.digests == (possession(NONCE, FILE, 0, TEXT),)
        with pytest.raises(Missing):
            await lending.on_challenge(city, ChallengeAsk(FILE, NONCE, (1,)))
        for asked in (lending.on_read(guest, ask), lending.on_tree(guest, TreeAsk(FILE, 0))):
            with pytest.raises(Forbidden, match="a keeper"):
                await asked
        for peer in (city, guest):
            for unknown in (b"secret", b"nothing"):  # nobody learns which of them is here
                with pytest.raises(Forbidden, match="a keeper of it"):
                    await lending.on_read(peer, BlobAsk(BlobId.of(unknown), 0, 9))
        await town.node(COUNTY).desk.withdraw(item, "重印")
        await town.quiet()
        assert (await lending.on_read(city, ask)).data == TEXT, "a keeper goes on keeping"

    play(story, PROVINCE, CITY, COUNTY)


def test_a_damaged_chunk_is_no_answer_and_is_looked_at(play: Play) -> None:
    async def story(town: Any) -> None:
        await town.report(COUNTY, {"a.txt": TEXT})
        await town.quiet()
        town.hosts[COUNTY].disk.flip(FILE, 3)
        city = Peer("a", (CITY,), True, 9, (CITY,))
        lending, suspects = town.node(COUNTY).vault.lending, []
        lending._suspect = suspects.append
        with pytest.raises(Corrupt):
            await lending.on_challenge(city, ChallengeAsk(FILE, NONCE, (0,)))
        assert suspects == [FILE]

    play(story, PROVINCE, CITY, COUNTY)


def test_who_asks_for_too_much_waits_and_is_then_put_off(play: Play) -> None:
    async def story(town: Any) -> None:
        await town.report(COUNTY, {"a.txt": TEXT})
        await town.quiet()
        lending, city = town.node(COUNTY).vault.lending, Peer("a", (CITY,), True, 9, (CITY,))
        lending._pace = Pace(Rates(CHUNK_BYTES // 4, CHUNK_BYTES // 4, 0, 0))
        loop, ask = asyncio.get_running_loop(), BlobAsk(FILE, 0, CHUNK_BYTES)
        begun = loop.time()
        await lending.on_read(city, ask)
        assert loop.time() - begun < 0.1
        await lending.on_read(city, ask)
        assert 2.9 < loop.time() - begun < 3.2, "four seconds a chunk, less a burst of one"
        results = await asyncio.gather(
            *(lending.on_read(city, ask) for _ in range(4)), return_exceptions=True
        )
        assert [isinstance(each, Unavailable) for each in results] == [False, False, True, True]

    play(story, PROVINCE, CITY, COUNTY)
