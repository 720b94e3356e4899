"""Numbers in Chinese and Arabic: 一百二十 = 一二〇 = 120, 廿四, 壹佰贰拾, 12万."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from search_shard.widening import Alternative

NUMBER_MAX: Final = 10**16 - 1  # 千万亿 and all below
_RUN_CHARS_MAX: Final = 40

_PLAIN: Final = "〇一二三四五六七八九"
_FORMAL: Final = "壹贰叁肆伍陆柒捌玖拾佰仟"  # not to be forged; many are also common words
_TO_PLAIN: Final = str.maketrans(f"零○{_FORMAL}", "〇〇一二三四五六七八九十百千")
_TO_CHINESE: Final = str.maketrans("0123456789", _PLAIN)
_VALUES: Final = {**{digit: at for at, digit in enumerate(_PLAIN)}, "两": 2}
_TENS: Final = {"廿": 20, "卅": 30, "卌": 40}
_UNITS: Final = {"十": 10, "百": 100, "千": 1000}
_CHARS: Final = f"0123456789{_PLAIN}零○{_FORMAL}十百千两廿卅卌万亿"
NUMBER_RUN: Final = re.compile(f"[{_CHARS}]+")
_NAMES: Final = (("亿", 10**8), ("万", 10**4), ("千", 1000), ("百", 100), ("十", 10))
_SECTION: Final = re.compile(  # below 万
    "(?:〇?[一二三四五六七八九两]千)?(?:〇?[一二三四五六七八九两]百)?"
    "(?:〇?[一二三四五六七八九]?十|〇?[廿卅卌])?(?:〇?[一二三四五六七八九])?"
)
# One digit alone (三) is mostly part of a name; these beside it say that it counts something.
_COUNTED: Final = frozenset("年月日时号届次卷册期版章节区里丈尺亩户口人名位座所元吨米")


_SIGN: Final = f"[{_CHARS}]{{2}}|[0-9]|第[{_CHARS}]|[{_CHARS}][{''.join(sorted(_COUNTED))}]"
_TRIGGER: Final = re.compile(_SIGN)


class Numerals:
    """The rule ``number``."""

    rule: Final = "number"
    sign: Final = _SIGN
    version: Final = "1"

    def alternatives(self, word: str) -> list[Alternative]:
        """Other spellings of every number in a folded word."""
        if _TRIGGER.search(word) is None:
            return []
        return [found for run in NUMBER_RUN.finditer(word) for found in _respelled(word, run)]


def _respelled(word: str, run: re.Match[str]) -> Iterator[Alternative]:
    typed, start, end = run[0], run.start(), run.end()
    if len(typed) > _RUN_CHARS_MAX or (len(typed) == 1 and not _counts(word, start)):
        return
    value = parse_number(typed)
    if value is None:
        return
    for spelled in spellings(value):
        if spelled != typed:
            yield Alternative(Numerals.rule, spelled, start, end)


def _counts(word: str, at: int) -> bool:
    if word[at].isascii():
        return True
    return word[at - 1 : at] == "第" or word[at + 1 : at + 2] in _COUNTED


def spellings(value: int) -> tuple[str, ...]:
    """How a number from 0 to NUMBER_MAX is written, the commonest first."""
    arabic = str(value)
    written = [arabic, write_number(value)]
    if 100 <= value < 10**9:
        positions = arabic.translate(_TO_CHINESE)
        written += [positions, positions.replace("〇", "零")]
    for name, unit in _NAMES[:2]:
        if value >= unit and value % unit == 0:
            written.append(f"{value // unit}{name}")
            break
    if 20 <= value < 50:
        tens, ones = divmod(value, 10)
        written.append("廿卅卌"[tens - 2] + (_PLAIN[ones] if ones else ""))
    return tuple(dict.fromkeys(written))


@lru_cache(maxsize=1024)
def write_number(value: int) -> str:
    """With units, as in a text: 一千二百零三万零四."""
    if value < 10:
        return _PLAIN[value] if value else "零"
    name, unit = next(each for each in _NAMES if value >= each[1])
    count, rest = divmod(value, unit)
    head = "" if unit == 10 and count == 1 else write_number(count)
    tail = write_number(rest) if rest else ""
    tail = f"一{tail}" if unit > 10 <= rest < 20 else tail  # 一百一十二
    return f"{head}{name}{'零' if 0 < rest < unit // 10 else ''}{tail}"


def parse_number(text: str) -> int | None:
    """The number that ``text`` (folded) spells, up to NUMBER_MAX; None when it spells none in one
    way only (万一, 三两), or is written as no number is (007)."""
    if text.isascii():
        plain = text.isdecimal() and (text[0] != "0" or text == "0")
        return int(text) if plain and int(text) <= NUMBER_MAX else None
    is_formal = not set(_FORMAL).isdisjoint(text)
    if is_formal and (len(text) == 1 or not set(_PLAIN[1:]).isdisjoint(text)):
        return None
    text = text.translate(_TO_PLAIN)
    if set(_PLAIN).issuperset(text):
        digits = "".join(str(_VALUES[digit]) for digit in text)
        return parse_number(digits)
    head, yi, tail = text.rpartition("亿")
    high = _below_yi(head) if yi else 0
    low = _below_yi(tail) if tail else 0
    if high is None or low is None or (yi and not high) or low >= 10**8:
        return None
    value = high * 10**8 + low
    return value if value <= NUMBER_MAX else None


def _below_yi(text: str) -> int | None:
    head, wan, tail = text.rpartition("万")
    high = _section(head) if wan else 0
    low = _section(tail) if tail else 0
    if high is None or low is None or (wan and not high) or (wan and low >= 10**4):
        return None
    return high * 10**4 + low


def _section(text: str) -> int | None:
    """Below 万; what stands before 万 or 亿 may also be 两 or Arabic."""
    if text == "两":
        return 2
    if text.isascii():
        return int(text) if text.isdecimal() and len(text) <= len(str(NUMBER_MAX)) else None
    if not _SECTION.fullmatch(text):
        return None
    total = digit = 0
    for character in text:
        if character in _VALUES:
            digit = _VALUES[character]
        else:
            total += _TENS.get(character) or max(digit, 1) * _UNITS[character]
            digit = 0
    return total + digit
