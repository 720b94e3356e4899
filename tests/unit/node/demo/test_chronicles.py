"""Demonstration chronicles pass our own checks, can be searched, and say what they are."""

from __future__ import annotations

from pathlib import Path
from random import Random

import opencc
import pytest
from pypinyin import lazy_pinyin

from configs.offices import OfficeRow, load
from node.demo.chronicles import KINDS, PDF_NAME, Chronicle, make_chronicle
from node.demo.texts import Writer, alphabet, numeral, reign_year, short_name
from node.hands.ingest.carriers.carried import Package
from node.hands.ingest.carriers.reading import read_package
from node.hands.ingest.findings import Inspection
from node.hands.ingest.inspect import inspect_file
from node.hands.ingest.package import check_package
from protocol.records import PageText

LUHE = next(row for row in load("jiangsu") if row.name == "六合区")


def examined(chronicle: Chronicle) -> tuple[Package, dict[str, Inspection]]:
    package = read_package(chronicle.folder)
    files = [(file.name, chronicle.folder / file.name) for file in package.files]
    return package, {name: inspect_file(str(path), name) for name, path in files}


def pdf_pages(chronicle: Chronicle) -> tuple[PageText, ...]:
    pages = examined(chronicle)[1][PDF_NAME].pages
    assert pages is not None
    return pages


@pytest.mark.parametrize("kind", KINDS)
def test_a_chronicle_passes_the_checks(kind: str, tmp_path: Path) -> None:
    chronicle = make_chronicle(LUHE, kind, 1, tmp_path / "c")
    package, files = examined(chronicle)
    sizes = [(file.name, file.size) for file in package.files]
    assert check_package(sizes, package.record, package.rights) == []
    assert package.notes == ()
    assert [finding for one in files.values() for finding in one.findings] == []
    assert package.title == chronicle.title
    assert package.record["kind"] == kind
    assert package.record["notice"] == "演示数据"
    assert 8 <= files[PDF_NAME].page_count <= 20
    for one in files.values():
        assert one.pages is not None
        assert all("演示数据" in page.text for page in one.pages)


@pytest.fixture(scope="module")
def chronicle(tmp_path_factory: pytest.TempPathFactory) -> Chronicle:
    return make_chronicle(LUHE, "新方志", 2, tmp_path_factory.mktemp("made") / "c")


def test_each_phrase_stands_on_its_page_and_nowhere_else(chronicle: Chronicle) -> None:
    pages = pdf_pages(chronicle)
    assert len({phrase.phrase for phrase in chronicle.phrases}) == 3
    for phrase in chronicle.phrases:
        assert [n for n, page in enumerate(pages, 1) if phrase.phrase in page.text] == [phrase.page]
        assert not any(phrase.typo in page.text for page in pages)


def test_old_records_are_quoted_in_traditional_characters(chronicle: Chronicle) -> None:
    assert "舊志" in pdf_pages(chronicle)[-1].text


def test_a_seed_makes_the_same_again(chronicle: Chronicle, tmp_path: Path) -> None:
    again = make_chronicle(LUHE, "新方志", 2, tmp_path / "c")
    assert again.phrases == chronicle.phrases
    assert (again.folder / PDF_NAME).read_bytes() == (chronicle.folder / PDF_NAME).read_bytes()


def test_another_seed_says_something_else() -> None:
    first, other = (Writer(LUHE, Random(seed)).pages(10)[0] for seed in (1, 2))
    sentences = {text for page in first for text in page.paragraphs}
    assert sentences.isdisjoint(text for page in other for text in page.paragraphs)


def test_the_other_forms_of_a_phrase() -> None:
    for seed in range(50):
        for phrase in Writer(LUHE, Random(seed)).pages(10)[1]:
            assert phrase.phrase.startswith("六合")
            assert phrase.pinyin.startswith("lu he ")  # as it is said there, not liu
            assert len(phrase.pinyin.split()) == len(phrase.phrase)
            assert phrase.traditional != phrase.phrase
            assert opencc.OpenCC("t2s").convert(phrase.traditional) == phrase.phrase
            pairs = [(a, b) for a, b in zip(phrase.phrase, phrase.typo, strict=True) if a != b]
            assert len(pairs) == 1
            assert lazy_pinyin(pairs[0][1])[0] in phrase.pinyin.split()


@pytest.mark.parametrize(
    ("defect", "code", "acceptable"),
    [("coarse_image", "Q106", True), ("loose_font", "Q107", True), ("empty_file", "Q001", False)],
)
def test_a_defective_one_is_found_out(
    defect: str, code: str, acceptable: bool, tmp_path: Path
) -> None:
    _, files = examined(make_chronicle(LUHE, "专志", 1, tmp_path / "c", defect=defect))
    assert [finding.code for one in files.values() for finding in one.findings] == [code]
    assert all(one.acceptable for one in files.values()) == acceptable


def test_a_place_outside_our_table(tmp_path: Path) -> None:
    row = OfficeRow(LUHE.code, "鄯善县", "county", LUHE.parent, "shan shan xian", "Shanshan County")
    chronicle = make_chronicle(row, "新方志", 1, tmp_path / "c")
    assert any("鄯善" in page.text for page in pdf_pages(chronicle))


def test_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="kinds are"):
        make_chronicle(LUHE, "小说", 1, tmp_path / "c")
    with pytest.raises(FileExistsError):
        make_chronicle(LUHE, "旧志", 1, tmp_path)


def test_numerals_and_names() -> None:
    assert [numeral(n) for n in (1, 10, 11, 20, 99)] == ["一", "十", "十一", "二十", "九十九"]
    assert [reign_year(1), reign_year(30)] == ["元年", "三十年"]
    assert [short_name(n) for n in ("沭阳县", "江苏省", "六合区")] == ["沭阳", "江苏", "六合"]


def test_the_small_font_has_what_a_chronicle_of_our_table_needs() -> None:
    """Otherwise every PDF would open the whole font, which takes seconds."""
    for seed in range(60):
        pages, _ = Writer(LUHE, Random(seed)).pages(10)
        text = "".join(paragraph for page in pages for paragraph in page.paragraphs)
        assert set(text) - alphabet() <= set(LUHE.name)
