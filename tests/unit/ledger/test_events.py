from __future__ import annotations

from dataclasses import fields, is_dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import events
from ledger.custody import HoldTake
from ledger.events import (
    DRAFT_BYTES_MAX,
    KINDS,
    Context,
    VersionUpload,
    draft_event,
    kind_of,
    parse_event,
    sign_drafts,
    sign_event,
    verify_entry,
    verify_event,
)
from protocol.canonical import decode, encode
from protocol.errors import DecodeError, FangzhiError, ProofError
from protocol.ids import BlobId, NetworkId, OfficeCode, RootHash, UnixMs
from protocol.keys import SigningKey, key_id
from protocol.limits import EVENT_BYTES_MAX

KEY = SigningKey.from_seed(bytes(32))
OTHER = SigningKey.from_seed(bytes([1] * 32))
CONTEXT = Context(
    network=NetworkId(bytes(32)),
    origin=OfficeCode("320581"),
    last_size=3,
    last_root=RootHash(bytes([3] * 32)),
    roster_size=5,
    roster_root=RootHash(bytes([5] * 32)),
)
UPLOAD = VersionUpload("320581-000000000000x", BlobId(bytes(32)), "open", 2, 10, None, None)
EVENT = sign_event(CONTEXT, UPLOAD, UnixMs(1_700_000_000_000), KEY)


def test_what_was_signed_comes_back():
    entry = EVENT.encoded()
    parsed = parse_event(entry)
    assert parsed == EVENT
    assert parsed.read_body() == UPLOAD
    assert parsed.signer == key_id(KEY.public)
    verify_event(parsed, KEY.public)
    verify_entry(entry, parsed, KEY.public)


def test_another_key_does_not_verify():
    with pytest.raises(ProofError):
        verify_event(EVENT, OTHER.public)
    with pytest.raises(ProofError):
        verify_entry(EVENT.encoded(), EVENT, OTHER.public)


def test_the_signature_covers_every_other_member():
    members = decode(EVENT.encoded(), bytes_max=EVENT_BYTES_MAX, where="test")
    changed = {
        "network": NetworkId(bytes([9] * 32)),
        "origin": OfficeCode("320582"),
        "signer": bytes(16),
        "time": UnixMs(1),
        "last_size": 4,
        "last_root": RootHash(bytes(32)),
        "roster_size": 6,
        "roster_root": RootHash(bytes(32)),
        "kind": "future.kind",
        "body": (),
    }
    assert len(members) == len(changed) + 2  # version is always 1; the signature is itself
    for name, value in changed.items():
        with pytest.raises(ProofError):
            verify_event(replace(EVENT, **{name: value}), KEY.public)


@settings(deadline=None)
@given(position=st.integers(0, len(EVENT.encoded()) - 1), bit=st.integers(0, 7))
def test_no_flipped_bit_survives(position, bit):
    entry = bytearray(EVENT.encoded())
    entry[position] ^= 1 << bit
    with pytest.raises((DecodeError, ProofError)):
        verify_entry(bytes(entry), parse_event(bytes(entry)), KEY.public)


@given(st.binary(max_size=400))
def test_hostile_bytes_are_refused_with_a_typed_error(data):
    with pytest.raises(FangzhiError):
        parse_event(data)


@pytest.mark.parametrize(
    "members",
    [
        (2,),  # another version
        (1, 2),
        None,
    ],
)
def test_another_version_or_shape_is_refused(members):
    whole = decode(EVENT.encoded(), bytes_max=EVENT_BYTES_MAX, where="test")
    entry = encode(None if members is None else members + whole[len(members) :])
    with pytest.raises(DecodeError):
        parse_event(entry)


def test_a_body_of_another_kind_is_refused():
    with pytest.raises(DecodeError):
        parse_event(replace(EVENT, kind="anchor").encoded())


def test_an_unknown_kind_is_kept_and_says_nothing():
    parsed = parse_event(replace(EVENT, kind="future.kind", body=(1, "x")).encoded())
    assert parsed.read_body() is None


def test_an_event_too_long_for_a_bundle_is_not_signed():
    with pytest.raises(DecodeError):
        sign_event(CONTEXT, replace(UPLOAD, item="x" * EVENT_BYTES_MAX), UnixMs(0), KEY)


def test_a_batch_is_signed_as_its_events_one_by_one():
    bodies = [UPLOAD, HoldTake("x", BlobId(bytes(32)), 1, 1), replace(UPLOAD, files=300)]
    entries = sign_drafts(CONTEXT, [draft_event(body) for body in bodies], UnixMs(7), KEY)
    assert [parse_event(entry).read_body() for entry in entries] == bodies
    for entry, body in zip(entries, bodies, strict=True):
        event = sign_event(CONTEXT, body, UnixMs(7), KEY)
        assert event.encoded() == entry
        verify_entry(entry, event, KEY.public)
        verify_event(event, KEY.public)


def test_the_longest_draft_fits_the_longest_envelope():
    most = 2**63 - 1
    context = replace(CONTEXT, last_size=most, roster_size=most)
    room = DRAFT_BYTES_MAX - len(draft_event(replace(UPLOAD, item="x" * 1000)))
    longest = replace(UPLOAD, item="x" * (1000 + room))
    (entry,) = sign_drafts(context, [draft_event(longest)], UnixMs(most), KEY)
    assert len(entry) == EVENT_BYTES_MAX
    assert parse_event(entry).read_body() == longest
    with pytest.raises(DecodeError, match=r"version\.upload: expected at most 4096.* got 4097"):
        draft_event(replace(longest, item=longest.item + "x"))


def test_every_kind_has_one_frozen_body():
    assert len(set(KINDS.values())) == len(KINDS)
    for kind, body in KINDS.items():
        assert is_dataclass(body)
        assert fields(body)
        assert body.__dataclass_params__.frozen
        assert kind in events.__dict__[body.__name__].__doc__
    assert kind_of(HoldTake("x", BlobId(bytes(32)), 1, 1)) == "hold.take"
