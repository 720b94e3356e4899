from __future__ import annotations

import pytest

from ledger.tlogproof import TlogProof
from protocol.errors import DecodeError, Missing
from tests.told import Told


@pytest.fixture
def proof(network, export_of):
    told = Told(network)
    return told.verify(export_of(network)).proof


def test_a_proof_travels_as_files_and_as_json(proof):
    assert type(proof).of_files(proof.files()) == proof
    assert type(proof).decode(proof.encoded()) == proof


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b'{"format":"fangzhi/proof/1","files":{"a":1}}', b"[" * 10**5]
)
def test_what_is_no_proof_is_refused(proof, data):
    with pytest.raises(DecodeError):
        type(proof).decode(data)


def test_a_proof_without_a_part_or_with_two_events_is_refused(proof):
    files = proof.files()
    for name in ("genesis.note", "manifest.json", "upload.event", "upload.tlog-proof"):
        with pytest.raises(Missing):
            type(proof).of_files({each: files[each] for each in files if each != name})
    other = TlogProof(0, (), proof.upload.checkpoint, b"other")
    with pytest.raises(DecodeError):
        type(proof).of_files(files | {"upload.tlog-proof": other.format()})
