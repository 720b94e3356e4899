"""The search box while it is typed into: what a hand, a keyboard and a screen reader meet."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.fake_service import BOOK, FakeService

pytestmark = pytest.mark.page

Open = Callable[..., Page]


def box_of(page: Page) -> Locator:
    return page.get_by_role("combobox")


def typed(page: Page, text: str, count: int = 3) -> Locator:
    """Type, and wait for so many options."""
    box_of(page).press_sequentially(text)
    options = page.get_by_role("option")
    expect(options).to_have_count(count)
    return options


def test_what_is_typed_is_suggested_with_the_part_marked(open_page: Open) -> None:
    page = open_page("/")
    expect(box_of(page)).to_have_attribute("aria-expanded", "false")
    options = typed(page, "张")
    expect(box_of(page)).to_have_attribute("aria-expanded", "true")
    expect(page.get_by_role("listbox", name="联想：题名、地名、篇目")).to_be_visible()
    expect(options.nth(0)).to_contain_text("地名")
    expect(options.nth(0)).to_contain_text("9 页")
    expect(options.nth(0).locator(".note")).to_have_text("沙洲县今名")
    expect(options.nth(1).locator(".note")).to_have_count(0)
    expect(options.nth(1).locator("mark")).to_have_text("张")
    expect(options.nth(2)).to_contain_text("张<script>alert(1)</script>")
    expect(page.locator("[data-part=told]")).to_have_text("3 条联想，可用上下键选择")


def test_pinyin_offers_its_words_first(open_page: Open) -> None:
    page = open_page("/?lang=en")
    options = typed(page, "zhang", 4)
    expect(options.nth(0)).to_contain_text("word")
    expect(options.nth(0)).to_contain_text("14 pages")
    options.nth(0).click()
    expect(page).to_have_url("/search?lang=en&q=%E5%BC%A0")


def test_the_keys_choose(open_page: Open) -> None:
    page = open_page("/")
    options = typed(page, "张")
    box = box_of(page)
    for key, active in [
        ("Down", 0),
        ("Down", 1),
        ("Up", 0),
        ("Up", None),
        ("Up", 2),
        ("Down", None),
    ]:
        box.press(f"Arrow{key}")
        for index in range(3):
            expect(options.nth(index)).to_have_attribute(
                "aria-selected", str(index == active).lower()
            )
        if active is None:
            expect(box).not_to_have_attribute("aria-activedescendant", "suggestion-0")
        else:
            expect(box).to_have_attribute("aria-activedescendant", f"suggestion-{active}")
    box.press("Escape")
    expect(page.get_by_role("listbox")).to_be_hidden()
    expect(box).to_have_value("张")
    box.press("ArrowDown")
    expect(options).to_have_count(3)
    box.press("ArrowDown")
    box.press("ArrowDown")
    box.press("Enter")
    expect(page).to_have_url(f"/items/{BOOK}")


def test_a_place_leads_to_its_office_and_a_heading_is_searched_for(open_page: Open) -> None:
    page = open_page("/search?q=运河&lang=en")
    box_of(page).fill("")
    typed(page, "张").nth(0).click()
    expect(page).to_have_url("/o/320582/?lang=en")
    page.go_back()
    box_of(page).fill("")
    typed(page, "张").nth(2).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("<script>")


def test_enter_without_a_choice_searches_for_what_is_typed(open_page: Open) -> None:
    page = open_page("/")
    typed(page, "张")
    box_of(page).press("Enter")
    expect(page).to_have_url("/search?q=%E5%BC%A0")


def test_the_list_goes_when_the_box_is_left(open_page: Open) -> None:
    page = open_page("/")
    typed(page, "张")
    box_of(page).press("Tab")
    expect(page.get_by_role("listbox")).to_be_hidden()
    expect(box_of(page)).to_have_attribute("aria-expanded", "false")


def test_a_node_that_is_slow_leaves_a_plain_box(open_page: Open) -> None:
    page = open_page("/")
    asked: list[Route] = []

    def never_answer(route: Route) -> None:
        asked.append(route)

    page.route("**/api/v1/suggest*", never_answer)
    box = box_of(page)
    box.press_sequentially("张")
    page.wait_for_timeout(150)
    box.press_sequentially("家")
    page.wait_for_timeout(150)
    assert len(asked) == 2
    expect(page.get_by_role("listbox")).to_be_hidden()
    box.press("Enter")
    expect(page).to_have_url("/search?q=%E5%BC%A0%E5%AE%B6")


def test_what_is_too_long_is_not_asked(open_page: Open, service: FakeService) -> None:
    page = open_page("/")
    before = len([call for call in service.calls if call[0] == "suggest"])
    box_of(page).fill("张" * 65)
    page.wait_for_timeout(150)
    assert len([call for call in service.calls if call[0] == "suggest"]) == before
    box_of(page).fill(" ")
    page.wait_for_timeout(150)
    assert len([call for call in service.calls if call[0] == "suggest"]) == before
    expect(page.get_by_role("listbox")).to_be_hidden()


def test_the_suggestions_fit_a_phone(open_page: Open) -> None:
    page = open_page("/search?q=张", 360, 740)
    box_of(page).fill("")
    typed(page, "张")
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 360
    expect(page.get_by_role("option").nth(0)).to_be_in_viewport()


def test_without_scripts_the_box_is_a_search_box(open_page: Open, portal: str) -> None:
    context = open_page("/").context.browser
    assert context is not None
    plain = context.new_context(java_script_enabled=False, base_url=portal)
    page = plain.new_page()
    page.goto("/")
    page.get_by_role("searchbox").fill("张")
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{portal}/search?q=%E5%BC%A0")
    plain.close()
