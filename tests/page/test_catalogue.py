"""What a reader does with the catalogue (书目检索), done by a browser."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.fake_service import BOOK, TITLES, FakeService

pytestmark = pytest.mark.page

Open = Callable[..., Page]
Keep = Callable[[Page, str], None]


def test_a_reader_looks_a_book_up_and_goes_on_to_its_text(
    open_page: Open, picture: Keep, service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "hostile_shown", False)
    page = open_page("/")
    page.get_by_role("navigation", name="检索范围").get_by_role("link", name="书目").click()
    expect(page).to_have_url("/catalogue")
    expect(page.get_by_role("status")).to_contain_text("种")
    page.get_by_role("searchbox").fill("张家港")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=TITLES[BOOK][0])).to_have_count(1)
    expect(page.locator(".hits mark").first).to_have_text("张家港")
    expect(page.locator(".hits .record").first).to_contain_text("编纂单位")
    picture(page, "catalogue")
    facets = page.get_by_role("complementary")
    facets.get_by_role("link", name="常熟市").click()
    expect(page.get_by_role("searchbox")).to_have_value("张家港 地区:常熟市")
    page.get_by_role("link", name="去掉“地区:常熟市”").click()
    expect(page.get_by_role("searchbox")).to_have_value("张家港")
    page.get_by_role("link", name="检索本书全文").first.click()
    expect(page.locator("input[name=q]")).to_have_value(f"编号:{BOOK}")
    page.get_by_role("navigation", name="检索范围").get_by_role("link", name="书目").click()
    expect(page).to_have_url(f"/catalogue?q=%E7%BC%96%E5%8F%B7%3A{BOOK}")
