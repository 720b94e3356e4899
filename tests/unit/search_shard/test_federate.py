from __future__ import annotations

from dataclasses import replace
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.limits import HITS_MAX
from search_shard.federate import merge, plan_routes
from search_shard.layout import Page
from search_shard.query import parse_query
from search_shard.rank import ShardAnswer, hit_order
from search_shard.search import search
from search_shard.tables import Tables
from tests.unit.search_shard.pages import ask, never, page, shard_of

OFFICES = ("320100", "320500", "320600")


@st.composite
def offices(draw: st.DrawFn) -> list[Page]:
    """Pages of three offices; many tie, some match only nearly."""
    texts = st.lists(st.sampled_from(["虎丘", "虎丘寺虎丘", "虎兵", "戶丘", "山"]), max_size=8)
    return [
        page(text, "ab"[seq % 2], seq, draw(st.sampled_from(["", "虎丘志"])), office=office)
        for office in OFFICES
        for seq, text in enumerate(draw(texts))
    ]


@settings(max_examples=25, deadline=None)
@given(offices(), st.sampled_from(["虎丘", "虎", "huqiu", "虎丘 寺"]), st.sampled_from([1, 10, 30]))
def test_many_shards_answer_like_one(
    tables: Tables, pages: list[Page], typed: str, limit: int
) -> None:
    query = parse_query(typed, "auto", tables)
    apart = [
        search(shard_of(tables, [p for p in pages if p.office == office]), query, limit, never)
        for office in OFFICES
    ]
    whole = search(shard_of(tables, pages), query, limit, never)
    assert merge(apart, limit) == replace(whole, hits=whole.hits[:limit])


@settings(max_examples=25, deadline=None)
@given(offices(), st.integers(1, 12), st.randoms())
def test_the_order_of_answers_does_not_matter(
    tables: Tables, pages: list[Page], limit: int, random: Random
) -> None:
    answers = [
        ask(shard_of(tables, [p for p in pages if p.office == office]), "虎丘", tables)
        for office in OFFICES
    ]
    merged = merge(answers, limit)
    random.shuffle(answers)
    assert merge(answers, limit) == merged
    assert list(merged.hits) == sorted(merged.hits, key=hit_order)
    assert len(merged.hits) == min(limit, merged.total)


def test_nearly_is_dropped_where_enough_matches_as_asked(tables: Tables) -> None:
    near = ask(shard_of(tables, [page("虎丘寺", "a")]), "虎兵", tables)
    asked = ask(shard_of(tables, [page("虎兵", "b", seq) for seq in range(12)]), "虎兵", tables)
    few = ask(shard_of(tables, [page("虎兵", "c", seq) for seq in range(3)]), "虎兵", tables)
    assert (near.total, asked.total, few.total) == (1, 12, 3)
    both = merge([near, asked], 20)
    assert both.total == 12
    assert {hit.matched_by for hit in both.hits} == {"exact"}
    mixed = merge([near, few], 20)
    assert mixed.total == 4
    assert [hit.matched_by for hit in mixed.hits] == ["exact"] * 3 + ["shape"]


def test_a_total_is_exact_when_every_part_is(tables: Tables) -> None:
    one = ask(shard_of(tables, [page("蘇州")]), "蘇州", tables)
    cut = replace(one, total_is_exact=False)
    assert merge([one, one], 5).total_is_exact
    assert not merge([one, cut], 5).total_is_exact
    assert merge([], 5) == ShardAnswer(0, True, ())
    assert merge([replace(one, total=900), one], HITS_MAX).total == 901


def test_the_first_live_holder_is_asked_for_all_its_shards_at_once() -> None:
    shards = {
        "320581": ["320500", "320000"],
        "320506": ["320500"],
        "320681": ["320600", "320000"],
        "320982": ["320900"],
        "320684": [],
    }
    assert plan_routes(shards, {"320500", "320000"}) == (
        {"320500": ["320506", "320581"], "320000": ["320681"]},
        ["320684", "320982"],
    )
    assert plan_routes(shards, set()) == ({}, sorted(shards))


@settings(max_examples=25, deadline=None)
@given(
    st.dictionaries(st.text("0123", min_size=1, max_size=2), st.lists(st.sampled_from("PQRS"))),
    st.sets(st.sampled_from("PQRS")),
)
def test_every_shard_is_asked_for_once_or_missing(
    shards: dict[str, list[str]], live: set[str]
) -> None:
    routes, missing = plan_routes(shards, live)
    planned = [(office, holder) for holder, offices in routes.items() for office in offices]
    assert sorted([*missing, *(office for office, _ in planned)]) == sorted(shards)
    for office, holder in planned:
        before = shards[office][: shards[office].index(holder)]
        assert holder in live
        assert not live.intersection(before)
    for office in missing:
        assert not live.intersection(shards[office])
