from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from aiohttp import ClientSession

from node.faces.portal import tree
from protocol.limits import QUERY_CHARS_MAX
from tests.fake_service import (
    AWAY,
    BOOK,
    HIDDEN,
    HOSTILE,
    STRANGE,
    offices,
)

PAGES = [
    "/",
    "/search?q=运河",
    "/search?q=无",
    "/search?q=yunhe&view=lines&explain=1",
    "/search?q=运河 地区:苏州&view=editions&without=sound&page=second&at=21",
    "/catalogue",
    "/catalogue?q=yunhe 类型:旧志&literal=1",
    "/catalogue?q=无",
    "/o/320582/",
    f"/o/{AWAY}/",
    f"/items/{BOOK}",
    f"/items/{BOOK}/pages/2",
    f"/items/{STRANGE}",
    f"/items/{STRANGE}/pages/1",
    f"/items/{STRANGE}/pages/3",
    "/network",
    "/evidence",
    "/nowhere",
]


class Outline(HTMLParser):
    """What a page is made of; says when a tag is left open or closed twice."""

    VOID = frozenset(("meta", "link", "img", "input", "br", "col"))

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._open: list[str] = []
        self.text = ""
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


async def read(client: ClientSession, path: str, status: int = 200) -> Outline:
    response = await client.get(path)
    assert response.status == status
    assert response.content_type == "text/html"
    return Outline(await response.text())


@pytest.mark.parametrize("language", ["", "lang=en"])
@pytest.mark.parametrize("path", PAGES)
async def test_every_page_is_well_made_in_both_languages(
    client: ClientSession, path: str, language: str
) -> None:
    asked = f"{path}{'&' if '?' in path else '?'}{language}" if language else path
    page = await read(client, asked, 404 if path == "/nowhere" else 200)
    assert page.all("html")[0]["lang"] == ("en" if language else "zh-Hans")
    assert [len(page.all(tag)) for tag in ("h1", "main", "title")] == [1, 1, 1]
    assert all(str(script["src"]).startswith("/static/") for script in page.all("script"))
    for _, attributes in page.tags:
        assert "style" not in attributes
        assert not any(name.startswith("on") for name in attributes)
    for picture in page.all("img"):
        assert "alt" in picture
    for box in page.all("input"):
        assert box.get("aria-label") or box["type"] in ("checkbox", "hidden")
    identifiers = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    labels = {str(a["aria-labelledby"]) for _, a in page.tags if "aria-labelledby" in a}
    assert labels <= {str(identifier) for identifier in identifiers}


async def test_every_link_of_every_page_leads_somewhere(client: ClientSession) -> None:
    links: set[str] = set()
    for path in PAGES[:9]:
        page = await read(client, f"{path}{'&' if '?' in path else '?'}lang=en")
        links |= {str(link["href"]) for link in page.all("a")}
    county = re.compile(r"/o/(?!3205)")  # one city's windows stand for all
    local = {link for link in links if link.startswith("/") and not county.match(link)}
    assert len(local) > 15
    for link in sorted(local):
        if link.startswith("/log/"):
            continue  # this paper node keeps one log only
        assert (await client.get(link)).status == 200, link


async def test_hostile_titles_and_texts_are_only_text(client: ClientSession) -> None:
    for path in ("/", "/search?q=运河", f"/items/{STRANGE}", f"/items/{STRANGE}/pages/1"):
        raw = await (await client.get(path)).text()
        page = Outline(raw)
        assert "<script>" not in raw
        ours = re.compile(rf"/static/.*|/items/{re.escape(STRANGE)}/pages/[0-9]+/(image|thumbnail)")
        assert all(ours.fullmatch(image["src"]) for image in page.all("img"))  # type: ignore[arg-type]
        assert HOSTILE in page.text
    page = await read(client, f"/search?q={HOSTILE.replace('&', '%26')}")
    assert {"name": "q", "value": HOSTILE}.items() <= page.all("input")[0].items()


async def test_an_address_without_its_slash_goes_on(client: ClientSession) -> None:
    response = await client.get("/o/320582?lang=en", allow_redirects=False)
    assert (response.status, response.headers["Location"]) == (308, "/o/320582/?lang=en")


async def test_the_window_of_an_office_that_is_off_stays_open(client: ClientSession) -> None:
    assert "离线，由副本作答" in await (await client.get(f"/o/{AWAY}/")).text()


@pytest.mark.parametrize(
    ("path", "status", "chinese", "english"),
    [
        ("/o/999999/", 404, "没有找到这一页", "There is no such page"),
        ("/items/320582-mistyped", 404, "没有找到这一页", "There is no such page"),
        (f"/items/{BOOK}/pages/77", 404, "没有找到这一页", "There is no such page"),
        (f"/items/{HIDDEN}", 403, "没有权限查看", "You may not see this"),
        ("/search?q=非 的", 422, "还缺一个要找的词", "a word to look for besides what"),
        ("/search?q=过载", 503, "暂时无法作答", "No answer for the moment"),
        (
            "/search?q=" + "志" * (QUERY_CHARS_MAX + 1),
            400,
            f"检索词最多 {QUERY_CHARS_MAX} 个字",
            f"at most {QUERY_CHARS_MAX} characters",
        ),
        (
            "/search?q=" + "志" * 10_000,
            400,
            f"检索词最多 {QUERY_CHARS_MAX} 个字",
            f"at most {QUERY_CHARS_MAX} characters",
        ),
    ],
)
async def test_refusals_speak_to_people(
    client: ClientSession, path: str, status: int, chinese: str, english: str
) -> None:
    assert chinese in (await read(client, path, status)).text
    both = f"{path}{'&' if '?' in path else '?'}lang=en"
    assert english in (await read(client, both, status)).text


async def test_static_files_may_be_kept_for_ever(client: ClientSession) -> None:
    page = await read(client, "/")
    style = next(str(link["href"]) for link in page.all("link") if link["rel"] == "stylesheet")
    response = await client.get(style)
    assert response.content_type == "text/css"
    assert "immutable" in response.headers["Cache-Control"]
    assert (await client.get("/static/../app.py")).status == 404
    assert (await client.get("/static/%2e%2e%2fapp.py")).status == 404


def test_the_tree_holds_every_office_once() -> None:
    lines = offices()
    assert [
        office.code
        for top, cities in tree(lines)
        for office in [top, *(o for city, counties in cities for o in (city, *counties))]
    ] == [line.code for line in lines]
    assert [top.code for top, _ in tree(lines[2:4])] == ["320102", "320104"]


async def test_a_book_shows_its_pages_and_a_page_its_image_beside_the_text(
    client: ClientSession,
) -> None:
    book = Outline(await (await client.get(f"/items/{BOOK}")).text())
    small = [image for image in book.all("img") if str(image["src"]).endswith("/thumbnail")]
    assert [image["alt"] for image in small] == ["第 1 页", "第 2 页", "第 3 页"]
    assert all(image["loading"] == "lazy" for image in small)
    page = Outline(await (await client.get(f"/items/{BOOK}/pages/2")).text())
    (shown,) = [image for image in page.all("img") if str(image["src"]).endswith("/image")]
    assert shown["src"] == f"/items/{BOOK}/pages/2/image"
    assert (shown["width"], shown["height"]) == ("1200", "1630")
    assert "服务级影像" in page.text
    bare = Outline(await (await client.get(f"/items/{BOOK}/pages/3")).text())
    assert not [image for image in bare.all("img") if str(image["src"]).endswith("/image")]


async def test_how_far_the_images_are_is_said(client: ClientSession) -> None:
    headers = {"Authorization": "Bearer clerk-token"}
    text = await (await client.get(f"/items/{HIDDEN}", headers=headers)).text()
    assert "正在制作服务级影像：1 / 3 页" in text
    assert "thumbnail" not in text
