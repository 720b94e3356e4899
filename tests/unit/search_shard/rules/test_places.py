from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs import offices
from search_shard.lattice import RULES
from search_shard.rules.finder import Fold
from search_shard.rules.places import ALTERNATIVES_MAX, KINDS, Places

# Parts of towns, of which every city had its own.
NAMELESS = {"郊区", "城区", "矿区", "鼓楼区"}


@pytest.fixture(scope="session")
def places(fold: Fold) -> Places:
    return Places(fold)


def test_the_present_is_that_of_the_offices(places: Places) -> None:
    assert [(p.code, p.name) for p in places.places] == [
        (row.code, row.name) for row in offices.load("jiangsu")
    ]


def test_the_table_holds_together(places: Places) -> None:
    assert len({old.text for place in places.places for old in place.old}) > 350
    for place in places.places:
        names = [old.text for old in place.old]
        assert len(set(names)) == len(names), place
        assert not {place.name, place.short} & set(names), place
        for old in place.old:
            assert len(old.text) >= 2, old
            assert old.kind in KINDS, old
            assert not (old.first and old.last) or old.first <= old.last, old
            assert -600 <= old.first <= old.last <= 2024 or not old.last, old
            assert not old.code or (old.last >= 1980 and old.code[:2] == "32"), old


def test_every_division_abolished_since_1980_has_its_successors(
    places: Places, data_dir: Path
) -> None:
    """Against another list of them: renamed and merged divisions, until they end."""
    text = (data_dir / "jiangsu/history_1980_2024.tsv").read_text("utf-8")
    rows = list(csv.DictReader(text.splitlines(), delimiter="\t"))
    now = {place.code: place.name for place in places.places}
    after: dict[str, set[str]] = {}
    for row in rows:
        successors = [code.split("[")[0] for code in row["新代码"].split(";") if code]
        after.setdefault(row["代码"], set()).update(successors)

    def ends(code: str) -> set[str]:
        """Where a code leads to today; a code may name itself, having changed its name."""
        return {code} & now.keys() or set().union(*map(ends, after[code] - {code}))

    known = {old.text for place in places.places for old in place.old}
    for row in rows:
        name = row["名称"]
        if row["状态"] == "在用" or name in NAMELESS.union(now.values()):
            continue
        assert name in known, row
        if row["新代码"]:  # else a prefecture, which was divided among cities
            assert set(places.codes(name)) & ends(row["代码"]), row


KNOWN = """
姑苏=苏州 平江=苏州 吴郡=苏州 吴门=苏州 茂苑=苏州 平江府=苏州 长洲县=苏州 吴县=吴中 吴县=相城
吴县=苏州 金陵=南京 建康=南京 建业=南京 应天府=南京 江宁府=南京 集庆路=南京 石头城=南京
白下=南京 天京=南京 广陵=扬州 江都=扬州 维扬=扬州 彭城=徐州 京口=镇江 润州=镇江 丹徒=镇江
南徐州=镇江 毗陵=常州 晋陵=常州 延陵=常州 兰陵=常州 阳湖=常州 淮阴=淮安 清江浦=淮安 楚州=淮安
山阳=淮安 清河县=清江浦 海州=连云港 朐县=连云港 通州=南通 崇川=南通 静海=南通 海陵=泰州
吴陵=泰州 盐渎=盐城 下相=宿迁 宿豫=宿迁 钟吾=宿迁 钟吾=新沂 梁溪=无锡 金匮县=无锡 虞山=常熟
琴川=常熟 海虞=常熟 娄县=昆山 太仓州=太仓 娄东=太仓 松陵=吴江 震泽县=吴江 暨阳=江阴 澄江=江阴
荆溪=宜兴 阳羡=宜兴 云阳=丹阳 曲阿=丹阳 真州=仪征 秦邮=高邮 安宜=宝应 下邳=邳州 安东县=涟水
都梁=盱眙 棠邑=六合 沙洲县=张家港 锡山市=惠山 无锡县=锡山 铜山县=铜山 句曲=句容 太平厅=扬中
罗塘=姜堰 昭阳=兴化 马驮沙=靖江 桃源县=泗阳 怀仁=赣榆 雉水=如皋 海门厅=海门
"""


@pytest.mark.parametrize(("name", "place"), [pair.split("=") for pair in KNOWN.split()])
def test_known_old_names(places: Places, fold: Fold, name: str, place: str) -> None:
    found = places.alternatives(fold(name))
    assert place in [a.text for a in found], found
    assert {(a.rule, a.start, a.end) for a in found} == {("place", 0, len(name))}


def texts(places: Places, word: str) -> list[str]:
    return [a.text for a in places.alternatives(word)]


def test_the_present_name_comes_first_and_siblings_after(places: Places) -> None:
    assert texts(places, "姑苏")[:4] == ["苏州", "吴郡", "平江", "吴县"]
    assert texts(places, "苏州")[:3] == ["吴郡", "姑苏", "吴县"]
    assert texts(places, "吴县")[:3] == ["吴中", "相城", "苏州"]
    assert "吴州" not in texts(places, "吴中")


def test_an_abolished_code_is_a_name(places: Places) -> None:
    assert texts(places, "320521") == ["张家港", "沙洲县", "杨舍"]
    assert texts(places, "320500") == []


def test_names_of_a_level_stand_for_one_another(places: Places) -> None:
    assert texts(places, "平江府志")[:3] == ["苏州", "隆平府", "苏州府"]
    assert "平江府" in texts(places, "苏州府志")
    assert "平江府" not in texts(places, "苏州园林")


def test_what_means_other_things_is_read_and_never_offered(places: Places) -> None:
    assert texts(places, "云阳") == ["丹阳", "曲阿"]
    assert texts(places, "丹阳") == ["曲阿"]
    assert texts(places, "鼓楼") == []
    assert texts(places, "城隍庙") == texts(places, "丰") == []


def test_a_note_says_what_a_name_was(places: Places) -> None:
    notes = {a.text: a.note for a in places.alternatives("吴县")}
    assert notes["相城"] == "吴县是其旧建制，前221–1995年"
    assert notes["平江"] == "苏州的别称"
    assert places.alternatives("徐州")[0].note == "徐州的旧称，前221–1368年"


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("苏州", ("320500",)),
        ("苏州市", ("320500",)),
        ("姑苏", ("320508", "320500")),
        ("姑苏区", ("320508",)),
        ("平江", ("320500",)),
        ("吴县", ("320500", "320506", "320507")),
        ("淮安", ("320800", "320803")),
        ("淮安区", ("320803",)),
        ("鼓楼区", ("320106", "320302")),
        ("丰县", ("320321",)),
        ("320500", ("320500",)),
        ("320524", ("320506", "320507")),
        ("322700", ("320500",)),
        ("320521", ("320582",)),
        ("丰", ()),
        ("北京", ()),
        ("999999", ()),
        ("", ()),
    ],
)
def test_codes_of_a_name(places: Places, text: str, codes: tuple[str, ...]) -> None:
    assert places.codes(text) == codes


def test_old_names_are_told_with_whose_they_were(places: Places) -> None:
    assert set(places.old_names("320500")) >= {"吴郡", "姑苏", "平江", "吴县"}
    assert "吴国" not in places.old_names("320500"), "read only"
    assert places.old_names("320508") == ("平江区", "沧浪区", "金阊区")
    assert places.old_names("110000") == ()
    assert places.told("姑苏", ["320500", "320508"]) == "苏州的别称"
    assert places.told("吴县", ["320506", "320507"]) == (
        "吴中的旧建制，前221–1995年、相城的旧建制，前221–1995年"
    )
    assert places.told("姑苏", ["320508"]) == places.told("苏州", ["320500"]) == ""


@given(st.text("姑苏州府吴县江南京市海通", max_size=20))
def test_any_text_is_bounded(places: Places, text: str) -> None:
    found = places.alternatives(text)
    assert len(found) <= ALTERNATIVES_MAX * len(text)
    assert {a.rule for a in found} <= set(RULES)
    for a in found:
        assert text[a.start : a.end] not in a.text
