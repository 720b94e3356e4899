"""The search page: what it shows, and where its links lead."""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import ClientSession

from node.faces.asking import RULES_TO_SWITCH
from node.faces.searching import ALTERNATIVES_MAX
from tests.fake_service import BOOK, HIDDEN, TITLES, YEARBOOK, FakeService


async def read(client: ClientSession, path: str) -> str:
    response = await client.get(path)
    assert response.status == 200
    return await response.text()


def links(text: str) -> dict[str, dict[str, list[str]]]:
    """The words of every link to a search, with what it asks."""
    found = re.findall(r'<a [^>]*href="(/search\?[^"]*)"[^>]*>(.*?)</a>', text)
    return {
        re.sub(r"<[^>]*>", "", words).strip(): parse_qs(urlsplit(unescape(address)).query)
        for address, words in found
    }


async def test_hits_say_where_why_and_mark_the_words(client: ClientSession) -> None:
    text = await read(client, "/search?q=运河")
    assert "<mark>运河</mark>" in text
    assert "匹配：云河（同音字）" in text
    assert "匹配：運河（繁简异体）" in text
    assert "匹配：题名（拼音）" in text
    assert f'href="/items/{BOOK}/pages/2"' in text
    assert f'href="/items/{YEARBOOK}"' in text  # a hit on a title has no page
    assert "109/109 个分库作答" in text
    assert "截至 109 部日志共 4360 条" in text
    assert TITLES[HIDDEN][0] not in text


async def test_a_book_has_one_heading_and_its_further_hits_are_folded(
    client: ClientSession,
) -> None:
    text = await read(client, "/search?q=运河")
    assert len(re.findall(rf"<h3><a [^>]*><bdi>{TITLES[BOOK][0]}", text)) == 1
    assert "本页另有 1 处" in text
    assert links(text)["同书其他结果"]["q"][0].startswith("运河 编号:")


async def test_the_coverage_line_names_who_is_missing(
    client: ClientSession, service: FakeService
) -> None:
    service.offices_answering = False
    text = await read(client, "/search?q=运河")
    assert "107/109 个分库作答，缺：昆山市、如皋市" in text
    assert "苏州市 代答" in text
    english = await read(client, "/search?q=运河&lang=en")
    assert "107 of 109 shards answered; missing: Kunshan City (county-level)" in english


async def test_a_total_that_is_not_exact_says_at_least(client: ClientSession) -> None:
    assert "至少 31 页" in await read(client, "/search?q=约")


async def test_how_the_query_was_understood_is_said(client: ClientSession) -> None:
    text = await read(client, "/search?q=yunhe")
    assert links(text)["运河"]["q"] == ["运河"]
    assert "<bdi>yunhe</bdi>" in text
    assert "<bdi>运河 云和</bdi>" in text


async def test_filters_are_chips_that_come_off(client: ClientSession) -> None:
    found = links(await read(client, "/search?q=运河 地区:苏州 kind:旧志"))
    assert found["地区:苏州 ×"]["q"] == ["运河 kind:旧志"]
    assert found["kind:旧志 ×"]["q"] == ["运河 地区:苏州"]


async def test_a_facet_adds_its_filter_and_starts_at_the_first_page(
    client: ClientSession,
) -> None:
    found = links(await read(client, "/search?q=运河&page=second&at=21&view=lines"))
    assert found["张家港市 20"] == {"q": ["运河 地区:张家港市"], "view": ["lines"]}
    assert found["清 9"]["q"] == ["运河 断限:1644-1911"]
    assert found["公开使用 31"]["q"] == ["运河 权限:公开"]
    found = links(await read(client, "/search?q=运河 或 (甲 或 乙)"))
    assert found["清 9"]["q"] == ["(运河 或 (甲 或 乙)) 断限:1644-1911"]
    found = links(await read(client, "/search?q=运河 (甲 或 乙)"))
    assert found["清 9"]["q"] == ["运河 (甲 或 乙) 断限:1644-1911"]


async def test_rules_switch_off_and_on_again(client: ClientSession, service: FakeService) -> None:
    found = links(await read(client, "/search?q=运河&without=year"))
    assert found["年号纪年"] == {"q": ["运河"]}
    assert found["拼音"]["without"] == ["year", "pinyin"]
    assert found["同音字"]["without"] == ["year", "sound"]
    assert service.calls[-1][1].without == ("year",)


async def test_a_search_as_typed_switches_every_rule_off(
    client: ClientSession, service: FakeService
) -> None:
    text = await read(client, "/search?q=运河&literal=1")
    assert service.calls[-1][1].without == RULES_TO_SWITCH
    found = links(text)
    assert found["原样检索 ×"] == {"q": ["运河"]}
    assert found["逐行索引"] == {"q": ["运河"], "view": ["lines"], "literal": ["1"]}
    assert 'name="literal" value="1" checked' in text


async def test_pages_follow_each_other_by_token(client: ClientSession) -> None:
    text = await read(client, "/search?q=运河&limit=5")
    forward = links(text)["下一页"]
    assert forward == {"q": ["运河"], "limit": ["5"], "page": ["second"], "at": ["6"]}
    assert "上一页" not in links(text)
    text = await read(client, "/search?q=运河&limit=5&page=second&at=6")
    assert links(text)["上一页"] == {
        "q": ["运河"],
        "limit": ["5"],
        "page": ["first"],
        "at": ["1"],
    }
    assert "下一页" not in links(text)
    assert "以下为第 6—6 条" in text
    assert "有 1 条下架" in text


async def test_all_results_can_be_exported(client: ClientSession) -> None:
    text = await read(client, "/search?q=运河&without=year&page=second&view=lines")
    address = unescape(next(re.finditer(r'href="(/api/v1/search/export[^"]*csv[^"]*)"', text))[1])
    asked = parse_qs(urlsplit(address).query)
    assert asked == {"format": ["csv"], "q": ["运河"], "without": ["year"]}
    assert (await client.get(address)).content_type == "text/csv"


async def test_lines_stand_with_their_context(client: ClientSession) -> None:
    text = await read(client, "/search?q=运河&view=lines")
    assert '<td class="left"><bdi>十一圩港原為</bdi></td>' in text
    assert '<td class="right"><bdi><mark>運河</mark>支流' in text
    assert "\\ud800" in text  # a lone surrogate is shown as its number


async def test_editions_stand_side_by_side(client: ClientSession) -> None:
    text = await read(client, "/search?q=运河&view=editions")
    work = text.split("<bdi>常昭合志</bdi>")[1].split("</section>")[0]
    assert work.count('<article class="edition">') == 2
    assert "光绪三十年刻本" in work
    assert "1904" in work


async def test_how_it_was_done_is_told_to_those_who_ask(client: ClientSession) -> None:
    text = await read(client, "/search?q=yunhe")
    asked = links(text)["这次检索是怎样进行的？"]
    assert asked == {"q": ["yunhe"], "explain": ["1"]}
    text = await read(client, "/search?q=yunhe&explain=1")
    assert "  pinyin [yun][he]" in text
    assert "解析 0.21 毫秒" in text
    assert "苏州市（2 个分库）8 毫秒" in text
    assert '<th scope="row">张家港市</th>' in text
    assert "核对 20（0.31 毫秒）" in text


async def test_nothing_found_tells_what_would_be(
    client: ClientSession, service: FakeService
) -> None:
    text = await read(client, "/search?q=无此 运河 地区:苏州&without=sound")
    found = links(text)
    assert {"运河"} <= set(found)
    assert "无此" not in found  # it finds nothing either
    assert "只检索" in text
    asked = [call[1] for call in service.calls[1:]]
    assert {question.text for question in asked} == {
        "运河",
        "无此",
        "无此 运河",
        "无此 运河 地区:苏州",
    }
    assert all(question.limit == 1 and not question.facets for question in asked)


async def test_what_was_to_be_left_out_is_not_offered(
    client: ClientSession, service: FakeService
) -> None:
    await read(client, "/search?q=无甲 乙 -丙 非 丁")
    assert {call[1].text for call in service.calls[1:]} == {"运河", "无甲", "乙"}


async def test_alternatives_are_bounded(client: ClientSession, service: FakeService) -> None:
    await read(client, "/search?q=" + " ".join(f"无{sign}" for sign in "甲乙丙丁戊己庚辛"))
    assert len(service.calls) == 1 + ALTERNATIVES_MAX


async def test_the_language_link_keeps_the_question(client: ClientSession) -> None:
    text = await read(client, "/search?q=运河&without=sound&without=year")
    other = next(re.finditer(r'hreflang="en" href="([^"]*)"', text))[1]
    assert unescape(other) == ("/search?q=%E8%BF%90%E6%B2%B3&without=sound&without=year&lang=en")
    text = await read(client, unescape(other))
    assert '<input type="hidden" name="lang" value="en">' in text
    assert '<input type="hidden" name="without" value="sound">' in text


async def test_an_empty_question_goes_home(client: ClientSession) -> None:
    response = await client.get("/search?q=%20&lang=en", allow_redirects=False)
    assert (response.status, response.headers["Location"]) == (302, "/?lang=en")


@pytest.mark.parametrize("query", ["without=magic", "view=magic", "at=0", "at=x", "limit=0"])
async def test_a_wrong_address_is_refused(client: ClientSession, query: str) -> None:
    assert (await client.get(f"/search?q=运河&{query}")).status == 400
