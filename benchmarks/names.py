"""Names: titles spelled as somebody else reads them, and how long a suggestion takes.

    python -m benchmarks.names --pages PAGES.jsonl.xz ... [--names N] [--queries N] [--seed N]

Known-item queries: a title is drawn and spelled by pypinyin, which reads whole phrases and which
the index does not ask; it has to be among the first ten.  Local readings are those that Jiangsu
gives its own names.  Made names fill the index up to ``--names``.
"""

from __future__ import annotations

import argparse
import json
import lzma
import random
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from node.hands.processor import prefer_fast_sort
from search_shard.names import Name, Names
from search_shard.readings import LOCAL_READINGS
from search_shard.tables import Tables, build_tables

SHOWN = 10
Spell = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class NamesFigures:
    """Recall at ten by kind of query, and milliseconds (p50, p95) of a suggestion."""

    names: int
    build_seconds: float
    megabytes: float
    recall: dict[str, float]
    ms: dict[str, tuple[float, float]]


def read_names(files: Iterable[Path]) -> list[Name]:
    """Titles and headings of files of pages (JSON lines with title and section), with pages."""
    titles: Counter[str] = Counter()
    headings: Counter[tuple[str, str]] = Counter()
    for file in files:
        with lzma.open(file, "rt", encoding="utf-8") as lines:
            for page in map(json.loads, lines):
                titles[page["title"]] += 1
                headings[page["section"], page["title"]] += 1
    found = [Name("title", title, title, pages) for title, pages in titles.items()]
    return found + [Name("heading", *key, pages) for key, pages in headings.items() if key[0]]


def made_names(count: int, rng: random.Random, like: list[Name]) -> list[Name]:
    """Headings of characters as frequent as in ``like``: harder than real ones, for every
    neighbourhood occurs."""
    characters = [c for name in like for c in name.text if "\u4e00" <= c < "\u9fff"]
    lengths = [min(max(len(name.text), 2), 16) for name in like]
    return [
        Name(
            "heading",
            "".join(rng.choices(characters, k=rng.choice(lengths))),
            f"item {at % 3000}",
            rng.randint(1, 30),
        )
        for at in range(count)
    ]


def spellings() -> dict[str, Spell]:
    """Ways to type a title."""
    from pypinyin import Style, lazy_pinyin  # noqa: PLC0415 (half a second, only here)

    def pinyin(text: str) -> str:
        return "".join(lazy_pinyin(text))

    return {
        "characters": lambda text: text,
        "pinyin": pinyin,
        "pinyin with spaces": lambda text: " ".join(lazy_pinyin(text)),
        "pinyin, the last syllable begun": lambda text: pinyin(text)[:-1],
        "mixed": lambda text: text[:1] + pinyin(text[1:]),
        "initials": lambda text: "".join(lazy_pinyin(text, style=Style.FIRST_LETTER)),
    }


def local_spellings() -> dict[str, str]:
    """Names of this region and how it reads them."""
    return {name: spelled.replace(" ", "") for name, spelled in LOCAL_READINGS.items()}


def ask(names: Names, queries: list[tuple[str, str]]) -> tuple[float, tuple[float, float]]:
    """Share of (typed, meant) whose meant name is shown, and ms (p50, p95) of one question."""
    found, spent = 0, []
    for typed, meant in queries:
        began = time.thread_time()
        shown = names.suggest(typed, SHOWN)
        spent.append((time.thread_time() - began) * 1000)
        found += any(one.text == meant for one in shown)
    return found / len(queries), (statistics.median(spent), float(np.percentile(spent, 95)))


def measure(entries: list[Name], tables: Tables, count: int, rng: random.Random) -> NamesFigures:
    """Known-item figures over ``entries``."""
    began = time.process_time()
    names = Names.build(entries, tables)
    seconds = time.process_time() - began
    titles = [name.text for name in entries if name.kind == "title"]
    typable = [text for text in titles if all("\u4e00" <= c < "\u9fff" for c in text)]
    typable = [text for text in typable if len(text) <= 20]
    drawn = rng.sample(typable, min(count, len(typable)))
    recall, ms = {}, {}
    for kind, spell in spellings().items():
        recall[kind], ms[kind] = ask(names, [(spell(text), text) for text in drawn])
    local = {name: f"{name}县志" for name in LOCAL_READINGS}
    more = [Name("title", title, title, 1) for title in local.values()]
    wider = Names.build([*entries, *more], tables)
    queries = [(spelled, local[name]) for name, spelled in local_spellings().items()]
    recall["local readings"], ms["local readings"] = ask(wider, queries)
    return NamesFigures(len(names.kinds), seconds, held_megabytes(names), recall, ms)


def held_megabytes(names: Names) -> float:
    """Bytes of the arrays and joined texts of an index, in MB."""
    parts = (names, names.texts, names.texts.everywhere, names.texts.beginnings)
    held = [getattr(part, slot) for part in parts for slot in type(part).__slots__]
    size = sum(one.nbytes for one in held if isinstance(one, np.ndarray))
    return (size + sys.getsizeof(names.spellings) + sum(map(sys.getsizeof, names.sources))) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=Path, nargs="+", required=True)
    parser.add_argument("--names", type=int, default=200_000)
    parser.add_argument("--queries", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    prefer_fast_sort()
    rng = random.Random(chosen.seed)
    tables = Tables.from_bytes(build_tables())
    real = read_names(chosen.pages)
    for entries in (real, real + made_names(chosen.names - len(real), rng, real)):
        figures = measure(entries, tables, chosen.queries, rng)
        print(
            f"{figures.names} names: built in {figures.build_seconds:.2f} CPU-s,"
            f" {figures.megabytes:.1f} MB"
        )
        for kind, recall in figures.recall.items():
            p50, p95 = figures.ms[kind]
            print(f"  {kind:36} recall@10 {recall:.3f}   p50 {p50:.2f} ms   p95 {p95:.2f} ms")


if __name__ == "__main__":
    main()
