"""The witness over HTTP's words: statuses, and a state that never moves back."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from ledger import logbook
from ledger.checkpoint import Checkpoint, open_checkpoint, parse_checkpoint, sign_checkpoint
from ledger.witness import format_request
from protocol.errors import Missing
from protocol.ids import OfficeCode, RootHash
from protocol.keys import SigningKey

PROVINCE, CITY, COUNTY = map(OfficeCode, ("320000", "320500", "320581"))


def table(node: Any, name: str, code: str) -> bytes | None:
    with node.world.ledger.read() as reader:
        found: bytes | None = reader.get(name, code.encode())
        return found


def test_every_status_of_add_checkpoint(play: Callable[..., None]) -> None:
    async def story(town: Any) -> None:
        for number in range(3):
            await town.report(COUNTY, {"a.txt": b"%d" % number})
        await town.quiet()
        node, key = town.node(CITY), town.hosts[COUNTY].keys.log
        origin = town.cluster.genesis.origin(COUNTY)
        await node.world.ledger.write(lambda w: w.delete("witness", COUNTY.encode()))
        with node.world.ledger.read() as reader:
            roots = [logbook.root_at(reader, COUNTY, size) for size in range(10)]
            proof = tuple(logbook.prove_consistency(reader, COUNTY, 3, 7))

        def note(size: int, root: RootHash | None = None, signer: SigningKey = key) -> bytes:
            return sign_checkpoint(Checkpoint(origin, size, root or roots[size]), signer)

        async def ask(body: bytes) -> tuple[int, str, bytes]:
            answer: tuple[int, str, bytes] = await node.witness.add_checkpoint(body)
            return answer

        status, _, lines = await ask(format_request(0, (), note(3)))
        assert status == 200
        roster = node.folding.roster
        keys = (roster.member(COUNTY).log_note_key(node.genesis),)
        mine = (roster.member(CITY).witness_note_key(node.genesis),)
        _, verified = open_checkpoint(note(3) + lines, keys, mine)
        assert len(verified) == 2
        seen = table(node, "witness", COUNTY)
        assert parse_checkpoint(seen or b"").size == 3

        stranger = sign_checkpoint(Checkpoint("evil.example/1", 1, roots[1]), key)
        own = town.cluster.genesis.origin(CITY)
        for body, expected in (
            (b"", 400),
            (b"old x\n\n" + note(3), 400),
            (format_request(9, (), note(7)), 400),
            (format_request(0, (), stranger), 404),
            (format_request(0, (), sign_checkpoint(Checkpoint(own, 1, roots[1]), key)), 404),
            (format_request(3, proof, note(7, signer=SigningKey.from_seed(bytes(32)))), 403),
            (format_request(4, (), note(7)), 409),
            (format_request(3, (), note(7)), 422),
            (format_request(3, proof[::-1], note(7)), 422),
            (format_request(2, (), note(2)), 409),  # below what it has signed
        ):
            status, media, answer = await ask(body)
            assert status == expected, answer
            if status == 409:
                assert (media, answer) == ("text/x.tlog.size", b"3\n")
            assert table(node, "witness", COUNTY) == seen
        assert (await ask(format_request(3, proof, note(7))))[0] == 200

        fork = note(7, RootHash(bytes(32)))
        assert (await ask(format_request(7, (), fork)))[0] == 422
        with node.world.ledger.read() as reader:
            assert len(list(reader.scan("evidence", COUNTY.encode()))) == 1
        assert COUNTY in node.accuser.quarantined  # believed no more from now on
        digest = hashlib.sha256(origin.encode()).hexdigest()
        assert parse_checkpoint(node.witness.cosigned(digest)).size == 7
        with pytest.raises(Missing):
            node.witness.cosigned("00" * 32)

    play(story, PROVINCE, CITY, COUNTY)


def test_a_damaged_state_is_found_and_nothing_is_signed_by_it(play: Callable[..., None]) -> None:
    async def story(town: Any) -> None:
        await town.report(COUNTY, {"a.txt": b"1"})
        await town.quiet()
        node = town.node(CITY)
        ledger = node.world.ledger
        key = COUNTY.encode()
        with ledger.read() as reader:
            good = bytes(reader.get("witness", key) or b"")
        size_at = good.index(b"\n") + 1
        for at in (size_at, size_at + 5, len(good) - 8):
            bad = good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :]
            await ledger.write(lambda w, bad=bad: w.put("witness", key, bad))
            codes = [ailment.code for ailment in await node.upkeep.examine(True, lambda *_: None)]
            assert codes == ["log.note"]
        bad = good[:size_at] + b"1" + good[size_at + 1 :]
        await ledger.write(lambda w: w.put("witness", key, bad))
        await town.report(COUNTY, {"b.txt": b"2"})
        await asyncio.sleep(10)
        with ledger.read() as reader:
            assert reader.get("witness", key) == bad
        assert node.links.counters["catchup.store.corrupt"] > 0

    play(story, PROVINCE, CITY, COUNTY)
