from __future__ import annotations

import pytest

from configs.offices import load
from search_shard.regions import Regions

REGIONS = Regions({row.code: row.name for row in load("jiangsu")})


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("昆山市", ("320583",)),
        ("江苏省苏州市昆山市", ("320583",)),
        ("昆山", ("320583",)),
        ("江苏省", ("320000",)),
        ("320583", ("320583",)),
        ("苏州市；南通市崇川区", ("320500", "320613")),
        ("江苏省徐州市鼓楼区", ("320302",)),
        ("南京市鼓楼区", ("320106",)),
        ("", ("320500",)),
        ("浙江省", ("320500",)),
        ("999999", ("320500",)),
    ],
)
def test_places_are_read_as_regions_of_the_network(text: str, codes: tuple[str, ...]) -> None:
    assert REGIONS.named_in(text, "320500") == codes


def test_of_two_regions_with_one_name_the_one_beside_the_office_is_meant() -> None:
    assert REGIONS.named_in("鼓楼区", "320102") == ("320106",)
    assert REGIONS.named_in("鼓楼区", "320300") == ("320302",)
    assert set(REGIONS.named_in("鼓楼区", "320500")) == {"320106", "320302"}


def test_without_names_every_record_is_of_its_office() -> None:
    assert Regions({}).named_in("昆山市 320583", "320583") == ("320583",)
