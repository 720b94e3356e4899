"""Pages made by hand, shards of them, and questions to these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from protocol.shapes import pack, unpack
from search_shard.build import build_segment
from search_shard.lattice import NEAR, RULES, Query, check_query
from search_shard.layout import Page
from search_shard.parse import Rules, parse_query
from search_shard.rank import Hit
from search_shard.ranking import Ask, Ranking
from search_shard.search import rank
from search_shard.segment import Segment
from search_shard.shard import Shard
from search_shard.snippet import show
from search_shard.tables import Tables

LITERAL = frozenset({*RULES, *NEAR} - {"literal"})  # 原样: every other rule is off


@dataclass(frozen=True, slots=True)
class Answer:
    ranking: Ranking
    hits: tuple[Hit, ...]

    @property
    def total(self) -> int:
        return self.ranking.total

    @property
    def near_total(self) -> int:
        return self.ranking.near_total


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
    log_index: int = 7,
) -> Page:
    return Page(item, office, seq, str(seq + 1), title, section, text, "ab" * 32, log_index)


ONE = page("知蘇州府事，重脩虎丘\n山寺。", title="吳郡圖經續記", section="卷上")


def segment_of(pages: Sequence[Page], tables: Tables) -> Segment:
    return Segment.open(build_segment(pages, tables), tables)


def shard_of(
    tables: Tables, *batches: Sequence[Page], deleted: frozenset[str] = frozenset()
) -> Shard:
    return Shard(tuple(segment_of(batch, tables) for batch in batches), deleted)


def answer(shard: Shard, query: Query, limit: int = 10, *, lines: bool = False) -> Answer:
    ranking = rank(shard, query, Ask(limit))
    return Answer(ranking, tuple(show(shard, ranking, ranking.best, lines)))


def ask(
    shard: Shard, text: str, tables: Tables, off: frozenset[str] = frozenset(), limit: int = 10
) -> Answer:
    """The answer to a query that has travelled to another node."""
    sent = pack(parse_query(text, Rules(tables), off))
    query = unpack(Query, sent, bytes_max=2**20, where="query")
    check_query(query)
    return answer(shard, query, limit)


def why(hit: Hit) -> str:
    """The least sure reason, its field before it where that is not the text."""
    order = (*RULES, *NEAR)
    reason = max(hit.reasons, key=lambda each: order.index(each.rule))
    return reason.rule if reason.field == "text" else f"{reason.field}:{reason.rule}"


def found(
    shard: Shard, text: str, tables: Tables, off: frozenset[str] = frozenset()
) -> list[tuple[int, str]]:
    """Page and reason of each hit, in order."""
    return [(hit.seq, why(hit)) for hit in ask(shard, text, tables, off).hits]
