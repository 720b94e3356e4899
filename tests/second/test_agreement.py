"""Two checkers by different authors, one answer: random networks, rules broken, files spoiled."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.audit import AUDIT_TABLES, audit
from ledger.spool import Tools
from node.hands.sources import FolderSource
from node.hands.storage.memory_kv import MemoryStore
from node.hands.storage.spool import MemorySpool
from tests.second import generated
from tests.second.generated import OFFICES, export
from tests.second.network import Check
from tests.unit.ledger import stories
from tests.unit.ledger.conftest import CITY, CITY2, COUNTY, COUNTY2, PROVINCE, Network
from tests.unit.ledger.stories import Story

WAYS = ("flip", "flip", "cut", "delete", "add", "reverse")


def first_audit(folder, network):
    """(office, index) of every finding of ours, in the order of offices and indexes."""
    tools = Tools(MemoryStore(AUDIT_TABLES), MemorySpool(), map, lambda code, done, size: None)
    report = audit({"folder": FolderSource(folder)}, network.genesis_note, tools)
    order = {office: at for at, office in enumerate(OFFICES)}
    return sorted(
        ((each.office, each.index, each.code) for each in report.findings),
        key=lambda place: (order[place[0]], place),
    )


def check_both(network, damage=(), sample=lambda code, index: True):
    """Export, spoil, ask both; the findings of the second."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = export(network, folder)
        for office, number, way, place in damage:
            own = [each for each in files if office in each.parts]
            if own:
                spoil(own[number % len(own)], way, place)
        ours = first_audit(folder, network)
        theirs = Check(folder, network.genesis_note, sample).places
    assert [each[:2] for each in ours[:1]] == [each[:2] for each in theirs[:1]], (ours, theirs)
    return theirs


def spoil(path, way, place):
    data = bytearray(path.read_bytes())
    at = place % len(data)
    if way == "flip":
        data[at] ^= 1 << place % 7
    elif way == "cut":
        del data[at:]
    elif way == "add":
        data += b"x"
    elif way == "reverse":
        data.reverse()
    path.unlink() if way == "delete" else path.write_bytes(data)


offices = st.sampled_from(OFFICES)
breaks = st.sampled_from(generated.BREAKS)
lives = stories.acts
acts = st.one_of(
    st.tuples(st.just("hold"), offices, st.integers(1, 4)),
    st.tuples(st.just("synonyms"), st.sampled_from([PROVINCE, PROVINCE, CITY]), st.integers(1, 2)),
    st.tuples(
        st.just("keeping"),
        st.sampled_from([PROVINCE, CITY]),
        st.integers(0, len(generated.KEEPING) - 1),
    ),
    st.tuples(st.just("anchor"), st.sampled_from(OFFICES[1:]), st.integers(0, 6)),
    st.tuples(st.just("false anchor"), st.sampled_from([CITY, COUNTY]), st.integers(1, 3)),
    st.tuples(st.just("revoke"), st.just(COUNTY2), st.integers(0, 3)),
    st.tuples(st.just("break"), st.sampled_from([CITY2, COUNTY, COUNTY2]), st.integers(0, 10)),
)


def do(network, act, office, number):
    revoked = network.generation.get("revoked", 0)
    if act == "hold":
        generated.hold(network, office, number)
    elif act == "synonyms":
        generated.synonyms(network, office, number)
    elif act == "keeping":
        generated.keeping(network, office, number)
    elif act == "anchor":
        generated.anchor(network, office, number)
    elif act == "false anchor":
        generated.anchor(network, office, number, bytes(32))
    elif act == "break":
        generated.broken(network, office, generated.BREAKS[number])
    elif not revoked:
        generated.revoke(network, office, number)
        network.generation["revoked"] = 1


@settings(max_examples=40, deadline=None)
@given(st.lists(acts, max_size=8))
def test_both_find_the_same_first_break_of_a_rule(story):
    network = Network().found()
    for act in story:
        do(network, *act)
    check_both(network)


@settings(max_examples=20, deadline=None)
@given(life=st.lists(lives, min_size=6, max_size=14), at=offices, how=st.none() | breaks)
def test_both_follow_every_change_of_members(life, at, how):
    """In a life by the rules nothing is found but tails that nobody has cut; or one rule is broken
    at its end."""
    story = Story().live(life)
    tails = {
        cut.code
        for cut in story.roster.closures
        if cut == story.roster.closure(cut.code)
        and len(story.network.logs.get(cut.code, [])) > cut.log_size
        and not story.roster.is_active(cut.code)
    }
    if how is not None:
        generated.broken(story.network, at, how)
    found = {each[0] for each in check_both(story.network)}
    assert (found >= tails and found) if how else found == tails


@settings(max_examples=40, deadline=None)
@given(
    st.lists(acts, max_size=3),
    st.lists(
        st.tuples(offices, st.integers(0, 9), st.sampled_from(WAYS), st.integers(0, 5000)),
        min_size=1,
        max_size=2,
        unique_by=lambda damage: damage[0],
    ),
)
def test_both_find_the_same_first_damage(story, damage):
    network = Network().found()
    for office, count in ((COUNTY, 3), (CITY, 2), (COUNTY2, 1), (PROVINCE, 1)):
        generated.hold(network, office, count)
    generated.anchor(network, COUNTY, 2)
    for act in story:
        do(network, *act)
    check_both(network, damage)


@pytest.fixture(scope="module")
def long_network():
    """Two bundles and a tile of the second level."""
    network = Network().found()
    for count in (100, 100, 100):
        generated.hold(network, COUNTY, count)
        generated.anchor(network, COUNTY, len(network.logs[COUNTY]))
    return network


@pytest.mark.parametrize(("number", "way"), list(enumerate(["flip", "cut", "delete"] * 2)))
def test_both_find_the_damage_in_a_long_log(long_network, number, way):
    """Every sixteenth signature by the slow checker, every one by ours."""
    damage = [(COUNTY, number, way, 7777)]
    assert check_both(long_network, damage, lambda code, index: index % 16 == 0)


def test_a_sound_long_log_holds_for_both(long_network):
    assert not check_both(long_network, sample=lambda code, index: index % 16 == 0)


@pytest.mark.parametrize("how", generated.BREAKS)
def test_each_broken_rule_is_named_by_both(how):
    network = Network().found()
    generated.hold(network, COUNTY, 2)
    generated.broken(network, COUNTY, how)
    with tempfile.TemporaryDirectory() as name:
        export(network, Path(name))
        ours = first_audit(Path(name), network)
        assert ours == Check(Path(name), network.genesis_note).places
    assert len(ours) == 1


@pytest.mark.parametrize("number", range(len(generated.KEEPING)))
@pytest.mark.parametrize("office", [PROVINCE, CITY])
def test_both_judge_keys_and_copies_alike(office, number):
    network = Network().found()
    for _ in range(2):  # the second time another version is due
        generated.keeping(network, office, number)
    with tempfile.TemporaryDirectory() as name:
        export(network, Path(name))
        ours = first_audit(Path(name), network)
        assert ours == Check(Path(name), network.genesis_note).places
