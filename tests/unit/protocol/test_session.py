"""Dialogues of two sessions, with no socket between them but a list."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.canonical import encode
from protocol.errors import DecodeError, Missing, Unavailable
from protocol.handshake import HelloKey, Identity, Refusal, Role
from protocol.ids import BlobId, NetworkId, OfficeCode
from protocol.keys import SigningKey, key_id
from protocol.limits import (
    FRAME_BYTES_MAX,
    HELLO_SECONDS_MAX,
    OFFICES_PER_NODE_MAX,
    REQUEST_BYTES_MAX,
    REQUEST_SECONDS_MAX,
    REQUESTS_IN_FLIGHT_MAX,
)
from protocol.messages import (
    Advert,
    BlobAsk,
    Cancel,
    Chunk,
    Fault,
    Frame,
    Goodbye,
    Heads,
    HeadsAsk,
    Hello,
    OfficeProof,
    Proof,
    Request,
    Response,
    decode_frame,
    encode_frame,
)
from protocol.session import (
    Answered,
    Asked,
    Cancelled,
    Closed,
    Event,
    Ready,
    Session,
    State,
)
from protocol.shapes import to_value

NETWORK = NetworkId.of(b"jiangsu")
BINDING = b"b" * 32
CITY, COUNTY, COUNTY2, STRANGER = map(OfficeCode, ("320500", "320506", "320507", "999999"))
KEYS = {office: SigningKey.from_seed(office.encode() * 5 + b"xx") for office in (
    CITY, COUNTY, COUNTY2, STRANGER,
)}  # fmt: skip


class Roster:
    def __init__(self) -> None:
        self.valid = {o: key_id(KEYS[o].public) for o in (CITY, COUNTY, COUNTY2)}
        self.strangers = {STRANGER}

    def __call__(self, office: OfficeCode, signer: bytes, /) -> HelloKey | None:
        if office not in KEYS or office in self.strangers:
            raise Missing("roster", "a member", office)
        if key_id(KEYS[office].public) != signer:
            return None
        return HelloKey(KEYS[office].public, counts=self.valid.get(office) == signer)


def session(
    role: Role,
    *offices: OfficeCode,
    nonce: bytes | None = None,
    network: NetworkId = NETWORK,
    binding: bytes = BINDING,
    roster: Roster | None = None,
) -> Session:
    return Session(
        role,
        Identity(network, {office: KEYS[office] for office in offices}),
        lookup=roster or Roster(),
        nonce=nonce or role.value[0].encode() * 32,
        binding=binding,
        now=0,
        roster_size=len(offices),
    )


def talk(one: Session, two: Session, now: int = 0) -> tuple[list[Event], list[Event]]:
    """Carry frames to and fro until both are silent; what each side was told."""
    heard: tuple[list[Event], list[Event]] = ([], [])
    while True:
        to_two, to_one = one.to_send(), two.to_send()
        if not to_one and not to_two:
            return heard
        for frame in to_two:
            heard[1].extend(two.receive(frame, now))
        for frame in to_one:
            heard[0].extend(one.receive(frame, now))


def linked() -> tuple[Session, Session]:
    county, city = session(Role.INITIATOR, COUNTY), session(Role.RESPONDER, CITY)
    talk(county, city)
    assert county.state is city.state is State.READY
    return county, city


def refusal(events: list[Event]) -> str:
    (event,) = events
    assert isinstance(event, Closed)
    assert event.by_us
    return event.code


def say(target: Session, *frames: Frame | bytes) -> list[Event]:
    heard: list[Event] = []
    for frame in frames:
        heard += target.receive(frame if isinstance(frame, bytes) else encode_frame(frame), 0)
    return heard


# ---- the good dialogue


def test_both_sides_are_ready_with_the_others_offices() -> None:
    county = session(Role.INITIATOR, COUNTY2, COUNTY)
    city = session(Role.RESPONDER, CITY)
    told_county, told_city = talk(county, city)
    assert told_county == [Ready((CITY,), 1, (CITY,))]
    assert told_city == [Ready((COUNTY, COUNTY2), 2, (COUNTY, COUNTY2))]
    assert county.next_deadline() is None


def test_either_side_asks_and_is_answered() -> None:
    county, city = linked()
    ask = BlobAsk(BlobId.of(b"file"), 0, 4)
    first, second = city.request("blob.read", ask), city.request("log.heads", HeadsAsk())
    asked = talk(county, city)[0]
    assert asked == [Asked(first, "blob.read", ask), Asked(second, "log.heads", HeadsAsk())]
    county.respond(second, Heads(()))  # in any order
    county.respond(first, Fault("store.missing", "blob", "a file", "none"))
    back = talk(county, city)[1]
    assert back == [
        Answered(second, Heads(())),
        Answered(first, Fault("store.missing", "blob", "a file", "none")),
    ]
    assert county.request("log.heads", HeadsAsk()) == 1  # each side counts for itself


def test_a_method_from_the_future_is_a_fault_and_no_offence() -> None:
    _, city = linked()
    assert say(city, Request(1, "moon.phase", None)) == []
    assert city.state is State.READY
    answer = decode_frame(city.to_send()[0])
    assert isinstance(answer, Response)
    assert answer.body == ("method.unknown", "request.method", "a known method", "moon.phase")


def test_goodbye_ends_both() -> None:
    county, city = linked()
    county.close("bye", "switched off for the night")
    assert talk(county, city)[1] == [Closed("bye", "switched off for the night", by_us=False)]
    assert county.receive(encode_frame(Cancel(1)), 0) == []
    assert city.to_send() == []
    with pytest.raises(Unavailable):
        city.request("log.heads", HeadsAsk())


# ---- cancel and time


def test_a_cancelled_request_is_answered_once() -> None:
    county, city = linked()
    number = county.request("log.heads", HeadsAsk())
    talk(county, city)
    county.cancel(number, 0)
    county.cancel(number, 0)
    told_county, told_city = talk(county, city)
    assert told_city == [Cancelled(number)]
    assert [type(event.result) for event in told_county if isinstance(event, Answered)] == [Fault]
    city.respond(number, Heads(()))  # the handler was just finishing
    assert city.to_send() == []


def test_a_cancel_that_crosses_the_answer_is_no_offence() -> None:
    county, city = linked()
    number = county.request("log.heads", HeadsAsk())
    talk(county, city)
    city.respond(number, Heads(()))
    county.cancel(number, 0)
    assert talk(county, city) == ([Answered(number, Heads(()))], [])


def test_a_peer_that_never_answers_even_a_cancel_is_left() -> None:
    county, _ = linked()
    number = county.request("log.heads", HeadsAsk())
    assert county.next_deadline() is None  # how long to wait is the asker's choice
    county.cancel(number, 500)
    due = 500 + REQUEST_SECONDS_MAX * 1000
    assert county.next_deadline() == due
    assert county.tick(due - 1) == []
    assert refusal(county.tick(due)) == Refusal.UNANSWERED


@pytest.mark.parametrize("greeted", [False, True])
def test_a_slow_handshake_is_refused(greeted: bool) -> None:
    city, county = session(Role.RESPONDER, CITY), session(Role.INITIATOR, COUNTY)
    if greeted:
        say(city, county.to_send()[0])
    due = HELLO_SECONDS_MAX * 1000
    assert city.next_deadline() == due
    assert city.tick(due - 1) == []
    assert refusal(city.tick(due)) == Refusal.LATE
    assert city.next_deadline() is None


# ---- refusals in the handshake


def hello(**changed: object) -> Hello:
    fields: dict[str, object] = {
        "version": 1,
        "network": NETWORK,
        "nonce": b"p" * 32,
        "offices": (COUNTY,),
        "roster_size": 1,
    }
    return Hello(**{**fields, **changed})  # type: ignore[arg-type]


MANY = tuple(OfficeCode(str(100_000 + n)) for n in range(OFFICES_PER_NODE_MAX + 1))


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (hello(version=2), Refusal.VERSION),
        (hello(network=NetworkId.of(b"hubei")), Refusal.NETWORK),
        (hello(nonce=b"r" * 32), Refusal.REFLECTED),
        (hello(nonce=b""), Refusal.MALFORMED),
        (hello(offices=()), Refusal.OFFICES),
        (hello(offices=(COUNTY, COUNTY)), Refusal.OFFICES),
        (hello(offices=MANY), Refusal.OFFICES),
        (hello(offices=("../etc",)), Refusal.OFFICES),
        (hello(offices=(CITY,)), Refusal.OFFICE_OURS),
        (Proof(()), Refusal.UNEXPECTED),
        (Request(1, "log.heads", ()), Refusal.UNEXPECTED),
        (Response(1, True, ()), Refusal.UNEXPECTED),
        (Cancel(1), Refusal.UNEXPECTED),
        (bytes(REQUEST_BYTES_MAX + 1), Refusal.OVERSIZED),
        (b"\xc1", Refusal.MALFORMED),
        (b"", Refusal.MALFORMED),
        (encode((5, 1, 2)), Refusal.MALFORMED),
        (b"\x92\x05\xcd\x00\x01", Refusal.MALFORMED),
        (encode((77,)), Refusal.UNKNOWN),
    ],
)
def test_refused_as_first_frame(frame: Frame | bytes, code: Refusal) -> None:
    city = session(Role.RESPONDER, CITY)
    city.to_send()
    assert refusal(say(city, frame)) == code
    (goodbye,) = city.to_send()  # no proof of ours goes out
    assert goodbye.startswith(b"\x93\x06")
    assert code.encode() in goodbye
    assert say(city, hello()) == []


def test_a_second_hello_and_a_request_before_the_proof_are_refused() -> None:
    for frame in (hello(), Request(1, "log.heads", ())):
        city = session(Role.RESPONDER, CITY)
        assert say(city, hello()) == []
        assert refusal(say(city, frame)) == Refusal.UNEXPECTED


def test_an_office_that_is_not_in_the_roster() -> None:
    stranger, city = session(Role.INITIATOR, STRANGER), session(Role.RESPONDER, CITY)
    told_stranger, told_city = talk(stranger, city)
    assert refusal(told_city) == Refusal.OFFICE_UNKNOWN
    assert [e.code for e in told_stranger if isinstance(e, Closed)] == [Refusal.OFFICE_UNKNOWN]


def test_offices_that_are_not_in_the_roster_yet_are_left_out_until_they_are() -> None:
    roster = Roster()
    city = session(Role.INITIATOR, CITY, STRANGER)
    county = session(Role.RESPONDER, COUNTY, roster=roster)
    told = talk(city, county)[1]
    assert [event.offices for event in told if isinstance(event, Ready)] == [(CITY,)]
    assert county.review() == []
    roster.valid[STRANGER] = key_id(KEYS[STRANGER].public)
    roster.strangers.clear()
    assert refusal(county.review()) == Refusal.ROSTER


def test_who_shows_a_key_that_counts_no_more_is_a_guest() -> None:
    roster = Roster()
    del roster.valid[COUNTY]
    county = session(Role.INITIATOR, COUNTY)
    city = session(Role.RESPONDER, CITY, roster=roster)
    assert talk(county, city)[1] == [Ready((), 1, (COUNTY,))]
    assert city.review() == []
    roster.valid[COUNTY] = key_id(KEYS[COUNTY].public)
    assert refusal(city.review()) == Refusal.ROSTER


def test_an_office_whose_key_counts_no_more_is_left_out_beside_one_whose_does() -> None:
    roster = Roster()
    del roster.valid[COUNTY]
    county = session(Role.INITIATOR, COUNTY, COUNTY2)
    city = session(Role.RESPONDER, CITY, roster=roster)
    assert talk(county, city)[1] == [Ready((COUNTY2,), 2, (COUNTY, COUNTY2))]


def test_a_guest_has_to_have_the_key() -> None:
    roster = Roster()
    del roster.valid[COUNTY]
    city = session(Role.RESPONDER, CITY, roster=roster)
    line = OfficeProof(COUNTY, key_id(KEYS[COUNTY].public), bytes(64))
    assert refusal(say(city, hello(), Proof((line,)))) == Refusal.SIGNATURE


def test_a_key_that_the_office_never_had() -> None:
    city = session(Role.RESPONDER, CITY)
    line = OfficeProof(COUNTY, key_id(KEYS[CITY].public), bytes(64))
    assert refusal(say(city, hello(), Proof((line,)))) == Refusal.KEY


def test_who_heard_later_greets_again_when_its_keys_are_others() -> None:
    county, city = linked()
    assert (county.is_outdated, city.is_outdated) == (False, False)
    behind = session(Role.INITIATOR, COUNTY)
    talk(behind, session(Role.RESPONDER, CITY, COUNTY2))  # its hello names a longer roster
    assert behind.is_outdated
    assert behind.greeted_as(Identity(NETWORK, {COUNTY: KEYS[COUNTY]}))
    assert not behind.greeted_as(Identity(NETWORK, {COUNTY: KEYS[COUNTY2]}))
    assert not behind.greeted_as(Identity(NETWORK, {}))


def test_a_key_revoked_while_the_link_is_up() -> None:
    roster = Roster()
    county = session(Role.INITIATOR, COUNTY)
    city = session(Role.RESPONDER, CITY, roster=roster)
    assert city.review() == []
    talk(county, city)
    assert city.review() == []
    roster.valid[COUNTY] = bytes(16)  # rotated
    assert refusal(city.review()) == Refusal.ROSTER


def test_a_forged_signature() -> None:
    city = session(Role.RESPONDER, CITY)
    line = OfficeProof(COUNTY, key_id(KEYS[COUNTY].public), bytes(64))
    assert refusal(say(city, hello(), Proof((line,)))) == Refusal.SIGNATURE


def test_a_recorded_dialogue_is_of_no_use_in_another_session() -> None:
    county, city = session(Role.INITIATOR, COUNTY), session(Role.RESPONDER, CITY)
    recorded = county.to_send()
    county.receive(city.to_send()[0], 0)
    recorded += county.to_send()
    assert say(city, *recorded) == [Ready((COUNTY,), 1, (COUNTY,))]
    again = session(Role.RESPONDER, CITY, nonce=b"z" * 32)
    assert refusal(say(again, *recorded)) == Refusal.SIGNATURE


def test_a_relay_with_another_certificate_is_seen() -> None:
    county = session(Role.INITIATOR, COUNTY, binding=b"relay" * 6 + b"xx")
    city = session(Role.RESPONDER, CITY)
    told_county, told_city = talk(county, city)
    assert refusal(told_city[:1]) == Refusal.SIGNATURE
    assert refusal(told_county[:1]) == Refusal.SIGNATURE


# ---- refusals after it


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        ([Response(1, True, ())], Refusal.UNASKED),
        ([Cancel(1)], Refusal.UNASKED),
        ([Request(0, "log.heads", ())], Refusal.REPEATED),
        ([hello()], Refusal.UNEXPECTED),
        ([Request(1, "log.heads", (1,))], Refusal.MALFORMED),
        ([Request(1, "log.note", (CITY, bytes(REQUEST_BYTES_MAX), 0))], Refusal.OVERSIZED),
        ([bytes(FRAME_BYTES_MAX + 1)], Refusal.OVERSIZED),
        ([encode((9,))], Refusal.UNKNOWN),
    ],
)
def test_refused_when_ready(frames: list[Frame | bytes], code: Refusal) -> None:
    _, city = linked()
    assert refusal(say(city, *frames)) == code


@pytest.mark.parametrize("answered", [False, True])
def test_a_request_id_is_used_once(answered: bool) -> None:
    _, city = linked()
    assert say(city, Request(5, "log.heads", ())) == [Asked(5, "log.heads", HeadsAsk())]
    if answered:
        city.respond(5, Heads(()))
    assert refusal(say(city, Request(5, "log.heads", ()))) == Refusal.REPEATED


def test_one_request_more_than_may_be_in_flight() -> None:
    county, city = linked()
    for number in range(1, REQUESTS_IN_FLIGHT_MAX + 1):
        assert county.request("log.heads", HeadsAsk()) == number
    with pytest.raises(Unavailable):
        county.request("log.heads", HeadsAsk())
    assert len(talk(county, city)[1]) == REQUESTS_IN_FLIGHT_MAX
    too_many = Request(REQUESTS_IN_FLIGHT_MAX + 1, "log.heads", ())
    assert refusal(say(city, too_many)) == Refusal.TOO_MANY


def test_an_answer_makes_room_for_another_request() -> None:
    county, city = linked()
    numbers = [county.request("log.heads", HeadsAsk()) for _ in range(REQUESTS_IN_FLIGHT_MAX)]
    talk(county, city)
    city.respond(numbers[7], Heads(()))
    talk(county, city)
    county.request("log.heads", HeadsAsk())
    assert len(talk(county, city)[1]) == 1


def test_an_answer_of_another_shape() -> None:
    county, _ = linked()
    number = county.request("log.heads", HeadsAsk())
    assert refusal(say(county, Response(number, True, (1, 2)))) == Refusal.MALFORMED


def test_what_is_too_long_is_not_sent() -> None:
    county, city = linked()
    with pytest.raises(DecodeError):
        county.request("log.note", Advert(CITY, bytes(REQUEST_BYTES_MAX), 0))
    number = county.request("log.heads", HeadsAsk())
    talk(county, city)
    with pytest.raises(DecodeError):
        city.respond(number, Chunk(1, bytes(FRAME_BYTES_MAX)))
    city.respond(number, Fault("wire.decode", "answer", "a shorter one", "2 MiB"))
    assert len(talk(county, city)[0]) == 1


# ---- whatever comes


values = st.recursive(
    st.none() | st.booleans() | st.integers(0, 70) | st.text(max_size=8) | st.binary(max_size=40),
    lambda inner: st.lists(inner, max_size=4).map(tuple),
    max_leaves=6,
)
wild = st.one_of(
    st.binary(max_size=60),
    values.map(encode),
    st.tuples(st.integers(0, 8), values, values).map(encode),
    st.builds(
        lambda offices, nonce: encode_frame(hello(offices=tuple(offices), nonce=nonce)),
        st.lists(st.sampled_from([COUNTY, COUNTY2, STRANGER, CITY]), max_size=2),
        st.sampled_from([b"p" * 32, b"r" * 32]),
    ),
    st.builds(
        lambda office: encode_frame(
            Proof((OfficeProof(office, key_id(KEYS[COUNTY].public), bytes(64)),))
        ),
        st.sampled_from([COUNTY, COUNTY2]),
    ),
    st.builds(
        lambda number, body: encode_frame(Request(number, "log.heads", body)),
        st.integers(0, 3),
        values,
    ),
    st.builds(lambda number: encode_frame(Cancel(number)), st.integers(0, 3)),
    st.just(encode_frame(Goodbye("bye", ""))),
)


@settings(max_examples=200)
@given(frames=st.lists(wild, max_size=8))
def test_nothing_passes_a_session_that_is_not_ready(frames: list[bytes]) -> None:
    city = session(Role.RESPONDER, CITY)
    events = [event for frame in frames for event in city.receive(frame, 0)]
    assert all(isinstance(event, Closed) for event in events)
    assert len(events) <= 1
    assert city.state is not State.READY


@settings(max_examples=200)
@given(frames=st.lists(wild, max_size=8))
def test_a_ready_session_survives_any_frames(frames: list[bytes]) -> None:
    county, city = linked()
    city.request("log.heads", HeadsAsk())
    events = [event for frame in frames for event in city.receive(frame, 0)]
    closed = [index for index, event in enumerate(events) if isinstance(event, Closed)]
    assert closed in ([], [len(events) - 1])  # once, and nothing after it
    for frame in city.to_send():
        county.receive(frame, 0)


def test_bodies_are_the_arrays_that_the_spec_shows() -> None:
    ask = BlobAsk(BlobId(bytes(32)), 1, 2)
    assert encode_frame(Request(3, "blob.read", to_value(ask))) == (
        b"\x94\x03\x03\xa9blob.read\x93\xc4\x20" + bytes(32) + b"\x01\x02"
    )
