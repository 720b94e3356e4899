from __future__ import annotations

import subprocess
import sys
import time

import numpy as np
import pytest

from protocol.errors import Corrupt
from search_shard.blocks import pack_blocks
from search_shard.tables import Tables


def test_folding_twice_is_folding_once_and_keeps_length(tables: Tables) -> None:
    every = "".join(chr(point) for point in range(0x110000) if not 0xD800 <= point < 0xE000)
    folded = tables.fold(every)
    assert len(folded) == len(every)
    assert tables.fold(folded) == folded


def test_readings_of_several_sounds_and_of_none(tables: Tables) -> None:
    assert tables.readings("重") == ("zhong", "chong")
    assert tables.every_reading("重") == ("zhong", "chong", "tong")  # of dictionaries only
    assert tables.readings("乾") == ("gan", "qian")  # at home with 干, a guest of qian
    assert tables.readings("干") == tables.readings("乾")  # as they fold to one
    assert tables.readings("征") == ("zheng", "zhi")  # 徵
    assert max(len(tables.every_reading(c)) for c in "和着差干参于行") <= 5
    assert tables.readings("〓") == tables.every_reading("〓") == ()


def test_guests_of_a_syllable_are_folded_and_at_home_elsewhere(tables: Tables) -> None:
    assert {"六", "角"} <= set(tables.sounding("lu")) != set(tables.sounding("a"))
    assert "乾" not in tables.sounding("qian")
    assert "干" in tables.sounding("qian")
    assert tables.sounding("zzz") == ""
    for syllable in ("a", "lu", "qian", tables.syllables[-1]):
        for character in tables.sounding(syllable):
            assert syllable in tables.every_reading(character)[1:]


def test_guests_of_points_are_those_in_real_use(tables: Tables) -> None:
    points = np.array(list(map(ord, "重山六")), dtype=np.uint32)
    places, syllables = tables.guests_of(points)
    assert places.tolist() == [0, 2]
    assert [tables.syllables[number] for number in syllables] == ["chong", "lu"]
    assert [len(found) for found in tables.guests_of(points[:0])] == [0, 0]


def test_keys_keep_variants_together_within_their_sound(tables: Tables) -> None:
    def key(character: str) -> int:
        return int(tables.keys(np.array([ord(character)], dtype=np.uint32))[0])

    assert key("苏") >> 21 == key("蘇") >> 21 == key("蘓") >> 21
    assert key("苏") >> 42 == key("素") >> 42 != key("州") >> 42


def test_opening_is_quick_and_needs_no_packages(tables_bytes: bytes) -> None:
    started = time.process_time()
    Tables.from_bytes(tables_bytes)
    assert time.process_time() - started < 0.05
    assert len(tables_bytes) < 5_000_000
    code = (
        "import sys, search_shard.search; print('pypinyin' in sys.modules, 'opencc' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_a_damaged_byte_is_noticed(tables_bytes: bytes) -> None:
    for at in range(0, len(tables_bytes), len(tables_bytes) // 40):
        damaged = bytearray(tables_bytes)
        damaged[at] ^= 1
        if damaged[at] == 1 and tables_bytes[at] == 0 and _is_padding(tables_bytes, at):
            continue
        with pytest.raises(Corrupt):
            Tables.from_bytes(bytes(damaged))


def _is_padding(data: bytes, at: int) -> bool:
    """Whether the byte is one of those between blocks, which carry nothing."""
    return at % 8 != 0 and not any(data[at : at + 8 - at % 8])


def test_tables_of_another_shape_are_refused() -> None:
    for header in (None, (b"1",), (b"1", "a", "b")):
        with pytest.raises(Corrupt, match="digest and syllables"):
            Tables.from_bytes(pack_blocks(b"fzread\x00\x02", header, {}))


def test_syllables_have_numbers_in_their_order(tables: Tables) -> None:
    numbers = [tables.syllable_number(syllable) for syllable in tables.syllables]
    assert numbers == list(range(len(tables.syllables)))
    assert [tables.syllable_number(s) for s in ("", "suzhou", "zzz")] == [None] * 3


def test_what_is_not_known_stays_and_stands_last(tables: Tables) -> None:
    assert tables.fold("") == ""
    assert tables.fold("\ud840\U0010ffff") == "\ud840\U0010ffff"
    assert tables.alike_to("😀") == tables.alike_to("\U0010ffff") == tables.alike_to("\0") == ""
    assert len(tables.readings("\U0010ffff")) == 0
    keys = tables.keys(np.array([ord("座"), ord("〓"), 0x10FFFF], dtype=np.uint32))
    assert keys.tolist() == sorted(keys.tolist())
