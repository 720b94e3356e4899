"""What a proof binds: each part of the transcript, changed alone, breaks it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from protocol.handshake import (
    HelloKey,
    Identity,
    Refusal,
    Refused,
    Role,
    Transcript,
    check_proof,
    prove,
)
from protocol.ids import NetworkId, OfficeCode
from protocol.keys import SigningKey, key_id
from protocol.messages import Hello, Proof

CITY, COUNTY = OfficeCode("320500"), OfficeCode("320506")
KEYS = {CITY: SigningKey.from_seed(b"c" * 32), COUNTY: SigningKey.from_seed(b"k" * 32)}
NETWORK = NetworkId.of(b"net")
ME = Identity(NETWORK, KEYS)
HELLO = Hello(1, NETWORK, b"n" * 32, (CITY, COUNTY), 0)
SPOKEN = Transcript(NETWORK, b"hello of the dialler", b"hello of the listener", b"b" * 32)


def lookup(office: OfficeCode, signer: bytes) -> HelloKey | None:
    key = KEYS[office].public
    return HelloKey(key) if key_id(key) == signer else None


def check(proof: Proof, role: Role = Role.INITIATOR, spoken: Transcript = SPOKEN) -> None:
    check_proof(proof, HELLO, role, spoken, lookup)


def test_a_proof_holds_for_its_own_session() -> None:
    check(prove(ME, Role.INITIATOR, SPOKEN))


@pytest.mark.parametrize(
    "other",
    [
        replace(SPOKEN, network=NetworkId.of(b"other")),
        replace(SPOKEN, initiator_hello=b"another"),
        replace(SPOKEN, responder_hello=b"another"),
        replace(SPOKEN, binding=b"x" * 32),
        Transcript(NETWORK, SPOKEN.responder_hello, SPOKEN.initiator_hello, SPOKEN.binding),
    ],
)
def test_a_proof_of_another_session_does_not(other: Transcript) -> None:
    with pytest.raises(Refused) as caught:
        check(prove(ME, Role.INITIATOR, other))
    assert caught.value.code is Refusal.SIGNATURE


def test_a_proof_in_the_other_role_does_not() -> None:
    with pytest.raises(Refused) as caught:
        check(prove(ME, Role.RESPONDER, SPOKEN))
    assert caught.value.code is Refusal.SIGNATURE


def test_one_offices_signature_is_not_anothers() -> None:
    first, second = prove(ME, Role.INITIATOR, SPOKEN).signatures
    swapped = Proof((replace(first, signature=second.signature), second))
    with pytest.raises(Refused) as caught:
        check(swapped)
    assert caught.value.code is Refusal.SIGNATURE


def test_even_with_one_key_for_two_offices() -> None:
    key = KEYS[CITY]
    one_key = Identity(NETWORK, {CITY: key, COUNTY: key})
    first, second = prove(one_key, Role.INITIATOR, SPOKEN).signatures
    assert first.signature != second.signature


def test_offices_are_those_of_the_hello_in_its_order() -> None:
    proof = prove(ME, Role.INITIATOR, SPOKEN)
    for lines in (proof.signatures[:1], proof.signatures[::-1], proof.signatures * 2, ()):
        with pytest.raises(Refused) as caught:
            check(Proof(lines))
        assert caught.value.code is Refusal.OFFICES
