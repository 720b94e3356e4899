"""The browser's check of a proof against the same small logs as the check in Python."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from playwright.sync_api import Page

from ledger.chain import check_proof
from ledger.checkpoint import parse_checkpoint
from ledger.events import CHANGES, MemberRevoke, parse_event
from ledger.proof import Proof
from ledger.proving import Opened, make_proof
from ledger.roster import RosterHistory
from ledger.source import LogReader
from protocol.errors import ProofError
from protocol.ids import OfficeCode, RootHash
from tests.fake_service import BOOK
from tests.told import CITY, CONTENT, COUNTY, FILE, PROVINCE, Told
from tests.unit.ledger.conftest import Export, Network

pytestmark = pytest.mark.page

CHECK = """async ([files, item, trusted]) => {
  const { Chain, openProof } = await import("/static/chain.js");
  const passed = [];
  try {
    const proof = openProof({ format: "fangzhi/proof/1", files });
    for await (const { step } of new Chain(proof, item, trusted).steps()) passed.push(step);
    return [passed, ""];
  } catch (error) {
    return [passed, String(error)];
  }
}"""
STEPS = ["genesis", "roster", "manifest", "event", "inclusion", "checkpoint"]
STEPS += ["witnesses", "anchors"]


def proof_of(told: Any) -> Proof:
    """The proof of the upload, whatever has been said of its office since."""
    export = Export(told.network)
    history = RosterHistory(told.network.genesis)
    for index, entry in enumerate(told.network.logs[PROVINCE]):
        body = parse_event(entry).read_body()
        if isinstance(body, CHANGES):
            history.apply(index, body)  # type: ignore[arg-type]

    def opened(code: str) -> Opened:
        note = export.checkpoint(code)
        checkpoint = parse_checkpoint(note)
        reader = LogReader(export, OfficeCode(code), checkpoint.size, checkpoint.root.raw)
        return Opened(reader, note)

    place = (COUNTY, told.upload.index)
    anchors = [(CITY, told.anchor.index), (PROVINCE, told.above.index)]
    manifest = told.blobs[told.manifest]
    return make_proof(told.network.genesis_note, history, manifest, place, anchors, opened)


def checked(page: Page, proof: Proof, told: Any) -> tuple[list[str], str]:
    files = {name: base64.b64encode(data).decode() for name, data in proof.files().items()}
    passed, error = page.evaluate(CHECK, [files, told.item, told.network.genesis.id.hex])
    return passed, error


def test_both_checks_hold(open_page: Callable[..., Page]) -> None:
    told = Told(Network().found())
    page = open_page("/items/" + BOOK + "/proof")
    proof = proof_of(told)
    assert check_proof(proof, told.network.genesis_note, FILE, len(CONTENT)).index == 3
    assert checked(page, proof, told) == (STEPS, "")


@pytest.mark.parametrize(("size", "passes"), [(3, 3), (4, 8)])
def test_a_key_revoked_below_the_upload_proves_nothing(
    open_page: Callable[..., Page], size: int, passes: int
) -> None:
    told = Told(Network().found())
    root = RootHash(told.network.tree(COUNTY, size).root())
    cut = told.network.with_roots(MemberRevoke(COUNTY, size, root, 1, ()))
    told.network.append(PROVINCE, cut)
    proof = proof_of(told)
    page = open_page("/items/" + BOOK + "/proof")
    passed, error = checked(page, proof, told)
    assert passed == STEPS[:passes]
    assert ("before its office's keys were closed" in error) == (passes == 3)
    if passes == 3:
        with pytest.raises(ProofError, match="step 4 event"):
            check_proof(proof, told.network.genesis_note, FILE, len(CONTENT))


@pytest.mark.parametrize("count", [0, 1])
def test_a_change_that_too_few_roots_signed_is_refused(
    open_page: Callable[..., Page], count: int
) -> None:
    told = Told(Network().found())
    root = RootHash(told.network.tree(COUNTY, 4).root())
    cut = told.network.with_roots(MemberRevoke(COUNTY, 4, root, 1, ()), count=count)
    told.network.append(PROVINCE, cut)
    export = Export(told.network)
    note = export.checkpoint(PROVINCE)
    size, whole = parse_checkpoint(note).size, parse_checkpoint(note).root.raw
    reader = LogReader(export, OfficeCode(PROVINCE), size, whole)
    told.network.logs[PROVINCE].pop()
    honest = proof_of(told)
    province = Opened(reader, note)
    changes = (*(province.prove(c.index) for c in honest.changes), province.prove(size - 1))
    page = open_page("/items/" + BOOK + "/proof")
    passed, error = checked(page, replace(honest, changes=changes), told)
    assert passed == ["genesis"]
    assert f"expected 2 root signatures, got {count}" in error
