"""The proof of a recall: what it shows to whoever has nothing but the genesis note, and refuses."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ledger.custody import AccessFetch
from ledger.recall import (
    RecalledFile,
    RecallProof,
    RecallReceipt,
    check_recall,
    make_recall_proof,
)
from protocol.errors import DecodeError, ProofError
from protocol.limits import PROOF_BYTES_MAX
from protocol.records import encode_json
from tests.told import CITY, CITY2, COUNTY, FILE, PROVINCE, Told, prover


class Recalled:
    """A county got its file back from the province and from a city."""

    def __init__(self, network, export_of):
        self.told = told = Told(network)
        self.network = network
        self.access = AccessFetch(told.item, told.manifest, COUNTY, None, "file", None)
        places = tuple(network.append(office, self.access) for office in (PROVINCE, CITY2))
        files = (RecalledFile("卷一.pdf", FILE.hex, 12),)
        self.receipt = RecallReceipt(
            network.genesis.id.hex, told.item, told.manifest.hex, COUNTY, 17, files, places
        )
        self._export_of = export_of

    def proof(self, receipt=None):
        history, opened = prover(self.network, self._export_of(self.network))
        note = self.network.genesis_note
        return make_recall_proof(note, history, receipt or self.receipt, lambda _: None, opened)

    def check(self, proof):
        return check_recall(proof, self.network.genesis_note)

    def refused(self, proof):
        with pytest.raises(ProofError) as caught:
            self.check(proof)
        return str(caught.value)


@pytest.fixture
def recalled(network, export_of):
    return Recalled(network, export_of)


def test_a_recall_is_checked_by_the_genesis_note_alone(recalled):
    said = recalled.check(RecallProof.decode(recalled.proof().encoded()))
    assert said.receipt == recalled.receipt
    assert [access.office for access in said.accesses] == [PROVINCE, CITY2]
    assert said.witnessed


def test_what_is_not_witnessed_says_so(recalled):
    said = recalled.check(recalled.proof())
    first, second = said.accesses
    pending = replace(second, seen=replace(second.seen, witnessed=False))
    assert not replace(said, accesses=(first, pending)).witnessed


def test_a_receipt_changed_in_any_member_is_refused(recalled):
    proof, network = recalled.proof(), recalled.network
    other = network.append(CITY, replace(recalled.access, by=CITY2))
    for change, why in (
        ({"by": CITY2}, "an access by"),
        ({"item": network.mint(COUNTY)}, "an access by"),
        ({"manifest": "0" * 64}, "an access by"),
        ({"network": "0" * 64}, "network"),
        ({"accesses": recalled.receipt.accesses[::-1]}, "access with leaf"),
        ({"accesses": recalled.receipt.accesses[:1]}, "accesses"),
        ({"accesses": (other, other)}, "access with leaf"),
    ):
        assert why in recalled.refused(replace(proof, receipt=replace(proof.receipt, **change)))


def test_an_event_of_another_kind_is_no_access(recalled):
    receipt = replace(recalled.receipt, accesses=(recalled.told.hold,))
    assert "AccessFetch" in recalled.refused(recalled.proof(receipt))


def test_a_flipped_byte_anywhere_in_an_access_is_refused(recalled):
    proof = recalled.proof()
    first, second = proof.proofs
    for at in (5, len(second.upload.extra) // 2, -1):
        entry = bytearray(second.upload.extra)
        entry[at] ^= 1
        spoilt = replace(second, upload=replace(second.upload, extra=bytes(entry)))
        assert recalled.refused(replace(proof, proofs=(first, spoilt)))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b'{"format": "fangzhi/receipt/1"}',
        b'{"format": "fangzhi/recall-proof/1"}',
        b'{"format": "fangzhi/recall-proof/1", "receipt": {}, "proofs": []}',
        b" " * (PROOF_BYTES_MAX + 1),
    ],
)
def test_what_is_no_proof_is_refused(data):
    with pytest.raises(DecodeError):
        RecallProof.decode(data)


def test_a_receipt_has_one_spelling(recalled):
    receipt = recalled.receipt
    assert RecallReceipt.decode(receipt.encoded() + b"\n") == receipt
    told = receipt.members()
    for change in (
        {"accesses": []},
        {"accesses": told["accesses"] * 40},
        {"accesses": [{**told["accesses"][0], "more": 1}]},
        {"by": "x"},
        {"by": None},
        {"time": -1},
        {"time": "17"},
        {"files": [{"path": 1, "sha256": FILE.hex, "size": 12}]},
        {"format": "fangzhi/recall/2"},
        {"more": 1},
    ):
        with pytest.raises(DecodeError):
            RecallReceipt.decode(encode_json({**told, **change}))
