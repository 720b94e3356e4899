"""Links between pretend hosts in pretend time; links, sessions and signatures are the real ones."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest

from node.office import links as links_module
from node.office.link import ANSWERING_MAX, SEND_SECONDS_MAX
from node.office.links import Handler, Links, Peer
from protocol.errors import AuthError, Fatal, Missing, Unavailable
from protocol.handshake import HelloKey, Identity, Role
from protocol.ids import NetworkId, OfficeCode
from protocol.keys import SigningKey, key_id
from protocol.limits import (
    FRAME_BYTES_MAX,
    GUEST_SECONDS_MAX,
    HELLO_SECONDS_MAX,
    REQUEST_SECONDS_MAX,
    REQUESTS_IN_FLIGHT_MAX,
)
from protocol.messages import (
    Goodbye,
    Heads,
    HeadsAsk,
    RemoteFault,
    SearchAsk,
    decode_frame,
    encode_frame,
)
from protocol.session import Session, State
from simulations.loop import run
from simulations.trace import Trace
from simulations.wire import FRAMES_UNDER_WAY_MAX, SimNetwork, Weather

CITY, COUNTY, COUNTY2, OTHER = map(OfficeCode, ("320500", "320506", "320507", "320600"))
STRANGER = OfficeCode("999999")
NETWORK = NetworkId.of(b"jiangsu")
ASK = SearchAsk((CITY,), b"", b"", 10, None, False, "snippet", False, False, False, 1000)


def key(office: OfficeCode) -> SigningKey:
    return SigningKey.from_seed(hashlib.sha256(office.encode()).digest())


class Roster:
    def __init__(self) -> None:
        self.valid = {o: key_id(key(o).public) for o in (CITY, COUNTY, COUNTY2, OTHER)}

    def __call__(self, office: OfficeCode, signer: bytes, /) -> HelloKey | None:
        if office not in self.valid:
            raise Missing("roster", "a member", office)
        if key_id(key(office).public) != signer:
            return None
        return HelloKey(key(office).public, counts=self.valid[office] == signer)


class Dice:
    """Bytes that differ from call to call and not from run to run."""

    def __init__(self, seed: str) -> None:
        self.state = seed.encode()

    def random_bytes(self, count: int) -> bytes:
        self.state = hashlib.sha256(self.state).digest()
        return self.state[:count]


class Place:
    """A network of nodes that all run until the test is over."""

    def __init__(self, tasks: asyncio.TaskGroup) -> None:
        self.tasks = tasks
        self.roster = Roster()
        clock = asyncio.get_running_loop().time
        self.net = SimNetwork(7, Trace(clock), Weather(delay_seconds=(0.01, 0.05)))
        self.addresses: dict[OfficeCode, tuple[str, bytes]] = {}
        self.nodes: list[Links] = []
        self.keys: dict[OfficeCode, SigningKey] = {}  # of offices that have another than key()
        self.refused: list[tuple[OfficeCode, ...]] = []  # whose keys a peer did not know

    async def node(
        self,
        *offices: OfficeCode,
        handlers: dict[str, Handler] | None = None,
        reachable: bool = True,
        keep: tuple[OfficeCode, ...] = (),
        stand_ins: tuple[OfficeCode, ...] = (),
    ) -> Links:
        host = f"n{offices[0]}"
        wire = self.net.wire(host, certificate=host.encode())
        links = Links(
            wire,
            Dice(host),
            me=lambda: Identity(NETWORK, {o: self.keys.get(o, key(o)) for o in offices}),
            lookup=self.roster,
            where=self.addresses.get,
            handlers={"log.heads": heads} if handlers is None else handlers,
            roster_size=lambda: 3,
            redial_seconds_max=8.0,
            refused=lambda: self.refused.append(offices),
        )
        links.keep(keep, stand_ins)
        if reachable:
            address = f"{host}:1"
            await wire.listen(address, links.accept)
            pin = hashlib.sha256(host.encode()).digest()
            self.addresses.update(dict.fromkeys(offices, (address, pin)))
        self.nodes.append(links)
        self.tasks.create_task(links.run())
        await asyncio.sleep(0)
        return links


async def heads(_peer: Peer, _ask: HeadsAsk) -> Heads:
    return Heads(())


@contextlib.asynccontextmanager
async def place() -> AsyncIterator[Place]:
    async with asyncio.TaskGroup() as tasks:
        made = Place(tasks)
        yield made
        began = asyncio.get_running_loop().time()
        await asyncio.gather(*(links.stop() for links in made.nodes))
        assert asyncio.get_running_loop().time() - began < 2


def in_pretend_time(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    def timed(monkeypatch: pytest.MonkeyPatch) -> None:
        run(test(monkeypatch) if test.__code__.co_argcount else test())

    return timed


async def ask(links: Links, office: OfficeCode, seconds: float = 5) -> Any:
    return await links.ask(office, "log.heads", HeadsAsk(), seconds)


async def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.05)


# ---- reaching


@in_pretend_time
async def test_one_link_serves_both_sides_whoever_dialled() -> None:
    async with place() as here:
        city = await here.node(CITY)
        county = await here.node(COUNTY, COUNTY2, reachable=False)
        with pytest.raises(Unavailable):
            await ask(city, COUNTY)
        assert await ask(county, CITY) == Heads(())
        assert await ask(city, COUNTY2) == Heads(())
        (of_city,), (of_county,) = county.peers(), city.peers()
        assert (of_city.offices, of_city.dialled) == ((CITY,), True)
        assert (of_county.offices, of_county.dialled) == ((COUNTY, COUNTY2), False)
        assert city.live() == {COUNTY, COUNTY2}
        assert city.offices_of(of_county.key) == (COUNTY, COUNTY2)
        assert await city.ask_peer(of_county.key, "log.heads", HeadsAsk(), 5) == Heads(())


@in_pretend_time
async def test_offices_at_one_address_are_dialled_once() -> None:
    async with place() as here:
        city = await here.node(CITY, COUNTY, COUNTY2)
        other = await here.node(OTHER, keep=(CITY, COUNTY, COUNTY2))
        await asyncio.gather(*(ask(other, office) for office in (CITY, COUNTY, COUNTY2)))
        await asyncio.sleep(60)
        assert len(city.peers()) == len(other.peers()) == 1
        assert not city.counters
        assert not other.counters


@in_pretend_time
async def test_when_both_dial_at_once_both_keep_the_same_link() -> None:
    async with place() as here:
        city = await here.node(CITY, keep=(OTHER,))
        other = await here.node(OTHER, keep=(CITY,))
        await until(lambda: bool(city.counters) and bool(city.live() and other.live()))
        await asyncio.sleep(20)
        ((of_other,), (of_city,)) = city.peers(), other.peers()
        assert of_other.dialled
        assert not of_city.dialled
        assert city.counters.keys() | other.counters.keys() <= {
            "link.duplicate",
            "remote.link.duplicate",
        }
        assert await ask(city, OTHER) == await ask(other, CITY) == Heads(())


@in_pretend_time
async def test_a_kept_office_is_dialled_again_after_a_partition_and_a_crash() -> None:
    async with place() as here:
        changes: list[tuple[tuple[OfficeCode, ...], bool]] = []
        await here.node(CITY)
        county = await here.node(COUNTY, reachable=False, keep=(CITY,))
        county.on_change(lambda peer, ready: changes.append((peer.offices, ready)))
        await until(lambda: CITY in county.live())
        here.net.partition(f"n{CITY}", f"n{COUNTY}")
        await until(lambda: CITY not in county.live())
        here.net.heal(f"n{CITY}", f"n{COUNTY}")
        await until(lambda: CITY in county.live())
        assert await ask(county, CITY) == Heads(())
        assert changes == [((CITY,), True), ((CITY,), False), ((CITY,), True)]
        assert county.counters["link.lost"] == 1
        assert county.counters["dial.unavailable"] < 10


@in_pretend_time
async def test_an_office_no_longer_kept_is_not_dialled() -> None:
    async with place() as here:
        county = await here.node(COUNTY, reachable=False, keep=(CITY,))
        here.addresses[CITY] = (f"n{CITY}:1", bytes(32))
        await until(lambda: county.counters["dial.unavailable"] > 1)
        county.keep(())
        before = county.counters["dial.unavailable"]
        await asyncio.sleep(100)
        assert county.counters["dial.unavailable"] <= before + 1


@in_pretend_time
async def test_redialling_slows_down() -> None:
    async with place() as here:
        here.addresses[CITY] = (f"n{CITY}:1", bytes(32))
        county = await here.node(COUNTY, reachable=False, keep=(CITY,))
        await asyncio.sleep(800)
        assert 90 <= county.counters["dial.unavailable"] <= 210  # pauses of 4 to 8 s


@in_pretend_time
async def test_a_dial_into_silence_ends_by_the_askers_deadline() -> None:
    async with place() as here:
        await here.node(CITY)
        county = await here.node(COUNTY)
        here.net.partition(f"n{CITY}", f"n{COUNTY}")
        with pytest.raises(Unavailable):
            await ask(county, CITY, seconds=1)
        assert asyncio.get_running_loop().time() < 1.1
        assert county.counters["ask.late"] == 1


# ---- refusing


@in_pretend_time
async def test_a_stranger_and_a_key_of_nobody_are_refused_and_counted() -> None:
    async with place() as here:
        asked: list[Peer] = []

        async def handler(peer: Peer, _ask: HeadsAsk) -> Heads:
            asked.append(peer)
            return Heads(())

        city = await here.node(CITY, handlers={"log.heads": handler})
        stranger = await here.node(STRANGER, reachable=False)
        here.keys[COUNTY] = key(STRANGER)
        other = await here.node(COUNTY, reachable=False)
        for links in (stranger, other):
            with pytest.raises(Unavailable, match="link"):
                await ask(links, CITY)
        assert city.counters == {"link.office.unknown": 1, "link.key": 1}
        assert stranger.counters["remote.link.office.unknown"] == 1
        assert other.counters["remote.link.key"] == 1
        assert here.refused == [(COUNTY,)], "a stranger's keys are not refused: it has none"
        assert not city.live()
        assert asked == []


@in_pretend_time
async def test_who_is_revoked_while_linked_comes_back_as_a_guest() -> None:
    async with place() as here:
        city = await here.node(CITY)
        county = await here.node(COUNTY, reachable=False, keep=(CITY,))
        await until(lambda: COUNTY in city.live())
        city.review()
        assert COUNTY in city.live()
        here.roster.valid[COUNTY] = bytes(16)
        city.review()
        assert not city.live()
        await until(lambda: bool(city.peers()) and CITY in county.live())
        (guest,) = city.peers()
        assert (guest.offices, guest.named) == ((), (COUNTY,))
        assert city.offices_of(guest.key) == ()
        assert city.counters == {"link.roster": 1}
        assert here.refused == []


@in_pretend_time
async def test_what_a_guest_may_ask() -> None:
    async def nothing(_peer: Peer, _ask: object) -> Heads:
        raise AssertionError("a guest was answered")

    async with place() as here:
        here.roster.valid[COUNTY] = bytes(16)
        city = await here.node(CITY, handlers={"log.heads": heads, "search": nothing})
        county = await here.node(COUNTY, reachable=False)
        assert await ask(county, CITY) == Heads(())
        with pytest.raises(RemoteFault, match="a guest"):
            await county.ask(CITY, "search", ASK, 5)
        (guest,) = city.peers()
        assert await city.ask_peer(guest.key, "log.heads", HeadsAsk(), 5) == Heads(())
        with pytest.raises(Unavailable):
            await ask(city, COUNTY)


@in_pretend_time
async def test_guests_are_few_and_shown_out_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links_module, "GUESTS_MAX", 1)
    async with place() as here:
        for office in (COUNTY, COUNTY2):
            here.roster.valid[office] = bytes(16)
        city = await here.node(CITY)
        first, second = [await here.node(o, reachable=False) for o in (COUNTY, COUNTY2)]
        await ask(first, CITY)
        with contextlib.suppress(Unavailable):
            await ask(second, CITY)
        await until(lambda: here.refused == [(COUNTY2,)])
        assert [peer.named for peer in city.peers()] == [(COUNTY,)]
        await asyncio.sleep(GUEST_SECONDS_MAX)
        assert here.refused == [(COUNTY2,), (COUNTY,)], "now it greets with its next keys"
        assert city.peers() == []
        assert await ask(second, CITY) == Heads(())


@in_pretend_time
async def test_a_guest_that_comes_again_has_one_link() -> None:
    async with place() as here:
        here.roster.valid[COUNTY] = bytes(16)
        city = await here.node(CITY)
        county = await here.node(COUNTY, reachable=False)
        await ask(county, CITY)
        here.net.crash(f"n{COUNTY}")
        again = await here.node(COUNTY, reachable=False)
        await ask(again, CITY)
        assert len(city.peers()) == 1


@in_pretend_time
async def test_a_strangers_word_about_our_keys_changes_nothing() -> None:
    async with place() as here:
        city = await here.node(CITY)
        connection = await here.net.wire("raw", b"").dial(*here.addresses[CITY])
        await connection.send(encode_frame(Goodbye("link.key", "")))
        await until(lambda: bool(city.counters))
        assert city.counters == {"remote.link.key": 1}
        assert here.refused == []


@in_pretend_time
async def test_others_stand_in_for_a_kept_office_until_it_is_back() -> None:
    async with place() as here:
        here.addresses[CITY] = (f"n{CITY}:1", hashlib.sha256(f"n{CITY}".encode()).digest())
        other = await here.node(OTHER)
        county = await here.node(COUNTY, reachable=False, keep=(CITY,), stand_ins=(STRANGER, OTHER))
        await asyncio.sleep(2)
        assert not county.live(), "not at once"
        await until(lambda: county.live() == {OTHER})
        await asyncio.sleep(60)
        assert len(other.peers()) == 1
        await here.node(CITY)
        await until(lambda: county.live() == {CITY})
        assert other.counters == {"remote.link.bye": 1}


@in_pretend_time
async def test_another_certificate_at_the_address() -> None:
    async with place() as here:
        await here.node(CITY)
        county = await here.node(COUNTY)
        here.addresses[CITY] = (here.addresses[CITY][0], bytes(32))
        with pytest.raises(AuthError):
            await ask(county, CITY)
        assert county.counters == {"dial.wire.auth": 1}


@in_pretend_time
async def test_another_office_at_the_address() -> None:
    async with place() as here:
        await here.node(CITY)
        county = await here.node(COUNTY, reachable=False)
        here.addresses[OTHER] = here.addresses[CITY]
        with pytest.raises(Unavailable, match="wrong-office"):
            await ask(county, OTHER)
        assert county.counters == {"link.wrong-office": 1}


@in_pretend_time
async def test_bad_frames_of_a_raw_peer_are_counted_and_answered() -> None:
    cases = [(b"\xc1", "link.frame.malformed"), (bytes(200_000), "link.frame.oversized"),
             (bytes(FRAME_BYTES_MAX + 1), "link.frame.oversized"),
             (b"\x92\x05\x01", "link.frame.unexpected"), (b"\x91\x63", "link.frame.unknown"),
             (None, "link.late")]  # fmt: skip
    async with place() as here:
        city = await here.node(CITY)
        wire = here.net.wire("raw", b"")
        for number, (frame, code) in enumerate(cases, start=1):
            connection = await wire.dial(*here.addresses[CITY])
            await connection.receive()  # its hello
            if frame is not None:
                await connection.send(frame)
            await until(lambda n=number: sum(city.counters.values()) == n)  # type: ignore[misc]
            if frame is None or len(frame) <= FRAME_BYTES_MAX:
                goodbye = decode_frame(await connection.receive())
                assert isinstance(goodbye, Goodbye)
                assert goodbye.code == code
            assert city.counters[code] >= 1
        assert asyncio.get_running_loop().time() > HELLO_SECONDS_MAX


@in_pretend_time
async def test_a_free_text_as_code_does_not_become_a_counter() -> None:
    async with place() as here:
        city = await here.node(CITY)
        connection = await here.net.wire("raw", b"").dial(*here.addresses[CITY])
        await connection.send(encode_frame(Goodbye("anything at all", "")))
        await until(lambda: bool(city.counters))
        assert city.counters == {"remote.other": 1}


@in_pretend_time
async def test_more_connections_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links_module, "LINKS_MAX", 1)
    async with place() as here:
        city = await here.node(CITY)
        await ask(await here.node(COUNTY, reachable=False), CITY)
        second = await here.node(COUNTY2, reachable=False)
        with pytest.raises(Unavailable):
            await ask(second, CITY)
        assert city.counters == {"link.full": 1}
        await here.node(OTHER)
        with pytest.raises(Unavailable, match="fewer than 1"):
            await ask(city, OTHER)


# ---- answering


@in_pretend_time
async def test_a_handler_that_hangs_holds_up_nobody_else() -> None:
    ended: list[str] = []

    async def hang(_peer: Peer, _ask: object) -> Heads:
        try:
            await asyncio.sleep(1000)
        finally:
            ended.append("hang")
        return Heads(())

    async with place() as here:
        await here.node(CITY, handlers={"search": hang, "log.heads": heads})
        county = await here.node(COUNTY)
        await ask(county, CITY)
        (peer,) = county.peers()
        slow = asyncio.gather(
            *(county.ask_peer(peer.key, "search", ASK, 2) for _ in range(ANSWERING_MAX - 1)),
            return_exceptions=True,
        )
        await asyncio.sleep(0.5)
        assert await ask(county, CITY, seconds=1) == Heads(())
        errors = await slow
        assert {type(error) for error in errors} == {Unavailable}
        await asyncio.sleep(0.5)
        assert len(ended) == ANSWERING_MAX - 1  # cancelled there too, not left to run
        assert county.counters == {"ask.late": ANSWERING_MAX - 1}


@in_pretend_time
async def test_a_handler_has_a_deadline_of_its_own() -> None:
    async def hang(_peer: Peer, _ask: object) -> Heads:
        await asyncio.sleep(1000)
        return Heads(())

    async with place() as here:
        city = await here.node(CITY, handlers={"log.heads": hang})
        county = await here.node(COUNTY)
        with pytest.raises(Unavailable, match="at the peer"):
            await ask(county, CITY, seconds=100)
        assert asyncio.get_running_loop().time() < REQUEST_SECONDS_MAX + 2
        assert city.counters == {"handler.late": 1}


@in_pretend_time
async def test_no_more_than_so_many_are_answered_at_once() -> None:
    now, most = 0, 0

    async def work(_peer: Peer, _ask: object) -> Heads:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.1)
        now -= 1
        return Heads(())

    async with place() as here:
        await here.node(CITY, handlers={"log.heads": work})
        county = await here.node(COUNTY)
        answers = await asyncio.gather(*(ask(county, CITY, seconds=20) for _ in range(150)))
        assert answers == [Heads(())] * 150
        assert most == ANSWERING_MAX


@in_pretend_time
async def test_a_peer_that_asks_and_does_not_read_is_not_answered_into_memory() -> None:
    answered = 0

    async def work(_peer: Peer, _ask: object) -> Heads:
        nonlocal answered
        answered += 1
        return Heads(())

    async with place() as here:
        await here.node(CITY, handlers={"log.heads": work})
        connection = await here.net.wire("raw", b"").dial(*here.addresses[CITY])
        session = Session(
            Role.INITIATOR,
            Identity(NETWORK, {COUNTY: key(COUNTY)}),
            lookup=here.roster,
            nonce=b"n" * 32,
            binding=connection.binding,
            now=0,
            roster_size=0,
        )
        while session.state is not State.READY:
            for frame in session.to_send():
                await connection.send(frame)
            session.receive(await connection.receive(), 0)
        for _ in range(REQUESTS_IN_FLIGHT_MAX):
            session.request("log.heads", HeadsAsk())
        for frame in session.to_send():
            await connection.send(frame)
        await asyncio.sleep(10)
        assert answered <= FRAMES_UNDER_WAY_MAX + 2 * ANSWERING_MAX
        while not session.receive(await connection.receive(), 0):
            pass
        await asyncio.sleep(SEND_SECONDS_MAX + 10)
        assert here.nodes[0].counters["link.lost"] == 1  # it took no frame for too long


@in_pretend_time
async def test_errors_cross_the_link_with_their_code() -> None:
    def failing(error: Exception) -> Handler:
        async def handler(_peer: Peer, _ask: object) -> object:
            raise error

        return handler

    async with place() as here:
        handlers: dict[str, Handler] = {"log.heads": failing(Missing("log", "a head", "none"))}
        city = await here.node(CITY, handlers=handlers)
        county = await here.node(COUNTY)
        for error, code in (
            (Missing("log", "a head", "none"), "store.missing"),
            (ZeroDivisionError("a bug"), "error"),
        ):
            handlers["log.heads"] = failing(error)
            with pytest.raises(RemoteFault) as caught:
                await ask(county, CITY)
            assert caught.value.fault.code == code
        handlers["log.heads"] = failing(Unavailable("log", "a moment", "busy"))
        with pytest.raises(Unavailable, match="busy"):
            await ask(county, CITY)
        del handlers["log.heads"]
        with pytest.raises(RemoteFault) as caught:
            await ask(county, CITY)
        assert caught.value.fault.code == "method.unknown"
        assert city.counters == {
            "handler.store.missing": 1,
            "handler.failed": 1,
            "handler.unavailable": 1,
        }
        assert len(county.peers()) == 1


@in_pretend_time
async def test_an_answer_too_long_for_a_frame_is_a_fault() -> None:
    async def long(_peer: Peer, _ask: object) -> object:
        return (bytes(FRAME_BYTES_MAX),)

    async with place() as here:
        await here.node(CITY, handlers={"log.heads": long})
        county = await here.node(COUNTY)
        with pytest.raises(RemoteFault, match="bytes"):
            await ask(county, CITY)


@in_pretend_time
async def test_a_failed_sync_in_a_handler_ends_the_node() -> None:
    async def fatal(_peer: Peer, _ask: object) -> object:
        raise Fatal("ledger", "a sync", "EIO")

    async def story() -> None:
        async with place() as here:
            await here.node(CITY, handlers={"log.heads": fatal})
            await ask(await here.node(COUNTY), CITY)

    with pytest.raises(ExceptionGroup) as caught:
        await story()
    assert caught.group_contains(Fatal)


# ---- ending


@in_pretend_time
async def test_whoever_waits_when_the_link_is_lost_has_an_error() -> None:
    async def hang(_peer: Peer, _ask: object) -> Heads:
        await asyncio.sleep(1000)
        return Heads(())

    async with place() as here:
        await here.node(CITY, handlers={"log.heads": hang})
        county = await here.node(COUNTY)

        async def cut() -> None:
            await asyncio.sleep(1)
            here.net.crash(f"n{CITY}")

        here.tasks.create_task(cut())
        with pytest.raises(Unavailable, match=r"link\.lost"):
            await ask(county, CITY, seconds=100)
        assert asyncio.get_running_loop().time() < 25
        assert county.live() == frozenset()


@in_pretend_time
async def test_stop_says_goodbye_and_hurries() -> None:
    async with place() as here:
        city, county = await here.node(CITY), await here.node(COUNTY, keep=(CITY, OTHER))
        here.addresses[OTHER] = (f"n{OTHER}:1", bytes(32))
        here.net.partition(f"n{OTHER}", f"n{COUNTY}")  # a dial that will hang
        await until(lambda: CITY in county.live())
        await county.stop()
        await until(lambda: not city.live())
        assert city.counters == {"remote.link.bye": 1}
        with pytest.raises(Unavailable):
            await ask(county, CITY)


@in_pretend_time
async def test_stop_does_not_wait_for_a_silent_peer() -> None:
    async with place() as here:
        await here.node(CITY)
        county = await here.node(COUNTY)
        await ask(county, CITY)
        here.net.partition(f"n{CITY}", f"n{COUNTY}")
        await county.stop()  # place() looks at the clock


@in_pretend_time
async def test_nobody_is_kept_anew_while_it_stops() -> None:
    """A link that goes may be a reason to keep another, also while all of them go."""
    async with place() as here:
        await here.node(CITY)
        county = await here.node(COUNTY)
        await ask(county, CITY)
        county.on_change(lambda _peer, _ready: county.keep((OTHER,)))
        async with asyncio.timeout(5):
            await county.stop()
