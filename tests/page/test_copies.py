"""What an office files and a manager reads: receipts, and the report on fixity."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from playwright.sync_api import Page, expect

from tests.fake_service import BOOK, FakeService
from tests.fake_shelf import CARVED

pytestmark = pytest.mark.page

Open = Callable[..., Page]
Keep = Callable[[Page, str], None]
RECEIPT = f"/items/{BOOK}/receipt"


def test_a_receipt_prints_on_one_sheet(open_page: Open, picture: Keep) -> None:
    page = open_page(RECEIPT)
    expect(page.get_by_role("heading", level=1)).to_have_text("版本资源入库回执")
    picture(page, "receipt")
    page.evaluate("window.print = () => { document.title = 'printed' }")
    page.get_by_role("button", name="打印").click()
    expect(page).to_have_title("printed")
    page.emulate_media(media="print")
    for shown in (page.locator(".receipt"), page.get_by_text("所涉各日志均已见证")):
        expect(shown).to_be_visible()
    for hidden in ("button", "nav", ".search", ".deeds a", ".bottom a"):
        for one in page.locator(hidden).all():
            expect(one).to_be_hidden()
    assert page.pdf(format="A4").count(b"/Type /Page\n") == 1


def test_the_item_leads_to_its_receipt_and_to_recall(open_page: Open, service: FakeService) -> None:
    page = open_page(f"/items/{BOOK}")
    page.get_by_role("link", name="查看、打印").click()
    expect(page).to_have_url(RECEIPT)
    page.goto(f"/items/{CARVED}/receipt")
    with page.expect_download() as saved:
        page.get_by_role("link", name="下载回执文件").click()
    assert saved.value.suggested_filename == f"{CARVED}.receipt.json"
    page.goto(f"/items/{BOOK}?lang=en")
    page.get_by_role("link", name="for this office, or whom it granted").click()
    expect(page.locator("[name=what]")).to_have_value(BOOK)


def test_a_receipt_not_witnessed_yet_bears_no_seal(
    open_page: Open, service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = service.read_receipt

    async def pending(item: str) -> object:
        received = await read(item)
        seen = replace(received.receipt.seen, witnessed=False)
        return replace(received, receipt=replace(received.receipt, seen=seen))

    monkeypatch.setattr(service, "read_receipt", pending)
    page = open_page(RECEIPT)
    expect(page.locator(".stamp")).to_have_text("待见证")
    expect(page.locator(".record")).to_contain_text("尚待见证")


def test_the_report_begins_with_the_alarm_and_has_denominators(
    open_page: Open, picture: Keep
) -> None:
    page = open_page("/fixity")
    expect(page.get_by_role("alert")).to_contain_text("各处均无完好副本")
    expect(page.get_by_role("alert")).to_be_in_viewport()
    figures = page.locator(".figures")
    expect(figures.first).to_contain_text("127 / 128")
    assert [one.inner_text() for one in figures.nth(1).locator("dd").all()] == [
        "1 / 4",
        "1 / 4",
        "2 / 4",
    ]
    short = page.locator(".table[aria-labelledby=short]")
    expect(short.locator("td li")).to_have_text(
        ["待苏州市取得 （现联系不上）", "没有其他机构有空间保存"]
    )
    expect(page.locator(".table[aria-labelledby=holders]")).to_contain_text("7 / 10")
    picture(page, "fixity")
    with page.expect_download() as saved:
        page.get_by_role("link", name="CSV").click()
    assert saved.value.suggested_filename == "fixity.csv"


def test_a_node_in_good_health_raises_no_alarm(
    open_page: Open, service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = service.fixity

    async def well() -> object:
        kept = replace(await read(), damaged=(), lost=(), by_copies={"3": 4})
        return replace(kept, short=(), short_total=0)

    monkeypatch.setattr(service, "fixity", well)
    page = open_page("/fixity?lang=en")
    expect(page.get_by_text("None: every item has its copies.")).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)
