"""Receipts: what one proves to whoever has nothing but the genesis note, and what it refuses."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ledger.custody import HoldTake, ReceiptIssue
from ledger.note import Note, parse_note
from ledger.receipt import Receipt, check_receipt, make_receipt
from protocol.errors import DecodeError, ProofError
from protocol.limits import PROOF_BYTES_MAX
from tests.told import CITY, CITY2, COUNTY, PROVINCE, Told, prover


class Kept:
    """A revision that owner, province and a city hold, and the receipt for it."""

    def __init__(self, network, export_of):
        self.told = told = Told(network)
        self.network = network
        hold = HoldTake(told.item, told.manifest, 1, 12, None)
        own, city = network.append(COUNTY, hold), network.append(CITY2, hold)
        self.holds = (own, told.hold, city)
        self.body = ReceiptIssue(told.item, told.manifest, told.upload, self.holds)
        self._export_of = export_of

    def issue(self, body=None, by=PROVINCE):
        """The bundle of a receipt that says ``body``."""
        body = body or self.body
        ref = self.network.append(by, body)
        history, opened = prover(self.network, self._export_of(self.network))
        note = self.network.genesis_note
        return make_receipt(note, history, ref, body, lambda _: None, opened)

    def check(self, receipt):
        return check_receipt(receipt, self.network.genesis_note)

    def refused(self, receipt):
        with pytest.raises(ProofError) as caught:
            self.check(receipt)
        return str(caught.value)


@pytest.fixture
def kept(network, export_of):
    return Kept(network, export_of)


def test_a_receipt_is_checked_by_the_genesis_note_alone(kept):
    receipt = Receipt.decode(kept.issue().encoded())
    said = kept.check(receipt)
    assert (said.item, said.manifest) == (kept.told.item, kept.told.manifest.hex)
    assert [copy.said.office for copy in said.copies] == [COUNTY, PROVINCE, CITY2]
    assert [copy.sealed for copy in said.copies] == [False] * 3
    assert (said.receipt.office, said.upload.office) == (PROVINCE, COUNTY)
    assert (said.files, said.file_bytes, said.rights) == (1, 12, "open")
    assert said.witnessed


def test_a_receipt_of_another_network_is_refused(kept, founded):
    from ledger.genesis import write_genesis

    other = founded()
    other.genesis = replace(other.genesis, network="fzb.other.example")
    note = write_genesis(other.genesis, {f"root{i}": r for i, r in enumerate(other.roots)})
    with pytest.raises(ProofError, match="network"):
        check_receipt(kept.issue(), note)


def test_only_the_province_issues_receipts(kept):
    assert "receipt.office" in kept.refused(kept.issue(by=CITY))


def test_what_it_counts_must_be_in_it_and_be_what_it_counts(kept):
    receipt = kept.issue()
    issue, upload, own, province, city = receipt.proofs
    assert "holdings" in kept.refused(Receipt((issue, upload, own, province)))
    assert "hold.take" in kept.refused(Receipt((issue, upload, own, city, province)))
    assert "version.upload" in kept.refused(Receipt((issue, own, own, province, city)))
    assert "receipt.issue" in kept.refused(Receipt((upload, upload, own, province, city)))


def test_a_holding_of_another_item_or_of_one_office_twice_is_refused(kept, export_of):
    other = kept.network.append(CITY, HoldTake(kept.network.mint(COUNTY), kept.told.manifest, 1, 1))
    body = replace(kept.body, holds=(*kept.holds[:2], other))
    assert "about" in kept.refused(kept.issue(body))
    again = kept.network.append(CITY2, HoldTake(kept.told.item, kept.told.manifest, 1, 12, None))
    body = replace(kept.body, holds=(*kept.holds, again))
    assert "twice" in kept.refused(kept.issue(body))


def test_a_flipped_byte_anywhere_in_a_holding_is_refused(kept):
    receipt = kept.issue()
    issue, upload, own, province, city = receipt.proofs
    for at in (5, len(city.upload.extra) // 2, -1):
        entry = bytearray(city.upload.extra)
        entry[at] ^= 1
        spoilt = replace(city, upload=replace(city.upload, extra=bytes(entry)))
        assert kept.refused(Receipt((issue, upload, own, province, spoilt)))


def test_a_log_that_nobody_witnessed_is_said_to_be_so(kept):
    issue, upload, own, province, city = kept.issue().proofs
    note = parse_note(city.upload.checkpoint)
    alone = Note(note.text, note.signatures[:1]).format()
    bare = replace(city, upload=replace(city.upload, checkpoint=alone))
    said = kept.check(Receipt((issue, upload, own, province, bare)))
    assert not said.witnessed
    assert [copy.said.seen.witnessed for copy in said.copies] == [True, True, False]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b'{"format":"fangzhi/receipt/1","proofs":[]}',
        b"x" * (PROOF_BYTES_MAX + 1),
    ],
)
def test_what_is_no_receipt_is_refused(data):
    with pytest.raises(DecodeError):
        Receipt.decode(data)
