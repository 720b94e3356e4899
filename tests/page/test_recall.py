"""The page on which staff get files back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from tests.fake_service import BOOK, OPEN_FILE, OPEN_SHA

pytestmark = pytest.mark.page

Open = Callable[..., Page]
RECEIPT = {
    "item": BOOK,
    "accesses": [{"office": "320500", "index": 17, "leaf": "0" * 64}],
    "files": [{"path": "卷一/正文.pdf", "sha256": OPEN_SHA, "size": len(OPEN_FILE)}],
    "receipt": '{"format":"fangzhi/recall/1"}',
}


def opened(open_page: Open, answer: dict[str, object]) -> Page:
    """The page, asked for an item; the operator's command answers this."""
    page = open_page(f"/recall?what={BOOK}")
    body = json.dumps(answer) + "\n"
    page.route("**/api/v1/operate/recall", lambda route: route.fulfill(body=body))
    expect(page.locator("[name=what]")).to_have_value(BOOK)
    page.locator("[name=token]").fill("clerk-token")
    page.locator("[data-recall] [type=submit]").click()
    return page


def told(page: Page, state: str) -> None:
    expect(page.locator("[data-part=told]")).to_have_attribute("data-state", state, timeout=15_000)


def test_a_file_is_got_in_pieces_across_a_cut_and_checked(open_page: Open, tmp_path: Path) -> None:
    page = opened(open_page, {"result": RECEIPT})
    told(page, "open")
    expect(page.locator("[data-part=told]")).to_contain_text("320500 17")
    cuts = []

    def cut(route: Route) -> None:
        if cuts:
            route.continue_()
        else:
            cuts.append(1)
            route.abort()

    page.route("**/recall/*", cut)
    with page.expect_download() as download:
        page.get_by_role("button", name="取回").click()
    told(page, "done")
    download.value.save_as(tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == OPEN_FILE
    assert download.value.suggested_filename == "正文.pdf"
    assert cuts
    with page.expect_download() as saved:
        page.get_by_role("link", name="保存调取回执").click()
    assert saved.value.suggested_filename == "调取回执.json"


def test_the_receipt_is_had_with_its_proof_or_why_not_yet(open_page: Open, tmp_path: Path) -> None:
    page = opened(open_page, {"result": RECEIPT})
    told(page, "open")
    answers = [{"problem": {"detail": "receipt: not witnessed yet"}}, {"result": {"proof": "{1}"}}]
    asked = []

    def answer(route: Route) -> None:
        asked.append(route.request.post_data_json)
        route.fulfill(body=json.dumps(answers[len(asked) - 1]) + "\n")

    page.route("**/api/v1/operate/recall_proof", answer)
    button = page.get_by_role("button", name="保存可离线核验的回执")
    button.click()
    told(page, "failed")
    expect(page.locator("[data-part=told]")).to_contain_text("not witnessed yet")
    with page.expect_download() as saved:
        button.click()
    told(page, "proven")
    saved.value.save_as(tmp_path / "proof")
    assert (tmp_path / "proof").read_text() == "{1}"
    assert asked == [{"receipt": RECEIPT["receipt"]}] * 2


def test_another_content_is_not_saved(open_page: Open) -> None:
    page = opened(open_page, {"result": RECEIPT})
    told(page, "open")
    page.route("**/recall/*", lambda route: route.fulfill(status=206, body=b"x" * len(OPEN_FILE)))
    page.get_by_role("button", name="取回").click()
    told(page, "another")


def test_a_refusal_says_whom_to_ask(open_page: Open) -> None:
    problem = {"detail": "sealed_file of x: expected staff of the owner 320581 or a grant of it"}
    page = opened(open_page, {"problem": problem})
    told(page, "failed")
    expect(page.locator("[data-part=told]")).to_contain_text("320581")
