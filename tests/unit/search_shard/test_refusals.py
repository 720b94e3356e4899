"""Whatever the parser refuses, a reader is told in Chinese what to do."""

from __future__ import annotations

import re

import pytest

from node.faces.wording import Wording
from protocol.errors import Rejected
from search_shard.parse import Rules, parse_query
from search_shard.tables import Tables

MANY = " ".join(map(chr, range(0x4E00, 0x4E40)))


@pytest.mark.parametrize(
    "typed",
    [
        *("", "****", "非 的", "-的", "(" * 30 + "的", "地区:", "出版:某年", "断限:3999", "权限:x"),
        *(
            "的 " * 300,
            MANY,
            "类型:……",
            "甲 或 类型:乙",
            "\ud800",
            " ".join(f"编号:{n}" for n in range(17)),
        ),
        "题名:" + "|".join(map(str, range(99))),
    ],
)
def test_a_refusal_says_what_to_do(typed: str, tables: Tables) -> None:
    with pytest.raises(Rejected) as caught:
        parse_query(typed, Rules(tables))
    refused = caught.value
    assert re.search("[请须缺有]", Wording("zh").refused(refused.expected)), refused
    assert Wording("en").refused(refused.expected) == refused.expected
