"""Placement: three copies in places that do not fall together; draws move only their share."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.ids import OfficeCode
from protocol.placement import COPIES_MIN, Candidate, city_for, file_keepers, index_holders

CITIES = [OfficeCode(f"32{n:02}00") for n in range(1, 14)]
OFFICES = [OfficeCode(f"{code}") for code in range(330000, 331000)]
ITEMS = [f"320581-{n}" for n in range(2000)]
TIB = 2**40

codes = st.integers(100_000, 999_999).map(lambda n: OfficeCode(str(n)))


def city(code: str, free: int = TIB, domain: str = "") -> Candidate:
    return Candidate(OfficeCode(code), True, free, domain)


def county(code: str, free: int = TIB, domain: str = "") -> Candidate:
    return Candidate(OfficeCode(code), False, free, domain)


OWNER, PROVINCE = county("320581"), Candidate(OfficeCode("320000"), False, TIB)
FLEET = [city(code) for code in CITIES]


def third(item: str, fleet: list[Candidate], holders: tuple[str, ...] = (), need: int = 1) -> str:
    keepers = file_keepers(item, OWNER, PROVINCE, fleet, holders, need)
    assert keepers[:2] == (OWNER.code, PROVINCE.code)
    return keepers[2] if len(keepers) > 2 else ""


def test_owner_province_and_one_city() -> None:
    assert len(file_keepers("item", OWNER, PROVINCE, FLEET, (), 1)) == COPIES_MIN
    assert third("item", FLEET) in CITIES


def test_a_file_of_the_province_has_two_cities() -> None:
    keepers = file_keepers("item", PROVINCE, PROVINCE, FLEET, (), 1)
    assert keepers[0] == PROVINCE.code
    assert len(set(keepers[1:])) == 2
    assert set(keepers[1:]) <= set(CITIES)


def test_what_falls_with_a_keeper_is_taken_only_where_no_other_is_left() -> None:
    owner = county("320581", domain="a room in Suzhou")
    fleet = [city("320500", 9 * TIB, "a room in Suzhou"), city("320600", 1)]
    for item in ITEMS[:50]:
        assert file_keepers(item, owner, PROVINCE, fleet, (), 1)[2] == "320600"
    assert file_keepers("item", owner, PROVINCE, fleet[:1], (), 1)[2] == "320500"


def test_two_cities_that_fall_together_are_not_both_taken() -> None:
    fleet = [city("320100", TIB, "grid"), city("320200", TIB, "grid"), city("320300", 1)]
    for item in ITEMS[:50]:
        assert "320300" in file_keepers(item, PROVINCE, PROVINCE, fleet, (), 1)


def test_counties_only_where_cities_are_too_few() -> None:
    assert third("item", [county("320582", 9 * TIB), city("320500", 1)]) == "320500"
    assert third("item", [county("320582")]) == "320582"
    assert third("item", []) == ""


def test_a_full_store_is_drawn_no_more_but_keeps_what_it_has() -> None:
    fleet = [city("320500", 10), city("320600", 100)]
    for item in ITEMS[:50]:
        assert third(item, fleet, need=50) == "320600"
        assert third(item, fleet, ("320500",), need=50) == "320500"
    assert third("item", fleet, need=101) == ""


def test_who_holds_it_keeps_it_whoever_joins_and_however_full() -> None:
    for item in ITEMS[:200]:
        before = third(item, FLEET[:5])
        fuller = [city(c.code, 1 + int(c.code) % 100) for c in FLEET]
        assert third(item, fuller, (before,)) == before


@given(fleet=st.sets(codes, min_size=1, max_size=12), newcomer=codes, free=st.integers(1, 2**50))
def test_a_join_moves_only_to_the_newcomer_and_a_leave_only_from_the_leaver(
    fleet: set[OfficeCode], newcomer: OfficeCode, free: int
) -> None:
    without = [city(code, free) for code in fleet - {newcomer, OWNER.code, PROVINCE.code}]
    joined = [*without, city(newcomer, TIB)]
    for item in ITEMS[:30]:
        assert third(item, joined) in (third(item, without), newcomer)


@pytest.mark.parametrize("weight", [1, 3])
def test_a_join_moves_its_share_and_shares_follow_the_room(weight: int) -> None:
    old, new = FLEET[:6], [*FLEET[:6], city(CITIES[6], weight * TIB)]
    share = weight / (6 + weight)
    moved = sum(third(item, old) != third(item, new) for item in ITEMS)
    assert 0.85 * share < moved / len(ITEMS) < 1.15 * share
    kept = [sum(third(item, new) == c.code for item in ITEMS) for c in old]
    assert min(kept) > 0.8 * len(ITEMS) * (1 - share) / 6


# ---- the index


def test_the_index_of_a_county_is_at_its_parent_city() -> None:
    office, parent = OfficeCode("320506"), OfficeCode("320500")
    assert index_holders(office, CITIES, parent) == (office, parent)
    drawn = city_for(OfficeCode("320583"), CITIES, PROVINCE.code)
    assert drawn in CITIES
    assert city_for(parent, [parent], PROVINCE.code) is None
    assert index_holders(parent, [parent], PROVINCE.code) == (parent,)


@given(office=codes, cities=st.sets(codes, min_size=2, max_size=20), data=st.data())
def test_nobody_answers_for_itself_and_order_does_not_matter(
    office: OfficeCode, cities: set[OfficeCode], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(sorted(cities)))
    chosen = city_for(office, shuffled, None)
    assert chosen in cities - {office}
    assert chosen == city_for(office, cities, None)


def test_an_index_moves_only_to_a_newcomer_and_only_its_share() -> None:
    for n in range(2, len(CITIES)):
        old, new = CITIES[:n], CITIES[: n + 1]
        pairs = [(city_for(o, old, None), city_for(o, new, None)) for o in OFFICES]
        assert all(after in (before, CITIES[n]) for before, after in pairs)
        assert sum(a != b for a, b in pairs) <= len(OFFICES) / (n + 1) * 1.25
