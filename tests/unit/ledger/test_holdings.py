from __future__ import annotations

import pytest

from ledger import holdings
from ledger.custody import AccessFetch, HoldCheck, HoldOffer, HoldRepair, KeySeal
from ledger.events import MemberRevoke
from protocol.ids import BlobId, RootHash, mint_item

PROVINCE, CITY, CITY2, COUNTY = "320000", "320500", "320600", "320581"
BLOB = BlobId.of(b"some")
KEY, KEY2 = bytes([1]) * 32, bytes([2]) * 32


def findings(state):
    return [change.finding for change in state.apply_all() if change.finding]


def test_rows_follow_from_single_events(network, state_of):
    item, other = network.mint(COUNTY), network.mint(CITY2)
    network.append(CITY, HoldOffer(5, "机房甲", True), HoldOffer(7, "", False))
    network.append(COUNTY, KeySeal(1, KEY), KeySeal(2, KEY2))
    network.append(CITY, HoldRepair(item, BLOB, 2, PROVINCE))
    network.append(PROVINCE, HoldCheck(CITY, 20_000, 5, 3, 1, None))
    network.append(CITY2, HoldCheck(CITY, 20_001, 4, 4, 0, BLOB))
    given = network.append(CITY, AccessFetch(item, BLOB, COUNTY, None, "file", None))
    network.append(CITY, AccessFetch(other, BLOB, COUNTY, given, "service", BLOB))
    state = state_of(network)
    assert findings(state) == []
    roster = state.fold.roster

    def read(question, *arguments):
        return state.read(lambda reader: list(question(reader, roster, *arguments)))

    offers = state.read(holdings.offers, roster)
    assert {code: (o.capacity_bytes, o.domain, o.keeps_others) for code, o in offers.items()} == {
        CITY: (7, "", False)
    }
    assert state.read(holdings.sealing_key, roster, COUNTY).key == KEY2
    assert state.read(holdings.sealing_key, roster, CITY) is None
    assert [(holder, asker, c.day) for holder, asker, c in read(holdings.checks)] == [
        (CITY, PROVINCE, 20_000),
        (CITY, CITY2, 20_001),
    ]
    assert read(holdings.checks, COUNTY) == []
    ((holder, repair),) = read(holdings.repairs, CITY)
    assert (holder, repair.item, repair.source) == (CITY, item, PROVINCE)
    ((_, giver, index, access),) = read(holdings.accesses, item)
    assert (giver, index, access.by, access.grant) == (CITY, given.index, COUNTY, None)
    assert [row[3].grant for row in read(holdings.accesses, CITY2)] == [given]


ITEM = mint_item("320581", bytes(8))


@pytest.mark.parametrize(
    ("body", "finding"),
    [
        (KeySeal(2, KEY), "key.refused"),
        (KeySeal(1, KEY[:31]), "key.refused"),
        (KeySeal(1, bytes(32)), "key.refused"),
        (HoldOffer(1, "x" * 101, True), "offer.refused"),
        (HoldOffer(1, "a\nb", True), "offer.refused"),
        (HoldCheck(CITY, 1, 1, 1, 0, None), "check.refused"),  # of itself
        (HoldCheck("999999", 1, 1, 1, 0, None), "check.refused"),
        (HoldCheck(COUNTY, 1, 2, 2, 1, None), "check.refused"),
        (HoldCheck(COUNTY, 1, 0, 0, 0, None), "check.refused"),
        (HoldRepair(ITEM, BLOB, 0, PROVINCE), "repair.refused"),
        (HoldRepair(ITEM, BLOB, 1, "999999"), "repair.refused"),
        (HoldRepair("x", BLOB, 1, PROVINCE), "item.id"),
        (AccessFetch(ITEM, BLOB, "999999", None, "file", None), "access.refused"),
        (AccessFetch(ITEM, BLOB, COUNTY, None, "everything", None), "access.refused"),
        (AccessFetch("x", BLOB, COUNTY, None, "file", None), "item.id"),
    ],
)
def test_a_broken_rule_leaves_a_finding_and_no_row(network, state_of, body, finding):
    network.append(CITY, body)
    state = state_of(network)
    assert findings(state) == [finding]
    with state.store.read() as reader:
        for table in ("sealing", "offer", "check", "repair", "access"):
            assert not list(reader.scan(table))


def test_what_a_closure_cut_off_counts_for_nothing(network, state_of):
    network.append(COUNTY, KeySeal(1, KEY))
    network.append(COUNTY, KeySeal(2, KEY2), HoldOffer(5, "", True))
    item = network.mint(COUNTY)
    network.append(COUNTY, HoldRepair(item, BLOB, 1, CITY), HoldCheck(CITY, 1, 1, 1, 0, None))
    network.append(COUNTY, AccessFetch(item, BLOB, CITY, None, "file", None))
    cut = MemberRevoke(COUNTY, 1, RootHash(network.tree(COUNTY, 1).root()), 1, ())
    network.append(PROVINCE, network.with_roots(cut))
    state = state_of(network)
    assert findings(state) == []
    roster = state.fold.roster
    assert state.read(holdings.sealing_key, roster, COUNTY) is None
    assert state.read(holdings.offers, roster) == {}
    for question in (holdings.checks, holdings.repairs):
        assert state.read(lambda reader, ask=question: list(ask(reader, roster))) == []
    assert state.read(lambda reader: list(holdings.accesses(reader, roster, item))) == []
