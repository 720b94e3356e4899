"""What the box holds while it is typed into: a line, its breaks, and what may come where."""

from __future__ import annotations

import pytest

from search_shard.tables import Tables
from search_shard.typed import BRIEF, CHARACTER, LATIN, OPENING, SYLLABLE, WHOLE, read_typed


@pytest.mark.parametrize(
    ("typed", "line", "breaks"),
    [
        ("suzhou", "suzhou", set()),
        (" su  zhou ", "suzhou", {0, 2, 6}),
        ("Sū Zhōu", "suzhou", {2}),
        ("su1zhou1", "suzhou", {2, 6}),
        ("xi'an", "xian", {2}),
        ("nǚ lü", "nvlv", {2}),
        ("v̄", "v", set()),
        ("ｓｚ蘇州", "sz苏州", set()),
        ("苏zhou f", "苏zhouf", {5}),
        ("1986年", "1986年", set()),
        ("gb18030", "gb18030", set()),
        ("《蘇州府志》", "苏州府志", {0, 4}),
        ("〓\udc80", "〓\udc80", set()),
        ("", "", set()),
    ],
)
def test_a_line_is_read(typed: str, line: str, breaks: set[int], tables: Tables) -> None:
    read = read_typed(typed, tables)
    assert (read.line, read.breaks) == (line, breaks)
    assert read.has_letters == any("a" <= character <= "z" for character in line)


def test_letters_are_read_in_every_way(tables: Tables) -> None:
    units = set(read_typed("苏shang", tables).units(1, whole=False))
    assert units == {
        (CHARACTER, "s", 2, LATIN),
        (SYLLABLE, "s", 2, WHOLE),
        (OPENING, "s", 2, BRIEF),
        (SYLLABLE, "sh", 3, WHOLE),
        (OPENING, "sh", 3, BRIEF),
        (SYLLABLE, "sha", 4, WHOLE),
        (SYLLABLE, "shan", 5, WHOLE),
        (OPENING, "shang", 6, WHOLE),
    }
    assert list(read_typed("苏shang", tables).units(0, whole=False)) == [(CHARACTER, "苏", 1, 0)]


def test_a_syllable_ends_at_a_break(tables: Tables) -> None:
    read = read_typed("xi an", tables)
    assert max(unit.end for unit in read.units(0, whole=False)) == 2
    assert (OPENING, "an", 4, WHOLE) in read.units(2, whole=False)
    assert (SYLLABLE, "an", 4, WHOLE) in read.units(2, whole=True)


def test_a_last_initial_may_end_any_way(tables: Tables) -> None:
    read = read_typed("szh", tables)
    assert (OPENING, "zh", 3, 0) in read.units(1, whole=False)
    assert [u for u in read.units(1, whole=True) if u.kind == OPENING] == []
