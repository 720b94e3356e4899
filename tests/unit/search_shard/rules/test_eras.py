from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_shard.lattice import RULES
from search_shard.rules.eras import BRANCHES, STEMS, Eras, EraYear, cyclical, years_of
from search_shard.rules.finder import Fold


@pytest.fixture(scope="session")
def eras(fold: Fold) -> Eras:
    return Eras(fold)


# Known from elsewhere than a table of eras: battles, floods, famous texts, accessions.
KNOWN = """
元狩四年-119 元鼎二年-115 征和二年-91 竟宁元年-33 元始五年5 始建国元年9 地皇四年23 永平十年67
建初四年79 永元元年89 元兴元年105 延熹九年166 中平元年184 初平元年190 建安五年200 建安十三年208
黄初元年220 章武元年221 黄龙元年229 赤乌十三年250 嘉平元年249 景元四年263 太康元年280 永嘉五年311
建兴四年316 永和九年353 太元八年383 义熙十三年417 元嘉二十七年450 孝昌三年527 天监十五年516
太清二年548 祯明三年589 开皇九年589 大业元年605 大业十四年618 武德九年626 贞观元年627 贞观十九年645
显庆五年660 垂拱四年688 天授元年690 神龙元年705 先天元年712 开元二十九年741 天宝十四载755
至德元载756 广德元年763 大历十四年779 建中四年783 贞元二十一年805 永贞元年805 元和十五年820
会昌五年845 咸通九年868 乾符二年875 广明元年880 昇元元年937 保大十五年957 显德七年960 建隆元年960
开宝八年975 太平兴国三年978 景德元年1004 大中祥符元年1008 庆历四年1044 嘉祐二年1057 熙宁二年1069
元丰五年1082 元祐元年1086 崇宁元年1102 宣和七年1125 靖康二年1127 建炎三年1129 绍兴十一年1141
隆兴元年1163 淳熙八年1181 绍熙五年1194 开禧二年1206 嘉定元年1208 宝祐六年1258 景定二年1261
咸淳九年1273 德祐二年1276 祥兴二年1279 至元八年1271 至元十六年1279 延祐二年1315 至正十一年1351
至正二十八年1368 洪武元年1368 洪武三十一年1398 建文四年1402 永乐十九年1421 正统十四年1449
天顺元年1457 成化二十三年1487 弘治十八年1505 正德六年1511 嘉靖三十四年1555 隆庆元年1567
万历十五年1587 万历四十八年1620 泰昌元年1620 天启七年1627 崇祯十七年1644 弘光元年1645
永历十五年1661 顺治二年1645
康熙元年1662 康熙十八年1679 康熙三十年1691 康熙六十一年1722 雍正十三年1735 乾隆元年1736
乾隆六十年1795
嘉庆元年1796 道光二十年1840 咸丰三年1853 咸丰十年1860 同治三年1864 光绪二十六年1900 宣统三年1911
民国元年1912 民国二十三年1934 民国三十八年1949 太平天国十四年1864 收国元年1115 天兴三年1234
"""


@pytest.mark.parametrize("known", KNOWN.split())
def test_known_years(eras: Eras, fold: Fold, known: str) -> None:
    at = max(known.rfind("年"), known.rfind("载")) + 1
    text, year = fold(known[:at]), int(known[at:])
    found = eras.years(text)
    assert found is not None
    assert found[0] <= year <= found[1], found
    shown = f"{year}" if year > 0 else f"前{-year}"
    assert any(a.text.startswith(shown) for a in eras.alternatives(text)), eras.alternatives(text)


def test_there_are_more_than_eighty_of_them() -> None:
    assert len(KNOWN.split()) > 80


CYCLICAL = """
-104丁丑 4甲子 184甲子 208戊子 383癸未 755乙未 960庚申 1044甲申 1082壬戌 1127丁未 1279己卯 1368戊申
1587丁亥 1644甲申 1691辛未 1795乙卯 1840庚子 1864甲子 1894甲午 1898戊戌 1900庚子 1911辛亥 1984甲子
2024甲辰
"""


@pytest.mark.parametrize("known", CYCLICAL.split())
def test_known_cyclical_years(known: str) -> None:
    assert cyclical(int(known[:-2])) == known[-2:]


def test_cyclical_years_go_round_in_sixty() -> None:
    pairs = [cyclical(year) for year in range(-200, 2101) if year]
    assert len(set(pairs)) == 60
    for before, after in pairwise(pairs):
        for names, at in ((STEMS, 0), (BRANCHES, 1)):
            assert (names.index(after[at]) - names.index(before[at])) % len(names) == 1
    for year in range(1, 2101):
        assert years_of(cyclical(year), year, year + 59) == (year,)
    assert years_of("乙卯", 1700, 1999) == (1735, 1795, 1855, 1915, 1975)


# Rivals, and years that were recounted or are another regime's.
BROKEN = {("隋", 617), ("唐", 705), ("吴越", 924), ("明", 1399), ("北魏", 531)}


def test_the_table_holds_together(eras: Eras) -> None:
    """Within a regime eras follow one another and leave no year out."""
    spans: dict[str, list[tuple[int, int]]] = {}
    for era in eras.eras:
        assert era.base <= era.first <= era.last < era.base + 62, era
        spans.setdefault(era.regime, []).append((era.first, era.last))
    broken = {
        (regime, first)
        for regime, own in spans.items()
        for (_, last), (first, _) in pairwise(own)
        if not last <= first <= last + 1 and (last, first) != (-1, 1)
    }
    assert broken == BROKEN


@pytest.mark.parametrize(
    ("word", "some"),
    [
        ("康熙三十年", {"1691", "康熙30年", "康熙辛未", "康熙卅年", "一六九一年"}),
        ("康熙30年大水", {"1691年", "康熙三十年", "康熙辛未"}),
        ("清康熙卅年", {"1691", "康熙三十年"}),
        ("乾隆乙卯", {"1795", "乾隆六十年"}),
        ("康熙壬寅", {"1662", "1722"}),
        ("民国二十三年", {"1934", "民国23年", "民国廿三年"}),
        ("中华民国廿三年", {"1934", "民国二十三年"}),
        ("唐太和三年", {"829", "大和三年"}),
        ("1691年", {"康熙三十年", "康熙30年", "康熙辛未"}),
        ("1691", {"康熙三十年"}),
        ("1644年", {"崇祯十七年", "顺治元年"}),
        ("一九三四年", {"民国二十三年"}),
        ("前140年", {"建元元年"}),
        ("元年", set()),
        ("康熙六十二年", set()),
        ("乙卯", set()),
        ("16911", set()),
        ("1984年", set()),
        ("苏州府志", set()),
        ("甲乙丙丁", set()),
    ],
)
def test_alternatives(eras: Eras, fold: Fold, word: str, some: set[str]) -> None:
    found = eras.alternatives(fold(word))
    texts = [a.text.removesuffix("年") for a in found]
    assert {text.removesuffix("年") for text in some} <= set(texts)
    assert bool(found) == bool(some)
    assert len(set(texts)) == len(texts)
    assert {a.rule for a in found} <= set(RULES)


def test_a_name_of_several_eras_gives_the_latest_first(eras: Eras) -> None:
    found = [a.text for a in eras.alternatives("太和三年")]
    assert found[:4] == ["931年", "829年", "479年", "368年"]
    assert next(a.text for a in eras.alternatives("北魏太和三年")) == "479年"
    notes = {a.note for a in eras.alternatives("至元三年")}
    assert notes == {"元至元三年，1337年", "元至元三年，1266年"}


def test_names_are_shown_as_they_are_written(eras: Eras, fold: Fold) -> None:
    texts = {a.text for a in eras.alternatives(fold("乾隆六十年"))}
    assert texts == {"1795", "乾隆60年", "乾隆乙卯", "一七九五年"}


def test_where_in_the_word(eras: Eras) -> None:
    found = eras.alternatives("重修明万历三年苏州府志")
    assert {(a.start, a.end) for a in found} == {(2, 7)}
    assert eras.years("明万历三年") == (1575, 1575)


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("康熙三十年", (1691, 1691)),
        ("康熙30年", (1691, 1691)),
        ("康熙三十", (1691, 1691)),
        ("康熙", (1662, 1722)),
        ("康熙年间", (1662, 1722)),
        ("清康熙", (1662, 1722)),
        ("乾隆乙卯", (1795, 1795)),
        ("民国", (1912, 1949)),
        ("民国23年", (1934, 1934)),
        ("清", (1644, 1911)),
        ("明代", (1368, 1644)),
        ("六朝时期", (222, 589)),
        ("大明", (1368, 1644)),
        ("唐太和", (827, 835)),
        ("太和", (227, 935)),
        ("1691", (1691, 1691)),
        ("公元1691年", (1691, 1691)),
        ("一九三四", (1934, 1934)),
        ("前140年", (-140, -140)),
        ("康熙30年-乾隆元年", (1691, 1736)),
        ("康熙三十年至乾隆元年", (1691, 1736)),
        ("至正十年至洪武元年", (1350, 1368)),
        ("1911—1949", (1911, 1949)),
        ("1911~1949年", (1911, 1949)),
        ("清 - 民国", (1644, 1949)),
        ("1990-", (1990, 0)),
        ("-1949", (0, 1949)),
        ("新中国", (1949, 0)),
        ("1949-1911", None),
        ("乙卯", None),
        ("康熙六十二年", None),
        ("苏州", None),
        ("-", None),
        ("", None),
        ("0", None),
        ("99999", None),
    ],
)
def test_years_of_filters(eras: Eras, fold: Fold, text: str, span: tuple[int, int] | None) -> None:
    assert eras.years(fold(text)) == span


@given(st.data())
def test_every_year_of_an_era_comes_back(eras: Eras, fold: Fold, data: st.DataObject) -> None:
    era = data.draw(st.sampled_from(eras.eras))
    number = data.draw(st.integers(1, 61))
    year = era.year(number)
    if year is None:
        return
    reading = EraYear(era, year)
    assert reading.number == number
    low, high = eras.years(fold(reading.name)) or (0, 0)
    assert low <= year <= high
    western = f"{year}年" if year > 0 else f"前{-year}年"
    notes = {a.note for a in eras.alternatives(western)}
    others = [e for e in eras.eras if e.first <= year <= e.last]
    assert reading.name in notes or others.index(era) >= 4


@given(st.text("康熙民国至正元年载三十廿0123456789甲乙子丑明清-大前", max_size=30))
def test_any_text_is_bounded(eras: Eras, text: str) -> None:
    found = eras.alternatives(text)
    assert len(found) <= 25 * max(len(text), 1)
    for a in found:
        assert 0 <= a.start < a.end <= len(text)
        assert a.text != text[a.start : a.end]
    span = eras.years(text)
    assert span is None or not span[1] or span[0] <= span[1]
