"""Requests, admissions, invites: what must not pass."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from node.hands.keys import PURPOSES, make_office_keys
from node.office.membership import read_invite, read_request, write_request
from protocol.errors import DecodeError, FangzhiError, ForkError, ProofError
from protocol.ids import OfficeCode
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
    old = make_office_keys(CITY, SimRng(7, "old").random_bytes).event
    read = read_request(write_request(both, bytes(range(32)), "a:1", "http://w", [old]) + b"\n")
    assert read.codes == [CITY, COUNTY]
    office, keys = read.offices[1], both[COUNTY]
    asked = (office.log_key, office.witness_key, office.mirror_key, office.event_key)
    assert asked == tuple(getattr(keys, purpose).public for purpose in PURPOSES)
    assert (read.tls_pin, read.peer_address, read.web_url) == (bytes(range(32)), "a:1", "http://w")
    assert len(read.signers) == 9
    assert old.public in read.signers


@pytest.mark.parametrize("name", ["code", "log_key", "witness_key", "mirror_key", "event_key"])
def test_a_forged_office_of_a_request(name: str) -> None:
    fields = json.loads(request(COUNTY))
    fields["offices"][0][name] = "320582" if name == "code" else "00" * 32
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


@pytest.mark.parametrize("purpose", PURPOSES)
def test_every_key_of_a_request_must_have_signed_it(purpose: str) -> None:
    fields = json.loads(request(COUNTY))
    del fields["signatures"][fields["offices"][0][f"{purpose}_key"]]
    with pytest.raises(ProofError, match="each of its keys"):
        read_request(encode_json(fields))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda f: f.pop("offices"),
        lambda f: f.update(offices=[]),
        lambda f: f.update(offices=f["offices"] * 2),
        lambda f: f.update(signatures={}),
        lambda f: f.update(signatures=[]),
        lambda f: f["signatures"].update(zz="zz"),
        lambda f: f["signatures"].update({"00" * 32: "00" * 64}),
        lambda f: f.update(format="fangzhi/request/2"),
        lambda f: f["offices"][0].update(code="32058"),
        lambda f: f["offices"].append(1),
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


def test_an_invite_with_a_flipped_byte_never_misleads(play: Play) -> None:
    async def story(town: Any) -> None:
        node = town.node(PROVINCE)
        roster, data = node.folding.roster, node.registrar.invite([COUNTY])
        with pytest.raises(ProofError):
            node.registrar.invite([COUNTY2])
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


def test_an_invite_after_a_life_full_of_changes(play: Play) -> None:
    """Its office moved, its first parent is gone, the province has other keys."""

    async def story(town: Any) -> None:
        node, office = town.node(PROVINCE), town.office
        await office.change({"move": COUNTY, "parent": CITY2})
        await office.change({"abolish": CITY, "successor": CITY2, "at": 0})
        await town.hosts[CITY].stop()
        await office.rotate(PROVINCE)
        _, read = read_invite(node.registrar.invite([COUNTY]))
        roster = node.folding.roster
        assert set(read.members) == {PROVINCE, CITY, CITY2, COUNTY}
        for code, member in read.members.items():
            assert member == roster.member(code)
        assert [cut.code for cut in read.closures] == [CITY]

    play(story, PROVINCE, CITY, CITY2, COUNTY)


def test_invites_that_leave_out_or_swap(play: Play) -> None:
    async def story(town: Any) -> None:
        node = town.node(PROVINCE)
        fields = json.loads(node.registrar.invite([COUNTY]))
        province, city, county = fields["members"]
        for members in (
            [city, county],  # the province is not there
            [province, county],  # the parent is missing
            [province, county, city],  # another order
            [province, city, city],
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

    play(story, PROVINCE, CITY, COUNTY)
