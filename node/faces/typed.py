"""What stands in a typed query, as far as a page must know to take a part out or put one in?"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

# field: the word typed for it, as docs/spec/query.md has them
FILTER_WORDS: Final = {
    "title": "题名",
    "office": "机构",
    "place": "地区",
    "kind": "类型",
    "compiler": "编纂",
    "published": "出版",
    "span": "断限",
    "rights": "权利",
    "holding": "馆藏",
    "subject": "主题",
    "edition": "版本",
    "item": "编号",
}
_JOINS: Final = frozenset(("and", "or", "not", "与", "或", "非", "&", "|"))
_PART: Final = re.compile(r'(?:"[^"]*"|“[^”]*”|「[^」]*」|『[^』]*』|[^\s"“「『])+|["“「『]')
_FILTER: Final = re.compile(r"(?:[-－]|非|not )?([^\s:：\"“「]{1,20})[:：].", re.IGNORECASE)
_FIELDS: Final = {word: field for field, word in FILTER_WORDS.items()} | {
    field: field for field in FILTER_WORDS
}


@dataclass(frozen=True, slots=True)
class Part:
    """What stands between two spaces of a query, a quotation being whole."""

    start: int
    end: int
    text: str
    field: str  # of the filter it is, else ""

    @property
    def is_word(self) -> bool:
        return not self.field and self.text.casefold() not in _JOINS


def parts_of(text: str) -> tuple[Part, ...]:
    """The parts of a typed query, in order."""
    parts = []
    for found in _PART.finditer(text):
        named = _FILTER.match(found[0])
        field = _FIELDS.get(named[1].casefold(), "") if named else ""
        parts.append(Part(found.start(), found.end(), found[0], field))
    return tuple(parts)


def filter_text(field: str, value: str) -> str:
    """The filter as it is typed."""
    quoted = f"「{value}」" if re.search(r"[\s()（）]", value) else value
    return f"{FILTER_WORDS[field]}:{quoted}"
