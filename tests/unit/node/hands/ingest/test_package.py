"""Names that would go elsewhere, names that would meet, and records that are not records."""

from __future__ import annotations

import string
import unicodedata
from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from node.hands.ingest.package import check_package, name_fault
from protocol.limits import FILE_NAME_BYTES_MAX, FILES_PER_PACKAGE_MAX
from protocol.records import RECORD_ELEMENTS, clean_path

RECORD = {"title": "沭阳县志", "kind": "新方志", "summary": "第一行\n第二行"}


def codes(*names: str, record: dict[str, str] | None = None, rights: str = "open") -> list[str]:
    found = check_package([(name, 1) for name in names], record or RECORD, rights)
    assert all(one.severity == "error" for one in found)
    return [one.code for one in found]


def test_a_good_submission() -> None:
    names = ["卷一/正文.pdf", "卷一/图 1.tif", "卷二/正文.pdf", "凡例.txt", "𠮷.ttf", ".hidden"]
    assert codes(*names) == []


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "/etc/passwd",
        "a/../b",
        "a//b",
        "a/",
        "",
        ".",
        "..",
        "a\\b",
        "C:x",
        "a\nb",
        "a\x00b",
        "a\u202eb",
        "a\udcffb",
        "CON",
        "卷一/nul.txt",
        "com1",
        "lpt9.tar.gz",
        " a",
        "a ",
        "a.",
        "a?",
        "x" * (FILE_NAME_BYTES_MAX + 1),
        "志" * 86,
        "/".join(["目录"] * 300),
    ],
)
def test_hostile_names(name: str) -> None:
    assert codes(name) == ["Q401"]


def test_a_hostile_name_is_shown_harmlessly() -> None:
    (found,) = check_package([("a\n\x1b[2Jb", 1)], RECORD, "open")
    assert found.path.isprintable()
    assert found.zh.isprintable()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("图.TIF", "图.tif"),
        ("卷/é.txt", "卷/e\u0301.txt"),
        ("STRASSE", "straße"),
        ("a", "a"),
        ("\u212b", "\u00e5"),
    ],
)
def test_twins(one: str, other: str) -> None:
    assert codes(one, other) == ["Q402"]


def test_a_file_and_a_folder_of_one_name() -> None:
    assert codes("a", "A/b/c") == ["Q412"]
    assert codes("a/b", "a/c", "ab") == []


def test_a_crowd_is_refused_without_looking_at_each() -> None:
    assert codes(*["../x"] * (FILES_PER_PACKAGE_MAX + 1)) == ["Q403"]


def test_unknown_elements_get_the_nearest() -> None:
    (found,) = check_package([("a", 1)], {"title": "x", "pulisher": "y"}, "open")
    assert found.code == "Q409"
    assert "publisher" in found.zh


def test_a_flood_of_elements_is_not_answered_one_by_one() -> None:
    record = {"title": "x"} | {"x" * 10_000 + str(n): "" for n in range(1000)}
    assert len(codes("a", record=record)) < 2 * len(RECORD_ELEMENTS)


def test_every_element_may_be_given() -> None:
    assert codes("a", record=dict.fromkeys(RECORD_ELEMENTS, "x")) == []


@pytest.mark.parametrize("text", ["a\x00", "\ud800", "\x9b31m"])
def test_elements_without_control_characters(text: str) -> None:
    assert codes("a", record={**RECORD, "place": text}) == ["Q410"]


hostile = st.lists(
    st.sampled_from([*"a/\\.:~ \n\0éİ志", "\u0301", "..", "con", "\udcff", "/"]), max_size=12
).map("".join)


@settings(max_examples=300, deadline=None)
@given(name=st.one_of(hostile, st.text(max_size=40)))
@example("a/./b")
def test_what_passes_stays_inside_on_every_system(name: str) -> None:
    if name_fault(name) is None:
        assert clean_path(name)
        assert name.encode().decode() == name
        for path in (PurePosixPath(name), PureWindowsPath(name)):
            assert not path.is_absolute()
            assert not path.drive
            assert ".." not in path.parts
            assert len(path.parts) == name.count("/") + 1


@settings(max_examples=100, deadline=None)
@given(name=st.text(string.ascii_letters + "éñ志", min_size=1, max_size=8))
def test_two_that_meet_on_some_disk_are_twins(name: str) -> None:
    for other in (name.swapcase(), unicodedata.normalize("NFD", name)):
        if name_fault(name) is None and name_fault(other) is None:
            assert codes(name, other) == ["Q402"]
