"""The judge of totals: a scan of the text, by each engine's own reading of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from benchmarks.shard.answers import Case
from benchmarks.shard.corpus import Section
from benchmarks.shard.folding import Folding, spelled, unspaced
from benchmarks.shard.measure import Asked
from benchmarks.shard.ours import OurReader
from benchmarks.shard.scan import Numbers, Scan, with_all
from search_shard.lattice import NEAR_LENGTHS, OTHER_LENGTHS, SPOKEN, Phrase, Query
from search_shard.near import OTHER_PAGES
from search_shard.rank import NEAR_BELOW
from search_shard.tables import Tables
from tests.unit.search_shard.judge import FIELDS, class_readings, joined

_SHOWN = 10
_SPOKEN_MAX = 5  # cases of a kind whose sounds are looked for: each reads all of the text
_FIRST_TOKEN = 0xE000  # tokens become characters, so that a phrase of them is a string
Words = Callable[[Case], Sequence[str]]


def check_peers(
    asked: Mapping[str, Sequence[Asked]], sections: Sequence[Section], folding: Folding
) -> int:
    """Print every total of a peer that is wrong; how many are."""
    wrong = 0
    plain = Scan([unspaced(section.text) for section in sections])
    for name, answers in asked.items():
        if "several" in name:
            wrong += _check_fields(name, answers, sections, folding)
        else:
            exact = [one for one in answers if one.case.ask == "words"]
            wrong += compare(name, exact, expected(exact, plain, lambda case: case.typed.split()))
    return wrong


def check_ours(
    answers: Sequence[Asked], reader: OurReader, sections: Sequence[Section], folding: Folding
) -> int:
    """Print every total of ours that is wrong, by the lattice that was parsed; how many are."""
    judge = _Lattices(sections, folding, reader.tables)
    exact, near, spoken = [], [], {}
    for one in answers:
        query = reader.parse(one.case)
        if any(phrase.sounds for word in query.words for phrase in word.phrases):
            spoken.setdefault(one.case.kind, []).append((one, query))
        else:
            (near if one.case.ask == "near" else exact).append((one, query))
    wrong = 0
    some = [pair for group in spoken.values() for pair in group[:_SPOKEN_MAX]]
    for name, pairs in (("", exact), (", spoken", some), (", wrong character", near)):
        asked = [one for one, _ in pairs]
        truth = judge.totals([query for _, query in pairs])
        wrong += compare(reader.name + name, asked, [total for total, _ in truth])
        if name == ", wrong character":
            totals = [one.answer.near_total for one in asked]
            differ = sum(a != b for a, (_, b) in zip(totals, truth, strict=True))
            print(f"{reader.name}: {len(near) - differ} of {len(near)} totals of near pages agree")
            wrong += differ
    return wrong


class _Lattices:
    """The meaning of a lattice, by reading everything.

    Reads titles (at the first page of a work), headings (at the first of their part) and texts.
    """

    def __init__(self, sections: Sequence[Section], folding: Folding, tables: Tables) -> None:
        fields: list[str] = []
        seen: set[tuple[str, ...]] = set()
        for section in sections:
            marks = ((section.title,), (section.title, section.heading))
            fields += ["" if mark in seen else folding.read(mark[-1]) for mark in marks]
            fields.append(folding.read(section.text))
            seen.update(marks)
        self.scan = Scan(fields)
        self.tables = tables
        self.readings = class_readings(set().union(*fields), tables)
        self.known: dict[str, frozenset[str]] = {}

    def totals(self, queries: Sequence[Query]) -> list[tuple[int, int]]:
        """Pages as asked, and where these are few, those beyond with one wrong character, of each
        query."""
        phrases = [phrase for query in queries for word in query.words for phrase in word.phrases]
        written = {phrase.text for phrase in phrases if not phrase.sounds}
        written |= {word for phrase in phrases for word in self.nearly(phrase)}
        written |= {pair for phrase in phrases for pair in _pairs(phrase.text)}
        found = self.scan.texts_with(written)
        totals = []
        for query in queries:
            exact, wider = [], []
            for word in query.words:
                as_asked: set[int] = set()
                for phrase in word.phrases:
                    as_asked |= self.pages(phrase, found)
                others = as_asked.union(
                    *((found[w] // 3).tolist() for p in word.phrases for w in self.nearly(p)),
                    *(self.with_any(p, found) for p in word.phrases),
                )
                exact.append(as_asked)
                wider.append(others)
            pages = joined(query.plan, exact)
            near = joined(query.plan, wider) - pages if len(pages) < NEAR_BELOW else ()
            totals.append((len(pages), len(near)))
        return totals

    def with_any(self, phrase: Phrase, found: Mapping[str, Numbers]) -> set[int]:
        """Pages with any other character at a place of the phrase, where two neighbours that are
        left stand on few pages."""
        pages: set[int] = set()
        text = phrase.text
        if "other" not in phrase.near or phrase.scope or len(text) not in OTHER_LENGTHS:
            return pages
        often = [np.count_nonzero(found[pair] % 3 == 2) for pair in _pairs(text)]
        for at in range(len(text)):
            left = [*often[: max(at - 1, 0)], *often[at + 1 :]]
            if left and min(left) <= OTHER_PAGES:
                numbers = self.scan.texts_with_gap(text[:at], text[at + 1 :])
                pages.update((numbers[numbers % 3 == 2] // 3).tolist())
        return pages

    def pages(self, phrase: Phrase, found: Mapping[str, Numbers]) -> set[int]:
        if phrase.sounds:
            classes = [
                [c for c, heard in self.readings.items() if not heard.isdisjoint(sounds)]
                if character == SPOKEN
                else [character]
                for character, sounds in zip(phrase.text, phrase.sounds, strict=True)
            ]
            numbers = self.scan.texts_with_classes(classes)
        else:
            numbers = found[phrase.text]
        return set((numbers[np.isin(numbers % 3, FIELDS[phrase.scope])] // 3).tolist())

    def nearly(self, phrase: Phrase) -> Iterator[str]:
        if not phrase.near or len(phrase.text) not in NEAR_LENGTHS:
            return
        for at, character in enumerate(phrase.text):
            for other in self.alike(character):
                yield phrase.text[:at] + other + phrase.text[at + 1 :]

    def alike(self, character: str) -> frozenset[str]:
        """The characters of like sound or shape."""
        if character not in self.known:
            every = self.tables.every_reading
            heard = set(every(character)) if not character.isascii() else set()
            same = {c for c in self.readings if not heard.isdisjoint(every(c))}
            self.known[character] = frozenset(same.union(self.tables.alike_to(character)))
        return self.known[character] - {character}


def _pairs(text: str) -> list[str]:
    return [text[at : at + 2] for at in range(len(text) - 1)]


def expected(answers: Sequence[Asked], scan: Scan, words: Words) -> list[int]:
    """How many texts have all of a case's words, for each answer."""
    wanted = [words(one.case) for one in answers]
    found = scan.texts_with(word for each in wanted for word in each)
    return [len(with_all(each, found)) for each in wanted]


def compare(name: str, answers: Sequence[Asked], truth: Sequence[int]) -> int:
    """Print what differs from the truth; how many do."""
    wrong = [
        (one, total) for one, total in zip(answers, truth, strict=True) if one.answer.total != total
    ]
    for one, total in wrong[:_SHOWN]:
        print(f"WRONG TOTAL {name}: {one.case} {one.answer.total}, not {total}")
    kinds = len({one.case.kind for one in answers})
    agreed = len(answers) - len(wrong)
    print(f"{name:24} {agreed} of {len(answers)} totals of {kinds} kinds agree with the scan")
    return len(wrong)


def _check_fields(
    name: str, answers: Sequence[Asked], sections: Sequence[Section], folding: Folding
) -> int:
    """Each field by itself; a title is a text once."""
    texts = [section.text for section in sections]
    titles = sorted({section.title for section in sections})
    begun = [[syllable[0] for syllable in spelled(title)] for title in titles]
    tokens: dict[str, str] = {}

    def as_characters(spelled: str | Sequence[str]) -> str:
        parts = spelled.split() if isinstance(spelled, str) else spelled
        return "".join(tokens.setdefault(p, chr(_FIRST_TOKEN + len(tokens))) for p in parts)

    def typed(case: Case) -> Sequence[str]:
        return [as_characters(case.syllables or " ".join(case.typed))]

    def initials(case: Case) -> Sequence[str]:
        return [as_characters(" ".join(case.typed))]

    ways: list[tuple[tuple[str, ...], Scan, Words]] = [
        (
            ("words", "folded"),
            Scan([folding.fold(unspaced(text)) for text in texts]),
            lambda case: folding.fold(case.typed).split(),
        ),
        (("pinyin",), Scan([as_characters(folding.spell(text)) for text in texts]), typed),
        (("title pinyin",), Scan([as_characters(spelled(t)) for t in titles]), typed),
        (
            ("title initials",),
            Scan([as_characters(letters) for letters in begun]),
            initials,
        ),
    ]
    wrong = 0
    for asks, scan, words in ways:
        some = [one for one in answers if one.case.ask in asks]
        wrong += compare(f"{name} ({asks[0]})", some, expected(some, scan, words))
    return wrong
