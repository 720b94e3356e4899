"""The page that verifies an item's proof in the reader's own browser, served by a real node."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

from ledger.events import parse_event
from ledger.genesis import read_genesis, write_genesis
from ledger.note import ED25519, Note, NoteKey, parse_note
from ledger.proof import Proof
from ledger.tlogproof import TlogProof
from protocol.keys import SigningKey

pytestmark = pytest.mark.page

PROVINCE, CITY, COUNTY = "320000", "320500", "320581"
QUIET = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync")
STEPS = (
    "genesis",
    "roster",
    "manifest",
    "event",
    "inclusion",
    "checkpoint",
    "witnesses",
    "anchors",
)
TEXT = "卷一　虞山在城西北，山势蜿蜒。"
Cli = Callable[..., tuple[int, dict[str, Any], str]]
Files = dict[str, bytes]


@dataclass
class Reported:
    """A public item of the county that a clerk's own key reported, its file, and its proof as the
    county's node gives it."""

    file: Path
    item: str
    url: str
    genesis: Path
    files: Files
    verified: dict[str, Any]
    offline: dict[str, Any]
    folder: Path


def ask(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url, timeout=10) as answer:
        asked: dict[str, Any] = json.load(answer)
        return asked


@pytest.fixture(scope="module")
def reported(network: Any, cli: Cli, tmp_path_factory: pytest.TempPathFactory) -> Reported:
    folder = tmp_path_factory.mktemp("proof")
    file = folder / "常熟小志.txt"
    file.write_text(TEXT, "utf-8")
    home = network[COUNTY].home
    status, clerk, said = cli("user", "enroll", home, "--name", "王秀兰", "--role", "clerk")
    assert status == 0, said
    status, answer, said = cli("report", home, file, "--title", "常熟小志", "--as", clerk["key"])
    assert status == 0, said
    item = answer["reports"][0]["item"]
    network.until(lambda: cli("review", network[CITY].home, item, "--pass")[0] == 0)
    url = f"http://{network[COUNTY].web}"
    address = f"{url}/api/v1/items/{item}/proof"

    def anchored() -> bool:
        try:
            return f"anchor-{PROVINCE}.tlog-proof" in ask(address)["files"]
        except OSError:
            return False

    network.until(anchored, 30)
    genesis = network[COUNTY].home / "genesis.note"
    status, verified, said = cli(
        "verify", file, "--node", url, "--genesis", genesis, "--out", folder / "proof"
    )
    assert status == 0, said
    for mark in ("✓ 创世 genesis", "✓ 见证 witnessed", "✓ 锚定 anchored"):
        assert mark in said
    status, offline, said = cli("verify", file, "--proof", folder / "proof", "--genesis", genesis)
    assert status == 0, said
    files = {name: base64.b64decode(text) for name, text in ask(address)["files"].items()}
    return Reported(file, item, url, genesis, files, verified, offline, folder / "proof")


def test_verify_writes_what_verifies_offline_and_the_node_serves(reported: Reported) -> None:
    online, offline = reported.verified, reported.offline
    for name in (
        "sha256",
        "item",
        "office",
        "index",
        "leaf",
        "manifest",
        "witnesses_needed",
        "witnessed",
    ):
        assert online[name] == offline[name]
    assert [anchor["office"] for anchor in offline["anchors"]] == [CITY, PROVINCE]
    written = {path.name: path.read_bytes() for path in reported.folder.iterdir()}
    assert set(written) - set(reported.files) == {"README.md"}
    same = ("genesis.note", "manifest.json", "upload.event", f"policy-{COUNTY}.txt")
    assert all(written[name] == reported.files[name] for name in same)


def test_the_recipe_in_the_folder_works_with_stock_tools(reported: Reported) -> None:
    readme = (reported.folder / "README.md").read_text("utf-8")
    blocks = re.findall(r"```sh\n(.*?)```", readme, re.DOTALL)
    assert len(blocks) == 5
    (reported.folder / reported.file.name).write_bytes(reported.file.read_bytes())
    outputs = [
        subprocess.run(
            ["sh", "-c", block], cwd=reported.folder, capture_output=True, text=True, check=False
        )
        for block in blocks
    ]
    said = [output.stdout.strip() for output in outputs]
    assert said[:3] == ["1", "1", "OK"], outputs
    assert said[3] == "Signature Verified Successfully", outputs[3]
    witnesses = [line for line in said[4].splitlines() if line.endswith("Successfully")]
    assert len(witnesses) >= 2, outputs[4]


@pytest.fixture(scope="module")
def browser(reported: Reported, browser_path: str) -> Iterator[Browser]:
    # After the commands: playwright's loop and theirs cannot share this thread.
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=list(QUIET))
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Browser, reported: Reported) -> Iterator[Callable[..., Page]]:
    """``open_page(files=None, pinned=None, width=, height=)``: the page, given another proof than
    the node's, in a browser that remembers a genesis id."""
    contexts = []

    def open_one(
        files: Files | None = None, pinned: str | None = None, size: tuple[int, int] = (1366, 768)
    ) -> Page:
        context = browser.new_context(viewport={"width": size[0], "height": size[1]})
        contexts.append(context)
        page = context.new_page()
        if pinned is not None:
            page.add_init_script(f"localStorage.setItem('fangzhi.genesis', '{pinned}')")
        if files is not None:
            given = {name: base64.b64encode(data).decode() for name, data in files.items()}
            body = json.dumps({"format": "fangzhi/proof/1", "files": given})

            def answer(route: Route) -> None:
                route.fulfill(body=body, content_type="application/json")

            page.route("**/api/v1/items/*/proof", answer)
        page.goto(f"{reported.url}/items/{reported.item}/proof")
        return page

    yield open_one
    for context in contexts:
        context.close()


def genesis_id(reported: Reported) -> str:
    return hashlib.sha256(parse_note(reported.files["genesis.note"]).text.encode()).hexdigest()


def verdict(page: Page, word: str) -> None:
    expect(page.locator(f"[data-verdict='{word}']")).to_be_attached()


def states(page: Page) -> list[str]:
    return [
        str(page.locator(f"[data-step='{step}']").get_attribute("data-state")) for step in STEPS
    ]


def test_a_reader_confirms_the_genesis_once_and_everything_holds(
    open_page: Callable[..., Page], reported: Reported, picture: Callable[..., None]
) -> None:
    page = open_page()
    verdict(page, "unpinned")
    assert states(page) == ["passed"] * 8
    shown = page.locator("[data-part='genesis-id']").inner_text()
    assert re.sub(r"\s", "", shown) == genesis_id(reported)
    page.locator("[data-part='confirm']").click()
    verdict(page, "proven")
    page.reload()
    verdict(page, "proven")
    expect(page.locator("[data-part='ask']")).to_be_hidden()
    page.locator("[data-part='file']").set_input_files(reported.file)
    expect(page.locator("[data-part='file-answer']")).to_contain_text("✓ 常熟小志.txt")
    page.locator("[data-part='file']").set_input_files(reported.genesis)
    expect(page.locator("[data-part='file-answer']")).to_contain_text("不在此清单中")
    picture(page, "proof")
    for summary in page.locator(".steps summary").all():
        summary.click()
    expect(page.locator("[data-step='event']")).to_contain_text("user's key, enrolled at")
    expect(page.locator("[data-step='anchors']")).to_contain_text(f"anchored by {PROVINCE}")
    expect(page.locator("[data-step='witnesses'] dl")).to_contain_text("✓")


def test_it_fits_a_phone(open_page: Callable[..., Page], reported: Reported, picture: Any) -> None:
    page = open_page(pinned=genesis_id(reported), size=(360, 740))
    verdict(page, "proven")
    for summary in page.locator(".steps summary").all():
        summary.click()
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 360
    page.locator(".steps summary").first.scroll_into_view_if_needed()
    page.evaluate("() => window.scrollTo(0, 0)")
    picture(page, "proof-phone")


def test_another_genesis_than_the_confirmed_one_is_refused_loudly(
    open_page: Callable[..., Page],
) -> None:
    page = open_page(pinned="ab" * 32)
    verdict(page, "foreign")
    assert states(page) == ["failed"] + ["skipped"] * 7
    expect(page.locator("[data-step='genesis']")).to_contain_text("ab" * 32)


def test_a_browser_without_ed25519_is_told_the_commands(browser: Browser, reported: Any) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.add_init_script("SubtleCrypto.prototype.importKey = () => Promise.reject(new Error())")
    page.goto(f"{reported.url}/items/{reported.item}/proof")
    verdict(page, "unable")
    expect(page.locator(".recipe")).to_contain_text("fangzhi verify")
    context.close()


def test_only_this_page_may_run_a_script(reported: Reported) -> None:
    def policy(path: str) -> str:
        with urllib.request.urlopen(reported.url + path, timeout=10) as answer:
            return str(answer.headers["Content-Security-Policy"])

    assert "script-src 'self';" in policy(f"/items/{reported.item}/proof")
    assert "unsafe" not in policy(f"/items/{reported.item}/proof")
    assert "script-src" not in policy(f"/items/{reported.item}")
    assert "script-src" not in policy("/network")


# Alterations of a proof, and the step that has to refuse each.


def flip(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def changed(files: Files, **parts: Any) -> Files:
    """The files of the proof with other parts."""
    return replace(Proof.of_files(files), **parts).files()


def with_lines(note: bytes, keep: Callable[[str, int], bool]) -> bytes:
    parsed = parse_note(note)
    lines = tuple(s for at, s in enumerate(parsed.signatures) if keep(s.name, at))
    return Note(parsed.text, lines).format()


def upload_with(files: Files, **parts: Any) -> Files:
    return changed(files, upload=replace(Proof.of_files(files).upload, **parts))


def under(files: Files, note: bytes) -> Files:
    """The upload and the clerk's enrolment under this checkpoint."""
    proof = Proof.of_files(files)
    assert proof.signer is not None
    upload, signer = (replace(one, checkpoint=note) for one in (proof.upload, proof.signer))
    return changed(files, upload=upload, signer=signer)


def bad_line(note: bytes, kind: str) -> bytes:
    """The note with the last byte of a signature changed, of the log or of a witness."""
    parsed = parse_note(note)
    lines = list(parsed.signatures)
    at = next(at for at, line in enumerate(lines) if ("/witness" in line.name) == (kind != "log"))
    lines[at] = replace(lines[at], signature=flip(lines[at].signature, -1 % 64))
    return Note(parsed.text, tuple(lines)).format()


def swapped_witness(note: bytes) -> bytes:
    parsed = parse_note(note)
    lines = list(parsed.signatures)
    a, b = (at for at, line in enumerate(lines) if "/witness" in line.name)
    signatures = lines[a].signature, lines[b].signature
    lines[a] = replace(lines[a], signature=signatures[1])
    lines[b] = replace(lines[b], signature=signatures[0])
    return Note(parsed.text, tuple(lines)).format()


def other_genesis(files: Files) -> Files:
    key = SigningKey.from_seed(bytes(32))
    genesis = read_genesis(files["genesis.note"])
    mine = replace(genesis, roots=(NoteKey("mine", ED25519, key.public),), threshold=1)
    return {**files, "genesis.note": write_genesis(mine, {"mine": key})}


def unwitnessed_province(files: Files) -> Files:
    changes = Proof.of_files(files).changes
    note = with_lines(changes[0].checkpoint, lambda name, at: at == 0)
    return changed(files, changes=tuple(replace(change, checkpoint=note) for change in changes))


def moved(changes: tuple[TlogProof, ...]) -> tuple[TlogProof, ...]:
    last = changes[-1]
    return (*changes[:-1], replace(last, index=last.index + 1))


def without_admission(files: Files, code: str) -> Files:
    changes = Proof.of_files(files).changes
    bodies: list[Any] = [parse_event(change.extra or b"").read_body() for change in changes]
    at = next(at for at, body in enumerate(bodies) if body.code == code)
    return {n: d for n, d in files.items() if n != f"change-{changes[at].index}.tlog-proof"}


ALTERATIONS: dict[str, tuple[str, Callable[[Files], Files]]] = {
    "another genesis": ("roster", other_genesis),
    "a spoilt genesis signature": (
        "genesis",
        lambda f: {**f, "genesis.note": f["genesis.note"].replace(b"threshold 1", b"threshold 9")},
    ),
    "a change left out": (
        "roster",
        lambda f: without_admission(f, CITY),
    ),
    "the office's admission left out": (
        "event",
        lambda f: without_admission(f, COUNTY),
    ),
    "a change elsewhere": (
        "roster",
        lambda f: {
            **f,
            "change-0.tlog-proof": f["change-0.tlog-proof"].replace(b"x 0\n", b"x 1\n"),
        },
    ),
    "another manifest": (
        "manifest",
        lambda f: {**f, "manifest.json": f["manifest.json"].replace(b"open", b"free")},
    ),
    "one byte of the event": (
        "event",
        lambda f: upload_with(f, extra=flip(f["upload.event"], len(f["upload.event"]) - 1)),
    ),
    "an event spelled otherwise": (
        "manifest",
        lambda f: upload_with(f, extra=b"\xdc\x00\x0c" + f["upload.event"][1:]),
    ),
    "another roster": (
        "event",
        lambda f: {
            **f,
            f"growth-{PROVINCE}.txt": re.sub(
                rb"old \d+", b"old 1", f[f"growth-{PROVINCE}.txt"], count=1
            ),
        },
    ),
    "the clerk's enrolment left out": (
        "event",
        lambda f: {name: data for name, data in f.items() if name != "signer.tlog-proof"},
    ),
    "the clerk's enrolment elsewhere": (
        "event",
        lambda f: changed(f, signer=replace(Proof.of_files(f).upload, index=0)),
    ),
    "another index": (
        "inclusion",
        lambda f: upload_with(f, index=Proof.of_files(f).upload.index + 1),
    ),
    "one hash of the path": (
        "inclusion",
        lambda f: upload_with(
            f, hashes=tuple(flip(h, 0) for h in Proof.of_files(f).upload.hashes) or (bytes(32),)
        ),
    ),
    "the log's signature": (
        "checkpoint",
        lambda f: under(f, bad_line(Proof.of_files(f).upload.checkpoint, "log")),
    ),
    "a witness's signature": (
        "witnesses",
        lambda f: under(f, bad_line(Proof.of_files(f).upload.checkpoint, "witness")),
    ),
    "witnesses swapped": (
        "witnesses",
        lambda f: under(f, swapped_witness(Proof.of_files(f).upload.checkpoint)),
    ),
    "a witness missing": (
        "witnesses",
        lambda f: under(
            f, with_lines(Proof.of_files(f).upload.checkpoint, lambda name, at: at < 2)
        ),
    ),
    "a province without witnesses": (
        "roster",
        unwitnessed_province,
    ),
    "another anchor": (
        "anchors",
        lambda f: {**f, f"growth-{COUNTY}.txt": f[f"growth-{CITY}.txt"]},
    ),
}


@pytest.mark.parametrize("name", ALTERATIONS)
def test_an_altered_proof_is_refused_at_the_right_step(
    open_page: Callable[..., Page], reported: Reported, name: str
) -> None:
    step, alter = ALTERATIONS[name]
    files = alter(reported.files)
    assert files != reported.files
    page = open_page(files)
    verdict(page, "refused")
    at = STEPS.index(step)
    assert states(page) == ["passed"] * at + ["failed"] + ["skipped"] * (7 - at)
    expect(page.locator("[data-part='ask']")).to_be_hidden()
    expect(page.locator("[data-part='drop']")).to_be_hidden()
