"""A batch folded together is what its events folded one by one are, whatever is wrong in it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.custody import (
    AccessFetch,
    HoldLose,
    HoldRepair,
    HoldTake,
    ReceiptIssue,
    RightsGrant,
    RightsRevoke,
    SealMake,
    SealRewrap,
)
from ledger.events import (
    KeyEnroll,
    KeyRetire,
    ReviewAccept,
    ReviewReturn,
    TextDerive,
    VersionUpload,
    VersionWithdraw,
    draft_event,
    sign_drafts,
)
from protocol.ids import BlobId, EventRef, LeafHash, RootHash
from protocol.keys import key_id

PROVINCE, CITY, CITY2, COUNTY = "320000", "320500", "320600", "320581"
BLOB = BlobId.of(b"some")


def drafts(item, other, user):
    """Of every kind; half of them are another office's to say."""
    ref = EventRef(COUNTY, 0, LeafHash(bytes(32)))
    bodies = [KeyEnroll(user.public, BLOB, ("clerk",)), KeyRetire(key_id(user.public))]
    for each in (item, other, item.upper()):
        bodies += [
            VersionUpload(each, BLOB, "open", 1, 300, None, BLOB),
            VersionUpload(each, BLOB, "no such", 1, 300, BLOB, None),
            TextDerive(each, BLOB, 3, RootHash(BLOB.raw), BLOB, 70_000),
            HoldTake(each, BLOB, 1, 300),
            HoldLose(each, BLOB, 1),
            HoldLose(each, BLOB, 1, BLOB),
            SealMake(each, BLOB, BLOB, BLOB, 1, 300),
            SealRewrap(each, BLOB, BLOB),
            ReceiptIssue(each, BLOB, ref, (ref,)),
            RightsGrant(each, CITY2, "file", BLOB, 300, None),
            RightsGrant(each, CITY2, "no such", BLOB, 300, None),
            RightsRevoke(each, ref),
            AccessFetch(each, BLOB, CITY2, ref, "file", None),
            HoldRepair(each, BLOB, 1, CITY),
            ReviewAccept(each, BLOB, ref),
            ReviewReturn(each, BLOB, ref, BLOB),
            VersionWithdraw(each, ref, BLOB),
        ]
    return [draft_event(body) for body in bodies]


@st.composite
def spoiled(draw, count):
    """Which draft, and what is done to it before it is signed, or to the entry afterwards."""
    change = draw(st.sampled_from(("", "", "", "byte", "cut", "longer", "wide", "entry")))
    return draw(st.integers(0, count - 1)), change, draw(st.integers(0, 10**6))


def spoil(data, change, number):
    at = number % len(data)
    if change == "byte":
        return data[:at] + bytes([data[at] ^ 1 << number % 8]) + data[at + 1 :]
    if change == "cut":
        return data[:at]
    if change == "longer":
        return data + b"\xc0"
    if change == "wide":  # the same integers in more bytes
        return data.replace(b"\x01", b"\xcc\x01").replace(b"\xcd\x01\x2c", b"\xce\0\0\x01\x2c")
    return data


@pytest.mark.parametrize("signed_by_user", [False, True])
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_batch_together_is_its_events_one_by_one(founded, state_of, signed_by_user, data):
    network = founded()
    origin = data.draw(st.sampled_from((PROVINCE, CITY, COUNTY)))
    user = network.key(origin, "clerk")
    if signed_by_user:
        network.append(origin, KeyEnroll(user.public, BLOB, ("clerk", "reviewer")))
    made = drafts(network.mint(COUNTY), network.mint(CITY2), network.key("nobody", "user"))
    made.append(draft_event(KeyRetire(key_id(user.public))))
    chosen = data.draw(st.lists(spoiled(len(made)), min_size=2, max_size=12))
    signer = user if signed_by_user else network.key(origin, "event")
    context = network.context(origin)
    start = context.last_size
    for which, change, number in chosen:
        draft = spoil(made[which], change, number)
        (entry,) = sign_drafts(context, [draft], network.now, signer)
        network.append_raw(origin, spoil(entry, "byte", number) if change == "entry" else entry)
    together, single = state_of(network), state_of(network)
    for state in (together, single):
        if origin != PROVINCE:
            for index in range(len(network.logs[PROVINCE])):
                state.apply(PROVINCE, index)
        for index in range(start):
            state.apply(origin, index)
    entries = network.logs[origin][start:]
    changes = together.store.run(
        lambda writer: together.fold.apply_run(writer, origin, start, entries)
    )
    judged = [single.apply(origin, start + at) for at in range(len(entries))]
    assert together.digest() == single.digest()
    assert [change.kind for change in changes] == [change.kind for change in judged]
    assert len(changes) == len(entries)


@pytest.mark.parametrize("signed_by_user", [False, True])
def test_each_event_behind_one_that_holds(founded, state_of, signed_by_user):
    """Every kind, and an entry whose signature is written as another type, behind a text."""
    network = founded()
    user = network.key(COUNTY, "clerk")
    network.append(COUNTY, KeyEnroll(user.public, BLOB, ("clerk",)))
    item = network.mint(COUNTY)
    made = drafts(item, network.mint(CITY2), network.key("nobody", "user"))
    context = network.context(COUNTY)
    holds = draft_event(TextDerive(item, BLOB, 3, RootHash(BLOB.raw), BLOB, 70_000))
    signer = user if signed_by_user else network.key(COUNTY, "event")
    entries = sign_drafts(
        context, [each for draft in made for each in (holds, draft)], network.now, signer
    )
    entries += [entries[0], entries[0][:-66] + b"\xd9" + entries[0][-65:]]
    for entry in entries:
        network.append_raw(COUNTY, entry)
    together, single = state_of(network), state_of(network)
    for state in (together, single):
        for index in range(len(network.logs[PROVINCE])):
            state.apply(PROVINCE, index)
        state.apply(COUNTY, 0)
    together.store.run(lambda writer: together.fold.apply_run(writer, COUNTY, 1, entries))
    for index in range(1, len(network.logs[COUNTY])):
        single.apply(COUNTY, index)
    assert together.digest() == single.digest()
