"""The bars that a shard is held to, and which of them a run's figures pass."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

ONE, PAIRS, FIELDS = "tantivy, one character", "tantivy, bigrams", "tantivy, several fields"
OURS = "fangzhi"


@dataclass(frozen=True, slots=True)
class Bar:
    name: str
    figure: float
    bar: float
    at_least: bool

    @property
    def passed(self) -> bool:
        return self.figure >= self.bar if self.at_least else self.figure <= self.bar

    def line(self) -> str:
        sign = "≥" if self.at_least else "≤"
        verdict = "pass" if self.passed else "MISS"
        return f"{verdict}  {self.name:58} {self.figure:9.3f}  ({sign} {self.bar:g})"


def bars(figures: dict[str, Any]) -> list[Bar]:
    """Every bar whose figures were measured."""
    return [Bar(*row) for row in _rows(figures)]


def _rows(figures: dict[str, Any]) -> Iterator[tuple[str, float, float, bool]]:
    engines, most, least = figures["engines"], False, True
    ours, one = engines[OURS], engines[ONE]
    rate = "build_mb_per_cpu_second"
    yield "build rate ÷ tantivy one character", ours[rate] / one[rate], 1.2, least
    yield "build rate ÷ tantivy with fields", ours[rate] / engines[FIELDS][rate], 6, least
    yield "index ÷ text, exact table", figures["sizes"]["exact"], 0.72, most
    yield "index ÷ text, all tables", figures["sizes"]["tables"], 1.2, most
    for name, share in (("p50", 0.15), ("p95", 0.2), ("p99", 0.3)):
        ratio = ours["exact"][name] / one["exact"][name]
        yield f"exact {name} ÷ tantivy one character", ratio, share, most
    yield "exact p50 ÷ tantivy bigrams, 2 characters and more", figures["p50_to_bigrams"], 1, most
    if "clients_per_second" in ours:
        rates = (ours["clients_per_second"], one["clients_per_second"])
        yield "2 clients, queries/s ÷ tantivy one character", rates[0] / rates[1], 6, least
    yield "totals that differ from the scan", figures["wrong_totals"], 0, most
    yield from _recalls(ours["kinds"], engines)
    if "memory" in figures:
        peak = figures["memory"]["build_over_documents"] / 1e6
        yield "peak memory of a build over the documents, MB", peak, 550, most
        yield "resident reader, MB", figures["memory"]["reader"]["resident"] / 1e6, 150, most
    for row in figures.get("new_text", []):
        if row["megabytes"] <= 1:
            name = f"{row['megabytes']:g} MB of new text searchable after, s"
            yield name, row["seconds"], 1, most
    if figures.get("growth"):
        rates = [row["build_rate"] for row in figures["growth"]]
        yield "build rate, slowest ÷ fastest size", min(rates) / max(rates), 0.8, least
        p50s = [row["p50"] for row in figures["growth"]]
        yield "exact p50, largest ÷ smallest size", p50s[-1] / p50s[0], 3, most


def _recalls(
    kinds: dict[str, Any], engines: dict[str, Any]
) -> Iterator[tuple[str, float, float, bool]]:
    """A bar whose kind could not be asked (no confusion sets) is left out."""
    fields = engines[FIELDS]["kinds"]
    for kind, bar in (
        ("wrong by sound", 0.995),
        ("wrong by shape", 0.97),
        ("title pinyin", 0.995),
        ("title initials", 0.97),
        ("variants t2s", 1.0),
        ("variants s2t", 1.0),
    ):
        if kind in kinds:
            yield f"recall@10, {kind}", kinds[kind]["recall"], bar, True
    for kind in ("wrong by sound", "wrong by shape"):
        if kind in kinds:
            ratio = kinds[kind]["p50"] / fields[kind]["p50"]
            yield f"{kind}, p50 ÷ tantivy with fields", ratio, 0.1, False
    if "pinyin on text" in kinds:
        best = max(
            engine["kinds"]["pinyin on text"]["recall"]
            for name, engine in engines.items()
            if name != OURS and "pinyin on text" in engine["kinds"]
        )
        recall = kinds["pinyin on text"]["recall"]
        yield "recall@10, pinyin on text (the best peer's)", recall, best, True
