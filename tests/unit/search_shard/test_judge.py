"""The index against the judge: random pages, random questions, the same totals and hits."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from search_shard.catalogue import Catalogue, Record
from search_shard.lattice import (
    AND,
    NEAR,
    NOT,
    OR,
    SPOKEN,
    Filter,
    Phrase,
    Query,
    Word,
    check_query,
)
from search_shard.layout import Page
from search_shard.parse import Rules, parse_query
from search_shard.rank import CLASSES
from search_shard.ranking import Ask
from search_shard.search import rank
from search_shard.segment import Segment, build_segment
from search_shard.shard import Shard
from search_shard.tables import Tables
from tests.unit.search_shard.judge import Judge, Key, Verdict

# Traditional, simplified and variant forms of one class; characters of several readings;
# homophones; look-alikes; one beyond the BMP; Latin; what is skipped, inside of words too.
LETTERS = "蘇苏甦州洲舟重鍾虫長长乐樂六陸山出𤣥玄乾干幹a9"
SKIPPED = "，。\n　"
SOUNDS = ("su", "zhou", "zhong", "chong", "chang", "zhang", "le", "yue", "liu", "lu", "gan", "qian")
KINDS = ("府志", "縣志", "年鉴")

texts = st.text(st.sampled_from(LETTERS + SKIPPED), max_size=24)
words_of_letters = st.text(st.sampled_from(LETTERS), min_size=1, max_size=5)


@st.composite
def batches(draw: st.DrawFn) -> list[list[Page]]:
    """One to three batches; the pages of an item are in one of them."""
    made: list[list[Page]] = []
    for batch in range(draw(st.integers(1, 3))):
        pages = []
        for item in range(draw(st.integers(1, 3))):
            title = draw(st.text(st.sampled_from(LETTERS), max_size=4))
            for seq in range(draw(st.integers(1, 4))):
                section = draw(st.sampled_from(["", "山出", "蘇州", "重乐"]))
                office = f"3205{item:02}"
                name = f"{batch}{item}"
                index = draw(st.integers(0, 5))
                pages.append(Page(name, office, seq, "", title, section, draw(texts), "", index))
        made.append(pages)
    return made


@st.composite
def phrases(draw: st.DrawFn, tables: Tables) -> Phrase:
    typed = draw(words_of_letters)
    rule = draw(st.sampled_from(["typed", "typed", "literal", "pinyin", "place"]))
    scope = draw(st.sampled_from(["", "", "title", "heading"]))
    if rule == "literal":
        return Phrase(rule, typed, (), scope)
    folded = tables.fold(typed)
    if rule == "pinyin":
        spoken = [draw(st.booleans()) for _ in folded]
        sounds = tuple(
            tuple(draw(st.lists(st.sampled_from(SOUNDS), min_size=1, max_size=3))) if one else ()
            for one in spoken
        )
        text = "".join(SPOKEN if s else c for s, c in zip(spoken, folded, strict=True))
        return Phrase(rule, text, sounds if any(spoken) else (), scope)
    near = draw(st.sampled_from([(), NEAR, ("sound",), ("shape",)])) if rule == "typed" else ()
    return Phrase(rule, folded, (), scope, near)


@st.composite
def queries(draw: st.DrawFn, tables: Tables) -> Query:
    words = tuple(
        Word("", tuple(draw(st.lists(phrases(tables), min_size=1, max_size=2))))
        for _ in range(draw(st.integers(1, 3)))
    )
    plan = ["0"]
    for number in range(1, len(words)):
        plan += [str(number), draw(st.sampled_from([AND, OR, NOT]))]
    filters = draw(
        st.lists(
            st.one_of(
                st.builds(
                    Filter,
                    st.just("office"),
                    st.sampled_from([("3205",), ("320500",), ("320501", "320502"), ("33",)]),
                    excluded=st.booleans(),
                ),
                st.builds(
                    Filter,
                    st.just("kind"),
                    st.sampled_from([(kind,) for kind in ("县志", "志", "年")]),
                    excluded=st.booleans(),
                ),
                st.builds(
                    Filter,
                    st.just("published"),
                    st.just(()),
                    st.sampled_from([0, 1990]),
                    st.sampled_from([0, 1995]),
                    excluded=st.booleans(),
                ),
                st.builds(Filter, st.just("item"), st.sampled_from([("00",), ("01", "10")])),
            ),
            max_size=2,
        )
    )
    query = Query("", words, tuple(plan), tuple(filters))
    check_query(query)
    return query


def records_of(pages: Sequence[Page]) -> list[Record]:
    """A record for every item; kind and year follow from its name."""
    items = dict.fromkeys((page.item, page.office) for page in pages)
    return [
        Record(
            item,
            office,
            (("kind", KINDS[int(item) % 3]), ("published", str(1985 + int(item)))),
            "open",
            (),
        )
        for item, office in items
    ]


def shard_of(
    made: Sequence[Sequence[Page]], tables: Tables, hidden: frozenset[str] = frozenset()
) -> Shard:
    catalogue = Catalogue.build(records_of([p for pages in made for p in pages]), tables, {})
    segments = (Segment.open(build_segment(pages, tables), tables) for pages in made)
    return Shard(tuple(segments), hidden, catalogue)


def answered(
    shard: Shard, query: Query, as_of: int = 0
) -> tuple[Verdict, int, int, dict[str, int]]:
    """All hits, apart by what they match by, the two totals and the pages by item."""
    ranking = rank(shard, query, Ask(limit=1000, as_of=as_of, facets=True))
    asked: set[Key] = set()
    near: set[Key] = set()
    for one in ranking.best:
        score, number, document = one
        segment = shard.segments[number]
        office, item = segment.owner_of(document)
        found_as = near if 0 < score < CLASSES["initials"] else asked
        found_as.add((office, item, segment.seq(document)))
    assert ranking.exact
    found = Verdict(frozenset(asked), frozenset(near))
    return found, ranking.total, ranking.near_total, dict(ranking.items)


@pytest.fixture(scope="session")
def rules(tables: Tables) -> Rules:
    return Rules(tables)


@settings(max_examples=25, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(data=st.data())
def test_every_page_and_no_other_is_found(tables: Tables, data: st.DataObject) -> None:
    made = data.draw(batches())
    pages = [page for batch in made for page in batch]
    hidden = frozenset(data.draw(st.sets(st.sampled_from(["00", "01", "10"]), max_size=1)))
    shard = shard_of(made, tables, hidden)
    judge = Judge(pages, tables, records_of(pages))
    for _ in range(6):
        query = data.draw(queries(tables))
        as_of = data.draw(st.sampled_from([0, 0, 3]))
        truth = judge.matching(query, hidden=hidden, as_of=as_of)
        found, total, near_total, items = answered(shard, query, as_of)
        assert found == truth
        assert (total, near_total) == (len(truth.asked), len(truth.near))
        assert items == truth.items


@settings(max_examples=25, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(made=batches(), typed=st.lists(words_of_letters, min_size=1, max_size=3), data=st.data())
def test_what_is_typed_finds_what_the_scan_finds(
    tables: Tables, rules: Rules, made: list[list[Page]], typed: list[str], data: st.DataObject
) -> None:
    """Through the parser, and by the ways that need no list of all pages (limit 10, no facets)."""
    join = data.draw(st.sampled_from([" ", " AND ", " OR ", " NOT ", " 非 "]))
    quoted = data.draw(st.booleans())
    query = parse_query(join.join(f"「{word}」" if quoted else word for word in typed), rules)
    truth = Judge([page for batch in made for page in batch], tables).matching(query)
    ranking = rank(shard_of(made, tables), query, Ask(limit=10))
    assert (ranking.total, ranking.near_total) == (len(truth.asked), len(truth.near))
    assert len(ranking.best) == min(10, ranking.total + ranking.near_total)


def test_a_wrong_character_in_a_title_that_no_text_has(tables: Tables, rules: Rules) -> None:
    pages = [Page("00", "320500", 0, "", "蘇州山出", "六陸", "a", "", 0)]
    for typed in ("苏周山出", "柳陆"):
        query = parse_query(typed, rules)
        assert answered(shard_of([pages], tables), query)[0] == Judge(pages, tables).matching(query)
        assert rank(shard_of([pages], tables), query, Ask()).near_total == 1
