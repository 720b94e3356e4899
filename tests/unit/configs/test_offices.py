from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest

from configs.offices import OfficeRow, load, parse
from protocol.errors import ConfigError

HEADER = "code,name,tier,parent,pinyin,english\n"
PROVINCE = "320000,江苏省,province,,jiang su sheng,Jiangsu Province\n"
CITY = "320500,苏州市,city,320000,su zhou shi,Suzhou City\n"
COUNTY = "320583,昆山市,county,320500,kun shan shi,Kunshan City (county-level)\n"


def test_jiangsu_has_its_109_offices() -> None:
    rows = load("jiangsu")
    assert Counter(row.tier for row in rows) == {"province": 1, "city": 13, "county": 95}
    by_code = {row.code: row for row in rows}
    assert all(
        row.parent is None or row.code[:4] == row.parent[:4]
        for row in rows[1:]
        if row.tier == "county"
    )
    assert len(by_code) == 109
    assert by_code["320583"] == OfficeRow(
        "320583", "昆山市", "county", "320500", "kun shan shi", "Kunshan City (county-level)"
    )


@pytest.mark.parametrize(
    ("name", "pinyin"),
    [
        ("六合区", "lu he qu"),
        ("盱眙县", "xu yi xian"),
        ("邳州市", "pi zhou shi"),
        ("睢宁县", "sui ning xian"),
        ("涟水县", "lian shui xian"),
        ("溧水区", "li shui qu"),
        ("浦口区", "pu kou qu"),
        ("盐都区", "yan du qu"),
        ("句容市", "ju rong shi"),
        ("赣榆区", "gan yu qu"),
        ("邗江区", "han jiang qu"),
    ],
)
def test_local_readings(name: str, pinyin: str) -> None:
    assert [row.pinyin for row in load("jiangsu") if row.name == name] == [pinyin]


def test_english_names_spell_the_reading() -> None:
    for row in load("jiangsu"):
        spelt = row.english.split(" ")[0].replace("'", "").lower()
        assert row.pinyin.replace(" ", "").startswith(spelt), row


def test_agrees_with_the_facts(data_dir: Path) -> None:
    with (data_dir / "jiangsu" / "offices_2024.tsv").open(encoding="utf-8", newline="") as file:
        facts = {
            (fact["code"], fact["name"], fact["level"], fact["parent_code"] or None)
            for fact in csv.DictReader(file, delimiter="\t")
        }
    assert {(row.code, row.name, row.tier, row.parent) for row in load("jiangsu")} == facts


def test_an_unknown_table_names_those_there_are() -> None:
    with pytest.raises(ConfigError, match="expected one of jiangsu, got shanxi"):
        load("shanxi")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"table:1: expected code,name"),
        ("code,name\n", r"table:1: expected code,name"),
        (HEADER + "320000,江苏省\n", r"table:2: expected 6 columns, got 2"),
        (HEADER + PROVINCE.replace("320000", "32000x"), r"table:2: expected six digits"),
        (HEADER + PROVINCE.replace("sheng", "sheng x"), r"table:2: expected 3 syllables"),
        (HEADER + PROVINCE.replace(",province,", ",country,"), r"table:2: expected a tier"),
        (HEADER + PROVINCE.replace("Jiangsu Province", ""), r"table:2: expected cells"),
        (HEADER + PROVINCE.replace("江苏省", " 江苏省"), r"table:2: expected cells"),
        (HEADER + PROVINCE.replace(",,", ",320000,"), r"table:2: expected a province without"),
        (HEADER + PROVINCE + PROVINCE, r"table:3: expected codes in rising order"),
        (HEADER + PROVINCE + COUNTY, r"table:3: expected a parent of tier city"),
        (HEADER + PROVINCE + COUNTY.replace("320500", "320000"), r"expected a parent of tier city"),
        (HEADER + PROVINCE + CITY + CITY.replace(",320000,", ",,"), r"table:4: expected codes"),
    ],
)
def test_refuses(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(text, "table")


def test_takes_a_small_table() -> None:
    assert [row.code for row in parse(HEADER + PROVINCE + CITY + COUNTY, "table")] == [
        "320000",
        "320500",
        "320583",
    ]
