from __future__ import annotations

from dataclasses import replace

import pytest

from ledger.changes import change_statement, name_of, sign_change, verify_change
from ledger.events import (
    CHANGES,
    NETWORK_CHANGES,
    MemberAbolish,
    MemberMove,
    MemberRevoke,
    OutsideWitness,
    PolicySet,
    RecoverySet,
    kind_of,
)
from protocol.errors import ProofError
from protocol.ids import RootHash
from protocol.keys import SigningKey

PROVINCE, CITY, CITY2 = "320000", "320500", "320600"
ROOT = RootHash(bytes(32))


@pytest.fixture
def every(network):
    """A change of every kind."""
    outside = OutsideWitness("archive", "any", "https://archive.example")
    return (
        network.admit_body(CITY),
        network.rotate_body(CITY),
        MemberRevoke(CITY, 4, ROOT, 1, ()),
        MemberMove(CITY, PROVINCE, "name", 1, ()),
        MemberAbolish(CITY, CITY2, 4, ROOT, 1, ()),
        PolicySet(2, 2, 0, (outside,), 1, ()),
        RecoverySet(1, bytes([7]) * 32, ()),
    )


def test_every_kind_is_signed_and_named(network, every):
    assert [type(body) for body in every] == list(CHANGES)
    statements = {change_statement(network.genesis, body) for body in every}
    assert len(statements) == len(every)
    for body in every:
        signed = network.with_roots(body)
        verify_change(network.genesis, signed)
        assert change_statement(network.genesis, signed) in statements
        assert name_of(body).startswith(kind_of(body))
        with pytest.raises(ProofError, match=name_of(body)):
            verify_change(network.genesis, network.with_roots(body, 1))


def test_a_signature_is_good_for_one_turn_only(network, every):
    for body in every:
        later = {"version": 3} if isinstance(body, NETWORK_CHANGES) else {"turn": 7}
        with pytest.raises(ProofError):
            verify_change(network.genesis, replace(network.with_roots(body), **later))


def test_root_signatures_are_counted_by_key(network):
    body = network.admit_body(CITY)
    one = network.with_roots(body, 1)
    verify_change(network.genesis, network.with_roots(body, 2))
    for forged in (
        body,
        one,
        sign_change(network.genesis, one, network.roots[0]),  # the same root twice
        sign_change(network.genesis, one, SigningKey.from_seed(bytes(32))),  # a stranger
    ):
        with pytest.raises(ProofError):
            verify_change(network.genesis, forged)


def test_a_signed_change_cannot_be_altered_or_moved(network):
    signed = network.with_roots(network.admit_body(CITY))
    with pytest.raises(ProofError):
        verify_change(network.genesis, replace(signed, name="another"))
    with pytest.raises(ProofError):
        verify_change(replace(network.genesis, network="other.example"), signed)


def test_a_bad_signature_of_a_root_key_spoils_the_change(network):
    body = network.with_roots(network.admit_body(CITY), 3)
    good, line = body.signatures[:2], body.signatures[2]
    bad = replace(line, signature=bytes(64))
    with pytest.raises(ProofError, match="root signature"):
        verify_change(network.genesis, replace(body, signatures=(*good, bad)))
    stranger = replace(bad, signer=bytes(16))
    verify_change(network.genesis, replace(body, signatures=(*good, stranger)))
