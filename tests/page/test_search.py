"""What a reader does with the results of a search, done by a browser."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.fake_service import BOOK, TITLES, FakeService

pytestmark = pytest.mark.page

Open = Callable[..., Page]
Keep = Callable[[Page, str], None]
TITLE = TITLES[BOOK][0]


@pytest.fixture
def friendly(service: FakeService, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the hostile title: for tests whose pictures go into the documents."""
    monkeypatch.setattr(service, "hostile_shown", False)


def corner(part: Locator) -> tuple[float, float]:
    box = part.bounding_box()
    assert box
    return box["x"], box["y"]


@pytest.mark.usefixtures("friendly")
def test_a_reader_asks_in_pinyin_narrows_turns_and_reads_lines(
    open_page: Open, picture: Keep, service: FakeService
) -> None:
    page = open_page("/")
    page.get_by_role("combobox").fill("yunhe")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("共 31 页")
    expect(page.locator(".meant").first).to_contain_text("运河")
    expect(page.get_by_role("heading", name=TITLE)).to_have_count(1)
    page.get_by_text("匹配规则").click()
    page.get_by_role("link", name="同音字：已启用，点此停用").click()
    assert service.calls[-1][1].without == ("sound",)
    expect(page.get_by_role("link", name="同音字：已停用，点此启用")).to_be_visible()
    page.get_by_role("complementary").get_by_role("link", name="张家港市").click()
    expect(page.get_by_role("combobox")).to_have_value("yunhe 地区:张家港市")
    expect(page.get_by_role("link", name="去掉“地区:张家港市”")).to_be_visible()
    page.get_by_role("link", name="下一页").click()
    expect(page.get_by_role("status")).to_contain_text("第 8—8 条")
    page.get_by_role("link", name="上一页").click()
    page.get_by_role("link", name="逐行索引").click()
    assert service.calls[-1][1].view == "lines"
    picture(page, "results-lines")
    with page.expect_download() as kept:
        page.get_by_role("link", name="CSV").click()
    assert kept.value.suggested_filename == "fangzhi-search.csv"
    page.get_by_role("link", name="去掉“地区:张家港市”").click()
    expect(page.get_by_role("combobox")).to_have_value("yunhe")
    page.get_by_role("link", name="版本对照").click()
    expect(page.locator(".work").filter(has_text="常昭合志").locator(".edition")).to_have_count(2)


@pytest.mark.parametrize("width", [1366, 360])
def test_the_words_that_were_found_stand_in_one_column(open_page: Open, width: int) -> None:
    page = open_page("/search?q=运河&view=lines", width, 768)
    at = page.evaluate(
        "() => [...document.querySelectorAll('.lines mark')]"
        ".map(mark => mark.getBoundingClientRect().left)"
    )
    assert len(at) == 8
    assert max(at) - min(at) < 2
    ends = page.evaluate(
        """() => [...document.querySelectorAll('.lines .left')].map(cell => {
          const range = document.createRange();
          range.selectNodeContents(cell);
          return cell.getBoundingClientRect().right - range.getBoundingClientRect().right;
        })"""
    )
    assert all(-1 < end < 4 for end in ends)  # and the context before it ends there


def test_editions_stand_beside_each_other_and_on_a_phone_below(open_page: Open) -> None:
    for width, beside in ((1366, True), (360, False)):
        page = open_page("/search?q=运河&view=editions", width, 768)
        editions = page.locator(".work").filter(has_text="常昭合志").locator(".edition")
        assert (corner(editions.nth(0))[1] == corner(editions.nth(1))[1]) is beside


def test_text_that_turns_its_direction_turns_nothing_else(open_page: Open) -> None:
    page = open_page("/search?q=运河")
    why = page.get_by_text("匹配：云河（同音字）")
    proof = page.locator(".why").filter(has=why).get_by_role("link")
    assert corner(why) < corner(proof)


def test_nothing_found_leads_on(open_page: Open) -> None:
    page = open_page("/search?q=无此 运河")
    expect(page.locator(".nothing")).to_contain_text("只检索 运河 31 页")
    page.get_by_role("listitem").filter(has_text="只检索").get_by_role("link").click()
    expect(page.get_by_role("status")).to_contain_text("共 31 页")


@pytest.mark.usefixtures("friendly")
def test_how_it_was_done_can_be_seen(open_page: Open) -> None:
    page = open_page("/search?q=yunhe")
    page.get_by_role("link", name="这次检索是怎样进行的？").click()
    row = page.get_by_role("row", name="张家港市")
    expect(row).to_contain_text("412")
    page.get_by_text("这次检索是怎样进行的", exact=True).click()
    expect(row).to_be_hidden()
