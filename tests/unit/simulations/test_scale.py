"""The model of large networks: what it reckons from costs that are given."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from search_shard.tables import Tables
from simulations import scale
from simulations.costs import SHAPES, Costs
from simulations.scale import Work, bounds, events, figures, lines, run_scale
from simulations.sizes import AtSize

KINDS = ("version.upload", "text.derive", "hold.take", "review.accept", "receipt.issue")
COSTS = Costs(
    entry_bytes={**dict.fromkeys(KINDS, 300), "hold.check": 200, "anchor": 250},
    anchor_line_bytes=50,
    digest_bytes=120,
    ledger_bytes=100,
    state_bytes=700,
    told_bytes=3000,
    told_events=3,
    sign_s=1e-5,
    verify_s=1e-4,
    store_s=1e-5,
    fold_s=2e-4,
    segment_bytes=2000,
    page_bytes=1000,
    build_s=1e-4,
    rank_s=2e-4,
    merge_s=1e-5,
    reply_bytes=20,
    hit_bytes=400,
    at=tuple(
        AtSize(offices, 44 * offices, 2e-5 * offices, 1e-5 * offices, 1e-3, 1e-2, 0.1, 14 * offices)
        for offices in (1 + sum(shape) for shape in SHAPES)
    ),
)


def test_events_of_a_network_that_can_be_reckoned_by_hand() -> None:
    work = Work(packages_a_year=365)
    said = events(COSTS, 2, 4, work)
    assert said.packages == 7 * 7  # seven offices, one package a day each, seven events of each
    # Counties ask two holders each; with 48 and 96 draws of seven everybody is asked.
    assert said.checks == pytest.approx(2 * 4 + 2 * (1 + 7) + 7, abs=0.05)
    # Two counties below a city say something at five moments each: ten minutes of the day.
    of_city = 1440 * (1 - 2.718281828 ** (-10 / 1440))
    assert said.anchors > 2 * of_city
    assert said.bytes > said.packages * 300 + said.checks * 200


def test_no_minute_has_more_than_one_anchor_of_a_parent() -> None:
    busy = events(COSTS, 333, 2966, Work(packages_a_year=1e6))
    assert busy.anchors <= 1440 * (333 + 1)


def test_a_larger_network_costs_more_of_everything() -> None:
    small, middle, large = (figures(COSTS, *shape) for shape in SHAPES)
    own = {"county_files_bytes_a_day", "files_bytes_a_year_county"}  # these are an office's own
    for name in small.keys() - own - {"files_bytes_a_year_city", "index_bytes_a_year_city"}:
        assert small[name] < large[name], name
        if name not in ("query_holder_s", "city_search_cores"):  # cities are dealt out unevenly
            assert small[name] < middle[name] < large[name], name


def test_a_county_catches_up_by_the_slower_of_line_and_processor() -> None:
    slow_line = figures(COSTS, *SHAPES[0], Work(county_bit_s=1e3))
    slow_fold = figures(replace(COSTS, fold_s=1.0), *SHAPES[0])
    usual = figures(COSTS, *SHAPES[0])
    assert slow_line["catch_up_hours_1_year"] > usual["catch_up_hours_1_year"]
    assert slow_fold["catch_up_hours_1_year"] > usual["catch_up_hours_1_year"]
    assert usual["catch_up_hours_10_years"] == pytest.approx(10 * usual["catch_up_hours_1_year"])


def test_bounds_are_met_where_the_code_has_them() -> None:
    found = bounds(COSTS, 0.1)
    assert found["LINKS_MAX"] == 2560
    assert found["REQUEST_BYTES_MAX (a snapshot goes with each question)"] == 128 * 1024 // 14
    # n/10 links of n × 30 µs in 30 s: n² = 10⁷
    assert found["a core of the province compares heads all day"] == pytest.approx(3162, rel=0.05)


def test_figures_of_an_earlier_day_are_kept(
    tmp_path: Path, tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scale, "measure", lambda _tables: COSTS)
    first = run_scale(tmp_path, tables, again=False)
    monkeypatch.setattr(scale, "measure", lambda _tables: replace(COSTS, fold_s=9.0))
    assert run_scale(tmp_path, tables, again=False)["costs"] == first["costs"]
    assert run_scale(tmp_path, tables, again=True)["costs"]["fold_s"] == 9.0
    saved = json.loads((tmp_path / "scale.json").read_text("utf-8"))
    assert saved["work"] == asdict(Work())
    assert len(lines(saved)) > len(saved["bounds"])


def test_a_quiet_network_compares_nothing() -> None:
    quiet = figures(COSTS, *SHAPES[0], Work(packages_a_year=1.0))
    busy = figures(COSTS, *SHAPES[0], Work(packages_a_year=1e5))
    assert quiet["link_heads_bytes_a_day"] < busy["link_heads_bytes_a_day"]
    most = 2880 * (COSTS.digest_bytes + COSTS.size(109).heads_bytes)
    assert busy["link_heads_bytes_a_day"] <= most
