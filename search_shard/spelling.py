"""A parsed query written out: as one would type it, in full for ``--explain``, and corrected.

Specification: docs/spec/query.md.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from search_shard.fold import is_skipped
from search_shard.grammar import FILTER_NAMES, RIGHTS_NAMES
from search_shard.lattice import AND, NEAR, NOT, OR, SPOKEN, Filter, Phrase, Query

CORRECTIONS_MAX: Final = 3
SLIP_RATIO: Final = 5
_NUMERALS: Final = frozenset("〇零一二三四五六七八九十百千万廿卅0123456789")
_SHOWN_SOUNDS: Final = 3  # of a position; initials have tens
# Beside these a word is no syllable that would join the next one.
_APART: Final = re.compile("[〇\u3400-\u9fff\uf900-\ufaff\U00020000-\U000323af「」『』“”\"'()]")
_BARE_VALUE: Final = re.compile(r"[\w.-]+")
_BINDS: Final = {OR: 1, AND: 2, NOT: 2}


def render(query: Query) -> str:
    """The query as one would type it; it parses to the same words, plan and filters.

    Words as they were typed, joins in their fewest signs, filters after the words.
    """
    parts = [_words(query, binds=2 if query.filters else 1)] if query.words else []
    return " ".join([*parts, *map(_filter, query.filters)])


def filter_text(field: str, *values: str) -> str:
    """A filter as one would type it: any of ``values`` of a field."""
    if field == "rights":
        values = tuple(
            RIGHTS_NAMES[value][0] if value in RIGHTS_NAMES else value for value in values
        )
    bare = len(values) == 1 and _BARE_VALUE.fullmatch(values[0])
    shown = values[0] if bare else "|".join(f"「{value}」" for value in values)
    return f"{FILTER_NAMES[field][0]}:{shown}"


def explain(query: Query) -> tuple[str, ...]:
    """Lines that say all of the lattice: words with their phrases by rule, plan, filters, notes.

    A phrase is its rule, its text (syllables in brackets), where it must stand, and after ``~``
    by what one of its characters may be wrong.
    """
    lines = [f"query {render(query)}"]
    for number, word in enumerate(query.words):
        lines.append(f"word {number} {word.typed} (weight {word.weight})")
        lines += [f"  {_phrase(phrase)}" for phrase in word.phrases]
    if len(query.plan) > 1:
        lines.append(f"plan {' '.join(query.plan)}")
    lines += [f"filter {_filter(each)}" for each in query.filters]
    lines += [f"note {each.rule} {each.typed} → {each.taken_for}" for each in query.notes]
    return tuple(lines)


class NearReason(Protocol):
    """Why a hit has a word; what :class:`Correction` needs of a reason."""

    @property
    def word(self) -> int: ...
    @property
    def rule(self) -> str: ...
    @property
    def found(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Correction:
    """您是不是要找: a query that would have found ``count`` of the near hits as typed."""

    text: str
    count: int


def did_you_mean(
    query: Query, hits: Iterable[Sequence[NearReason]], fold: Callable[[str], str]
) -> tuple[Correction, ...]:
    """Corrected queries by what hits with a wrong character have instead, most frequent first.

    ``hits`` are the reasons of each hit; one without a near reason says nothing.  Variants of one
    form count together and are shown in the form that is most frequent.  Another number is another
    meaning and no slip, so it is not offered (康熙三十五 for 康熙三十年); nor is another word
    for one that hits have as it was asked for, unless SLIP_RATIO times as many have the other.
    """
    typed = [fold(word.typed) for word in query.words]
    hits = [list(reasons) for reasons in hits]
    as_asked = Counter(
        word for reasons in hits for word in {r.word for r in reasons if r.rule not in NEAR}
    )
    forms: dict[tuple[tuple[int, str], ...], Counter[tuple[str, ...]]] = {}
    for reasons in hits:
        found = {
            each.word: "".join(c for c in each.found if not is_skipped(c))
            for each in reasons
            if each.rule in NEAR and each.word < len(query.words)
        }
        if found and all(found.values()):
            if any(_other_number(typed[word], fold(text)) for word, text in found.items()):
                continue
            key = tuple(sorted((word, fold(text)) for word, text in found.items()))
            texts = tuple(found[word] for word, _ in key)
            forms.setdefault(key, Counter())[texts] += 1
    slips = [
        (key, counts)
        for key, counts in forms.items()
        if all(counts.total() >= SLIP_RATIO * as_asked[word] for word, _ in key)
    ]
    ranked = sorted(slips, key=lambda item: (-item[1].total(), item[0]))
    corrections = []
    for key, counts in ranked[:CORRECTIONS_MAX]:
        words = list(query.words)
        for (word, _), text in zip(key, counts.most_common(1)[0][0], strict=True):
            words[word] = replace(words[word], typed=text)
        corrected = render(replace(query, words=tuple(words)))
        corrections.append(Correction(corrected, counts.total()))
    return tuple(corrections)


def _other_number(typed: str, found: str) -> bool:
    """Whether a word with a number stands with another one."""
    changed = {other for one, other in zip(typed, found, strict=False) if one != other}
    return not _NUMERALS.isdisjoint(typed) and not _NUMERALS.isdisjoint(changed)


def _words(query: Query, binds: int) -> str:
    """The plan in infix form, in brackets if it binds less strongly than that."""
    stack: list[tuple[str, int]] = []  # text and how strongly its outermost join binds
    for step in query.plan:
        if step not in _BINDS:
            stack.append((query.words[int(step)].typed, 3))
            continue
        right, left = stack.pop(), stack.pop()
        first = _within(left, _BINDS[step])
        if step == OR:
            stack.append((f"{first} 或 {_within(right, 1)}", 1))
        elif step == NOT:
            stack.append((f"{first} -{_within(right, 3)}", 2))
        else:
            second = _within(right, 2)
            apart = _APART.match(first[-1:]) or _APART.match(second[:1])
            stack.append((f"{first} {second}" if apart else f"{first} 与 {second}", 2))
    return _within(stack[0], binds)


def _within(part: tuple[str, int], binds: int) -> str:
    return part[0] if part[1] >= binds else f"({part[0]})"


def _filter(chosen: Filter) -> str:
    if chosen.values:
        text = filter_text(chosen.field, *chosen.values)
    elif chosen.low == chosen.high:
        text = filter_text(chosen.field, str(chosen.low))
    else:
        text = filter_text(chosen.field, f"{chosen.low or ''}..{chosen.high or ''}")
    return f"{'-' if chosen.excluded else ''}{text}"


def _phrase(phrase: Phrase) -> str:
    shown = "".join(_positions(phrase))
    scope = f" in {phrase.scope}" if phrase.scope else ""
    near = f" ~ {' '.join(phrase.near)}" if phrase.near else ""
    return f"{phrase.rule} {shown}{near}{scope}"


def _positions(phrase: Phrase) -> Iterator[str]:
    if not phrase.sounds:
        yield phrase.text
        return
    for character, sounds in zip(phrase.text, phrase.sounds, strict=True):
        if character != SPOKEN:
            yield character
        else:
            more = "…" if len(sounds) > _SHOWN_SOUNDS else ""
            yield f"[{'|'.join(sounds[:_SHOWN_SOUNDS])}{more}]"
