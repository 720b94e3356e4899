from __future__ import annotations

import copy
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.audit import AUDIT_TABLES, audit
from ledger.custody import HoldTake
from ledger.events import (
    Anchor,
    AnchorLine,
    MemberRevoke,
    ReviewAccept,
    ReviewReturn,
    VersionWithdraw,
)
from ledger.genesis import write_genesis
from ledger.spool import Tools
from node.hands.storage.memory_kv import MemoryStore
from node.hands.storage.spool import MemorySpool
from protocol.errors import ProofError
from protocol.ids import BlobId, RootHash

PROVINCE, CITY, CITY2, COUNTY, COUNTY2 = "320000", "320500", "320600", "320581", "320681"


def run(network, source, progress=lambda code, done, size: None, others=(), **kept):
    """An audit in memory; ``kept`` are the store and spool of an earlier one."""
    tools = Tools(
        kept.get("store") or MemoryStore(AUDIT_TABLES),
        kept.get("spool") or MemorySpool(),
        map,
        progress,
    )
    sources = {"first": source, **{f"other {at}": each for at, each in enumerate(others)}}
    return audit(sources, network.genesis_note, tools)


def anchor(network, child, by=None, size=None):
    tree = network.tree(child, size)
    body = Anchor((AnchorLine(child, tree.size, RootHash(tree.root())),))
    return network.append(by or {COUNTY: CITY, COUNTY2: CITY2}.get(child, PROVINCE), body)


def places(report):
    return [(each.office, each.index, each.code) for each in report.findings]


@pytest.fixture(scope="session")
def grown(founded):
    """A network whose county has two bundles of events, anchored now and then."""
    network = founded()
    items = [network.mint(COUNTY) for _ in range(30)]
    for at, item in enumerate(items):
        bodies = [HoldTake(item, BlobId.of(b"x"), 1, at) for _ in range(8)]
        network.append(COUNTY, network.upload(COUNTY, item, f"m{at}"), *bodies)
        if at % 7 == 3:
            anchor(network, COUNTY)
            anchor(network, CITY)
    upload = network.ref(COUNTY, 0)
    network.append(CITY, ReviewAccept(items[0], BlobId.of(b"m0"), upload))
    network.append(COUNTY2, network.upload(COUNTY2, network.mint(COUNTY2)))
    anchor(network, COUNTY2)
    return network


@pytest.fixture(scope="session")
def export(grown, export_of):
    return export_of(grown)


@pytest.fixture
def spoiled(export):
    return copy.deepcopy(export)


def test_a_sound_network_is_ok_and_its_report_says_what_there_is(grown, export, state_of):
    done = []
    report = run(grown, export, lambda *step: done.append(step))
    assert places(report) == []
    assert report.ok
    by_office = {each.office: each for each in report.logs}
    assert set(by_office) == {PROVINCE, CITY, CITY2, COUNTY, COUNTY2}
    county = by_office[COUNTY]
    assert county.size == 270
    assert county.root == grown.tree(COUNTY).root().hex()
    assert county.kinds == {"hold.take": 240, "version.upload": 30}
    assert [code for code, _ in county.witnesses] == [PROVINCE, CITY, CITY2]
    assert (county.witnesses_needed, county.witnessed_size) == (2, 270)
    assert by_office[PROVINCE].witnesses_needed == 2
    assert report.lateness == ()
    state = state_of(grown)
    state.apply_all()
    assert report.state_digest == state.digest()
    assert [step for step in done if step[0] == COUNTY] == [(COUNTY, 270, 270)]


def test_another_genesis_note_is_refused(grown, export):
    forged = grown.genesis_note.replace(b"threshold 2", b"threshold 1")
    with pytest.raises(ProofError):
        audit({"x": export}, forged, Tools(MemoryStore(AUDIT_TABLES), MemorySpool(), map, print))


@pytest.fixture(scope="session")
def small(founded):
    network = founded()
    upload = network.append(COUNTY, network.upload(COUNTY, network.mint(COUNTY)))
    network.append(CITY, ReviewAccept(network.mint(COUNTY), BlobId.of(b"other"), upload))
    network.append(COUNTY, network.upload(COUNTY, network.mint(COUNTY)))
    network.logs[CITY].clear()
    anchor(network, COUNTY)
    return network


def check_flip(network, export, name, position, bit):
    """Spoil one bit: it is named by office and index, under a code of its kind."""
    spoiled = copy.copy(export)
    spoiled.bytes = dict(export.bytes)
    spoiled.flip(name, position, bit)
    report = run(network, spoiled)
    kind, code, *where = name
    named = [each for each in report.findings if each.office == code]
    assert named, "the flipped bit was not seen"
    codes = {each.code for each in named}
    if kind == "checkpoint":
        assert any(each.code.startswith("checkpoint.") and each.index == -1 for each in named)
    elif kind == "tile":
        level, number, _ = where
        assert codes == {"tile.hash"}
        assert named[0].index == (number * 256 + position // 32) << (8 * level)
    else:
        assert codes & {"entry.hash", "bundle.decode"}
        assert named[0].index == index_at(export.bytes[name], where[0] * 256, position)
    assert all(each.zh and each.en for each in report.findings)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_flipped_bit_anywhere_is_named(small, export_of, data):
    export = export_of(small)
    name = data.draw(st.sampled_from(sorted(export.bytes, key=repr)))
    position = data.draw(st.integers(0, len(export.bytes[name]) - 1))
    check_flip(small, export, name, position, data.draw(st.integers(0, 7)))


@pytest.mark.parametrize(
    "name",
    [
        ("bundle", COUNTY, 0, 256),
        ("bundle", COUNTY, 1, 14),
        ("tile", COUNTY, 0, 0, 256),
        ("tile", COUNTY, 0, 1, 14),
        ("tile", COUNTY, 1, 0, 1),
    ],
)
@pytest.mark.parametrize("part", [0.0, 0.5, 1.0])
def test_a_flipped_bit_in_a_long_log_is_named(grown, export, name, part):
    position = int(part * (len(export.bytes[name]) - 1))
    check_flip(grown, export, name, position, 0)


def index_at(bundle, first, position):
    """The entry whose length or bytes are at a position of a sound bundle."""
    at = 0
    index = first
    while at + 2 + int.from_bytes(bundle[at : at + 2], "big") <= position:
        at += 2 + int.from_bytes(bundle[at : at + 2], "big")
        index += 1
    return index


def test_after_a_damaged_entry_the_rest_is_still_judged(grown, export, spoiled):
    spoiled.flip(("bundle", COUNTY, 0, 256), 100)
    report = run(grown, spoiled)
    # The city reviewed what was in that entry, and is not accused of pointing at nothing.
    assert places(report) == [(COUNTY, 0, "entry.hash")]
    county = next(each for each in report.logs if each.office == COUNTY)
    assert county.kinds["version.upload"] == 29


@pytest.mark.parametrize("kind", ["bundle", "tile"])
def test_a_missing_part_is_named(grown, export, spoiled, kind):
    name = ("bundle", COUNTY, 1, 14) if kind == "bundle" else ("tile", COUNTY, 0, 1, 14)
    del spoiled.bytes[name]
    assert (COUNTY, 256, "log.missing") in places(run(grown, spoiled))


def test_a_log_that_others_recorded_cannot_vanish(grown, export, spoiled):
    for name in [each for each in spoiled.bytes if each[1] == COUNTY]:
        del spoiled.bytes[name]
    assert places(run(grown, spoiled))[0] == (COUNTY, -1, "log.missing")


def test_an_office_that_never_said_anything_is_no_fault(network, export_of):
    report = run(network, export_of(network))
    assert report.ok
    assert [each.size for each in report.logs if each.office == COUNTY] == [0]


def test_a_dropped_tail_is_named(founded, export_of):
    network = founded()
    network.append(COUNTY, network.upload(COUNTY, network.mint(COUNTY)))
    network.append(COUNTY, network.upload(COUNTY, network.mint(COUNTY)))
    place = anchor(network, COUNTY)
    network.logs[COUNTY].pop()
    assert places(run(network, export_of(network))) == [(CITY, place.index, "anchor.beyond")]


def test_a_rewritten_log_contradicts_its_anchor(founded, export_of):
    network = founded()
    network.append(COUNTY, network.upload(COUNTY, network.mint(COUNTY)))
    place = anchor(network, COUNTY)
    network.logs[COUNTY].clear()
    network.append(COUNTY, network.upload(COUNTY, network.mint(COUNTY)))
    report = run(network, export_of(network))
    assert places(report) == [(CITY, place.index, "anchor.root")]
    assert report.findings[0].detail == "320581 1"


@pytest.mark.parametrize("damage", ["entry", "bundle", "checkpoint"])
def test_without_the_whole_provincial_log_nobody_else_is_accused(grown, spoiled, damage):
    name = ("bundle", PROVINCE, 0, len(grown.logs[PROVINCE]))
    if damage == "entry":
        spoiled.flip(name, 900)
    else:
        del spoiled.bytes[name if damage == "bundle" else ("checkpoint", PROVINCE)]
    findings = places(run(grown, spoiled))
    assert findings[0][0] == PROVINCE
    others = [each for each in findings if each[0] != PROVINCE]
    assert others
    assert {each[1:] for each in others} == {(-1, "log.unchecked")}


def test_a_log_of_nobody_is_named(network, export_of):
    source = export_of(network)
    source.bytes["checkpoint", "999999"] = b"x"
    assert places(run(network, source)) == [("999999", -1, "log.stranger")]


def test_the_checkpoint_of_another_log_is_refused(grown, export, spoiled):
    spoiled.bytes["checkpoint", COUNTY2] = export.bytes["checkpoint", COUNTY]
    codes = {each.code for each in run(grown, spoiled).findings if each.office == COUNTY2}
    assert {"checkpoint.origin", "checkpoint.signature"} <= codes


def test_too_few_witnesses_is_shown_and_is_no_fault(network, export_of):
    network.append(COUNTY, network.upload(COUNTY, network.mint(COUNTY)))
    source = export_of(network)
    source.bytes["checkpoint", COUNTY] = network.checkpoint(COUNTY, [CITY])
    report = run(network, source)
    county = next(each for each in report.logs if each.office == COUNTY)
    assert report.ok
    assert [code for code, _ in county.witnesses] == [CITY]
    assert county.witnessed_size == 0


def test_a_county_is_no_witness(network, export_of):
    network.append(CITY, network.upload(CITY, network.mint(CITY)))
    source = export_of(network)
    source.bytes["checkpoint", CITY] = network.checkpoint(CITY, [COUNTY, COUNTY2])
    report = run(network, source)
    assert next(each for each in report.logs if each.office == CITY).witnesses == ()


def test_a_broken_rule_is_named(network, export_of):
    network.append(COUNTY, network.upload(COUNTY, network.mint(COUNTY2)))
    network.append_raw(COUNTY, b"no event")
    report = run(network, export_of(network))
    assert places(report) == [(COUNTY, 0, "upload.office"), (COUNTY, 1, "event.decode")]


def test_an_event_under_a_roster_to_come_is_named(network, export_of):
    event = network.sign(COUNTY, network.upload(COUNTY, network.mint(COUNTY)), roster_size=99)
    network.append_raw(COUNTY, event.encoded())
    network.append(COUNTY, network.upload(COUNTY, network.mint(COUNTY)))
    assert places(run(network, export_of(network))) == [(COUNTY, 0, "event.roster")]


def test_a_tail_beyond_a_closure_is_named_and_a_kept_root_is_checked(network, export_of):
    network.append(COUNTY, network.upload(COUNTY, network.mint(COUNTY)))
    anchor(network, COUNTY)
    root = RootHash(network.tree(COUNTY, 1).root())
    network.append(COUNTY, network.upload(COUNTY, network.mint(COUNTY)))
    network.append(PROVINCE, network.with_roots(MemberRevoke(COUNTY, 1, root, 1, ())))
    assert places(run(network, export_of(network))) == [
        (COUNTY, 1, "event.void"),
        (COUNTY, -1, "checkpoint.closed"),
    ]
    del network.logs[COUNTY][1:]  # in its cut form
    assert places(run(network, export_of(network))) == []


def test_a_closure_at_another_root_or_at_none_that_was_anchored_is_named(network, export_of):
    network.append(COUNTY, network.upload(COUNTY, network.mint(COUNTY)))
    wrong = RootHash(bytes(32))
    place = network.append(PROVINCE, network.with_roots(MemberRevoke(COUNTY, 1, wrong, 1, ())))
    assert places(run(network, export_of(network))) == [
        (PROVINCE, place.index, "anchor.root"),
        (PROVINCE, place.index, "member.unanchored"),
    ]


def test_a_reference_to_nothing_is_named(network, export_of):
    item = network.mint(COUNTY)
    upload = network.append(COUNTY, network.upload(COUNTY, item))
    nowhere = replace(upload, leaf=network.ref(PROVINCE, 0).leaf)
    network.append(CITY, ReviewAccept(item, BlobId.of(b"manifest"), nowhere))
    network.append(CITY, VersionWithdraw(item, replace(upload, origin="x"), BlobId.of(b"r")))
    network.append(CITY, ReviewAccept(item, BlobId.of(b"manifest"), upload))
    assert places(run(network, export_of(network))) == [
        (CITY, 0, "item.reference"),
        (CITY, 1, "item.reference"),
    ]


def test_claimed_times_are_held_against_anchors(network, export_of):
    hour = 3_600_000
    network.append(COUNTY, network.upload(COUNTY, network.mint(COUNTY)))
    anchored_at = network.now + 1000
    anchor(network, COUNTY)
    network.now -= hour  # dated back behind what the city has already seen
    network.append(COUNTY, network.upload(COUNTY, network.mint(COUNTY)))
    network.now += 3 * hour  # dated ahead of the anchor that covers it
    network.append(COUNTY, network.upload(COUNTY, network.mint(COUNTY)))
    network.now -= 2 * hour
    anchor(network, COUNTY)
    report = run(network, export_of(network))
    assert report.ok
    assert [(each.office, each.index) for each in report.lateness] == [(COUNTY, 1), (COUNTY, 2)]
    assert report.lateness[0].not_before == anchored_at
    assert report.lateness[1].not_after == network.now


def test_a_cut_audit_goes_on_and_ends_alike(grown, export, state_of, monkeypatch):
    class Cut(Exception):
        pass

    kept = {"store": MemoryStore(AUDIT_TABLES), "spool": MemorySpool()}
    whole = run(grown, export)
    for _ in range(5):  # cut after each log, and on

        def stop(code, done, size):
            raise Cut

        with pytest.raises(Cut):
            run(grown, export, stop, **kept)
        kept["spool"].append("fact", b"what a cut left behind")
    again = run(grown, export, **kept)
    assert again == replace(whole, lateness=again.lateness)
    assert run(grown, export, **kept).state_digest == whole.state_digest


def test_a_later_audit_begins_where_the_last_one_ended(founded, export_of, state_of):
    network = founded()
    kept = {"store": MemoryStore(AUDIT_TABLES), "spool": MemorySpool()}
    for turn in range(4):
        for at in range(90):
            network.append(COUNTY, network.upload(COUNTY, network.mint(COUNTY), f"{turn} {at}"))
        anchor(network, COUNTY)
        anchor(network, CITY)
        done = []
        report = run(network, export_of(network), lambda *step, to=done: to.append(step), **kept)
        state = state_of(network)
        state.apply_all()
        assert report.ok
        assert report.state_digest == state.digest()
        assert report == run(network, export_of(network))
        assert [size for code, _, size in done if code == COUNTY] == [90 * (turn + 1)]


def test_a_log_rewritten_since_the_last_audit_is_named(founded, export_of):
    network, other = founded(), founded()
    for at in range(3):
        network.append(COUNTY, network.upload(COUNTY, network.mint(COUNTY), f"{at}"))
        other.append(COUNTY, other.upload(COUNTY, other.mint(COUNTY), f"other {at}"))
    kept = {"store": MemoryStore(AUDIT_TABLES), "spool": MemorySpool()}
    assert run(network, export_of(network), **kept).ok
    other.append(COUNTY, other.upload(COUNTY, other.mint(COUNTY), "more"))
    assert places(run(other, export_of(other), **kept)) == [(COUNTY, -1, "log.rewritten")]
    stranger = replace(network.genesis, network="fzb.other.example")
    roots = dict(zip(["root0", "root1", "root2"], network.roots, strict=True))
    network.genesis_note = write_genesis(stranger, roots)
    with pytest.raises(ProofError, match="work folder"):
        run(network, export_of(network), **kept)


def test_what_is_older_than_before_is_a_note(founded, export_of):
    network = founded()
    network.append(COUNTY, network.upload(COUNTY, network.mint(COUNTY)))
    older = export_of(network)
    network.append(COUNTY, network.upload(COUNTY, network.mint(COUNTY)))
    kept = {"store": MemoryStore(AUDIT_TABLES), "spool": MemorySpool()}
    assert run(network, export_of(network), **kept).ok
    report = run(network, older, **kept)
    assert report.ok
    assert [(each.office, each.code) for each in report.notes] == [(COUNTY, "note.older")]


def test_an_export_of_mixed_ages_accuses_nobody(network, export_of):
    network.append(COUNTY, network.upload(COUNTY, network.mint(COUNTY)))
    older = export_of(network)
    network.now += 60_000
    item = network.mint(COUNTY)
    upload = network.append(COUNTY, network.upload(COUNTY, item))
    network.append(CITY, ReviewAccept(item, BlobId.of(b"manifest"), upload))
    anchor(network, COUNTY)
    mixed = export_of(network)
    for name in [each for each in mixed.bytes if each[1] == COUNTY]:
        del mixed.bytes[name]
    mixed.bytes |= {name: data for name, data in older.bytes.items() if name[1] == COUNTY}
    report = run(network, mixed)
    assert places(report) == []
    assert {each.code for each in report.notes} == {"note.behind", "note.newer"}


def test_two_sources_that_tell_two_histories_convict_the_log(forked, export_of):
    network, other = forked
    report = run(network, export_of(network), others=[export_of(other)])
    assert {each.code for each in report.findings} == {"log.contradiction", "log.fork"}
    assert {each.office for each in report.findings} == {COUNTY}
    assert len(report.evidence) == 1


def test_what_is_judged_before_its_time_or_kept_unsealed_is_noted(network, export_of):
    item, secret, early = (network.mint(COUNTY) for _ in range(3))
    upload = network.append(COUNTY, network.upload(COUNTY, item))
    network.append(COUNTY, network.upload(COUNTY, secret, "secret", rights="sealed"))
    network.append(COUNTY, HoldTake(secret, BlobId.of(b"secret"), 1, 10, None))
    for code in (CITY2, CITY):
        network.append(code, HoldTake(item, BlobId.of(b"manifest"), 1, 10, None))
        network.append(code, HoldTake(secret, BlobId.of(b"secret"), 1, 10, BlobId.of(b"seal")))
    network.append(PROVINCE, HoldTake(secret, BlobId.of(b"secret"), 1, 10, None))
    network.now -= 3_600_000
    network.append(CITY, ReviewReturn(item, BlobId.of(b"manifest"), upload, BlobId.of(b"why")))
    network.append(COUNTY, network.upload(COUNTY, early))
    report = run(network, export_of(network))
    assert report.ok
    noted = {(each.office, each.code) for each in report.notes}
    assert noted == {(PROVINCE, "hold.unsealed"), (CITY, "review.early")}


@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_an_audit_folds_what_the_nodes_fold(founded, export_of, state_of, data):
    """Whatever is said, well or badly, in batches of any length: rows and findings are those of
    the live fold, because runs are examined by it."""
    network = founded()
    items = [network.mint(code) for code in (COUNTY, COUNTY2, CITY)]
    for step in range(data.draw(st.integers(1, 25))):
        code = data.draw(st.sampled_from((PROVINCE, CITY, CITY2, COUNTY, COUNTY2)))
        item = data.draw(st.sampled_from(items))
        upload = network.upload(code, item, f"m{step}", data.draw(st.sampled_from(("", "m0"))))
        hold = HoldTake(item, upload.manifest, 1, 1)
        network.append(code, *data.draw(st.permutations([upload, hold, hold])))
        if data.draw(st.booleans()):
            network.append_raw(code, data.draw(st.sampled_from((b"junk", b"member.junk"))))
        if data.draw(st.booleans()):
            anchor(network, code, by=PROVINCE)
    report = run(network, export_of(network))
    state = state_of(network)
    changes = state.apply_all()
    assert report.state_digest == state.digest()
    assert sum(1 for each in changes if each.finding) == len(report.findings)
