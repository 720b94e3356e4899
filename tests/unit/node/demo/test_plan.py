"""What a demonstration founds and reports."""

from __future__ import annotations

import json
import lzma
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from node.demo.plan import (
    CLOSED,
    OFFICES,
    PASSED,
    REFUSED,
    VICTIM,
    Package,
    Questions,
    count_of,
    hosting,
    packages,
)
from node.demo.texts import Phrase
from node.hands.ingest.carriers.reading import read_package
from node.hands.ingest.inspect import inspect_file
from protocol.errors import ConfigError


def nothing() -> None:
    """Progress that nobody looks at."""


def corpus(folder: Path, lines: list[dict[str, str]], name: str = "pages.jsonl") -> str:
    path = folder / name
    data = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()
    path.write_bytes(lzma.compress(data) if name.endswith(".xz") else data)
    return str(path)


def page(office: str, work: str, number: str, text: str) -> dict[str, str]:
    title = f"志{work}"
    return {
        "office": office,
        "work": work,
        "page": number,
        "title": title,
        "section": "水",
        "text": text,
    }


TWO_BOOKS = [
    page("320583", "b", "1a", "崑山縣東有古塔七級"),
    page("320583", "a", "1a", "㑹㑹㑹㑹㑹㑹㑹㑹"),
    page("320583", "a", "1b", "大江東流入海而不返。長江之水天上來"),
    page("320100", "a", "9", "大江東流入海而不返"),
]


def test_every_office_has_one_process_and_the_province_is_first() -> None:
    for offices, nodes in (("7", 7), ("all", 15)):
        groups = hosting(offices)
        codes = [row.code for group in groups for row in group]
        assert len(groups) == nodes
        assert codes[0] == "320000"
        assert len(codes) == len(set(codes))
        assert [row.code for row in groups[-1]] == [VICTIM]
    assert set(codes) == set(OFFICES)


def test_all_offices_get_text_chronicles_that_can_be_reported(tmp_path: Path) -> None:
    made = packages("all", "", tmp_path / "p", Random(1), nothing)
    assert len(made) == count_of("all", "")
    assert {package.office for package in made if package.fate == PASSED} == set(OFFICES)
    for package in made[-5:]:
        local = read_package(package.folder)
        assert local.title == package.title
        assert local.rights == ("office" if package.fate == CLOSED else "open")
        assert any(file.size == 0 for file in local.files) == (package.fate == REFUSED)
        pages = inspect_file(str(package.file), package.file.name).pages
        assert pages is not None
        for phrase in package.phrases:
            assert phrase.phrase in pages[phrase.page - 1].text
            assert package.label(phrase) == pages[phrase.page - 1].page


@pytest.mark.parametrize("name", ["pages.jsonl", "pages.jsonl.xz"])
def test_a_corpus_becomes_one_package_for_each_office_and_work(tmp_path: Path, name: str) -> None:
    path = corpus(tmp_path, TWO_BOOKS, name)
    made = packages("all", path, tmp_path / "p", Random(1), nothing)
    assert len(made) == count_of("all", path)
    books = {(p.office, p.title): p for p in made if p.labels}
    assert set(books) == {("320583", "志a"), ("320583", "志b"), ("320100", "志a")}
    book = books["320583", "志a"]
    local = read_package(book.folder)
    assert "演示数据" in local.record["notice"]
    assert "place-name votes" in local.record["notice"]
    pages = inspect_file(str(book.file), book.file.name).pages
    assert [(p.page, p.text) for p in pages or ()] == [
        (line["page"], line["text"]) for line in TWO_BOOKS[1:3]
    ]


def test_phrases_of_a_corpus_stand_there_once_and_can_be_typed(tmp_path: Path) -> None:
    path = corpus(tmp_path, TWO_BOOKS)
    found = 0
    for seed in range(8):
        for package in packages("all", path, tmp_path / str(seed), Random(seed), nothing):
            for phrase in package.phrases if package.labels else ():
                found += 1
                places = [line for line in TWO_BOOKS if phrase.traditional in line["text"]]
                (place,) = places
                assert package.label(phrase) == place["page"]
                assert len(phrase.pinyin.split()) == len(phrase.phrase) == 6
                wrong = [a != b for a, b in zip(phrase.phrase, phrase.typo, strict=True)]
                assert sum(wrong) == 1
    assert found >= 8


def broken() -> Iterator[tuple[str, bytes]]:
    yield "missing.jsonl", b""
    yield "a.jsonl", b"not JSON\n"
    yield "b.jsonl", b'{"office": "320100"}\n'
    yield "c.jsonl", json.dumps(page("110000", "a", "1", "text")).encode()
    yield "d.jsonl.xz", b"not packed"


@pytest.mark.parametrize(("name", "data"), list(broken()))
def test_a_corpus_that_cannot_be_read_is_named(tmp_path: Path, name: str, data: bytes) -> None:
    if data:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(ConfigError, match=name):
        packages("all", str(tmp_path / name), tmp_path / "p", Random(1), nothing)


def test_questions_vary_in_form_and_length() -> None:
    phrase = Phrase(
        "长江之水天来", "長江之水天來", "长江之水甜来", "chang jiang zhi shui tian lai", 1
    )
    package = Package("320100", Path("x"), "x", (phrase,), PASSED)
    drawn = Questions([package], Random(1)).draw(80)
    assert {question.form for question in drawn} == {"exact", "traditional", "pinyin", "typo"}
    lengths = {len(q.text) for q in drawn if q.form == "exact"}
    assert lengths == {2, 3, 4, 5, 6}
    for question in drawn:
        if question.form == "exact":
            assert question.text in phrase.phrase
        if question.form == "pinyin":
            assert question.text in phrase.pinyin
