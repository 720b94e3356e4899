from __future__ import annotations

from ledger.events import Anchor, AnchorLine, MemberAbolish
from ledger.proving import anchored_size, changes_for
from ledger.roster import RosterHistory
from protocol.ids import RootHash
from protocol.merkle import EMPTY_ROOT
from tests.told import CITY, CITY2, COUNTY, COUNTY2, PROVINCE

ADMITTED = (PROVINCE, CITY, CITY2, COUNTY, COUNTY2)
ROOT = RootHash(bytes(32))


def test_a_proof_takes_the_changes_of_its_office_and_of_whoever_witnesses(network) -> None:
    history = RosterHistory(network.genesis)
    for index, code in enumerate(ADMITTED):
        history.apply(10 * index, network.with_roots(network.admit_body(code)))
    assert list(changes_for(history, COUNTY)) == [0, 10, 20, 30]
    assert list(changes_for(history, COUNTY2)) == [0, 10, 20, 40]
    assert list(changes_for(history, CITY)) == [0, 10, 20]


def test_a_successor_needs_the_changes_of_whom_it_succeeds(network) -> None:
    history = RosterHistory(network.genesis)
    for index, code in enumerate(ADMITTED):
        history.apply(10 * index, network.with_roots(network.admit_body(code)))
    gone = MemberAbolish(COUNTY, COUNTY2, 0, RootHash(EMPTY_ROOT), 1, ())
    history.apply(50, network.with_roots(gone))
    for code in (COUNTY, COUNTY2):
        assert list(changes_for(history, code)) == [0, 10, 20, 30, 40, 50]


def test_the_size_that_an_anchor_records_of_a_log(network) -> None:
    said = network.sign(CITY, Anchor((AnchorLine(COUNTY, 7, ROOT), AnchorLine(COUNTY2, 9, ROOT))))
    assert [anchored_size(said.encoded(), code) for code in (COUNTY, COUNTY2, CITY2)] == [7, 9, 0]
    upload = network.sign(COUNTY, network.upload(COUNTY, network.mint(COUNTY)))
    assert anchored_size(upload.encoded(), COUNTY) == 0
    assert anchored_size(b"no event", COUNTY) == 0
