"""The judge of totals: a scan of the text, by each engine's own reading of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from benchmarks.shard.answers import Case
from benchmarks.shard.corpus import Section
from benchmarks.shard.folding import Folding, unspaced
from benchmarks.shard.measure import Asked
from benchmarks.shard.scan import Scan, with_all

_SHOWN = 10
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
        (("title pinyin",), Scan([as_characters(folding.spell(t)) for t in titles]), typed),
        (("title initials",), Scan([as_characters(folding.begin(t)) for t in titles]), initials),
    ]
    wrong = 0
    for asks, scan, words in ways:
        some = [one for one in answers if one.case.ask in asks]
        wrong += compare(f"{name} ({asks[0]})", some, expected(some, scan, words))
    return wrong
