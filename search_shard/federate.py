"""One answer from many shards, which holder to ask for which shard, and the snapshot they answer.

A *snapshot* is how far the coordinator has folded every log: what later events brought is left out
by every shard, so pages of results neither repeat nor skip, and every node that has folded the same
events answers alike.  Specification: docs/spec/query.md.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from protocol.errors import DecodeError
from protocol.ids import OfficeCode, parse_office
from protocol.limits import NETWORK_OFFICES_MAX
from protocol.messages import HitKey, HitLine, ShardReply
from search_shard.facets import FacetCount, merge_facets

_CODE_BYTES: Final = 6
_ROW_BYTES: Final = _CODE_BYTES + 8


@dataclass(frozen=True, slots=True)
class Merged:
    """``total`` match as asked, ``near_total`` more with a wrong character; ``hits`` in order."""

    total: int
    total_is_exact: bool
    near_total: int
    hits: tuple[HitLine, ...]
    facets: tuple[FacetCount, ...]


def order(key: HitKey) -> tuple[int, str, str, int]:
    """Best score first; ties by office, item and page, so every node lists them alike."""
    return -key.score, key.office, key.item, key.seq


def merge(
    shards: Sequence[ShardReply], hits: Iterable[HitLine], limit: int | None = None
) -> Merged:
    """One answer from what shards counted and the best hits of each (or of groups of them), in
    whatever order they came; a hit that several give counts once."""
    ours = {shard.office for shard in shards}
    found = {order(hit.key): hit for hit in hits if hit.key.office in ours}
    keys = sorted(found) if limit is None else heapq.nsmallest(limit, found)
    return Merged(
        sum(shard.total for shard in shards),
        all(shard.total_is_exact for shard in shards),
        sum(shard.near_total for shard in shards),
        tuple(found[key] for key in keys),
        merge_facets(_facets(shard) for shard in shards),
    )


def _facets(shard: ShardReply) -> list[FacetCount]:
    return [FacetCount(line.field, line.value, line.count) for line in shard.facets]


def encode_sizes(sizes: Mapping[OfficeCode, int]) -> bytes:
    """A snapshot as it travels: for each office, rising, six digits and the u64 size of its log."""
    return b"".join(code.encode() + sizes[code].to_bytes(8, "big") for code in sorted(sizes))


def decode_sizes(data: bytes) -> dict[OfficeCode, int]:
    """
    Raises:
        DecodeError: not the one spelling of a snapshot, or of too many offices.
    """
    count, rest = divmod(len(data), _ROW_BYTES)
    if rest or count > NETWORK_OFFICES_MAX:
        raise DecodeError("snapshot", f"up to {NETWORK_OFFICES_MAX} rows", f"{len(data)} bytes")
    sizes: dict[OfficeCode, int] = {}
    last = ""
    for at in range(0, len(data), _ROW_BYTES):
        try:
            code = parse_office(data[at : at + _CODE_BYTES].decode("ascii"))
        except UnicodeDecodeError as error:
            raise DecodeError("snapshot", "codes of offices", "other bytes") from error
        if code <= last:
            raise DecodeError("snapshot", "offices that rise", f"{code} after {last}")
        sizes[code] = int.from_bytes(data[at + _CODE_BYTES : at + _ROW_BYTES], "big")
        last = code
    return sizes
