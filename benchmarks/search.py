"""Figures of one shard: building, size, and answering queries drawn afresh from a seed.

``python -m benchmarks.search [--seed N] [--megabytes N] [--queries N]``.  Text comes from
``text/bench.jsonl.xz`` in the folder that FANGZHI_DATA names (default: beside the project); where
it is absent, text is generated.  tantivy, one character a token, runs beside it if installed.
"""

from __future__ import annotations

import argparse
import json
import lzma
import os
import random
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from search_shard.query import parse_query
from search_shard.search import search
from search_shard.segment import Page, Segment, build_segment
from search_shard.shard import Shard
from search_shard.tables import Tables, build_tables

SECTION_CHARS = 1000


def read_texts(megabytes: float) -> Iterator[tuple[str, str, str]]:
    """Title, section and text of sections, up to ``megabytes`` of UTF-8."""
    beside = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
    file = Path(os.environ.get("FANGZHI_DATA") or beside) / "text" / "bench.jsonl.xz"
    left = megabytes * 1e6
    if not file.is_file():
        print(f"no {file}: generated text")
        letters = [chr(0x4E00 + n) for n in range(5000)]
        weights = [1 / (n + 2) for n in range(5000)]
        while left > 0:
            text = "".join(random.choices(letters, weights, k=SECTION_CHARS))
            left -= 3 * len(text)
            yield "志", "", text
        return
    with lzma.open(file, "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            for start in range(0, len(row["text"]), SECTION_CHARS):
                text = row["text"][start : start + SECTION_CHARS]
                left -= len(text.encode())
                if left < 0:
                    return
                yield row["title"], row["section"], text


def read_pages(megabytes: float) -> list[Page]:
    pages: list[Page] = []
    for title, section, text in read_texts(megabytes):
        pages.append(Page(f"{title}", "320000", len(pages), "", title, section, text, "", 0))
    return pages


def percentiles(times: list[float]) -> str:
    ordered = sorted(times)
    points = (ordered[min(len(ordered) - 1, int(len(ordered) * q))] for q in (0.5, 0.95, 0.99))
    return " / ".join(f"{1000 * point:7.3f}" for point in points)


def measure(name: str, queries: list[str], ask: Callable[[str], int]) -> None:
    times, totals = [], 0
    for query in queries:
        started = time.perf_counter()
        totals += ask(query)
        times.append(time.perf_counter() - started)
    print(f"{name:28} p50/p95/p99 ms {percentiles(times)}   mean total {totals / len(queries):.1f}")


def draw(pages: list[Page], length: int, count: int) -> list[str]:
    """Strings of Chinese characters that stand somewhere."""
    drawn: list[str] = []
    while len(drawn) < count:
        text = random.choice(pages).text
        start = random.randrange(max(1, len(text) - length))
        piece = text[start : start + length]
        if len(piece) == length and all(c >= "\u3400" for c in piece) and piece.isalpha():
            drawn.append(piece)
    return drawn


def mistype(word: str, tables: Tables, by: str) -> str:
    at = random.randrange(len(word))
    folded = tables.fold(word[at])
    others = tables.alike_to(folded) if by == "shape" else sounding_like(folded, tables)
    return word[:at] + (random.choice(others) if others else word[at]) + word[at + 1 :]


def sounding_like(character: str, tables: Tables) -> str:
    readings = set(tables.readings(character)[:1])
    common = (chr(point) for point in range(0x4E00, 0x9FA6))
    return "".join([c for c in common if c != character and readings & set(tables.readings(c)[:1])])


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--megabytes", type=float, default=30)
    options.add_argument("--queries", type=int, default=200)
    chosen = options.parse_args()
    random.seed(chosen.seed)
    pages = read_pages(chosen.megabytes)
    size = sum(len(page.text.encode()) for page in pages)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.process_time()
    tables = Tables.from_bytes(build_tables())
    print(f"tables {time.process_time() - started:.1f} CPU-s")
    started = time.process_time()
    data = build_segment(pages, tables)
    spent = time.process_time() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    segment = Segment.open(data, tables)
    kept = sum(segment.arrays[name].nbytes for name in ("words", "skips", "shape"))
    print(
        f"{size / 1e6:.1f} MB in {len(pages)} sections: build {size / 1e6 / spent:.1f} MB per "
        f"CPU-second, index/text {(len(data) - kept) / size:.2f} + text {kept / size:.2f}, "
        f"peak +{(peak - before) / 1024:.0f} MiB"
    )
    shard = Shard((segment,), frozenset())

    def ask(text: str) -> int:
        return search(shard, parse_query(text, "auto", tables), 10, lambda: False).total

    for length in (1, 2, 3, 4, 8):
        measure(f"exact, {length} characters", draw(pages, length, chosen.queries), ask)
    words = draw(pages, 2, 3 * chosen.queries)
    measure("three words", [" ".join(words[n : n + 3]) for n in range(0, len(words), 3)], ask)
    for by in ("sound", "shape"):
        wrong = [mistype(word, tables, by) for word in draw(pages, 4, chosen.queries)]
        measure(f"wrong character by {by}", wrong, ask)
    spelled = [
        " ".join((tables.readings(c) or ("a",))[0] for c in word)
        for word in draw(pages, 3, chosen.queries)
    ]
    measure("pinyin on text", spelled, ask)
    beside_tantivy(pages, chosen.queries)


def beside_tantivy(pages: list[Page], count: int) -> None:
    try:
        import tantivy  # noqa: PLC0415
    except ImportError:
        print("tantivy is not installed: nothing beside")
        return
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("text", stored=False, tokenizer_name="whitespace")
    index = tantivy.Index(builder.build())
    writer = index.writer(num_threads=1)
    started = time.process_time()
    for page in pages:
        writer.add_document(tantivy.Document(text=[" ".join(page.text)]))
    writer.commit()
    writer.wait_merging_threads()
    spent = time.process_time() - started
    size = sum(len(page.text.encode()) for page in pages)
    print(f"tantivy: build {size / 1e6 / spent:.1f} MB per CPU-second")
    index.reload()
    searcher = index.searcher()

    def ask(text: str) -> int:
        query = index.parse_query('"' + " ".join(text) + '"', ["text"])
        return int(searcher.search(query, 10, count=True).count)

    for length in (1, 2, 3, 4, 8):
        measure(f"tantivy, {length} characters", draw(pages, length, count), ask)


if __name__ == "__main__":
    main()
