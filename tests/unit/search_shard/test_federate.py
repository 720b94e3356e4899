from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.errors import DecodeError
from protocol.ids import OfficeCode
from protocol.messages import FacetLine, HitKey, HitLine, ShardReply
from search_shard.facets import FacetCount
from search_shard.federate import Merged, decode_sizes, encode_sizes, merge, order

OFFICES = tuple(map(OfficeCode, ("320100", "320500", "320600", "320700")))
KEYS = st.builds(
    HitKey,
    st.integers(0, 3),
    st.sampled_from(OFFICES),
    st.sampled_from("ab"),
    st.integers(0, 30),
)


def line(key: HitKey) -> HitLine:
    return HitLine(key, (key.seq,))


def shard(office: OfficeCode, total: int = 0, near: int = 0, exact: bool = True) -> ShardReply:
    facets = (FacetLine("kind", "年鉴", total), FacetLine("kind", office, 1))
    return ShardReply(office, 5, False, total, exact, near, facets, ())


@settings(max_examples=100, deadline=None)
@given(st.sets(KEYS, max_size=40), st.integers(1, 12), st.randoms())
def test_groups_of_shards_answer_like_one(keys: set[HitKey], limit: int, random: Random) -> None:
    """However shards are grouped, and though two groups overlap, the best of the groups' best are
    the best of all."""
    groups = [OFFICES[:2], OFFICES[1:3], OFFICES[2:]]
    replies, hits = [shard(office, 1) for office in OFFICES], []
    for group in groups:
        mine = sorted((key for key in keys if key.office in group), key=order)
        hits += [line(key) for key in mine[:limit]]
    whole = merge(replies, [line(key) for key in keys], limit)
    assert merge(replies, hits, limit) == whole
    assert [hit.key for hit in whole.hits] == sorted(keys, key=order)[:limit]
    random.shuffle(hits)
    assert merge(replies, hits, limit) == whole


@settings(max_examples=50, deadline=None)
@given(st.sets(KEYS, max_size=40), st.integers(1, 12))
def test_pages_have_no_repeats_and_no_gaps(keys: set[HitKey], limit: int) -> None:
    replies = [shard(office) for office in OFFICES]
    read: list[HitKey] = []
    while True:
        after = order(read[-1]) if read else ()
        later = [line(key) for key in keys if order(key) > after]
        page = merge(replies, later, limit).hits
        if not page:
            break
        read += [hit.key for hit in page]
    assert read == sorted(keys, key=order)


def test_what_shards_counted_adds_up() -> None:
    one, two = shard(OFFICES[0], 3, 1), shard(OFFICES[1], 4, 2)
    facets = (
        FacetCount("kind", "年鉴", 7),
        FacetCount("kind", OFFICES[0], 1),
        FacetCount("kind", OFFICES[1], 1),
    )
    assert merge([one, two], []) == Merged(7, True, 3, (), facets)
    assert not merge([one, shard(OFFICES[1], exact=False)], []).total_is_exact
    assert merge([], []) == Merged(0, True, 0, (), ())


def test_hits_of_a_shard_that_did_not_answer_do_not_count() -> None:
    stray = line(HitKey(9, OFFICES[3], "a", 1))
    assert merge([shard(OFFICES[0])], [stray]).hits == ()


@given(st.dictionaries(st.sampled_from(OFFICES), st.integers(0, 2**63 - 1)))
def test_a_snapshot_travels(sizes: dict[OfficeCode, int]) -> None:
    assert decode_sizes(encode_sizes(sizes)) == sizes


@pytest.mark.parametrize(
    "data",
    [
        b"3",
        b"32058x" + bytes(8),
        b"\xff20581" + bytes(8),
        (b"320581" + bytes(8)) * 2,
        b"320581" + bytes(8) + b"320500" + bytes(8),
        (b"320581" + bytes(8)) * 5001,
    ],
)
def test_a_snapshot_has_one_spelling(data: bytes) -> None:
    with pytest.raises(DecodeError, match=r"snapshot|office"):
        decode_sizes(data)
