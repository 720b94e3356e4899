"""Pages made by hand, shards of them, and questions to these."""

from __future__ import annotations

from collections.abc import Sequence

from protocol.shapes import pack, unpack
from search_shard.build import build_segment
from search_shard.layout import Page
from search_shard.query import Query, parse_query
from search_shard.rank import ShardAnswer
from search_shard.search import search
from search_shard.segment import Segment
from search_shard.shard import Shard
from search_shard.tables import Tables


def never() -> bool:
    """The deadline of one who has time."""
    return False


def page(
    text: str,
    item: str = "a",
    seq: int = 0,
    title: str = "",
    section: str = "",
    office: str = "320500",
) -> Page:
    return Page(item, office, seq, str(seq + 1), title, section, text, "ab" * 32, 7)


ONE = page("知蘇州府事，重脩虎丘\n山寺。", title="吳郡圖經續記", section="卷上")


def segment_of(pages: Sequence[Page], tables: Tables) -> Segment:
    return Segment.open(build_segment(pages, tables), tables)


def shard_of(
    tables: Tables, *batches: Sequence[Page], deleted: frozenset[str] = frozenset()
) -> Shard:
    return Shard(tuple(segment_of(batch, tables) for batch in batches), deleted)


def ask(
    shard: Shard, text: str, tables: Tables, mode: str = "auto", limit: int = 10
) -> ShardAnswer:
    """The answer to a query that has travelled to another node."""
    sent = pack(parse_query(text, mode, tables))
    return search(shard, unpack(Query, sent, bytes_max=2**20, where="query"), limit, never)


def found(shard: Shard, text: str, tables: Tables, mode: str = "auto") -> list[tuple[int, str]]:
    """Page and reason of each hit, in order."""
    return [(hit.seq, hit.matched_by) for hit in ask(shard, text, tables, mode).hits]
