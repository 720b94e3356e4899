"""书目检索: the engine over records, against a judge that reads one record at a time."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_shard.build import build_segment
from search_shard.catalogue import Catalogue, Record, folded, record_page
from search_shard.lattice import check_query
from search_shard.parse import Rules, parse_query
from search_shard.ranking import Ask, Ranking
from search_shard.search import rank
from search_shard.segment import Segment
from search_shard.shard import Shard
from search_shard.snippet import show
from search_shard.tables import Tables

NAMES = {"320000": "江苏省", "320500": "苏州市", "320583": "昆山市"}
WORDS = ("昆山", "崑山縣志", "水利", "卷三", "利人", "蘇州市", "苏", "中华书局")
KINDS = ("旧志", "新方志", "年鉴")
ELEMENTS = {
    "title": ["昆山縣志", "蘇州府志", "水利志", "人物"],
    "volume": ["", "卷三"],
    "kind": list(KINDS),
    "publisher": ["中華書局", ""],
    "subject": ["水利；人物", "水利", ""],
    "compiler": ["人物编纂委员会", ""],
    "notice": ["演示昆山苏州"],
}


class Library:
    """A shard of records, as a node has one."""

    def __init__(self, records: Sequence[Record], tables: Tables, hidden: Sequence[str] = ()):
        self.catalogue = Catalogue.build(records, tables, NAMES)
        pages = [record_page(each, NAMES) for each in self.catalogue.records]
        segment = Segment.open(build_segment(pages, tables), tables)
        self.shard = Shard((segment,), frozenset(hidden), self.catalogue)
        self.rules = Rules.standard(tables)

    def ask(self, text: str) -> Ranking:
        query = parse_query(text, self.rules)
        check_query(query)
        return rank(self.shard, query, Ask(limit=50, facets=True))

    def titles(self, text: str) -> list[str]:
        found = self.ask(text)
        return [hit.title for hit in show(self.shard, found, found.best)]


def book(item: str, **elements: str) -> Record:
    return Record(item, "320583", tuple(elements.items()), "open", ("320583",))


@st.composite
def libraries(draw: st.DrawFn) -> list[Record]:
    return [
        book(str(n), **{name: draw(st.sampled_from(texts)) for name, texts in ELEMENTS.items()})
        for n in range(draw(st.integers(1, 8)))
    ]


def says(record: Record, word: str, tables: Tables) -> bool:
    """Whether one element of the record, or its title with its volume, has the word."""
    titled = "".join(record.text("title", "volume"))
    others = [text for name, text in record.elements if name not in ("title", "volume", "notice")]
    texts = [titled, *others, NAMES[record.office]]
    return any(folded(word, tables) in folded(text, tables) for text in texts)


@settings(max_examples=40, deadline=None)
@given(
    libraries(),
    st.sampled_from(WORDS),
    st.sampled_from(WORDS),
    st.sampled_from(["与", "或", "非"]),
    st.sampled_from(["", *KINDS]),
)
def test_totals_and_facets_are_those_of_the_judge(
    tables: Tables, records: list[Record], one: str, two: str, join: str, kind: str
) -> None:
    typed = f"(“{one}” {join} “{two}”)" + (f" 类型:{kind}" if kind else "")
    found = Library(records, tables).ask(typed)
    left = {r.item for r in records if says(r, one, tables)}
    right = {r.item for r in records if says(r, two, tables)}
    expected = {"与": left & right, "或": left | right, "非": left - right}[join]
    if kind:
        expected = {r.item for r in records if r.text("kind") == (kind,)} & expected
    assert dict(found.items) == dict.fromkeys(expected, 1)
    assert (found.total, found.exact) == (len(expected), True)


@pytest.fixture(scope="module")
def library(tables: Tables) -> Library:
    return Library(
        [
            book("a", title="昆山縣志", subject="水利；人物", publisher="中华书局"),
            book("b", title="水利志", compiler="昆山市水利局", published="1991"),
            book("c", title="重修沭阳县志", kind="旧志", summary="記昆山之水利"),
            book("d", title="密存之志", summary="昆山水利"),
        ],
        tables,
        hidden=["d"],
    )


@pytest.mark.parametrize(
    ("typed", "titles"),
    [
        ("崑山县志", ["昆山縣志"]),
        ("水利", ["水利志", "昆山縣志", "重修沭阳县志"]),  # title, subject, elsewhere
        ("kunshan", ["昆山縣志"]),
        ("ksxz", ["昆山縣志"]),
        ("昆山县智", ["昆山縣志"]),  # one wrong character
        ("水利 题名:昆山", ["昆山縣志"]),
        ("主题:人物", ["昆山縣志"]),
        ("编者:水利局 昆山", ["水利志"]),
        ("昆山 非 类型:旧志", ["昆山縣志", "水利志"]),
        ("出版:1990-1999", ["水利志"]),
        ("权限:公开", ["昆山縣志", "水利志", "重修沭阳县志"]),
        ("密存", []),
    ],
)
def test_records_are_found_as_pages_are(library: Library, typed: str, titles: list[str]) -> None:
    assert [t for t in library.titles(typed) if t in titles] == titles
    assert "密存之志" not in library.titles(typed)


def test_hidden_items_count_nowhere(library: Library) -> None:
    found = library.ask("昆山")
    facets = library.catalogue.facets(found.items)
    assert found.total == 3
    assert {f.field: f.count for f in facets if f.field in ("rights", "office")} == {
        "rights": 3,
        "office": 3,
    }


def test_no_phrase_reaches_from_one_element_into_the_next(library: Library) -> None:
    assert library.ask("“水利人物”").total == 1  # one element: punctuation is passed over
    assert library.ask("“人物中华”").total == 0


def test_an_old_name_filters_by_the_divisions_of_today(tables: Tables) -> None:
    at = {"320500": "府", "320506": "吴中", "320508": "姑苏", "320583": "昆山", "320100": "宁"}
    library = Library(
        [Record(c, "320000", (("title", t),), "open", (c,)) for c, t in at.items()], tables
    )
    for typed, found in {
        "姑苏": {"府", "吴中", "姑苏", "昆山"},  # the district, and the city as of old
        "姑苏区": {"姑苏"},
        "平江": {"府", "吴中", "姑苏", "昆山"},
        "320524": {"吴中"},  # 吴县, abolished
        "金阊区": {"姑苏"},
        "金陵": {"宁"},
    }.items():
        assert set(library.titles(f"地区:{typed}")) == found, typed
    assert library.titles("地区:「金陵」") == []
    note = parse_query("地区:金阊区", library.rules).notes[0]
    assert (note.rule, note.typed) == ("place", "金阊区")
    assert note.taken_for.startswith("姑苏（")
