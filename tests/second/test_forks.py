"""Evidence made by our code convinces the second checker, and what does not hold convinces none."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.evidence import Evidence, verify_evidence
from protocol.errors import FangzhiError
from tests.second import forks
from tests.second.notes import read_vkey
from tests.second.values import Bad
from tests.unit.ledger.test_evidence import KEYS, Log, fork, from_holder, of_notes

VKEY = KEYS[0].vkey


def made() -> list[Evidence]:
    """One of each shape."""
    short, long = fork()
    entry, _ = long.proof(5, 9)
    prefix = Log()
    prefix.batch(3, "both")
    prefix.batch(2, "another")
    prefix.raw(entry)
    return [
        Evidence.decode(data)
        for data in (
            of_notes(short.notes[1], long.notes[1], KEYS),
            from_holder(long, long.notes[2], short.notes[1]),
            from_holder(prefix, prefix.notes[2], long.notes[1]),
        )
    ]


MADE = made()


def test_each_shape_convinces_both() -> None:
    shapes = [forks.check_fork(each.a, each.b, read_vkey(VKEY)) for each in MADE]
    assert shapes == ["same-size", "chain", "prefix"]
    assert [verify_evidence(each.encoded(), KEYS).shape for each in MADE] == shapes


@given(st.sampled_from(MADE), st.booleans(), st.integers(0, 10**6), st.integers(0, 7))
@settings(max_examples=60, deadline=None)
def test_a_flipped_bit_convinces_neither(each: Evidence, in_b: bool, at: int, bit: int) -> None:
    parts = [each.a, each.b]
    spoiled = bytearray(parts[in_b])
    spoiled[at % len(spoiled)] ^= 1 << bit
    parts[in_b] = bytes(spoiled)
    with pytest.raises((Bad, FangzhiError)):
        verify_evidence(Evidence(*parts).encoded(), KEYS)
    try:
        forks.check_fork(*parts, read_vkey(VKEY))
    except Bad:
        return
    at %= len(spoiled)
    assert spoiled[at + 1 : at + 2] == b"=", "only unused bits of base64 may differ"
