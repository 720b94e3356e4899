"""tantivy in three set-ups, and SQLite FTS5, each as fast as its public interface makes it.

Tokens are made here and joined with spaces: of tantivy's tokenizers the one that splits at spaces
is the fastest, twice as fast as its regular expressions.  Queries are query objects, which are
faster than its parser.  One writer thread, merges waited for, one segment where it makes one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import tantivy

from benchmarks.shard.answers import LIMIT, Answer, Case, Engine
from benchmarks.shard.corpus import Section
from benchmarks.shard.folding import Folding, spelled, unspaced

HEAP_BYTES = 256_000_000
_FILE = "fts.sqlite"
_MUST, _SHOULD = tantivy.Occur.Must, tantivy.Occur.Should
Fields = dict[str, Callable[[Section, bool], str]]  # text of a field; whether the work begins here


def bigrams(text: str) -> list[str]:
    """Neighbours, and the last character alone so that a single one can be looked for."""
    return [*map(str.__add__, text, text[1:]), text[-1:]]


def _one_character() -> Fields:
    return {"text": lambda section, _: " ".join(unspaced(section.text))}


def _bigrams() -> Fields:
    return {"text": lambda section, _: " ".join(bigrams(unspaced(section.text)))}


def _several(folding: Folding) -> Fields:
    """As in a search engine that is set up for Chinese: one field for each way to ask."""
    bodies: dict[str, Callable[[str], str]] = {
        "text": lambda text: " ".join(folding.fold(unspaced(text))),
        "sounds": folding.spell,
        "initials": folding.begin,
    }
    heads: dict[str, Callable[[str], str]] = {
        "text": bodies["text"],
        "sounds": lambda title: " ".join(spelled(title)),
        "initials": lambda title: " ".join(syllable[0] for syllable in spelled(title)),
    }

    def body(way: Callable[[str], str], section: Section, _: bool) -> str:
        return way(section.text)

    def head(way: Callable[[str], str], section: Section, begins: bool) -> str:
        return way(section.title) if begins else ""

    fields: Fields = {name: partial(body, way) for name, way in bodies.items()}
    return fields | {f"title_{name}": partial(head, way) for name, way in heads.items()}


def _build_tantivy(fields: Fields, sections: Sequence[Section], folder: Path) -> None:
    schema = tantivy.SchemaBuilder()
    schema.add_unsigned_field("number", stored=True)
    for name in fields:
        schema.add_text_field(name, tokenizer_name="whitespace")
    index = tantivy.Index(schema.build(), path=str(folder))
    writer = index.writer(HEAP_BYTES, 1)
    begun: set[str] = set()
    for number, section in enumerate(sections):
        begins = section.title not in begun
        begun.add(section.title)
        texts = {name: make(section, begins) for name, make in fields.items()}
        writer.add_document(tantivy.Document(number=number, **texts))
    writer.commit()
    writer.wait_merging_threads()


class _Tantivy:
    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.index = tantivy.Index.open(str(folder))
        self.index.reload()
        self.schema = self.index.schema
        self.searcher = self.index.searcher()

    def ask(self, case: Case) -> Answer | None:
        query = self.query(case)
        if query is None:
            return None
        found = self.searcher.search(query, LIMIT)
        return Answer(int(found.count or 0), found.hits)

    def numbers(self, answer: Answer) -> list[int]:
        documents = (self.searcher.doc(address) for _, address in answer.raw)  # type: ignore[misc]
        return [int(document["number"][0]) for document in documents]

    def query(self, case: Case) -> tantivy.Query | None:
        raise NotImplementedError

    def phrase(self, field: str, words: Sequence[str | tuple[int, str]]) -> tantivy.Query:
        if len(words) == 1:
            word = words[0] if isinstance(words[0], str) else words[0][1]
            return tantivy.Query.term_query(self.schema, field, word)
        return tantivy.Query.phrase_query(self.schema, field, list(words))

    def every(self, queries: Sequence[tantivy.Query]) -> tantivy.Query:
        if len(queries) == 1:
            return queries[0]
        return tantivy.Query.boolean_query([(_MUST, query) for query in queries])

    def some(self, queries: Sequence[tantivy.Query]) -> tantivy.Query:
        return tantivy.Query.boolean_query([(_SHOULD, query) for query in queries])


class _OneCharacter(_Tantivy):
    def query(self, case: Case) -> tantivy.Query | None:
        if case.ask == "words":
            return self.every([self.phrase("text", list(word)) for word in case.typed.split()])
        if case.ask == "near":
            return self.some([self.phrase("text", [character]) for character in case.typed])
        return None


class _Bigrams(_Tantivy):
    def query(self, case: Case) -> tantivy.Query | None:
        words = case.typed.split()
        if case.ask == "words" and min(map(len, words)) > 1:
            return self.every([self.phrase("text", self.pairs(word)) for word in words])
        if case.ask == "near":
            pairs = map(str.__add__, case.typed, case.typed[1:])
            return self.some([self.phrase("text", [pair]) for pair in pairs])
        return None

    def pairs(self, word: str) -> list[str | tuple[int, str]]:
        """Every second pair is enough, each at its place."""
        places = [*range(0, len(word) - 2, 2), len(word) - 2]
        return [(at, word[at : at + 2]) for at in places]


class _Several(_Tantivy):
    def __init__(self, name: str, folding: Folding, folder: Path) -> None:
        super().__init__(name, folder)
        self.folding = folding

    def query(self, case: Case) -> tantivy.Query | None:
        if case.ask in ("words", "folded"):
            words = self.folding.fold(case.typed).split()
            return self.every([self.phrase("text", list(word)) for word in words])
        if case.ask == "near":
            return self.some([self.sounding(case.typed), *self.gapped(case.typed)])
        if case.ask == "pinyin":
            return self.phrase("sounds", case.syllables)
        if case.ask == "title pinyin":
            return self.phrase("title_sounds", case.syllables)
        if case.ask == "title initials":
            return self.phrase("title_initials", list(case.typed))
        return None

    def sounding(self, word: str) -> tantivy.Query:
        return self.phrase("sounds", self.folding.spell(word).split())

    def gapped(self, word: str) -> list[tantivy.Query]:
        """The phrase with any one character left open."""
        letters = list(enumerate(self.folding.fold(word)))
        return [self.phrase("text", letters[:at] + letters[at + 1 :]) for at in range(len(letters))]


def _build_fts(sections: Sequence[Section], folder: Path) -> None:
    base = sqlite3.connect(folder / _FILE)
    base.execute("PRAGMA journal_mode=OFF")
    base.execute("PRAGMA synchronous=OFF")
    base.execute("CREATE VIRTUAL TABLE pages USING fts5(text, content='', tokenize='ascii')")
    base.executemany(
        "INSERT INTO pages(rowid, text) VALUES (?, ?)",
        (
            (number, " ".join(bigrams(unspaced(section.text))))
            for number, section in enumerate(sections)
        ),
    )
    base.execute("INSERT INTO pages(pages) VALUES ('optimize')")
    base.commit()
    base.close()


class _Fts:
    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.base = sqlite3.connect(f"file:{folder / _FILE}?mode=ro", uri=True)
        self.base.execute("PRAGMA mmap_size=1000000000")

    def ask(self, case: Case) -> Answer | None:
        if case.ask == "words":
            wanted = " AND ".join(map(self._phrase, case.typed.split()))
        elif case.ask == "near":
            wanted = " OR ".join(map(self._phrase, map(str.__add__, case.typed, case.typed[1:])))
        else:
            return None
        best = self.base.execute(
            "SELECT rowid FROM pages WHERE pages MATCH ? ORDER BY rank LIMIT ?", (wanted, LIMIT)
        ).fetchall()
        total = len(best)
        if total == LIMIT:
            count = "SELECT count(*) FROM pages WHERE pages MATCH ?"
            (total,) = self.base.execute(count, (wanted,)).fetchone()
        return Answer(total, best)

    def numbers(self, answer: Answer) -> list[int]:
        return [row[0] for row in answer.raw]  # type: ignore[index]

    def _phrase(self, word: str) -> str:
        return f"{word}*" if len(word) == 1 else '"' + " ".join(bigrams(word)[:-1]) + '"'


def all_peers(folding: Folding) -> list[Engine]:
    several = "tantivy, several fields"
    return [
        Engine(
            "tantivy, one character",
            partial(_build_tantivy, _one_character()),
            partial(_OneCharacter, "tantivy, one character"),
        ),
        Engine(
            "tantivy, bigrams",
            partial(_build_tantivy, _bigrams()),
            partial(_Bigrams, "tantivy, bigrams"),
        ),
        Engine(
            several,
            partial(_build_tantivy, _several(folding)),
            partial(_Several, several, folding),
        ),
        Engine("SQLite FTS5, bigrams", _build_fts, partial(_Fts, "SQLite FTS5, bigrams")),
    ]
