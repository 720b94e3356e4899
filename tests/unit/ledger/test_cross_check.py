from __future__ import annotations

import pytest

from ledger.checkpoint import log_key
from ledger.cross_check import CrossCheck, sights
from ledger.evidence import verify_evidence

COUNTY, CITY = "320581", "320500"


@pytest.fixture(scope="module")
def grown(founded):
    network = founded()
    for at in range(6):
        network.append(COUNTY, network.upload(COUNTY, network.mint(COUNTY), f"{at}"))
    return network


def other(founded, events, shared=2):
    """Another history of the county's log, with the same keys, after ``shared`` events."""
    network = founded()
    for at in range(events):
        name = f"{at}" if at < shared else f"other {at}"
        network.append(COUNTY, network.upload(COUNTY, network.mint(COUNTY), name))
    return network


def keys(network):
    origin = network.genesis.origin(COUNTY)
    return (log_key(origin, network.key(COUNTY, "log").public),)


def compare(network, *sources, is_tail=lambda key, size: False):
    named = {f"at {at}": each for at, each in enumerate(sources)}
    bad = []
    check = CrossCheck(named, COUNTY, sources[0].checkpoint(COUNTY), keys(network), is_tail)
    origin = network.genesis.origin(COUNTY)
    return check.compare(sights(named, COUNTY, origin), bad.append), bad


def test_sources_that_agree_contradict_nothing(grown, founded, export_of):
    forks, bad = compare(grown, export_of(grown), export_of(other(founded, 4, 4)))
    assert (forks.compared, forks.contradictions, forks.evidence, bad) == (2, (), (), [])


def test_a_longer_one_that_is_consistent_is_only_told(grown, founded, export_of):
    forks, _ = compare(grown, export_of(other(founded, 3, 3)), export_of(grown))
    assert forks.contradictions == ()
    assert forks.longer == ("at 1: 6",)


@pytest.mark.parametrize("events", [4, 6, 8])
def test_a_fork_is_named_and_proven_by_standard_objects(grown, founded, export_of, events):
    forks, bad = compare(grown, export_of(grown), export_of(other(founded, events)))
    assert forks.contradictions == (f"at 1: {events}",)
    assert bad == []
    verdict = verify_evidence(forks.evidence[0], keys(grown))
    assert verdict.size == min(events, 6)


def test_what_a_witness_keeps_is_compared_too(grown, founded, export_of):
    source = export_of(grown)
    note = other(founded, 5).checkpoint(COUNTY, [CITY])
    source.bytes["witnessed", COUNTY, CITY] = note
    forks, _ = compare(grown, source)
    assert forks.contradictions == (f"at 0 ({CITY}): 5",)
    assert len(forks.evidence) == 1


def test_a_note_of_another_key_accuses_nobody(grown, export_of):
    source = export_of(grown)
    source.bytes["witnessed", COUNTY, CITY] = grown.checkpoint("320000")
    forks, bad = compare(grown, source)
    assert forks.contradictions == ()
    assert bad == [f"at 0 ({CITY})"]


def test_what_a_closed_key_signed_beyond_its_closure_is_told_and_contradicts_nothing(
    grown, founded, export_of
):
    sources = export_of(grown), export_of(other(founded, 8)), export_of(other(founded, 5))
    forks, bad = compare(grown, *sources, is_tail=lambda key, size: size > 7)
    assert (forks.tails, forks.contradictions, bad) == (("at 1: 8",), ("at 2: 5",), [])
