"""Placement: counties go to their parent; draws move no more than their share."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from protocol.ids import OfficeCode
from protocol.placement import city_for, file_keepers, index_holders

PROVINCE = OfficeCode("320000")
CITIES = [OfficeCode(f"32{n:02}00") for n in range(1, 14)]
OFFICES = [OfficeCode(f"{code}") for code in range(330000, 331000)]

codes = st.integers(100_000, 999_999).map(lambda n: OfficeCode(str(n)))


def test_county_goes_to_its_parent_city() -> None:
    assert city_for(OfficeCode("320506"), CITIES, OfficeCode("320500")) == "320500"


def test_county_under_the_province_goes_to_a_drawn_city() -> None:
    assert city_for(OfficeCode("320583"), CITIES, PROVINCE) in CITIES


def test_holders_by_tier() -> None:
    county, city = OfficeCode("320506"), OfficeCode("320500")
    assert file_keepers(county, CITIES, city, PROVINCE) == (county, PROVINCE, city)
    assert index_holders(county, CITIES, city) == (county, city)
    other = city_for(city, CITIES, PROVINCE)
    assert other is not None
    assert file_keepers(city, CITIES, PROVINCE, PROVINCE) == (city, PROVINCE, other)
    drawn = city_for(PROVINCE, CITIES, None)
    assert drawn is not None
    assert file_keepers(PROVINCE, CITIES, None, PROVINCE) == (PROVINCE, drawn)
    assert index_holders(PROVINCE, CITIES, None) == (PROVINCE, drawn)


def test_without_another_city_the_office_is_alone() -> None:
    city = CITIES[0]
    assert city_for(city, [city], PROVINCE) is None
    assert index_holders(city, [city], PROVINCE) == (city,)
    assert file_keepers(city, [city], PROVINCE, PROVINCE) == (city, PROVINCE)
    assert file_keepers(PROVINCE, [], None, PROVINCE) == (PROVINCE,)


@given(office=codes, cities=st.sets(codes, min_size=2, max_size=20), data=st.data())
def test_nobody_keeps_for_itself_and_order_does_not_matter(
    office: OfficeCode, cities: set[OfficeCode], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(sorted(cities)))
    chosen = city_for(office, shuffled, PROVINCE)
    assert chosen in cities - {office}
    assert chosen == city_for(office, cities, PROVINCE)


@given(cities=st.sets(codes, min_size=2, max_size=15), newcomer=codes)
def test_a_join_moves_only_to_the_newcomer_and_a_leave_only_from_the_leaver(
    cities: set[OfficeCode], newcomer: OfficeCode
) -> None:
    for office in OFFICES[:50]:
        before = city_for(office, cities - {newcomer}, None)
        after = city_for(office, cities | {newcomer}, None)
        assert after in (before, newcomer)


def test_a_join_moves_its_share_and_shares_are_even() -> None:
    for n in range(2, len(CITIES)):
        old, new = CITIES[:n], CITIES[: n + 1]
        moved = sum(city_for(o, old, None) != city_for(o, new, None) for o in OFFICES)
        assert moved <= len(OFFICES) / (n + 1) * 1.25
        kept = [sum(city_for(o, new, None) == city for o in OFFICES) for city in new]
        assert min(kept) >= len(OFFICES) / (n + 1) * 0.6
