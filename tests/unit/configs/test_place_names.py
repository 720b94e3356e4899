from __future__ import annotations

import pytest

from configs import offices
from configs.place_names import Place, load, parse
from protocol.errors import ConfigError

SUZHOU = '[[place]]\noffice = "320500"\npresent = "苏州"\nold = ["姑苏", "平江"]\n'


def test_every_place_belongs_to_an_office_of_that_name() -> None:
    names = {row.code: row.name for row in offices.load("jiangsu")}
    places = load()
    assert len(places) > 40
    for place in places:
        assert names[place.office].startswith(place.present), place


def test_an_old_name_finds_its_places() -> None:
    found = {
        name: {place.present for place in load() if name in place.old}
        for name in ("姑苏", "金陵", "毗陵", "吴县", "曲阿", "阳羡")
    }
    assert found == {
        "姑苏": {"苏州"},
        "金陵": {"南京"},
        "毗陵": {"常州"},
        "吴县": {"吴中", "相城"},
        "曲阿": {"丹阳"},
        "阳羡": {"宜兴"},
    }


def test_parses() -> None:
    assert parse(SUZHOU) == (Place("320500", "苏州", ("姑苏", "平江")),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[place]", "expected TOML"),
        ("", "expected .*place.* tables"),
        ("[place]\n", "expected .*place.* tables"),
        (SUZHOU + "note = 1\n", "place 1: expected office, present and old"),
        (SUZHOU.replace("320500", "32050"), "place 1.office: expected six digits"),
        (SUZHOU.replace('["姑苏", "平江"]', "[]"), "place 1.old: expected a list"),
        (SUZHOU.replace("平江", "平"), "expected names of two characters"),
        (SUZHOU.replace("平江", "姑苏"), "expected each name once"),
        (SUZHOU.replace("平江", "苏州"), "expected each name once"),
        (SUZHOU * 2, "expected each office once, got 320500"),
    ],
)
def test_refuses(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(text)
