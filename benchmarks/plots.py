"""Plots of saved figures, as SVG that is the same whenever the figures are.

``python -m benchmarks.plots`` draws again what is in docs/benchmarks and docs/scale; the benchmarks
call it too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
import matplotlib.pyplot as plt

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "benchmarks"
COLOURS = ("#b03a2e", "#2471a3", "#5dade2", "#1e8449", "#909497")
mpl.rcParams |= {
    "svg.hashsalt": "fangzhi",
    "svg.fonttype": "none",  # text stays text
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.constrained_layout.use": True,
}


def save(figure: Any, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, format="svg", metadata={"Date": None})
    plt.close(figure)


def bars(
    file: Path,
    title: str,
    groups: Sequence[str],
    series: Mapping[str, Sequence[float | None]],
    axis: str,
    *,
    logarithmic: bool = False,
) -> None:
    """Groups of bars, one colour a series; None leaves a gap."""
    figure, axes = plt.subplots(figsize=(max(5, 0.75 * len(groups) + 2), 3.6))
    width = 0.8 / len(series)
    for number, (name, values) in enumerate(series.items()):
        places = [at + (number - (len(series) - 1) / 2) * width for at in range(len(groups))]
        heights = [0 if value is None else value for value in values]
        axes.bar(places, heights, width, label=name, color=COLOURS[number % len(COLOURS)])
    axes.set_xticks(range(len(groups)), groups, rotation=30 if len(groups) > 4 else 0)
    axes.set(title=title, ylabel=axis)
    if logarithmic:
        axes.set_yscale("log")
    axes.legend(frameon=False, fontsize=8)
    save(figure, file)


def lines(
    file: Path,
    title: str,
    across: Sequence[float],
    series: Mapping[str, Sequence[float]],
    axes_names: tuple[str, str],
    *,
    logarithmic: str = "",
) -> None:
    """Lines over ``across``; ``logarithmic`` names the axes that are: x, y or xy."""
    figure, axes = plt.subplots(figsize=(5, 3.6))
    for number, (name, values) in enumerate(series.items()):
        axes.plot(across, values, marker="o", label=name, color=COLOURS[number % len(COLOURS)])
    for axis in logarithmic:
        getattr(axes, f"set_{axis}scale")("log")
    axes.set(title=title, xlabel=axes_names[0], ylabel=axes_names[1])
    axes.set_ylim(bottom=None if "y" in logarithmic else 0)
    axes.legend(frameon=False, fontsize=8)
    save(figure, file)


def draw_search(figures: dict[str, Any], folder: Path) -> None:
    engines = figures["engines"]
    kinds = [k for k in engines["fangzhi"]["kinds"] if k.startswith(("exact", "and"))]
    p50 = {
        name: [engine["kinds"].get(kind, {}).get("p50") for kind in kinds]
        for name, engine in engines.items()
    }
    title = f"Exact queries, {figures['megabytes']:.0f} MB of text"
    bars(folder / "search-exact.svg", title, kinds, p50, "p50, ms", logarithmic=True)
    asked = [k for k in engines["fangzhi"]["kinds"] if k not in kinds]
    recall = {
        name: [engine["kinds"].get(kind, {}).get("recall") for kind in asked]
        for name, engine in engines.items()
    }
    bars(folder / "search-recall.svg", "Found among the first ten", asked, recall, "recall@10")
    rates = {name: [e["build_mb_per_cpu_second"]] for name, e in engines.items()}
    bars(folder / "search-build.svg", "Building", [""], rates, "MB of text per CPU-second")
    if figures.get("growth"):
        grown = figures["growth"]
        across = [row["megabytes"] for row in grown]
        lines(
            folder / "search-growth-latency.svg",
            "Exact queries as the text grows",
            across,
            {name: [row[name] for row in grown] for name in ("p50", "p95")},
            ("MB of text", "ms"),
            logarithmic="xy",
        )
        lines(
            folder / "search-growth-build.svg",
            "Building as the text grows",
            across,
            {"fangzhi": [row["build_rate"] for row in grown]},
            ("MB of text", "MB per CPU-second"),
            logarithmic="x",
        )


def draw_federation(figures: dict[str, Any], folder: Path) -> None:
    rows = figures["losses"]
    shards = figures["shards"]
    times = {name: [row[name] for row in rows.values()] for name in ("p50", "p95")}
    title = f"A query over {shards} shards while holders are lost"
    bars(folder / "federation-losses.svg", title, list(rows), times, "ms", logarithmic=True)
    if figures.get("growth"):
        grown = figures["growth"]
        names = {"p50": "p50", "p95": "p95", "cpu": "processor of the coordinator"}
        lines(
            folder / "federation-growth.svg",
            "A query as shards grow in number",
            [row["shards"] for row in grown],
            {label: [row[name] for row in grown] for name, label in names.items()},
            ("shards", "ms"),
            logarithmic="xy",
        )


def draw_scale(figures: dict[str, Any], folder: Path) -> None:
    """Of ``python -m simulations scale``."""
    rows = figures["figures"]
    sizes = [f"{row['offices']:,} offices" for row in rows]

    def grouped(file: str, title: str, unit: float, axis: str, names: Mapping[str, str]) -> None:
        series = {label: [row[name] / unit for row in rows] for name, label in names.items()}
        bars(folder / file, title, sizes, series, axis, logarithmic=True)

    grouped("link.svg", "A county's link", 1e6, "MB a day", {
        "link_heads_bytes_a_day": "heads compared",
        "link_gossip_bytes_a_day": "notes and events",
        "county_files_bytes_a_day": "its own files",
    })  # fmt: skip
    grouped("events.svg", "Events of the network", 1, "a day", {
        "events_of_packages": "packages",
        "events_of_checks": "challenges",
        "events_of_anchors": "anchors",
    })  # fmt: skip
    grouped("query.svg", "A query at the province", 1e-3, "ms", {
        "query_s": "all",
        "query_coordinator_s": "coordinator",
        "query_holder_s": "slowest holder",
    })  # fmt: skip
    grouped("catch-up.svg", "A new county catches up", 1, "hours", {
        "catch_up_hours_1_year": "after one year",
        "catch_up_hours_10_years": "after ten",
    })  # fmt: skip
    years = range(1, 11)
    for file, title, name in (
        ("events-ten-years.svg", "Events in every ledger, millions", "events_a_day"),
        ("ledger-ten-years.svg", "Ledger of every node, GB", "ledger_bytes_a_year"),
    ):
        per_year = 365 / 1e6 if name == "events_a_day" else 1 / 1e9
        series = {
            size: [year * row[name] * per_year for year in years]
            for size, row in zip(sizes, rows, strict=True)
        }
        lines(folder / file, title, list(years), series, ("years", ""), logarithmic="y")


def main() -> None:
    for name, folder, draw in (
        ("search", FOLDER, draw_search),
        ("federation", FOLDER, draw_federation),
        ("scale", FOLDER.parent / "scale", draw_scale),
    ):
        saved = folder / f"{name}.json"
        if saved.is_file():
            draw(json.loads(saved.read_text("utf-8")), folder)
            print(f"drawn again from {saved.name}")


if __name__ == "__main__":
    main()
