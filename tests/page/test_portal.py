"""What a reader does with the portal, done by a browser."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.fake_service import BOOK, STRANGE, TITLES, FakeService

pytestmark = pytest.mark.page

Open = Callable[..., Page]
Keep = Callable[[Page, str], None]
TITLE = TITLES[BOOK][0]
PAGES = {
    "home": "/",
    "results": "/search?q=运河",
    "lines": "/search?q=yunhe 类型:旧志&view=lines&explain=1",
    "editions": "/search?q=运河&view=editions&without=sound",
    "nothing": "/search?q=无此 运河",
    "catalogue": "/catalogue?q=运河 类型:旧志",
    "shelves": "/catalogue",
    "office": "/o/320582/",
    "item": f"/items/{BOOK}",
    "proof": f"/items/{BOOK}/proof",
    "page": f"/items/{BOOK}/pages/2",
    "network": "/network",
    "report": "/report",
    "recall": f"/recall?what={BOOK}",
    "fixity": "/fixity",
    "receipt": f"/items/{BOOK}/receipt",
    "evidence": "/evidence",
    "hostile": f"/items/{STRANGE}/pages/1",
    "refusal": f"/items/{BOOK}/pages/77",
}


@pytest.fixture
def friendly(service: FakeService, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the hostile title: for tests whose pictures go into the documents."""
    monkeypatch.setattr(service, "hostile_shown", False)


@pytest.mark.usefixtures("friendly")
def test_a_reader_finds_a_page_and_turns_it(open_page: Open, picture: Keep) -> None:
    page = open_page("/")
    picture(page, "home")
    page.get_by_role("combobox").fill("运河")
    page.get_by_role("button", name="检索").click()
    expect(page).to_have_url("/search?q=%E8%BF%90%E6%B2%B3")
    expect(page.get_by_role("status")).to_contain_text("109/109 个分库作答")
    expect(page.locator("mark").first).to_have_text("运河")
    picture(page, "results")
    page.get_by_role("link", name=TITLE).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(TITLE)
    expect(page.locator(".text")).to_contain_text("张家港河")
    expect(page.locator(".notice")).to_contain_text("演示数据")
    picture(page, "page")
    page.get_by_role("link", name="上一页").first.click()
    expect(page.locator(".turn").first).to_contain_text("第 1 / 3 页")
    page.get_by_role("link", name="返回本书").click()
    expect(page.get_by_role("heading", name="来历")).to_be_visible()
    picture(page, "item")
    page.get_by_role("link", name="张家港市", exact=True).first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("张家港市")
    picture(page, "office")


def test_the_coverage_line_tells_what_is_missing(
    open_page: Open, service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "offices_answering", False)
    page = open_page(PAGES["results"])
    expect(page.get_by_role("status")).to_contain_text("107/109 个分库作答，缺：昆山市、如皋市")
    page.get_by_text("由谁作答").click()
    expect(page.locator(".sources")).to_contain_text("南京市 代答 12 个分库")


@pytest.mark.usefixtures("friendly")
def test_the_language_changes_and_the_question_stays(open_page: Open, picture: Keep) -> None:
    page = open_page(PAGES["results"])
    page.get_by_role("link", name="English").click()
    expect(page).to_have_url("/search?q=%E8%BF%90%E6%B2%B3&lang=en")
    expect(page.get_by_role("combobox")).to_have_value("运河")
    expect(page.get_by_role("status")).to_contain_text("109 of 109 shards answered")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_role("link", name="Network").first).to_be_visible()
    page.get_by_role("link", name="Zhangjiagang").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Zhangjiagang")
    page.get_by_role("link", name="Home").click()
    picture(page, "home-en")
    page.get_by_role("link", name="中文").click()
    expect(page).to_have_url("/")


def test_the_keyboard_is_enough(open_page: Open) -> None:
    page = open_page("/")

    def focused() -> str:
        return str(
            page.evaluate(
                "() => document.activeElement.getAttribute('aria-label')"
                " || document.activeElement.textContent || document.activeElement.value"
            )
        ).strip()

    page.keyboard.press("Tab")
    assert focused() == "跳到正文"
    expect(page.get_by_role("link", name="跳到正文")).to_be_in_viewport()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert focused() == "检索志书全文与题名"
    outline = page.evaluate(
        "() => getComputedStyle(document.activeElement.closest('.field')).boxShadow"
    )
    assert outline != "none"
    page.keyboard.type("yunhe")
    page.keyboard.press("Tab")
    assert focused() == "检索"
    page.keyboard.press("Tab")
    assert focused() == "书目"
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    expect(page).to_have_url("/search?q=yunhe&literal=1")


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("name", PAGES)
def test_nothing_scrolls_sideways_on_a_phone(open_page: Open, name: str, language: str) -> None:
    path = PAGES[name]
    page = open_page(f"{path}{'&' if '?' in path else '?'}lang={language}", 360, 740)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 360
    small = page.evaluate(
        """() => [...document.querySelectorAll(
              'button, input, .turn a, .top nav a, .chip, .switch, .views a, .facets li a')]
            .map(e => e.closest('label') ?? e)
            .filter(e => e.offsetParent && e.type !== 'hidden')
            .filter(e => e.getBoundingClientRect().height < 24).map(e => e.outerHTML)"""
    )
    assert small == []


@pytest.mark.usefixtures("friendly")
def test_the_results_fit_a_hand(open_page: Open, picture: Keep) -> None:
    page = open_page(PAGES["results"], 360, 740)
    expect(page.locator("mark").first).to_be_in_viewport()
    picture(page, "results-phone")


def test_a_refusal_says_what_to_do_and_offers_the_search_box(open_page: Open) -> None:
    page = open_page(PAGES["refusal"])
    expect(page.get_by_role("heading", level=1)).to_have_text("没有找到这一页")
    page.get_by_role("searchbox").fill("运河")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("共 31 页")


def test_the_figures_of_the_network_are_a_table(open_page: Open, picture: Keep) -> None:
    page = open_page("/network")
    rows = page.get_by_role("table").get_by_role("row")
    assert rows.count() == 110
    expect(page.get_by_role("row", name="昆山市")).to_contain_text("离线，由副本作答")
    picture(page, "network")


@pytest.mark.parametrize("name", ["page", "item", "results"])
def test_a_printed_page_is_the_text_without_the_furniture(open_page: Open, name: str) -> None:
    page = open_page(PAGES[name])
    page.emulate_media(media="print")
    expect(page.locator("input[name=q]")).to_be_hidden()
    expect(page.locator(".top nav")).to_be_hidden()
    expect(page.get_by_role("heading", level=1)).to_be_attached()
    if name == "page":
        expect(page.locator(".text")).to_be_visible()
        expect(page.locator(".notice")).to_be_visible()
    assert page.pdf(format="A4").startswith(b"%PDF")


@pytest.mark.parametrize(
    "name",
    [
        "home",
        "results",
        "lines",
        "editions",
        "nothing",
        "office",
        "item",
        "proof",
        "page",
        "network",
    ],
)
def test_words_stand_out_from_their_ground(open_page: Open, name: str) -> None:
    """Contrast of at least 4.5 to 1 (WCAG 2.2 AA) for every text that is shown."""
    weak = open_page(PAGES[name]).evaluate(
        """() => {
          const channels = text => text.match(/[\\d.]+/g).map(Number);
          const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
            .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
            .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
          const ground = element => {
            for (let e = element; e; e = e.parentElement) {
              const c = channels(getComputedStyle(e).backgroundColor);
              if (c.length === 3 || c[3] === 1) return c;
            }
            return [255, 255, 255];
          };
          const shown = [...document.querySelectorAll('body *')].filter(e => e.offsetParent
            && [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()));
          return shown.map(e => {
            const [a, b] = [light(channels(getComputedStyle(e).color)), light(ground(e))];
            return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), e.outerHTML.slice(0, 80)];
          }).filter(([ratio]) => ratio < 4.5);
        }"""
    )
    assert weak == []
