"""The browser's check of a proof against the same small logs as the check in Python."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from ledger.chain import check_proof
from ledger.checkpoint import Cosigner, parse_checkpoint
from ledger.events import (
    Anchor,
    AnchorLine,
    MemberAbolish,
    MemberMove,
    MemberRevoke,
    OutsideWitness,
    PolicySet,
)
from ledger.note import COSIGNATURE_V1, Note, NoteKey, parse_note
from ledger.proof import Proof
from ledger.proving import Opened
from ledger.source import LogReader
from protocol.errors import ProofError
from protocol.ids import OfficeCode, RootHash
from tests.fake_service import BOOK
from tests.told import (
    CLERK,
    CLERKS_REFUSED,
    CONTENT,
    FILE,
    Told,
    retired_clerk,
)
from tests.unit.ledger.conftest import CITY, CITY2, COUNTY, COUNTY2, PROVINCE, Export, Network, key

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


def checked(page: Page, proof: Proof, told: Any) -> tuple[list[str], str]:
    files = {name: base64.b64encode(data).decode() for name, data in proof.files().items()}
    passed, error = page.evaluate(CHECK, [files, told.item, told.network.genesis.id.hex])
    return passed, error


def compared(page: Page, proof: Proof, told: Any) -> str:
    """The step at which the browser refuses the proof, which is where Python does; "" for none."""
    passed, error = checked(page, proof, told)
    at = STEPS[len(passed)] if error else ""
    python = ""
    try:
        check_proof(proof, told.network.genesis_note, FILE, len(CONTENT))
    except ProofError as refusal:
        python = str(refusal.where).split(":")[0].split()[-1]
    assert (at, passed) == (python, STEPS[: len(passed)]), error
    return at


@pytest.fixture(scope="module")
def page(browser: Browser, portal: str) -> Iterator[Page]:
    page = browser.new_page()
    page.goto(f"{portal}/items/{BOOK}/proof")
    yield page
    page.close()


# Who signed the upload.


@pytest.mark.parametrize("told_by", [Told, lambda network: Told(network, CLERK), retired_clerk])
def test_both_checks_hold(page: Page, told_by: Callable[[Network], Any]) -> None:
    told = told_by(Network().found())
    assert compared(page, told.proof(Export(told.network)), told) == ""


@pytest.mark.parametrize("who", CLERKS_REFUSED)
def test_an_upload_by_a_users_key_that_does_not_count(page: Page, who: str) -> None:
    told = CLERKS_REFUSED[who](Network().found())
    assert compared(page, told.proof(Export(told.network)), told) == "event"


def test_an_enrolment_stands_before_the_upload_under_its_checkpoint(page: Page) -> None:
    told = Told(Network().found(), CLERK)
    proof = told.proof(Export(told.network))
    signer, upload = proof.signer, proof.upload
    assert signer is not None
    note = parse_note(signer.checkpoint)
    fewer = Note(note.text, note.signatures[:-1]).format()
    others = [replace(signer, checkpoint=fewer), replace(signer, index=1)]
    others += [replace(signer, extra=told.network.logs[COUNTY][1]), replace(upload, index=2)]
    for other in (None, upload, replace(signer, index=upload.index), *others):
        assert compared(page, replace(proof, signer=other), told) == "event"


# What the changes of members and of the policy say.


@pytest.mark.parametrize(("size", "step"), [(3, "event"), (4, "")])
def test_a_key_revoked_below_the_upload_proves_nothing(page: Page, size: int, step: str) -> None:
    told = Told(Network().found())
    root = RootHash(told.network.tree(COUNTY, size).root())
    said(told.network, MemberRevoke(COUNTY, size, root, 1, ()))
    assert compared(page, told.proof(Export(told.network)), told) == step


def said(network: Network, body: Any) -> None:
    network.append(PROVINCE, network.with_roots(body))


def outside(purpose: str = "archive", name: str = "archive") -> OutsideWitness:
    vkey = NoteKey(f"{name}.example", COSIGNATURE_V1, key(purpose).public).vkey
    return OutsideWitness(name, vkey, "https://archive.example/")


def policy(version: int = 2, needed: int = 1, *witnesses: OutsideWitness) -> PolicySet:
    return PolicySet(version, 1, 1, witnesses or (outside(),), needed, ())


def an_archive_witnesses(network: Network) -> Any:
    said(network, policy())
    network.outside = (Cosigner("archive.example", key("archive")),)
    return Told(network)


def the_archive_keeps_silent(network: Network) -> Any:
    told = an_archive_witnesses(network)
    network.outside = ()
    return told


def nobody_outside_is_needed(network: Network) -> Any:
    said(network, policy(2, 0))
    return Told(network)


def rotated(network: Network, code: OfficeCode) -> None:
    network.generation[code] = 1
    body = network.rotate_body(code)
    said(network, replace(body, web_url=f"https://{code}.example/x/"))


def keys_are_rotated(network: Network) -> Any:
    told = Told(network)
    for code in (PROVINCE, CITY, COUNTY):
        rotated(network, code)
    return told


def keys_were_rotated_before(network: Network) -> Any:
    for code in (PROVINCE, CITY, COUNTY):
        rotated(network, code)
    return Told(network)


def a_log_key_before_the_last(network: Network) -> Any:
    """The city's log still signs with the key before."""
    told = Told(network)
    said(network, replace(network.rotate_body(CITY), log_key=key("next").public))
    return told


def the_county_moves(network: Network) -> Any:
    told = Told(network)
    said(network, MemberMove(COUNTY, CITY2, "常熟市", 1, ()))
    tree = network.tree(COUNTY)
    line = AnchorLine(COUNTY, tree.size, RootHash(tree.root()))
    told.anchors = [(CITY2, network.append(CITY2, Anchor((line,))).index)]
    return told


def the_county_is_abolished(network: Network) -> Any:
    told = Told(network)
    tree = network.tree(COUNTY)
    said(network, MemberAbolish(COUNTY, COUNTY2, tree.size, RootHash(tree.root()), 1, ()))
    return told


STORIES: dict[Callable[[Network], Any], tuple[str, list[str]]] = {
    an_archive_witnesses: ("", [CITY, PROVINCE]),
    the_archive_keeps_silent: ("roster", []),
    nobody_outside_is_needed: ("", [CITY, PROVINCE]),
    keys_are_rotated: ("", [CITY, PROVINCE]),
    keys_were_rotated_before: ("", [CITY, PROVINCE]),
    a_log_key_before_the_last: ("", [CITY, PROVINCE]),
    the_county_moves: ("", [CITY2]),
    the_county_is_abolished: ("", []),
}


@pytest.mark.parametrize("story", STORIES)
def test_changes_of_members_and_of_the_policy(page: Page, story: Any) -> None:
    step, anchors = STORIES[story]
    told = story(Network().found())
    proof = told.proof(Export(told.network))
    assert compared(page, proof, told) == step
    if not step:
        proven = check_proof(proof, told.network.genesis_note, FILE, len(CONTENT))
        assert [anchor.office for anchor in proven.anchors] == anchors
        policies = {**proof.policies, COUNTY: proof.policies[COUNTY].replace(b"any", b"all")}
        policies[COUNTY] += b"# or so\n"
        assert compared(page, replace(proof, policies=policies), told) == "witnesses"


def bad_changes(network: Network) -> Iterator[Any]:
    """Each against a rule of membership."""
    zeros = RootHash(bytes(32))
    admission, rotation = network.admit_body(COUNTY), network.rotate_body(COUNTY2)
    yield replace(admission, turn=1)
    yield replace(admission, code="320582")  # with the keys of another
    fresh = replace(rotation, log_key=b"l" * 32)
    yield replace(fresh, turn=2)
    yield replace(fresh, witness_key=b"l" * 32)
    yield replace(rotation, log_key=network.roots[0].public)
    yield replace(rotation, mirror_key=rotation.witness_key, witness_key=rotation.mirror_key)
    yield replace(fresh, peer_address="a b")
    yield replace(fresh, web_url="ftp://x")
    yield MemberMove(COUNTY, COUNTY2, "name", 1, ())
    yield MemberMove(COUNTY, CITY, "two\nlines", 1, ())
    yield MemberMove("320599", CITY, "nobody", 0, ())
    yield MemberRevoke(PROVINCE, 3, zeros, 1, ())
    yield MemberRevoke(COUNTY, 0, zeros, 1, ())
    yield MemberAbolish(CITY, CITY2, 3, zeros, 1, ())  # with a county under it
    yield MemberAbolish(COUNTY, COUNTY, 3, zeros, 1, ())
    yield policy(3)
    yield policy(2, 2)
    yield policy(2, 1, outside(), outside("other"))
    yield policy(2, 1, outside(), outside(name="library"))
    yield policy(2, 1, outside(f"{COUNTY} log 0"))
    yield policy(2, 1, outside(name="none"))
    yield policy(2, 1, outside(name="9th"))
    yield policy(2, 1, replace(outside(), vkey=network.genesis.roots[0].vkey))
    yield replace(policy(), city_county=0)


def with_last_change(told: Any, proof: Proof) -> Proof:
    """The proof under the checkpoint of the last provincial event, which is in it as a change."""
    export = Export(told.network)
    note = export.checkpoint(PROVINCE)
    checkpoint = parse_checkpoint(note)
    reader = LogReader(export, PROVINCE, checkpoint.size, checkpoint.root.raw)
    at = [*(change.index for change in proof.changes), checkpoint.size - 1]
    return replace(proof, changes=tuple(Opened(reader, note).prove(index) for index in at))


def test_changes_against_the_rules_are_refused(page: Page) -> None:
    told = Told(Network().found())
    honest = told.proof(Export(told.network))
    for body in bad_changes(told.network):
        said(told.network, body)
        assert compared(page, with_last_change(told, honest), told) == "roster", body
        told.network.logs[PROVINCE].pop()


@pytest.mark.parametrize("count", [0, 1])
def test_a_change_that_too_few_roots_signed_is_refused(page: Page, count: int) -> None:
    told = Told(Network().found())
    honest = told.proof(Export(told.network))
    root = RootHash(told.network.tree(COUNTY, 4).root())
    cut = told.network.with_roots(MemberRevoke(COUNTY, 4, root, 1, ()), count=count)
    told.network.append(PROVINCE, cut)
    proof = with_last_change(told, honest)
    assert compared(page, proof, told) == "roster"
    assert f"expected 2 root signatures, got {count}" in checked(page, proof, told)[1]
