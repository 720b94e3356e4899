from __future__ import annotations

import pytest

from ledger import item_ranges
from ledger.audit import AUDIT_TABLES, audit
from ledger.spool import Tools
from node.hands.storage.memory_kv import MemoryStore
from node.hands.storage.spool import MemorySpool

COUNTY, COUNTY2 = "320581", "320681"


@pytest.fixture(scope="module")
def many(founded):
    network = founded()
    for at in range(200):
        code = COUNTY if at % 3 else COUNTY2
        item = network.mint(code)
        network.append(code, network.upload(code, item, f"{at}"))
        network.append(code, network.upload(code, item, f"{at} b", f"{at}" if at % 5 else "x"))
    return network


@pytest.mark.parametrize("rows", [1, 64, 100_000])
def test_ranges_of_any_size_settle_to_the_same_state(many, export_of, state_of, monkeypatch, rows):
    monkeypatch.setattr(item_ranges, "RANGE_ROWS", rows)
    tools = Tools(MemoryStore(AUDIT_TABLES), MemorySpool(), map, lambda *_: None)
    report = audit({"x": export_of(many)}, many.genesis_note, tools)
    state = state_of(many)
    state.apply_all()
    assert report.state_digest == state.digest()
    assert report.items == {"submitted": 200}
    assert {each.code for each in report.findings} == {"upload.supersedes"}
    assert len(report.findings) == 40
