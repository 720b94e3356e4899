"""Planted faults: they are gone afterwards, and a few of them are caught at once."""

from __future__ import annotations

import pytest
import structlog

from node.office.custodian import Custodian
from node.office.lending import Lending
from node.office.links import Links
from node.office.notary import Notary
from node.office.searcher import Searcher
from node.office.sequencer import Sequencer
from search_shard.tables import Tables
from simulations.blobs import SimBlobStore
from simulations.disk import SimDisk
from simulations.plants import PLANTS, hunt
from simulations.scenarios import draw

OWNERS = (Custodian, Lending, Links, Notary, Searcher, Sequencer, SimBlobStore, SimDisk)


@pytest.fixture(autouse=True)
def _quiet_nodes() -> object:
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    yield
    structlog.reset_defaults()


@pytest.mark.parametrize("name", PLANTS)
def test_nothing_of_a_plant_stays(name: str) -> None:
    before = [dict(vars(owner)) for owner in OWNERS]
    with PLANTS[name].planted():
        pass
    assert [dict(vars(owner)) for owner in OWNERS] == before


@pytest.mark.parametrize(
    ("name", "checker"),
    [
        ("spool-lost", "acknowledged"),
        ("holding-unsaid", "placed"),
        ("folded-twice", "audited"),
    ],
)
def test_a_checker_speaks(name: str, checker: str, tables: Tables) -> None:
    caught = hunt(name, [draw("seven", seed, 4) for seed in (1, 2)], tables)
    assert caught is not None
    assert caught.checker == checker, caught
