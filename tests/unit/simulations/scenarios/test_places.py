from __future__ import annotations

import pytest

from configs.offices import load
from simulations.scenarios.places import TABLE, below, is_county, province


@pytest.mark.parametrize("count", range(3, 110))
def test_parents_take_part_and_come_first(count: int) -> None:
    codes = province(count)
    rows = {row.code: row for row in load(TABLE)}
    assert len(set(codes)) == len(codes) == count
    for number, code in enumerate(codes):
        parent = rows[code].parent
        assert parent is None or parent in codes[:number]
        assert is_county(code) == (rows[code].tier == "county")


def test_seven_are_two_cities_with_two_counties_each() -> None:
    codes = province(7)
    cities = [code for code in codes[1:] if not is_county(code)]
    assert [len(below(city, codes)) for city in cities] == [2, 2]


@pytest.mark.parametrize("count", [0, 2, 110])
def test_there_are_so_many_and_no_more(count: int) -> None:
    with pytest.raises(ValueError, match="offices"):
        province(count)
