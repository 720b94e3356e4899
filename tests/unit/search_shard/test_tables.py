from __future__ import annotations

import subprocess
import sys
import time

import pytest

from protocol.errors import Corrupt
from search_shard.readings import LOCAL_READINGS, split_syllables, toneless
from search_shard.tables import Tables


@pytest.mark.parametrize(
    ("typed", "folded"),
    [
        ("吳郡蘇州圖經續記", "吴郡苏州图经续记"),
        ("呉葢㑹鄕邨祕閣", "吴盖会乡村秘阁"),
        ("ＡＢｃ１２", "abc12"),
        ("芸弁缶", "芸弁缶"),  # words of their own, though Japanese writes others so
        ("𠮷𠀀〓●", "𠮷𠀀〓●"),
    ],
)
def test_fold(tables: Tables, typed: str, folded: str) -> None:
    assert tables.fold(typed) == folded


def test_folding_twice_is_folding_once_and_keeps_length(tables: Tables) -> None:
    every = "".join(chr(point) for point in range(0x110000) if not 0xD800 <= point < 0xE000)
    folded = tables.fold(every)
    assert len(folded) == len(every)
    assert tables.fold(folded) == folded


def test_names_are_read_as_jiangsu_reads_them(tables: Tables) -> None:
    for name, spelled in LOCAL_READINGS.items():
        for character, syllable in zip(name, spelled.split(), strict=True):
            assert syllable in tables.readings(character), name


def test_readings_of_several_sounds_and_of_none(tables: Tables) -> None:
    assert set(tables.readings("重")) == {"zhong", "chong", "tong"}
    assert tables.readings("乾") == ("gan", "qian")  # at home with 干, a guest of qian
    assert tables.readings("〓") == ()


@pytest.mark.parametrize("pair", ["己已", "戊戌", "清请", "未末", "晴睛", "徒徙"])
def test_shapes_are_alike_both_ways(tables: Tables, pair: str) -> None:
    assert pair[1] in tables.alike_to(pair[0])
    assert pair[0] in tables.alike_to(pair[1])


def test_keys_keep_variants_together_within_their_sound(tables: Tables) -> None:
    import numpy as np

    def key(character: str) -> int:
        return int(tables.keys(np.array([ord(character)], dtype=np.uint32))[0])

    assert key("苏") >> 21 == key("蘇") >> 21 == key("蘓") >> 21
    assert key("苏") >> 42 == key("素") >> 42 != key("州") >> 42


def test_opening_is_quick_and_needs_no_packages(tables_bytes: bytes) -> None:
    started = time.perf_counter()
    Tables.from_bytes(tables_bytes)
    assert time.perf_counter() - started < 0.05
    assert len(tables_bytes) < 3_000_000
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


@pytest.mark.parametrize(
    ("letters", "ways"),
    [
        ("suzhou", (("su", "zhou"),)),
        ("xian", (("xian",), ("xi", "an"))),
        ("xyz", ()),
        ("", ()),
    ],
)
def test_split_syllables(tables: Tables, letters: str, ways: tuple[tuple[str, ...], ...]) -> None:
    assert split_syllables(letters, tables.syllables) == ways


def test_split_syllables_is_bounded(tables: Tables) -> None:
    assert len(split_syllables("xian" * 50, tables.syllables)) <= 8
    assert split_syllables("xian" * 50 + "q", tables.syllables) == ()


def test_toneless() -> None:
    assert [toneless(r) for r in ("zhòng", "nǚ", "lǜ", "ḿ", "ê̄")] == ["zhong", "nv", "lv", "m", "e"]
