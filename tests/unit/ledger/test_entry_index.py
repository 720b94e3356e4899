from __future__ import annotations

from ledger.entry_index import EntryIndex
from ledger.events import Anchor, AnchorLine
from protocol.ids import RootHash
from tests.told import CITY, COUNTY, COUNTY2, PROVINCE

ROOT = RootHash(bytes(32))


def test_what_was_read_is_found_again(network) -> None:
    one, two = network.mint(COUNTY), network.mint(COUNTY)
    uploads = [network.upload(COUNTY, item, str(at)) for at, item in enumerate((one, two, one))]
    index = EntryIndex()
    for at, body in enumerate(uploads):
        index.add((COUNTY, at), network.sign(COUNTY, body).encoded())
    anchors = Anchor((AnchorLine(COUNTY, 3, ROOT), AnchorLine(COUNTY2, 9, ROOT)))
    index.add((CITY, 2**40), network.sign(CITY, anchors).encoded())
    index.add((PROVINCE, 5), b"no event about " + two.encode())
    index.add((PROVINCE, 6), b"anchor version.upload")
    assert list(index.uploads()) == [((COUNTY, at), b.manifest) for at, b in enumerate(uploads)]
    assert list(index.about(one)) == [(COUNTY, 0), (COUNTY, 2)]
    assert list(index.about(two)) == [(COUNTY, 1), (PROVINCE, 5)]
    assert list(index.anchors(COUNTY, 2)) == [(CITY, 2**40)]
    assert list(index.anchors(COUNTY, 3)) == []
    assert list(index.anchors(COUNTY2, 3)) == [(CITY, 2**40)]
