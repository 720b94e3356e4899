"""What a demonstration founds and reports: offices per node, and packages with their fates."""

from __future__ import annotations

import json
import lzma
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache
from itertools import groupby
from pathlib import Path
from random import Random
from typing import IO, Any, Final

import opencc
from pypinyin import lazy_pinyin

from configs.offices import OfficeRow, load
from node.demo.chronicles import KINDS, NOTICE, make_chronicle
from node.demo.texts import Phrase, Writer, homophones
from protocol.errors import ConfigError

Json = dict[str, Any]

OFFICES: Final[dict[str, OfficeRow]] = {row.code: row for row in load("jiangsu")}
SEVEN: Final = ("320000", "320100", "320104", "320115", "320500", "320582", "320583")
VICTIM: Final = "320583"  # its process is killed, so it always has one of its own
PASSED, RETURNED, WAITING, CLOSED, REFUSED, LATE = (
    "passed",
    "returned",
    "waiting",
    "closed",
    "refused",
    "late",
)
# what else than passing happens to packages, and at which county
_SPECIAL: Final = {
    RETURNED: "320104",
    WAITING: "320115",
    CLOSED: "320582",
    REFUSED: "320582",
    LATE: VICTIM,
}
_CORPUS_NOTICE: Final = f"{NOTICE}：归属机构系按地名票选推定，未经核实 (office by place-name votes)"
_PHRASE_CHARS: Final = 6
_RUN = re.compile(f"[一-龥]{{{_PHRASE_CHARS},}}")
_TRIES: Final = 200


@dataclass(slots=True)
class Package:
    """A folder to report, what shall become of it, and what became of it."""

    office: str
    folder: Path
    title: str
    phrases: tuple[Phrase, ...]
    fate: str
    labels: tuple[str, ...] = ()  # of its pages, where they are not 1, 2, 3
    item: str = ""
    log_index: int = -1

    def label(self, phrase: Phrase) -> str:
        """How the page that has the phrase is called."""
        return self.labels[phrase.page - 1] if self.labels else str(phrase.page)

    @property
    def file(self) -> Path:
        """The largest file of the package."""
        return max(self.folder.iterdir(), key=lambda path: path.stat().st_size)


def hosting(offices: str) -> list[tuple[OfficeRow, ...]]:
    """The offices of every process, the province first."""
    if offices == "7":
        tiers = ("province", "city", "county")
        seven = sorted((OFFICES[code] for code in SEVEN), key=lambda row: tiers.index(row.tier))
        return [(row,) for row in seven]
    cities = [row for row in OFFICES.values() if row.tier == "city"]
    below = [
        tuple(row for row in OFFICES.values() if row.parent == city.code and row.code != VICTIM)
        for city in cities
    ]
    together = [(city, *counties) for city, counties in zip(cities, below, strict=True)]
    return [(OFFICES["320000"],), *together, (OFFICES[VICTIM],)]


def packages(
    offices: str, corpus: str, folder: Path, random: Random, made: Callable[[], None]
) -> list[Package]:
    """Make every package of the demonstration in ``folder``; ``made`` after each.

    Raises:
        ConfigError: the corpus cannot be read.
    """
    folder.mkdir()
    found = []
    whole = offices == "7"  # books as PDF; of many, only their text
    wishes: list[tuple[str, str]] = []
    if corpus:
        for package in _from_corpus(Path(corpus), folder, random):
            found.append(package)
            made()
    elif whole:
        counties = [code for code in SEVEN if OFFICES[code].tier == "county"]
        cities = [code for code in SEVEN if OFFICES[code].tier == "city"]
        wishes += [(code, PASSED) for code in (*cities, *counties, *counties)]
    else:
        wishes += [(code, PASSED) for code in OFFICES]
    wishes += [(code, fate) for fate, code in _SPECIAL.items()]
    for number, (code, fate) in enumerate(wishes):
        found.append(_chronicle(code, fate, folder / f"{code}-{number}", random, number, whole))
        made()
    return found


def count_of(offices: str, corpus: str) -> int:
    """How many packages :func:`packages` makes."""
    if corpus:
        return len({(page["office"], page["work"]) for page in _pages(Path(corpus))}) + len(
            _SPECIAL
        )
    passed = 10 if offices == "7" else len(OFFICES)
    return passed + len(_SPECIAL)


def _chronicle(
    code: str, fate: str, folder: Path, random: Random, number: int, whole: bool
) -> Package:
    row, kind, seed = OFFICES[code], KINDS[number % len(KINDS)], random.getrandbits(40)
    if whole:
        defect = {REFUSED: "empty_file"}.get(fate, "coarse_image" if number == 0 else "")
        made = make_chronicle(row, kind, seed, folder, defect=defect)
        title, phrases = made.title, made.phrases
    else:
        writer = Writer(row, Random(seed))
        title = writer.title(kind)
        pages, phrases = writer.pages(8)
        texts = [(str(n), p.chapter, "\n".join(p.paragraphs)) for n, p in enumerate(pages, 1)]
        _write(folder, {"title": title, "kind": kind, "notice": NOTICE}, texts)
        if fate == REFUSED:
            (folder / "附图.tif").touch()
    if fate == CLOSED:
        path = folder / "metadata.toml"
        lines = path.read_text("utf-8").replace('rights = "open"', 'rights = "office"')
        path.write_text(lines, "utf-8")
    return Package(code, folder, title, phrases, fate)


def _write(folder: Path, record: Json, pages: Iterable[tuple[str, str, str]]) -> None:
    """A package of page text: ``metadata.toml`` and one carrier file."""
    folder.mkdir()
    fields = {**record, "rights": "open"}
    lines = [f"{key} = {json.dumps(text, ensure_ascii=False)}\n" for key, text in fields.items()]
    (folder / "metadata.toml").write_text("".join(lines), "utf-8")
    with (folder / "pages.pages.jsonl").open("w", encoding="utf-8") as file:
        for page, section, text in pages:
            row = {"page": page, "section": section, "text": text}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def _pages(path: Path) -> Iterator[Json]:
    try:
        with ExitStack() as stack:
            file: IO[bytes] = stack.enter_context(path.open("rb"))
            if path.suffix == ".xz":
                file = stack.enter_context(lzma.LZMAFile(file))
            for number, line in enumerate(file, start=1):
                yield _page(line, f"{path}:{number}")
    except (OSError, lzma.LZMAError) as error:
        raise ConfigError(str(path), "JSON Lines in UTF-8, perhaps .xz", error) from error


def _page(line: bytes, where: str) -> Json:
    members = {"office", "work", "page", "title", "section", "text"}
    try:
        page = json.loads(line)
    except ValueError as error:
        raise ConfigError(where, "a JSON object", error) from error
    if not isinstance(page, dict) or not members <= set(page):
        raise ConfigError(where, ", ".join(sorted(members)), line[:80])
    if page["office"] not in OFFICES:
        raise ConfigError(where, "an office of Jiangsu", page["office"])
    return page


def _from_corpus(path: Path, folder: Path, random: Random) -> Iterator[Package]:
    """One package for each work at each office, with one phrase that no other page has."""
    pages = sorted(_pages(path), key=lambda page: (page["office"], page["work"]))
    whole = "\n".join(page["text"] for page in pages)
    for (office, work), group in groupby(pages, key=lambda page: (page["office"], page["work"])):
        own = list(group)
        target = folder / f"{office}-{work}"
        record = {"title": own[0]["title"], "kind": "旧志", "notice": _CORPUS_NOTICE}
        _write(target, record, ((p["page"], p["section"], p["text"]) for p in own))
        phrase = _phrase_of(own, whole, random)
        labels = tuple(page["page"] for page in own)
        yield Package(office, target, own[0]["title"], phrase, PASSED, labels)


def _phrase_of(pages: list[Json], whole: str, random: Random) -> tuple[Phrase, ...]:
    """Words that stand once in all of ``whole``, in characters that people can type; or none."""
    for _ in range(_TRIES):
        number = random.randrange(len(pages))
        runs = _RUN.findall(pages[number]["text"])
        if not runs:
            continue
        run = random.choice(runs)
        start = random.randint(0, len(run) - _PHRASE_CHARS)
        words = run[start : start + _PHRASE_CHARS]
        phrase = _in_other_words(words, number + 1, random)
        if phrase is not None and whole.count(words) == 1:
            return (phrase,)
    return ()


def _in_other_words(words: str, page: int, random: Random) -> Phrase | None:
    """How people would ask for ``words`` of an old book; None when they are too rare for that."""
    simplified = _simplified().convert(words)
    syllables = lazy_pinyin(simplified)
    sounds = homophones()
    if any(c not in sounds.get(s, ()) for c, s in zip(simplified, syllables, strict=True)):
        return None
    places = [i for i, syllable in enumerate(syllables) if len(sounds[syllable]) > 1]
    if not places:
        return None
    place = random.choice(places)
    other = random.choice([c for c in sounds[syllables[place]] if c != simplified[place]])
    typo = simplified[:place] + other + simplified[place + 1 :]
    return Phrase(simplified, words, typo, " ".join(syllables), page)


@cache
def _simplified() -> Any:
    return opencc.OpenCC("t2s")


@dataclass(frozen=True, slots=True)
class Question:
    """A query as somebody might ask it."""

    form: str  # exact | traditional | pinyin | typo
    text: str


@dataclass(frozen=True, slots=True)
class Questions:
    """Varied queries about what the packages say."""

    packages: list[Package]
    random: Random = field(default_factory=Random)

    def draw(self, count: int) -> list[Question]:
        """2 to 6 characters as written, in traditional, in pinyin, with one wrong character."""
        phrases = [p for package in self.packages for p in package.phrases]
        return [self._about(self.random.choice(phrases), number) for number in range(count)]

    def _about(self, phrase: Phrase, number: int) -> Question:
        length = 2 + number // 4 % 5
        start = self.random.randint(0, max(0, len(phrase.phrase) - length))
        part = slice(start, start + length)
        form = ("exact", "traditional", "pinyin", "typo")[number % 4]
        if form == "exact":
            return Question(form, phrase.phrase[part])
        if form == "traditional":
            return Question(form, phrase.traditional[part])
        if form == "pinyin":
            return Question(form, " ".join(phrase.pinyin.split()[part]))
        return Question(form, phrase.typo)
