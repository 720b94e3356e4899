"""Requests, admissions, invites: what must not pass."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from configs.offices import load
from ledger.roster import Roster
from node.hands.keys import make_office_keys
from node.office.membership import (
    admissions,
    read_invite,
    read_request,
    write_invite,
    write_request,
)
from protocol.errors import DecodeError, FangzhiError, ForkError, Missing, ProofError
from protocol.ids import OfficeCode
from protocol.keys import SigningKey
from protocol.records import encode_json
from simulations.clock import SimRng

PROVINCE, CITY, CITY2, COUNTY, COUNTY2 = map(
    OfficeCode, ("320000", "320500", "320600", "320581", "320681")
)
Play = Callable[..., None]


def keys_of(code: OfficeCode, seed: int = 1) -> dict[OfficeCode, Any]:
    return {code: make_office_keys(code, SimRng(seed, code).random_bytes)}


def request(code: OfficeCode, seed: int = 1) -> bytes:
    return write_request(keys_of(code, seed), bytes(32), "", "http://x")


def test_a_request_says_what_was_written() -> None:
    both = {**keys_of(CITY), **keys_of(COUNTY)}
    read = read_request(write_request(both, bytes(range(32)), "a:1", "http://w") + b"\n")
    assert [office[0] for office in read.offices] == [CITY, COUNTY]
    assert read.offices[1][1:] == tuple(
        key.public
        for key in (
            both[COUNTY].log,
            both[COUNTY].witness,
            both[COUNTY].mirror,
            both[COUNTY].event,
        )
    )
    assert (read.tls_pin, read.peer_address, read.web_url) == (bytes(range(32)), "a:1", "http://w")


@pytest.mark.parametrize("name", ["code", "log_key", "witness_key", "mirror_key", "event_key"])
def test_a_forged_office_of_a_request(name: str) -> None:
    fields = json.loads(request(COUNTY))
    other = "320582" if name == "code" else "00" * 32
    fields["offices"][0][name] = other
    with pytest.raises(ProofError):
        read_request(encode_json(fields))


@pytest.mark.parametrize(
    ("name", "value"),
    [("tls_pin", "11" * 32), ("peer_address", "evil:1"), ("web_url", "http://evil")],
)
def test_a_forged_address_of_a_request(name: str, value: str) -> None:
    fields = json.loads(request(COUNTY))
    with pytest.raises(ProofError):
        read_request(encode_json({**fields, name: value}))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda f: f.pop("offices"),
        lambda f: f.update(offices=[]),
        lambda f: f.update(offices=f["offices"] * 2),
        lambda f: f.update(signatures=[]),
        lambda f: f.update(signatures=["zz"]),
        lambda f: f.update(format="fangzhi/request/2"),
        lambda f: f["offices"][0].update(code="32058"),
    ],
)
def test_what_is_no_request(spoil: Callable[[dict[str, Any]], object]) -> None:
    fields = json.loads(request(COUNTY))
    spoil(fields)
    with pytest.raises((DecodeError, ProofError)):
        read_request(encode_json(fields))
    for data in (b"", b"{}", b"[]", b"\xff", request(COUNTY)[:-2], b"x" * 2**21):
        with pytest.raises(DecodeError):
            read_request(data)


def test_who_may_be_admitted(play: Play) -> None:
    async def story(town: Any) -> None:
        genesis, roster = town.cluster.genesis, town.node(PROVINCE).folding.roster
        table, root = load("jiangsu"), town.cluster.root

        def admit(code: OfficeCode, roots: list[SigningKey], seed: int = 1) -> Any:
            read = read_request(request(code, seed))
            return admissions(genesis, roster, read, table, roots)

        (body,) = admit(COUNTY, [root])
        assert (body.parent, body.tier, body.name) == (CITY, "county", "常熟市")
        with pytest.raises(ProofError, match="1 root signatures"):
            admit(COUNTY, [])
        with pytest.raises(ProofError, match="1 root signatures"):
            admit(COUNTY, [SigningKey.from_seed(bytes(32))])
        with pytest.raises(ProofError, match="no such"):  # its parent has not been admitted
            admit(COUNTY2, [root])
        with pytest.raises(Missing, match="table of offices"):
            admit(OfficeCode("999999"), [root])
        # keys that another office has, stolen or copied
        stolen = write_request(
            {COUNTY: replace(town.hosts[CITY].keys, code=COUNTY)}, bytes(32), "", ""
        )
        with pytest.raises(ProofError, match="keys that nobody ever had"):
            admissions(genesis, roster, read_request(stolen), table, [root])
        # a county that says it stands elsewhere
        rows = [replace(row, parent=PROVINCE) if row.code == COUNTY else row for row in table]
        with pytest.raises(ProofError, match="as parent"):
            admissions(genesis, roster, read_request(request(COUNTY)), rows, [root])

    play(story, PROVINCE, CITY)


def test_an_invite_with_a_flipped_byte_never_misleads(play: Play) -> None:
    async def story(town: Any) -> None:
        node = town.node(PROVINCE)
        with node.world.ledger.read() as reader:
            roster = node.folding.roster
            data = write_invite(node.genesis, node.genesis_note, reader, roster, [COUNTY])
            with pytest.raises(ProofError):
                write_invite(node.genesis, node.genesis_note, reader, roster, [COUNTY2])
        note, read = read_invite(data + b"\n")
        assert note == node.genesis_note
        assert list(read.members) == [PROVINCE, CITY, COUNTY]
        assert read.member(COUNTY) == roster.member(COUNTY)
        for at in range(0, len(data), 37):
            flipped = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
            try:
                note, other = read_invite(flipped)
            except FangzhiError:
                continue
            assert (note, other.members) == (node.genesis_note, read.members), at

    play(story, PROVINCE, CITY, COUNTY)


def test_invites_that_leave_out_or_swap(play: Play) -> None:
    async def story(town: Any) -> None:
        node = town.node(PROVINCE)
        with node.world.ledger.read() as reader:
            args = (node.genesis, node.genesis_note, reader, node.folding.roster)
            fields = json.loads(write_invite(*args, [COUNTY]))
        province, city, county = fields["members"]
        for members in (
            [city, county],  # the province is not first
            [province, county],  # the parent is missing
            [province, {**city, "proof": county["proof"]}],
            [province, {**city, "entry": base64.b64encode(b"not an event").decode()}],
            [{"entry": "!", "proof": ""}],
            "none",
        ):
            with pytest.raises(FangzhiError) as caught:
                read_invite(encode_json({**fields, "members": members}))
            assert not isinstance(caught.value, ForkError)
        # another network's invite is not mixed up with ours
        other = write_request(keys_of(COUNTY), bytes(32), "", "")
        with pytest.raises(DecodeError, match="invite"):
            read_invite(other)
        assert Roster(node.genesis).members == {}

    play(story, PROVINCE, CITY, COUNTY)
