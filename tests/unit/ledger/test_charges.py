"""What sources give as evidence: it convicts, is a lost tail, or proves nothing."""

from __future__ import annotations

from ledger.audit import AUDIT_TABLES, audit
from ledger.checkpoint import log_key
from ledger.events import Anchor, AnchorLine, ForkReport, MemberRevoke
from ledger.evidence import of_notes
from ledger.spool import Tools
from node.hands.storage.memory_kv import MemoryStore
from node.hands.storage.spool import MemorySpool
from protocol.ids import BlobId, RootHash

PROVINCE, CITY, COUNTY, COUNTY2 = "320000", "320500", "320581", "320681"


def run(network, source):
    tools = Tools(MemoryStore(AUDIT_TABLES), MemorySpool(), map, lambda *_: None)
    return audit({"here": source}, network.genesis_note, tools)


def told(findings):
    return [(each.office, each.index, each.code, each.detail) for each in findings]


def evidence_against(network, other):
    keys = (log_key(network.genesis.origin(COUNTY), network.key(COUNTY, "log").public),)
    return of_notes(network.checkpoint(COUNTY), other.checkpoint(COUNTY), keys)


def close_county(network, size):
    tree = network.tree(COUNTY, size)
    network.append(CITY, Anchor((AnchorLine(COUNTY, tree.size, RootHash(tree.root())),)))
    closing = MemberRevoke(COUNTY, tree.size, RootHash(tree.root()), 1, ())
    network.append(PROVINCE, network.with_roots(closing))


def test_evidence_that_a_source_gives_convicts_without_any_second_history(forked, export_of):
    network, data = forked[0], evidence_against(*forked)
    network.append(CITY, ForkReport(COUNTY, BlobId.of(data), 4, 4))
    source = export_of(network)
    source.bytes["evidence", COUNTY, 0] = data
    report = run(network, source)
    name = BlobId.of(data).hex
    assert told(report.findings) == [(COUNTY, -1, "log.fork", name)]
    assert (report.evidence, report.notes) == ({name: data}, ())


def test_what_proves_nothing_and_what_nobody_proves_are_notes(forked, export_of):
    network, data = forked[0], evidence_against(*forked)
    network.append(CITY, ForkReport(COUNTY, BlobId.of(data), 4, 4))
    source = export_of(network)
    source.bytes["evidence", COUNTY2, 0] = data  # of another office's key
    source.bytes["evidence", COUNTY, 1] = b"no evidence"
    report = run(network, source)
    assert report.ok
    assert not report.evidence
    name, junk = BlobId.of(data).hex, BlobId.of(b"no evidence").hex
    assert told(report.notes) == [
        (COUNTY2, -1, "note.evidence", f"here: {name}"),
        (COUNTY, -1, "note.evidence", f"here: {junk}"),
        (CITY, 0, "note.unproven", f"{COUNTY} {name}"),
    ]


def test_a_lost_tail_is_listed_as_such_and_convicts_nobody(forked, export_of):
    network, other = forked
    data, beyond = evidence_against(*forked), other.checkpoint(COUNTY)
    close_county(network, 2)
    del network.logs[COUNTY][2:]
    network.append(CITY, ForkReport(COUNTY, BlobId.of(data), 4, 4))
    source = export_of(network)
    source.bytes["evidence", COUNTY, 0] = data
    source.bytes["witnessed", COUNTY, "lost 5"] = beyond
    report = run(network, source)
    assert report.ok
    assert told(report.notes) == [
        (COUNTY, -1, "note.tail", "here (lost 5): 4"),
        (COUNTY, -1, "note.tail", BlobId.of(data).hex),
    ]


def test_evidence_within_the_closure_convicts_the_closed_key(forked, export_of):
    network, data = forked[0], evidence_against(*forked)
    close_county(network, 4)
    source = export_of(network)
    source.bytes["evidence", COUNTY, 0] = data
    assert told(run(network, source).findings) == [(COUNTY, -1, "log.fork", BlobId.of(data).hex)]


def readmit(network):
    network.generation[COUNTY] = 1
    network.append(PROVINCE, network.with_roots(network.admit_body(COUNTY, 2)))


def test_an_office_that_begins_again_below_its_closure_is_found(forked, export_of):
    network = forked[0]
    close_county(network, 3)
    readmit(network)
    del network.logs[COUNTY][3:]
    report = run(network, export_of(network))
    assert report.ok, report.findings
    del network.logs[COUNTY][2:]
    found = {each.code for each in run(network, export_of(network)).findings}
    assert "checkpoint.short" in found


def test_an_office_that_goes_on_from_another_tree_than_its_closure_is_found(forked, export_of):
    network = forked[0]
    close_county(network, 3)
    readmit(network)
    network.logs[COUNTY][2:] = forked[1].logs[COUNTY][2:]
    found = told(run(network, export_of(network)).findings)
    assert {each[:3] for each in found} >= {(PROVINCE, 5, "anchor.root"), (CITY, 0, "anchor.root")}
