from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from ledger.custody import (
    HoldLose,
    HoldTake,
    ReceiptIssue,
    RightsGrant,
    RightsRevoke,
    SealMake,
    SealRewrap,
)
from ledger.events import (
    ImageDerive,
    ReviewAccept,
    ReviewReturn,
    TextDerive,
    VersionUpload,
    VersionWithdraw,
    kind_of,
)
from ledger.lifecycle import view_of
from ledger.views import STATUSES, Fact
from protocol.ids import BlobId, EventRef, ItemId, LeafHash, OfficeCode, RootHash, UnixMs
from protocol.limits import GRANTS_PER_ITEM_MAX
from protocol.shapes import to_value

OWNER, CITY, PROVINCE = "320581", "320500", "320000"
ITEM = ItemId("320581-000000000000x")
A, B, REASON = (BlobId.of(name) for name in (b"a", b"b", b"reason"))


def fact(origin, index, body, roster_size=5):
    ref = EventRef(OfficeCode(origin), index, LeafHash(bytes([index]) * 32))
    return Fact(ref, kind_of(body), UnixMs(index), bytes(16), roster_size, to_value(body))


def upload(index, manifest=A, rights="open"):
    return fact(OWNER, index, VersionUpload(ITEM, manifest, rights, 1, 10, None, None))


def accept(index, of, manifest=A, origin=CITY, roster_size=5):
    return fact(origin, index, ReviewAccept(ITEM, manifest, of.ref), roster_size)


def send_back(index, of, manifest=A, origin=CITY, roster_size=5):
    return fact(origin, index, ReviewReturn(ITEM, manifest, of.ref, REASON), roster_size)


def withdraw(index, of, origin=OWNER):
    return fact(origin, index, VersionWithdraw(ITEM, of.ref, REASON))


def status(*facts):
    view = view_of(ITEM, sorted(facts, key=lambda each: (each.ref.origin, each.ref.index)))
    return view and view.status


def test_without_an_upload_there_is_nothing():
    assert status() is None
    assert status(accept(0, upload(0)), withdraw(1, upload(0), CITY)) is None


def test_the_last_word_of_the_reviewer_counts():
    first = upload(0)
    assert status(first) == "submitted"
    assert status(first, accept(0, first), send_back(1, first)) == "returned"
    assert status(first, send_back(0, first), accept(1, first)) == "accepted"


def test_after_a_move_the_word_under_the_later_roster_counts():
    first = upload(0)
    old, new = send_back(9, first), accept(0, first, origin="320600", roster_size=6)
    assert status(first, old, new) == "accepted"


def test_a_review_counts_for_the_very_upload_it_names():
    first, again = upload(0), upload(1)  # the same manifest handed in twice
    assert status(first, again, accept(0, first)) == "submitted"
    assert status(first, again, accept(0, again)) == "accepted"
    newer = upload(1, B)
    assert status(first, newer, accept(0, first)) == "submitted"
    assert status(first, newer, accept(0, newer)) == "submitted"  # names the other manifest


def test_withdrawal_wins_over_what_comes_before_and_after():
    first = upload(0)
    assert status(first, accept(0, first), withdraw(1, first)) == "withdrawn"
    assert status(first, withdraw(1, first), upload(2, B), accept(9, first)) == "withdrawn"


def test_text_and_holders_are_of_the_current_revision():
    text = fact(OWNER, 1, TextDerive(ITEM, A, 3, RootHash(bytes(32)), REASON, 30))
    held = fact(PROVINCE, 0, HoldTake(ITEM, A, 1, 10))
    view = view_of(ITEM, [held, upload(0), text])
    assert (view.pages, view.holders, view.text_ref) == (3, (PROVINCE,), text.ref)
    view = view_of(ITEM, [held, upload(0), text, upload(2, B)])
    assert (view.pages, view.holders, view.text_ref, view.revisions) == (0, (), None, 2)


def test_the_last_word_on_images_counts_for_the_revision_that_it_names():
    def images(index, made, blob, manifest=A):
        body = ImageDerive(ITEM, manifest, made, 7, RootHash(bytes(32)), blob, 70)
        return fact(OWNER, index, body)

    def shown(*facts):
        view = view_of(ITEM, facts)
        return view.images, view.images_made, view.images_blob, view.images_bytes

    assert shown(upload(0)) == (0, 0, None, 0)
    assert shown(upload(0), images(1, 1, A)) == (7, 1, A, 70)
    assert shown(upload(0), images(1, 1, A), images(2, 2, REASON)) == (7, 2, REASON, 70)
    assert shown(upload(0), images(1, 1, A), upload(2, B)) == (0, 0, None, 0)
    assert shown(upload(0), images(1, 1, A, B), upload(2, B)) == (7, 1, A, 70)


def test_a_loss_ends_a_holding_until_it_is_taken_again():
    take, lose = HoldTake(ITEM, A, 1, 10), HoldLose(ITEM, A, 1)
    words = [fact(CITY, 0, take), fact(CITY, 1, lose), fact(CITY, 2, take)]
    assert [view_of(ITEM, [*words[:n], upload(0)]).holders for n in (1, 2, 3)] == [
        (CITY,),
        (),
        (CITY,),
    ]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["upload", "accept", "return", "withdraw"]),
            st.sampled_from([A, B]),
            st.sampled_from(["open", "office", "sealed"]),
        ),
        max_size=8,
    )
)
def test_public_is_accepted_open_and_not_withdrawn(words):
    uploads = [upload(0)]
    facts = [uploads[0]]
    for index, (word, manifest, rights) in enumerate(words, 1):
        if word == "upload":
            uploads.append(upload(index, manifest, rights))
            facts.append(uploads[-1])
        elif word == "accept":
            facts.append(accept(index, uploads[-1], manifest))
        elif word == "return":
            facts.append(send_back(index, uploads[-1], manifest))
        else:
            facts.append(withdraw(index, uploads[-1]))
    view = view_of(ITEM, sorted(facts, key=lambda each: (each.ref.origin, each.ref.index)))
    assert view.status in STATUSES
    assert view.public == (view.status == "accepted" and view.rights == "open")
    if any(word == "withdraw" for word, _, _ in words):
        assert view.status == "withdrawn"
    if view.status == "accepted":
        assert view.review.index > view.upload.index


# -- copies, seals, receipts, grants ---------------------------------------------------------------

SEAL, SEAL2, WRAPS, WRAPS2 = (BlobId.of(name) for name in (b"s", b"s2", b"w", b"w2"))


def view(*facts):
    return view_of(ITEM, facts)


def seal(index, seal=SEAL, wraps=WRAPS, manifest=A):
    return fact(OWNER, index, SealMake(ITEM, manifest, seal, wraps, 1, 26))


def test_the_wraps_are_those_of_the_last_seal_or_rewrap():
    first, again = upload(0), upload(4, B)
    rewrap = fact(OWNER, 2, SealRewrap(ITEM, A, WRAPS2))
    assert view(first).seal is view(first, rewrap).wraps is None  # nothing to wrap anew
    made = view(first, seal(1))
    assert (made.seal, made.wraps, made.sealed_bytes) == (SEAL, WRAPS, 26)
    assert view(first, seal(1), rewrap).wraps == WRAPS2
    assert view(first, seal(1), rewrap, seal(3, SEAL2)).wraps == WRAPS
    assert view(first, seal(1), again).seal is None  # of the revision before


def test_who_holds_files_and_who_sealed_copies():
    first, made = upload(0), seal(1)
    own = fact(OWNER, 2, HoldTake(ITEM, A, 1, 10))
    plain = fact(CITY, 0, HoldTake(ITEM, A, 1, 10, SEAL))
    old = fact(PROVINCE, 0, HoldTake(ITEM, A, 1, 10, SEAL2))
    lost = fact(CITY, 1, HoldLose(ITEM, A, 1, SEAL))
    other = fact(CITY, 1, HoldLose(ITEM, A, 1))  # of files that it never had
    assert view(first, made, own, plain, old).holders == (OWNER,)
    assert view(first, made, own, plain, old).sealed_holders == (CITY,)
    assert view(first, own, plain).sealed_holders == ()  # nobody sealed anything
    assert view(first, made, plain, lost).sealed_holders == ()
    assert view(first, made, plain, other).sealed_holders == (CITY,)


def test_a_receipt_is_for_one_upload():
    first, again = upload(0), upload(1)
    ref = EventRef(OfficeCode(CITY), 0, LeafHash(bytes(32)))
    receipt = fact(PROVINCE, 0, ReceiptIssue(ITEM, A, first.ref, (ref,)))
    passed = accept(5, first)
    assert view(first, receipt).receipt == receipt.ref
    assert not view(first, receipt).deposited
    assert view(first, receipt, passed).deposited
    assert not view(first, passed).deposited
    assert view(first, receipt, passed, again).receipt is None


def grant(index, until, to=CITY):
    return fact(OWNER, index, RightsGrant(ITEM, to, "file", REASON, until, WRAPS))


def test_grants_stand_until_they_are_revoked_or_too_many():
    first = upload(0)
    grants = [grant(index, until) for index, until in ((1, 70), (2, 90), (3, 80))]
    revoked = fact(OWNER, 9, RightsRevoke(ITEM, grants[1].ref))
    assert [each.until for each in view(first, *grants).grants] == [90, 80, 70]
    assert [each.ref for each in view(first, *grants, revoked).grants] == [
        grants[2].ref,
        grants[0].ref,
    ]
    assert view(first, *grants, upload(5, B)).grants  # of every revision
    many = [grant(index % 200 + 1, index) for index in range(GRANTS_PER_ITEM_MAX)]
    many = [
        replace(each, ref=replace(each.ref, index=index)) for index, each in enumerate(many, 10)
    ]
    kept = view(first, *many, grants[2]).grants
    assert len(kept) == GRANTS_PER_ITEM_MAX
    assert min(each.until for each in kept) == 1
    assert kept[0].to == CITY
    assert kept[0].wraps == WRAPS
