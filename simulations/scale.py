"""What would 109, 500, 3,300 offices cost?  Reckoned from what one of each costs (:mod:`costs`).

A model: arithmetic on measured costs and on the assumptions of :class:`Work`.  It knows the shape
of the network (a province, its cities, their counties; every log at every node; each link carries
every note; heads compared after news) and no queueing: figures are means, not worst cases.
The assumptions in words, the figures and what they mean are in docs/scale.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from math import ceil, exp
from pathlib import Path
from typing import Any, Final

from node.hands.config import KeepingConfig, LedgerConfig
from protocol.limits import (
    FRAME_BYTES_MAX,
    LINKS_MAX,
    NETWORK_OFFICES_MAX,
    REQUEST_BYTES_MAX,
)
from protocol.placement import COPIES_MIN
from search_shard.tables import Tables
from simulations.costs import PAGES, SHAPES, Costs, measure
from simulations.sizes import AtSize

FOLDER: Final = Path(__file__).resolve().parents[1] / "docs" / "scale"
YEARS: Final = tuple(range(1, 11))
DAY_S: Final = 86_400
MINUTES: Final = 1440
YEAR_DAYS: Final = 365


@dataclass(frozen=True, slots=True)
class Work:
    """What an office does, and over which lines; docs/scale/README.md says where it is from."""

    packages_a_year: float = 100.0
    pages_each: float = 600.0
    bytes_each: float = 60e6
    queries_a_day: float = 200.0  # put to an office's node by its readers
    campaign_days: float = 5.0  # in which a whole year's packages are handed in
    hours_a_day: float = 8.0
    there_and_back_s: float = 0.040
    on_its_way_s: float = 1.0  # from an event to its being everywhere
    county_bit_s: float = 10e6
    city_bit_s: float = 100e6
    province_bit_s: float = 1000e6


@dataclass(frozen=True, slots=True)
class Events:
    """Of the whole network, a day."""

    packages: float  # upload, text, holdings, review, receipt
    checks: float  # what each asker says of each holder it challenged
    anchors: float
    bytes: float

    @property
    def all(self) -> float:
        return self.packages + self.checks + self.anchors


def events(costs: Costs, cities: int, counties: int, work: Work) -> Events:
    offices, entry = 1 + cities + counties, costs.entry_bytes
    packages = offices * work.packages_a_year / YEAR_DAYS
    kinds = ["version.upload", "text.derive", "review.accept", "receipt.issue"]
    kinds += ["hold.take"] * COPIES_MIN
    # A county asks the two others that hold its items; whoever holds everybody's asks everybody.
    asked = KeepingConfig().checks_per_day
    of_city = 1 + _different(offices, asked / 2)
    checks = 2 * counties + cities * of_city + _different(offices, asked)
    said = 3 * packages / offices + 2  # moments at which one office's log grows, apart from anchors
    of_each_city = _minutes(counties / cities * said)
    city_grows = of_each_city + said + 3 * packages / cities
    of_province = _minutes(cities * city_grows)
    lines = cities * (counties / cities * min(said, MINUTES) + _minutes(city_grows))
    anchors = cities * of_each_city + of_province
    size = packages * sum(entry[kind] for kind in kinds) + checks * entry["hold.check"]
    size += anchors * (entry["anchor"] - costs.anchor_line_bytes) + lines * costs.anchor_line_bytes
    return Events(packages * len(kinds), checks, anchors, size)


def _different(things: float, draws: float) -> float:
    """How many different ones so many draws meet."""
    missed: float = (1 - 1 / things) ** draws
    return things * (1 - missed)


def _minutes(moments: float) -> float:
    """Of a day, in which at least one of so many moments falls."""
    return MINUTES * (1 - exp(-moments / MINUTES))


def figures(costs: Costs, cities: int, counties: int, work: Work | None = None) -> dict[str, float]:
    """Everything that is reckoned for one size; the unit is in the name.

    Raises:
        KeyError: the costs were not measured with so many offices.
    """
    work = work or Work()
    offices, at = 1 + cities + counties, costs.size(1 + cities + counties)
    said = events(costs, cities, counties, work)
    return {
        "offices": offices,
        "cities": cities,
        "events_a_day": said.all,
        "events_of_packages": said.packages,
        "events_of_checks": said.checks,
        "events_of_anchors": said.anchors,
        **_links(costs, at, said, cities, work),
        **_catching_up(costs, said, work),
        **_search(costs, at, cities, work),
        **_kept(costs, said, offices, cities, work),
    }


def _links(costs: Costs, at: AtSize, said: Events, cities: int, work: Work) -> dict[str, float]:
    # Two nodes compare a while after news, by a digest; where something is on its way just then
    # they tell each other every head.
    rounds = DAY_S / LedgerConfig().sync_s
    compared = rounds * (1 - exp(-said.all / rounds))
    differ = 1 - exp(-said.all / DAY_S * work.on_its_way_s)
    heads = compared * (costs.digest_bytes + differ * at.heads_bytes)
    gossip = said.all * costs.told_bytes / costs.told_events
    packages = at.offices * work.packages_a_year
    comparing = compared * cities * (at.digest_s + differ * at.heads_s)
    seconds = comparing + said.all * (costs.store_s + costs.fold_s)
    campaign_s = work.campaign_days * work.hours_a_day * 3600
    return {
        "link_heads_bytes_a_day": heads,
        "link_gossip_bytes_a_day": gossip,
        "county_files_bytes_a_day": (COPIES_MIN - 1)
        * packages
        / at.offices
        * work.bytes_each
        / 365,
        "province_links": cities,
        "province_in_bytes_a_day": cities * (heads + gossip) / 2 + packages * work.bytes_each / 365,
        "province_cores": seconds / DAY_S,
        "campaign_province_bit_s": 8 * packages * work.bytes_each / campaign_s,
        "campaign_events_s": packages * (said.packages / (packages / YEAR_DAYS)) / campaign_s,
    }


def _catching_up(costs: Costs, said: Events, work: Work) -> dict[str, float]:
    """Of a county's node that has nothing, after one year and after ten."""

    def hours(years: float) -> float:
        count, size = said.all * YEAR_DAYS * years, said.bytes * YEAR_DAYS * years
        return max(count * (costs.store_s + costs.fold_s), 8 * size / work.county_bit_s) / 3600

    month = said.all * 30 * (costs.store_s + costs.fold_s)
    return {
        "catch_up_hours_1_year": hours(1),
        "catch_up_hours_10_years": hours(10),
        "city_cut_off_a_month_s": max(month, 8 * said.bytes * 30 / work.city_bit_s),
    }


def _search(costs: Costs, at: AtSize, cities: int, work: Work) -> dict[str, float]:
    """One query at the province, when every city answers for its counties."""
    pages = work.packages_a_year * work.pages_each  # of one shard, after a year
    shard_s = costs.rank_s * max(1.0, pages / PAGES) ** 0.5  # lists are read by their ends
    shards = at.offices / max(cities, 1)
    asks = cities * at.as_of_bytes
    replies = at.offices * costs.reply_bytes + cities * 10 * costs.hit_bytes
    coordinator_s = at.plan_s + at.offices * costs.merge_s
    wire_s = 8 * (asks + replies) / work.province_bit_s
    queries = work.queries_a_day * at.offices
    return {
        "query_s": work.there_and_back_s + coordinator_s + shards * shard_s + wire_s,
        "query_coordinator_s": coordinator_s,
        "query_holder_s": shards * shard_s,
        "query_asks_bytes": asks,
        "query_replies_bytes": replies,
        "city_search_cores": queries * shards * shard_s / (work.hours_a_day * 3600),
    }


def _kept(costs: Costs, said: Events, offices: int, cities: int, work: Work) -> dict[str, float]:
    """Bytes that one year adds."""
    ledger = said.bytes + said.all * costs.ledger_bytes
    packages = work.packages_a_year
    pages = packages * work.pages_each * (costs.segment_bytes + costs.page_bytes)
    return {
        "ledger_bytes_a_year": YEAR_DAYS * ledger,
        "state_bytes_a_year": YEAR_DAYS * said.packages * costs.state_bytes,
        "files_bytes_a_year_county": packages * work.bytes_each,
        "files_bytes_a_year_city": packages * work.bytes_each * (1 + offices / max(cities, 1)),
        "files_bytes_a_year_province": packages * work.bytes_each * offices,
        "index_bytes_a_year_city": pages * offices / max(cities, 1),
    }


def bounds(costs: Costs, cities_share: float) -> dict[str, int]:
    """At how many offices of one network each bound of the code is met."""
    line = (costs.at[-1].heads_bytes - costs.at[0].heads_bytes) / (
        costs.at[-1].offices - costs.at[0].offices
    )
    return {
        "LINKS_MAX": int(LINKS_MAX / cities_share),
        "NETWORK_OFFICES_MAX": NETWORK_OFFICES_MAX,
        "REQUEST_BYTES_MAX (a snapshot goes with each question)": REQUEST_BYTES_MAX // 14,
        "FRAME_BYTES_MAX (heads)": int(FRAME_BYTES_MAX / line),
        "a core of the province compares heads all day": _one_core(costs, cities_share),
    }


def _one_core(costs: Costs, cities_share: float) -> int:
    """Where comparing heads with every city takes as long as the pause between: each of so many
    links takes a time that grows with the offices; between what was measured by a straight line."""

    def busy(at: AtSize) -> float:
        return ceil(at.offices * cities_share) * (at.digest_s + at.heads_s) / LedgerConfig().sync_s

    below, above = costs.at[0], costs.at[-1]
    for one, other in zip(costs.at, costs.at[1:], strict=False):
        if busy(one) < 1 <= busy(other):
            below, above = one, other
    rate = (busy(above) - busy(below)) / (above.offices - below.offices)
    return int(below.offices + (1 - busy(below)) / rate)


# ---- the command


def run_scale(folder: Path, tables: Tables, again: bool) -> dict[str, Any]:
    """Measured (again, or what ``folder`` has of an earlier day), reckoned, written to
    ``scale.json`` there, and returned."""
    saved = folder / "scale.json"
    if saved.is_file() and not again:
        told = json.loads(saved.read_text("utf-8"))
        costs, measured = _read(told["costs"]), told["measured"]
    else:
        costs, measured = measure(tables), date.today().isoformat()  # noqa: DTZ011
    last = SHAPES[-1]
    told = {
        "measured": measured,
        "costs": asdict(costs),
        "work": asdict(Work()),
        "figures": [figures(costs, *shape) for shape in SHAPES],
        "bounds": bounds(costs, last[0] / (1 + sum(last))),
    }
    folder.mkdir(parents=True, exist_ok=True)
    saved.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", "utf-8")
    return told


def _read(costs: Mapping[str, Any]) -> Costs:
    return Costs(**{**costs, "at": tuple(AtSize(**at) for at in costs["at"])})


def lines(told: Mapping[str, Any]) -> list[str]:
    """The table for people."""
    rows = [f"measured {told['measured']}"]
    for name in told["figures"][0]:
        cells = "".join(f"{_shown(each[name]):>14}" for each in told["figures"])
        rows.append(f"{name:28}{cells}")
    rows += [
        f"{count:>7,} offices: {name}"
        for name, count in sorted(told["bounds"].items(), key=lambda row: row[1])
    ]
    return rows


def _shown(value: float) -> str:
    for size, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.3g}"
