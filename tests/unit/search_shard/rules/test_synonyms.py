from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import DecodeError
from protocol.limits import SYNONYM_GROUPS_MAX, SYNONYMS_BYTES_MAX
from search_shard.lattice import RULES
from search_shard.rules.finder import Fold
from search_shard.rules.synonyms import (
    HEAD,
    Group,
    Synonyms,
    parse_synonyms,
    read_synonyms,
    write_synonyms,
)

TYPED = """\ufeff# 民国用语
火柴\t洋火、自来火 ＃ 旧称
\r
电影院=影戏院，  # 上海一带  也说
"""
GROUPS = (
    Group(("火柴", "洋火", "自来火"), "旧称"),
    Group(("电影院", "影戏院"), "上海一带 也说"),
)


def test_reads_what_a_clerk_writes_and_writes_it_in_one_way() -> None:
    assert parse_synonyms(TYPED) == GROUPS
    data = write_synonyms(GROUPS)
    assert data.decode() == (f"{HEAD}\n火柴 洋火 自来火 # 旧称\n电影院 影戏院 # 上海一带 也说\n")
    assert read_synonyms(data) == GROUPS
    assert parse_synonyms("") == () == read_synonyms(write_synonyms(()))


words = st.text("火柴洋电影·a", min_size=1, max_size=5)


@given(
    st.lists(st.tuples(st.lists(words, max_size=4), st.text("旧称 #\t", max_size=5)), max_size=4)
)
def test_what_is_taken_is_canonical(lines: list[tuple[list[str], str]]) -> None:
    text = "\n".join(f"{' '.join(group)} # {note}" for group, note in lines)
    try:
        groups = parse_synonyms(text)
    except DecodeError:
        return
    assert read_synonyms(write_synonyms(groups)) == groups


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("火柴", "line 1: expected 2 to 12 words"),
        ("\n" + " ".join(f"火柴{n}" for n in range(13)), "line 2: expected 2 to 12"),
        ("火柴 火", "words of 2 to 20 characters, got '火'"),
        ("火柴 火·", "words of 2 to 20 characters"),
        ("火柴 " + "洋" * 21, "words of 2 to 20"),
        ("火柴 洋\u200b火\u0007", "words of 2 to 20"),
        ("火柴 火柴", "each word once"),
        ("火柴 洋火\n洋火 自来火", "line 2: expected each word once, got 洋火: also in line 1"),
        ("火柴 洋火 # " + "旧" * 101, "a note of at most 100"),
        ("x" * (SYNONYMS_BYTES_MAX + 1), "bytes"),
        ("\n".join(f"甲{n} 乙{n}" for n in range(SYNONYM_GROUPS_MAX + 1)), "5000 groups"),
    ],
)
def test_refuses(text: str, message: str) -> None:
    with pytest.raises(DecodeError, match=message):
        parse_synonyms(text)


@pytest.mark.parametrize(
    "data",
    [
        b"\xff",
        b"",
        write_synonyms(GROUPS)[:-1],
        write_synonyms(GROUPS[::-1]),
        write_synonyms(GROUPS).replace(b" # ", b"  # "),
        b"x" * (SYNONYMS_BYTES_MAX + 1),
    ],
)
def test_a_node_believes_the_canonical_text_only(data: bytes) -> None:
    with pytest.raises(DecodeError):
        read_synonyms(data)


def test_words_of_a_group_stand_for_one_another(fold: Fold) -> None:
    table = Synonyms((*GROUPS, Group(("臺灣省", "阿·里山"))), 3, fold)
    found = table.alternatives("老洋火盒")
    assert [(a.rule, a.text, a.start, a.end) for a in found] == [
        ("synonym", "火柴", 1, 3),
        ("synonym", "自来火", 1, 3),
    ]
    assert {a.note for a in found} == {"旧称，同义词表第3版"}
    assert [a.text for a in table.alternatives("台湾省")] == ["阿·里山"]
    assert [a.text for a in table.alternatives("阿里山")] == ["臺灣省"]
    assert table.alternatives("洋") == table.alternatives("火药") == []
    assert {a.rule for a in found} <= set(RULES)


def test_versions_tell_tables_apart(fold: Fold) -> None:
    one, two = (Synonyms(groups, 1, fold).version for groups in (GROUPS, GROUPS[:1]))
    assert one != two
    assert one.startswith("1 (")
    assert Synonyms((), 2, fold).alternatives("火柴") == []
