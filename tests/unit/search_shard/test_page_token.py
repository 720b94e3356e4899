from __future__ import annotations

import base64
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import DecodeError
from protocol.ids import OfficeCode
from protocol.limits import PAGE_TOKEN_CHARS_MAX
from protocol.messages import HitKey
from search_shard.page_token import TRAIL_MAX, PageToken, question_digest, read_token

QUESTION = question_digest("虞山", ("pinyin",))
KEY = HitKey(61_234, OfficeCode("320581"), "320581-cqdxgwz81tkk2/0123456789abcdef", 17)
TOKEN = PageToken(1, QUESTION, 110, (40, 0, 7), 12, 3, True, (KEY,))


@given(
    st.lists(st.integers(0, 2**63 - 1), max_size=200).map(tuple),
    st.integers(0, TRAIL_MAX),
    st.booleans(),
)
def test_a_token_is_read_as_it_was_written(sizes: tuple[int, ...], pages: int, near: bool) -> None:
    trail = tuple(replace(KEY, seq=number) for number in range(pages))
    token = replace(TOKEN, sizes=sizes, near=near, trail=trail)
    text = token.encoded()
    assert read_token(text, QUESTION) == token
    assert text.isascii()
    assert not set(text) & set("+/=&%")
    assert token.after == (trail[-1] if trail else None)


def test_it_fits_where_a_network_is_large() -> None:
    token = replace(TOKEN, sizes=(100_000,) * 5000, trail=(KEY,) * TRAIL_MAX)
    assert len(token.encoded()) < PAGE_TOKEN_CHARS_MAX
    province = replace(TOKEN, sizes=(500,) * 109, trail=(KEY,) * 4)
    assert len(province.encoded()) < 1000, "a link that people send each other"


def test_nothing_else_is_a_token() -> None:
    text = TOKEN.encoded()
    changed = text[:20] + ("A" if text[20] != "A" else "B") + text[21:]
    later = replace(TOKEN, version=2).encoded()
    long = replace(TOKEN, trail=(KEY,) * (TRAIL_MAX + 1)).encoded()
    padded = text + "=" * (-len(text) % 4 or 4)
    for bad in ("", "A", "虞山", text[:-1], changed, later, long, padded, f" {text}", text * 900):
        with pytest.raises(DecodeError, match="page"):
            read_token(bad, QUESTION)
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    with pytest.raises(DecodeError, match="page"):
        read_token(base64.urlsafe_b64encode(raw + b"x").decode().rstrip("="), QUESTION)


def test_a_token_is_of_one_question() -> None:
    others = [question_digest("虞山", ()), question_digest("虞 山", ("pinyin",))]
    for other in others:
        with pytest.raises(DecodeError, match="this very question"):
            read_token(TOKEN.encoded(), other)
    assert question_digest("a", ("x", "y")) == question_digest("a", ("y", "x"))
    assert question_digest("\ud800", ()) != QUESTION
