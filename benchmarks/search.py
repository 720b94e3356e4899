"""Figures of one shard against their bars, with tantivy and SQLite FTS5 beside it in the same run.

    python -m benchmarks.search [--quick] [--seed N] [--megabytes N] [--queries N]
        [--only-ours] [--no-growth] [--clock wall|cpu] [--block N] [--out FOLDER]

Engines answer the same queries in turns, a block at a time, so that whatever else the machine does
hits them alike; read the ratios.  A scan of the text is the judge of totals: a total that differs
is printed and makes the command fail.  How to read the figures: benchmarks/README.md.
"""

from __future__ import annotations

import os

os.environ.setdefault("NPY_DISABLE_CPU_FEATURES", "X86_V4")  # as the node's indexing process does

import argparse
import gc
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import plots
from benchmarks.shard import growth, process
from benchmarks.shard.answers import Case, Engine, bytes_in
from benchmarks.shard.bars import OURS, PAIRS, bars
from benchmarks.shard.corpus import Section, data_folder, read_sections, utf8_bytes
from benchmarks.shard.folding import Folding
from benchmarks.shard.measure import CLOCKS, Asked, Meant, ask_in_turns, percentiles
from benchmarks.shard.ours import EXACT_TABLES, TEXT_BLOCKS, OurReader, our_engine
from benchmarks.shard.peers import all_peers
from benchmarks.shard.queries import POOLED, QueryMaker
from benchmarks.shard.totals import check_ours, check_peers
from search_shard.tables import Tables, build_tables

_WARM_SEED = 1_000_003  # other queries than the measured ones
_MEMORY_QUERIES = 1_000
_GROWTH = (0.1, 1, 10)  # of the text


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=1, help="of the queries")
    parser.add_argument("--megabytes", type=float, default=99.6)
    parser.add_argument("--queries", type=int, default=200, help="of each kind")
    parser.add_argument("--block", type=int, default=25, help="queries an engine is asked in a row")
    parser.add_argument("--quick", action="store_true", help="10 MB, 40 queries of each kind")
    parser.add_argument("--only-ours", action="store_true", help="no peers and no bars")
    parser.add_argument("--no-growth", action="store_true")
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--out", type=Path, help="where figures and plots are saved")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.megabytes, chosen.queries, chosen.no_growth = 10, 40, True
    return chosen


def main() -> None:
    chosen = options()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "tables").write_bytes(build_tables())
        figures = measure(chosen, folder)
    if not chosen.only_ours:
        passed = [bar for bar in bars(figures) if print(bar.line()) is None]
        figures["bars"] = [asdict(bar) | {"passed": bar.passed} for bar in passed]
    if chosen.out:
        chosen.out.mkdir(parents=True, exist_ok=True)
        (chosen.out / "search.json").write_text(json.dumps(figures, indent=1, ensure_ascii=False))
        plots.draw_search(figures, chosen.out)
    if figures["wrong_totals"]:
        sys.exit(f"{figures['wrong_totals']} TOTALS ARE WRONG")


def measure(chosen: argparse.Namespace, folder: Path) -> dict[str, Any]:
    tables = Tables.from_bytes((folder / "tables").read_bytes())
    folding = Folding(tables)
    sections = read_sections(chosen.megabytes, seed=0)
    size = utf8_bytes(sections)
    print(f"{size / 1e6:.1f} MB in {len(sections)} sections, seed {chosen.seed}")
    engines = [our_engine(tables), *([] if chosen.only_ours else all_peers(folding))]
    figures: dict[str, Any] = {"megabytes": size / 1e6, "seed": chosen.seed, "engines": {}}
    for engine in engines:
        figures["engines"][engine.name] = build(engine, sections, folder / engine.name)
    readers = [engine.open(folder / engine.name) for engine in engines]
    assert isinstance(readers[0], OurReader)
    figures["sizes"] = sizes(readers[0], size)
    confusions = data_folder() / "confusions"
    cases = QueryMaker(sections, chosen.seed, folding, confusions).make(chosen.queries)
    warm = QueryMaker(sections, chosen.seed + _WARM_SEED, folding, confusions).make(10)
    gc.collect()
    gc.freeze()  # the text in this process is no engine's garbage
    asked = ask_in_turns(readers, cases, warm, chosen.clock, chosen.block)
    meant = Meant(cases, sections, folding)
    for name, answers in asked.items():
        figures["engines"][name] |= tell(name, answers, meant)
    peers = {name: answers for name, answers in asked.items() if name != OURS}
    figures["wrong_totals"] = check_ours(asked[OURS], readers[0], sections, folding)
    figures["wrong_totals"] += check_peers(peers, sections, folding)
    if PAIRS in asked:
        figures["p50_to_bigrams"] = ratio_where_both(asked[OURS], asked[PAIRS])
    exact = process.write_cases([case for case in cases if case.kind in POOLED], folder / "exact")
    for engine in engines:
        rate = process.throughput(engine.name, folder / "tables", folder / engine.name, exact)
        figures["engines"][engine.name]["clients_per_second"] = rate
        print(f"{engine.name:26} 2 clients {rate:10.0f} queries/s")
    figures["memory"] = memory(sections, cases, folder)
    figures["new_text"] = [
        growth.add_text(sections, amount, tables, folder / OURS)
        for amount in (0.1, 1, 5)
        if amount < chosen.megabytes
    ]
    print(
        "new text:", *(f"{r['megabytes']:g} MB {r['seconds']:.2f} s," for r in figures["new_text"])
    )
    if not chosen.no_growth:
        figures["growth"] = grow(sections, cases, tables, folder, chosen.clock)
    return figures


def build(engine: Engine, sections: Sequence[Section], folder: Path) -> dict[str, Any]:
    folder.mkdir()
    wall, cpu = time.perf_counter(), time.process_time()
    engine.build(sections, folder)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    size = utf8_bytes(sections)
    share = bytes_in(folder) / size
    rate = size / 1e6 / cpu
    print(f"{engine.name:26} built {rate:6.1f} MB per CPU-second, files {share:.3f} × the text")
    return {"build_mb_per_cpu_second": rate, "build_seconds": wall, "files_to_text": share}


def sizes(reader: OurReader, text_bytes: int) -> dict[str, float]:
    """Blocks of our segments as shares of the text; the kept text counts for itself."""
    shares = {name: size / text_bytes for name, size in reader.sizes().items()}
    text = sum(shares[name] for name in TEXT_BLOCKS)
    exact = sum(share for name, share in shares.items() if name.startswith(EXACT_TABLES))
    tables = sum(shares.values()) - text
    print("blocks:", ", ".join(f"{n} {s:.3f}" for n, s in shares.items() if s >= 0.0005))
    print(f"index ÷ text: exact {exact:.3f}, all tables {tables:.3f}, + text {text:.3f}")
    return {"exact": exact, "tables": tables, "text": text}


def tell(name: str, answers: Sequence[Asked], meant: Meant) -> dict[str, Any]:
    """Print and return an engine's times and recall for each kind of query."""
    kinds: dict[str, list[Asked]] = {}
    for one in answers:
        kinds.setdefault(one.case.kind, []).append(one)
        if one.case.ask == "near":
            kinds.setdefault(f"{one.case.kind}, {one.case.size} characters", []).append(one)
    kinds["all exact"] = [one for one in answers if one.case.kind in POOLED]
    figures: dict[str, Any] = {}
    for kind, group in sorted(kinds.items()):
        p50, p95, p99 = percentiles(one.seconds for one in group)
        recall = sum(map(meant.recall, group)) / len(group)
        found = sum(map(meant.found, group)) / len(group)
        row = {"n": len(group), "p50": p50, "p95": p95, "p99": p99}
        figures[kind] = row | {"recall": recall, "found": found}
        times = f"{p50:9.3f} {p95:9.3f} {p99:9.3f}"
        print(f"{name:24} {kind:28} n {len(group):4} {times}  {recall:.4f} {found:.4f}")
    return {"exact": figures.pop("all exact"), "kinds": figures}


def ratio_where_both(ours: Sequence[Asked], theirs: Sequence[Asked]) -> float:
    """p50 over p50, of exact queries that both answered."""
    times = [{one.case: one.seconds for one in group} for group in (ours, theirs)]
    both = [case for case in times[0].keys() & times[1].keys() if case.kind in POOLED]
    first, second = (percentiles(each[case] for case in both)[0] for each in times)
    return first / second


def memory(sections: Sequence[Section], cases: Sequence[Case], folder: Path) -> dict[str, Any]:
    plenty = (list(cases) * (_MEMORY_QUERIES // len(cases) + 1))[:_MEMORY_QUERIES]
    asked = process.write_cases(plenty, folder / "cases")
    text = process.write_sections(sections, folder / "sections")
    tables = folder / "tables"
    reader = process.finish(process.start("memory", OURS, tables, folder / OURS, asked))
    built = process.finish(process.start("build", OURS, tables, folder, text))
    print(
        f"memory: build {built['over_documents'] / 1e6:.0f} MB over the documents; reader "
        f"{reader['resident'] / 1e6:.0f} MB, of which {reader['mapped'] / 1e6:.0f} mapped files"
    )
    return {"build_over_documents": built["over_documents"], "reader": reader}


def grow(
    sections: Sequence[Section], cases: Sequence[Case], tables: Tables, folder: Path, clock: str
) -> list[dict[str, Any]]:
    exact = [case for case in cases if case.kind in POOLED]
    grown = []
    for times in _GROWTH:
        part = sections[: int(len(sections) * min(times, 1))]
        at = folder / f"grown {times}"
        one = growth.grow(part, max(1, int(times)), exact, tables, at, clock)
        grown.append(asdict(one))
        print(
            f"{one.megabytes:7.0f} MB, {one.segments} segments: {one.build_rate:.1f} MB per "
            f"CPU-second, exact p50 {one.p50:.3f} p95 {one.p95:.3f} ms"
        )
    return grown


if __name__ == "__main__":
    main()
