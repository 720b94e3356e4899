"""Planted faults: they are gone afterwards."""

from __future__ import annotations

import pytest

from node.office.custodian import Custodian
from node.office.lending import Lending
from node.office.links import Links
from node.office.notary import Notary
from node.office.searcher import Searcher
from node.office.sequencer import Sequencer
from simulations.blobs import SimBlobStore
from simulations.disk import SimDisk
from simulations.plants import PLANTS

OWNERS = (Custodian, Lending, Links, Notary, Searcher, Sequencer, SimBlobStore, SimDisk)


@pytest.mark.parametrize("name", PLANTS)
def test_nothing_of_a_plant_stays(name: str) -> None:
    before = [dict(vars(owner)) for owner in OWNERS]
    with PLANTS[name].planted():
        pass
    assert [dict(vars(owner)) for owner in OWNERS] == before
