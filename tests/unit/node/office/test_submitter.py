"""Outside witnesses: asked over their own protocol, believed by their key alone."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any

from ledger.changes import sign_change
from ledger.checkpoint import Cosigner, log_key, parse_checkpoint
from ledger.events import OutsideWitness, PolicySet
from ledger.note import NoteKey, parse_note
from ledger.witness import Accepted, WitnessState, add_checkpoint
from protocol.errors import Unavailable
from protocol.ids import OfficeCode
from protocol.keys import SigningKey

PROVINCE, CITY, COUNTY = map(OfficeCode, ("320000", "320500", "320581"))
NAME = "archive.example/witness"


class Archive:
    """Somebody else's witness: the rules of c2sp.org/tlog-witness, and a memory of its own."""

    def __init__(self, keys: dict[str, tuple[NoteKey, ...]]) -> None:
        self.cosigner = Cosigner(NAME, SigningKey.from_seed(b"a" * 32))
        self.keys = keys
        self.states: dict[str, WitnessState] = {}
        self.down = False

    async def add_checkpoint(self, url: str, body: bytes) -> tuple[int, str, bytes]:
        if self.down:
            raise Unavailable(url, "an answer", "silence")
        answer = add_checkpoint(body, self.keys.get, self.states.get, self.cosigner, 1_800_000_000)
        if isinstance(answer, Accepted):
            self.states[answer.origin] = answer.state
            return 200, "text/plain; charset=utf-8", answer.body
        return answer.status, answer.content_type, answer.body

    async def cosigned(self, url: str, origin_hash: str) -> bytes | None:
        for origin, state in self.states.items():
            if sha256(origin.encode()).hexdigest() == origin_hash:
                return state.note
        return None


def archive_of(town: Any) -> Archive:
    genesis = town.cluster.genesis
    archive = Archive(
        {
            genesis.origin(code): (log_key(genesis.origin(code), host.keys.log.public),)
            for code, host in town.hosts.items()
        }
    )
    town.cluster.outside.witness = archive
    return archive


async def set_policy(town: Any, archive: Archive, needed: int) -> None:
    witness = OutsideWitness(NAME, archive.cosigner.key.vkey, "https://archive.example/w")
    node = town.node(PROVINCE)
    body = PolicySet(node.folding.roster.rules.version + 1, 1, 0, (witness,), needed, ())
    signed = sign_change(node.genesis, body, town.cluster.root)
    assert await node.sequencer.append(PROVINCE, (signed,))
    await town.quiet()


def test_an_outside_witness_is_needed_when_the_policy_says_so(play: Callable[..., None]) -> None:
    async def story(town: Any) -> None:
        archive = archive_of(town)
        archive.down = True
        await set_policy(town, archive, needed=1)
        await town.report(COUNTY, {"a.txt": b"1"})
        await town.quiet()
        city, county = town.node(CITY), town.node(COUNTY)

        def witnesses(node: Any) -> tuple[str, ...]:
            with node.world.ledger.read() as reader:
                size = node.log_size(COUNTY)
                found: tuple[str, ...] = node.witnessing.of(reader, COUNTY, size - 1)
                return found

        assert not witnesses(city)  # the members have signed, the archive has not
        assert "silence" in county.submitter.said[NAME, COUNTY].refusal
        ailments = await county.upkeep.examine(False, lambda *_: None)
        assert [each.code for each in ailments] == ["outside.refused"]
        archive.down = False
        await town.until(lambda: NAME in witnesses(city))
        assert CITY in witnesses(city)
        assert not county.submitter.said[NAME, COUNTY].refusal

    play(story, PROVINCE, CITY, COUNTY)


def test_what_met_the_former_policy_is_pending_under_the_next(play: Callable[..., None]) -> None:
    async def story(town: Any) -> None:
        archive = archive_of(town)
        archive.down = True
        node = town.node(CITY)

        def covered() -> int:
            with node.world.ledger.read() as reader:
                size: int = node.witnessing.covered(reader, COUNTY)[0]
                return size

        await town.report(COUNTY, {"a.txt": b"1"})
        await town.until(lambda: covered() == node.log_size(COUNTY) > 0)
        await set_policy(town, archive, needed=1)
        await town.until(lambda: covered() == 0)
        archive.down = False
        await town.until(lambda: covered() == node.log_size(COUNTY))

    play(story, PROVINCE, CITY, COUNTY)


def test_a_witness_that_knows_another_size_is_asked_from_there(play: Callable[..., None]) -> None:
    async def story(town: Any) -> None:
        archive = archive_of(town)
        await set_policy(town, archive, needed=1)
        county, origin = town.node(COUNTY), town.cluster.genesis.origin(COUNTY)
        await town.report(COUNTY, {"a.txt": b"1"})
        await town.until(lambda: archive.states[origin].size == county.log_size(COUNTY))
        county.submitter.said.clear()  # as after a restart
        await town.report(COUNTY, {"a.txt": b"2"})
        await town.until(lambda: archive.states[origin].size == county.log_size(COUNTY))
        assert not county.submitter.said[NAME, COUNTY].refusal
        lines = parse_note(archive.states[origin].note).signatures
        assert [line.name for line in lines] == [origin, NAME]  # nobody else's line was sent

    play(story, PROVINCE, CITY, COUNTY)


def test_a_stranger_behind_the_address_gains_nothing(play: Callable[..., None]) -> None:
    async def story(town: Any) -> None:
        archive = archive_of(town)
        await set_policy(town, archive, needed=1)
        archive.cosigner = Cosigner(NAME, SigningKey.from_seed(b"b" * 32))  # not the policy's key
        await town.report(COUNTY, {"a.txt": b"1"})
        await town.quiet()
        county = town.node(COUNTY)
        await town.until(lambda: "cosignature" in county.submitter.said[NAME, COUNTY].refusal)
        with county.world.ledger.read() as reader:
            note = reader.get("note", COUNTY.encode())
        assert NAME not in [line.name for line in parse_note(note).signatures]
        assert parse_checkpoint(note).size == county.log_size(COUNTY)

    play(story, PROVINCE, CITY, COUNTY)
