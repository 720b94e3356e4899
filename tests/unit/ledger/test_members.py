from __future__ import annotations

from dataclasses import replace

import pytest

from ledger.members import check_address, check_name, check_office, signing_keys
from ledger.note import COSIGNATURE_V1, ED25519
from ledger.roster import Roster
from protocol.errors import ProofError

PROVINCE = "320000"


def test_an_office_signs_notes_under_three_names(network):
    roster = Roster(network.genesis).apply(0, network.with_roots(network.admit_body(PROVINCE)))
    keys = roster.member(PROVINCE).note_keys(network.genesis)
    origin = "fzb.test.example/320000"
    assert [key.name for key in keys] == [origin, f"{origin}/witness", f"{origin}/mirror"]
    assert [key.type for key in keys] == [ED25519, COSIGNATURE_V1, COSIGNATURE_V1]
    assert [key.public for key in keys] == list(signing_keys(network.admit_body(PROVINCE))[:3])


def test_the_form_of_names_and_addresses():
    for name in ("苏州市地方志办公室", "a b", "字" * 100):
        check_name("here", name)
    for name in ("", "a\nb", "字" * 101, "\u200b"):
        with pytest.raises(ProofError):
            check_name("here", name)
    for address in ("", "fzb.example:4000", "x" * 255):
        check_address("here", address)
    for address in ("a b", "a\nb", "x" * 256, "地址"):
        with pytest.raises(ProofError):
            check_address("here", address)


def test_no_key_has_two_purposes(network):
    body = network.admit_body(PROVINCE)
    check_office("here", body)
    names = ("log_key", "witness_key", "mirror_key", "event_key")
    for one in names:
        for other in names:
            if one != other:
                with pytest.raises(ProofError, match="four different keys"):
                    check_office("here", replace(body, **{one: getattr(body, other)}))
