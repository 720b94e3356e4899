"""The grammar of what is typed: words, quotes, brackets, 与 或 非, filters.  Knows no characters.

Whatever is typed has a reading: a quote or bracket that is left open closes at the end, one too
many is passed over, and so is a joining word that has nothing to join; notes say so.
Specification: docs/spec/query.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from protocol.errors import Rejected
from search_shard.lattice import AND, NOT, OR, Note

DEPTH_MAX: Final = 16  # of brackets

JOINS: Final = {
    **dict.fromkeys(("and", "与", "和", "且", "并且", "&", "&&", "+"), AND),
    **dict.fromkeys(("or", "或", "或者"), OR),
    **dict.fromkeys(("not", "非", "不含"), NOT),
}
# Names before a colon, the one that is shown first; docs/spec/query.md has them as a table.
FILTER_NAMES: Final[dict[str, tuple[str, ...]]] = {
    "title": ("题名", "书名", "志名", "title"),
    "office": ("机构", "单位", "方志办", "office"),
    "place": ("地区", "地", "地方", "行政区划", "place", "region"),
    "kind": ("类型", "志书类型", "种类", "kind", "type"),
    "compiler": ("编者", "编纂", "编纂者", "编纂单位", "责任者", "作者", "compiler", "author"),
    "published": ("出版", "出版年", "出版时间", "出版日期", "published", "year"),
    "span": ("断限", "年代", "起止", "span", "period"),
    "rights": ("权限", "权利", "rights"),
    "holding": ("馆藏", "收藏", "holding"),
    "subject": ("主题", "主题词", "subject"),
    "edition": ("版本", "edition"),
    "item": ("编号", "item", "id"),
}
SCOPE_NAMES: Final[dict[tuple[str, ...], tuple[str, ...]]] = {
    ("title", "heading"): ("题", "head"),  # of works or of chapters
    ("heading",): ("标题", "篇目", "章节", "heading"),
}
RIGHTS_NAMES: Final[dict[str, tuple[str, ...]]] = {  # values of the filter of rights
    "open": ("公开", "开放", "open"),
    "office": ("内部", "本单位", "office"),
    "sealed": ("封存", "加密", "保密", "sealed"),
}
_FIELDS: Final = {name: field for field, names in FILTER_NAMES.items() for name in names}
_SCOPES: Final = {name: scopes for scopes, names in SCOPE_NAMES.items() for name in names}

_PARTS: Final = '\\s()（）|｜「」『』“”"＂'  # end a bare word
_QUOTED: Final = (
    '「[^」]*(?:」|$)|『[^』]*(?:』|$)|“[^”]*(?:”|$)|"[^"]*(?:"|$)|＂[^＂]*(?:＂|$)'
    f"|'[^']*'(?=[{_PARTS}]|$)|‘[^’]*’(?=[{_PARTS}]|$)"
)
_VALUE: Final = f"(?:{_QUOTED}|[^{_PARTS},，、]+)"
_NAMES: Final = "|".join(sorted((*_FIELDS, *_SCOPES), key=len, reverse=True))
_TOKEN: Final = re.compile(
    rf"""(?P<space>\s+)
    |(?P<open>[(（])|(?P<close>[)）])
    |(?P<or>[|｜]+)
    |(?P<sign>[-－−+＋](?=[^\s)）]))
    |(?=[^\s:：]{{1,9}}[:：])(?P<name>{_NAMES})[:：]\s*(?P<values>{_VALUE}(?:[,，、|｜]{_VALUE})*)?
    |(?P<quote>{_QUOTED})
    |(?P<bare>[^{_PARTS}]+)
    |(?P<stray>.)""",
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
_EACH_VALUE: Final = re.compile(_VALUE)
_IS_QUOTED: Final = re.compile(_QUOTED)
_CLOSING: Final = dict(zip("「『“\"＂'‘", "」』”\"＂'’", strict=True))
_MARKS: Final = re.compile(r"[-－−+＋'‘’]+")  # alone, they say nothing


@dataclass(frozen=True, slots=True)
class Term:
    """One word to look for."""

    text: str
    typed: str  # with its marks, so that it can be typed again
    quoted: bool = False
    scopes: tuple[str, ...] = ("",)


@dataclass(frozen=True, slots=True)
class Condition:
    """名称:值; any of ``values``, each with whether it was quoted."""

    field: str
    values: tuple[tuple[str, bool], ...]


@dataclass(frozen=True, slots=True)
class Negated:
    part: Node


@dataclass(frozen=True, slots=True)
class Joined:
    how: str  # AND or OR
    parts: tuple[Node, ...]  # two or more


Node = Term | Condition | Negated | Joined
Match = re.Match[str]


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str  # term, AND, OR, NOT, "(", ")" or "" at the end
    typed: str = ""
    node: Node | None = None


_END: Final = _Token("")


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of what is typed that can be taken out by itself, its ``-`` with it."""

    start: int
    end: int
    text: str
    field: str  # of the filter it is, else ""
    is_word: bool  # something to look for


def parts_of(text: str) -> tuple[Part, ...]:
    """The pieces of a typed query, in order; nothing but spaces stands between them."""
    parts = []
    start = 0
    for match in _TOKEN.finditer(text):
        kind, typed = match.lastgroup, match[0]
        if kind not in ("space", "sign"):
            named = kind in ("name", "values")
            field = _FIELDS.get(match["name"].casefold(), "") if named else ""
            is_word = (
                kind == "quote"
                or (named and not field)
                or (kind == "bare" and typed.casefold() not in JOINS)
            )
            parts.append(Part(start, match.end(), text[start : match.end()], field, is_word))
        if kind != "sign":
            start = match.end()
    return tuple(parts)


def read(
    text: str, is_syllable: Callable[[str], bool], says: Callable[[str], object]
) -> tuple[Node | None, list[Note]]:
    """The tree of ``text``, None when there is nothing to look for, and what was passed over.

    Words that are one syllable of pinyin each and stand one after another are one word.  A word or
    quote that ``says`` nothing (punctuation alone) is none.

    Raises:
        Rejected: brackets deeper than :data:`DEPTH_MAX`; a filter without a value.
    """
    notes: list[Note] = []
    tokens = [token for match in _words(text, is_syllable) for token in _tokens(match, notes)]
    tokens = [_spoken(token, says) for token in tokens]
    node = _Descent(tokens, notes).alternatives(0)
    if node is None and any(token.kind in (AND, OR, NOT) for token in tokens):
        return Term(text.strip(), text.strip()), []  # 与 and nothing else: the character itself
    return node, notes


@dataclass(slots=True)
class _Descent:
    """Recursive descent: NOT binds closer than AND, AND than OR."""

    tokens: list[_Token]
    notes: list[Note]
    at: int = 0

    def peek(self) -> _Token:
        return self.tokens[self.at] if self.at < len(self.tokens) else _END

    def take(self) -> _Token:
        token = self.peek()
        self.at += 1
        return token

    def ignore(self, token: _Token) -> None:
        self.notes.append(Note("ignored", token.typed, ""))

    def alternatives(self, depth: int) -> Node | None:
        parts = _present(self.conjunction(depth))
        while self.peek().kind == OR:
            token = self.take()
            part = _present(self.conjunction(depth))
            if not (parts and part):
                self.ignore(token)
            parts += part
        return _join(OR, parts)

    def conjunction(self, depth: int) -> Node | None:
        parts: list[Node] = []
        waiting: _Token | None = None  # an AND whose right side has not come
        while (kind := self.peek().kind) not in ("", OR):
            if kind == ")":
                if depth:
                    break
                self.ignore(self.take())
            elif kind == AND:
                if waiting or not parts:
                    self.ignore(self.take())
                else:
                    waiting = self.take()
            elif part := self.operand(depth):
                parts.append(part)
                waiting = None
        if waiting:
            self.ignore(waiting)
        return _join(AND, parts)

    def operand(self, depth: int) -> Node | None:
        negated, token = False, self.take()
        while token.kind == NOT:
            if self.peek().kind in ("", AND, OR, ")"):
                self.ignore(token)
                return None
            negated, token = not negated, self.take()
        node = token.node
        if token.kind == "(":
            if depth == DEPTH_MAX:
                raise Rejected("query", f"brackets at most {DEPTH_MAX} deep", "deeper ones")
            node = self.alternatives(depth + 1)
            if not self.take().kind:
                closing = "）" if token.typed == "（" else ")"
                self.notes.append(Note("closed", token.typed, closing))
        return Negated(node) if negated and node else node


def _spoken(token: _Token, says: Callable[[str], object]) -> _Token:
    node = token.node
    if isinstance(node, Joined):
        return replace(token, node=_join(OR, [each for each in node.parts if _says(each, says)]))
    return token if node is None or _says(node, says) else replace(token, node=None)


def _says(node: Node, says: Callable[[str], object]) -> bool:
    return not isinstance(node, Term) or bool(says(node.text))


def _present(node: Node | None) -> list[Node]:
    return [node] if node else []


def _words(text: str, is_syllable: Callable[[str], bool]) -> Iterator[tuple[str, Match, str]]:
    """(kind, match, typed) of each token; syllables one after another are one, with spaces."""
    run: list[str] = []
    for match in _TOKEN.finditer(text):
        kind, typed = match.lastgroup or "", match[0]
        if kind == "bare" and typed.casefold() not in JOINS and is_syllable(typed):
            run.append(typed)
        elif kind != "space":
            if run:
                yield "bare", match, " ".join(run)
            run = []
            yield kind, match, typed
    if run:
        yield "bare", match, " ".join(run)


def _tokens(word: tuple[str, Match, str], notes: list[Note]) -> Iterator[_Token]:
    kind, match, typed = word
    if kind == "bare":
        if how := JOINS.get(typed.casefold()):
            yield _Token(how, typed)
        elif not _MARKS.fullmatch(typed):
            yield _Token("term", typed, Term(typed.replace(" ", "'"), typed))
    elif kind in ("open", "close"):
        yield _Token("(" if kind == "open" else ")", typed)
    elif kind == "or":
        yield _Token(OR, typed)
    elif kind == "sign" and typed not in "+＋":
        yield _Token(NOT, typed)
    elif kind == "quote":
        yield _Token("term", typed, _term(typed, notes))
    elif kind in ("name", "values"):
        yield _Token("term", typed, _named(match, notes))


def _named(match: Match, notes: list[Note]) -> Node:
    name = match["name"].casefold()
    if not match["values"]:
        raise Rejected("query", f"a value after the colon, as in {name}:苏州", repr(match[0][:20]))
    terms = [_term(value, notes) for value in _EACH_VALUE.findall(match["values"])]
    if name in _FIELDS:
        return Condition(_FIELDS[name], tuple((each.text, each.quoted) for each in terms))
    scoped: list[Node] = [
        Term(each.text, f"{name}:{each.typed}", each.quoted, _SCOPES[name]) for each in terms
    ]
    return scoped[0] if len(scoped) == 1 else Joined(OR, tuple(scoped))


def _term(typed: str, notes: list[Note]) -> Term:
    """A quote, or a value that may be one; what is left open is closed."""
    if not _IS_QUOTED.fullmatch(typed):
        return Term(typed, typed)
    closing = _CLOSING[typed[0]]
    if len(typed) == 1 or typed[-1] != closing:
        notes.append(Note("closed", typed, closing))
        typed += closing
    return Term(typed[1:-1], typed, quoted=True)


def _join(how: str, parts: Sequence[Node]) -> Node | None:
    if len(parts) < 2:
        return parts[0] if parts else None
    flat: list[Node] = []
    for part in parts:
        flat += part.parts if isinstance(part, Joined) and part.how == how else (part,)
    return Joined(how, tuple(flat))
