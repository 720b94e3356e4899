"""What was typed, parsed once into a lattice of characters that travels as canonical values.

A query is words that must all occur; a word is alternative phrases; a phrase is cells, one for
each character of text; a cell is what may stand there, cheapest choice first.  The lattice names
characters and syllables, never codes of a segment.  Specification: docs/spec/query.md.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice, product

from protocol.errors import DecodeError, Rejected
from protocol.limits import QUERY_CHARS_MAX
from search_shard.fold import is_skipped
from search_shard.readings import split_syllables
from search_shard.tables import Tables

MODES = ("auto", "exact", "pinyin")
# why a character matches, cheapest first; the last two are wrong characters, one to a phrase
WHYS = ("exact", "variant", "pinyin", "initials", "sound", "shape")
NEAR = ("sound", "shape")

WORDS_MAX = 12
PHRASES_MAX = 12
CHOICE_CHARS_MAX = 128
CHOICE_SYLLABLES_MAX = 128
NEAR_CELLS = range(2, 13)  # lengths of words in which one wrong character is looked for
_INITIALS = range(2, 13)


@dataclass(frozen=True, slots=True)
class Choice:
    why: str  # one of WHYS
    chars: str  # why = exact: these very characters; else any character that folds to one of these
    syllables: tuple[str, ...]  # or any character read so


@dataclass(frozen=True, slots=True)
class Cell:
    choices: tuple[Choice, ...]  # cheapest first


@dataclass(frozen=True, slots=True)
class Phrase:
    cells: tuple[Cell, ...]
    titles_only: bool


@dataclass(frozen=True, slots=True)
class Word:
    phrases: tuple[Phrase, ...]  # alternatives


@dataclass(frozen=True, slots=True)
class Query:
    text: str
    mode: str
    words: tuple[Word, ...]  # all must occur


def parse_query(text: str, mode: str, tables: Tables) -> Query:
    """The lattice of ``text``.

    Raises:
        Rejected: nothing to look for, too long, too many words, an unknown mode.
    """
    if mode not in MODES:
        raise Rejected("search mode", " or ".join(MODES), repr(mode[:20]))
    if len(text) > QUERY_CHARS_MAX:
        raise Rejected("query", f"at most {QUERY_CHARS_MAX} characters", f"{len(text)}")
    if any(0xD800 <= ord(character) < 0xE000 for character in text):
        raise Rejected("query", "text", "half of a surrogate pair")
    words = tuple(_word(token, mode, tables) for token in _tokens(text, mode, tables))
    if not words:
        raise Rejected("query", "at least one character to look for", repr(text[:20]))
    if len(words) > WORDS_MAX:
        raise Rejected("query", f"at most {WORDS_MAX} words", len(words))
    return Query(text, mode, words)


def check_query(query: Query) -> None:
    """That a lattice, maybe from another node, is within the bounds of what we would parse.

    Raises:
        DecodeError: naming what is out of bounds.
    """
    _bound("words", len(query.words), WORDS_MAX)
    for word in query.words:
        _bound("phrases", len(word.phrases), PHRASES_MAX)
        for phrase in word.phrases:
            _bound("cells", len(phrase.cells), QUERY_CHARS_MAX)
            for choice in (choice for cell in phrase.cells for choice in cell.choices):
                _bound("characters", len(choice.chars), CHOICE_CHARS_MAX, 0)
                _bound("syllables", len(choice.syllables), CHOICE_SYLLABLES_MAX, 0)
                if choice.why not in WHYS:
                    raise DecodeError("query", " or ".join(WHYS), repr(choice.why[:20]))
            if any(not 1 <= len(cell.choices) <= len(WHYS) for cell in phrase.cells):
                raise DecodeError("query", f"1 to {len(WHYS)} choices in a cell", "another number")


def _bound(what: str, count: int, most: int, least: int = 1) -> None:
    if not least <= count <= most:
        raise DecodeError("query", f"{least} to {most} {what}", count)


def _tokens(text: str, mode: str, tables: Tables) -> list[str]:
    """Words between spaces; single syllables that follow each other are one word (su zhou)."""
    tokens: list[str] = []
    joins = False
    for token in text.split():
        if all(is_skipped(character) for character in token):
            continue
        spelled = tables.syllables if mode != "exact" else ()
        is_syllable = _letters(token).rstrip("12345") in spelled
        if is_syllable and joins:
            tokens[-1] += "'" + token
        else:
            tokens.append(token)
        joins = is_syllable
    return tokens


def _word(token: str, mode: str, tables: Tables) -> Word:
    typed = "".join(character for character in token if not is_skipped(character))
    whys = ["exact"] if mode == "exact" else ["exact", "variant"]
    if mode == "auto" and len(typed) in NEAR_CELLS:
        whys += NEAR
    phrases = [Phrase(tuple(_cell(character, whys, tables) for character in typed), False)]
    if mode == "pinyin":
        heard = tuple(_cell(character, ["pinyin"], tables) for character in typed)
        phrases += [Phrase(heard, titles_only=False)] if all(c.choices for c in heard) else []
    if mode != "exact":
        phrases += _spelled_phrases(_letters(token), tables)
    return Word(tuple(phrases[:PHRASES_MAX]))


def _cell(character: str, whys: Sequence[str], tables: Tables) -> Cell:
    """What may stand for a typed character, for each of ``whys`` that says something."""
    folded = tables.fold(character)
    readings = () if character.isascii() else tables.readings(character)
    every = {
        "exact": Choice("exact", character, ()),
        "variant": Choice("variant", folded, ()),
        "pinyin": Choice("pinyin", "", readings),
        "sound": Choice("sound", "", readings),
        "shape": Choice("shape", tables.alike_to(folded), ()),
    }
    choices = (every[why] for why in whys)
    return Cell(tuple(choice for choice in choices if choice.chars or choice.syllables))


def _spelled_phrases(letters: str, tables: Tables) -> list[Phrase]:
    """Ways to read Latin letters in ``letters`` as syllables, and as initials of a title."""
    pieces = re.findall(r"[a-z]+[1-5]?|[^a-z]", letters)
    ways: list[list[tuple[Cell, ...]]] = []
    for piece in pieces:
        if not "a" <= piece[0] <= "z":
            if not is_skipped(piece):
                ways.append([(_cell(piece, ["exact", "variant"], tables),)])
            continue
        spelled = split_syllables(piece.rstrip("12345"), tables.syllables)
        ways.append([tuple(_read_as(s) for s in way) for way in spelled])
    phrases = []
    if re.search("[a-z]", letters):
        for way in islice(product(*ways), PHRASES_MAX - 3):
            cells = tuple(cell for part in way for cell in part)
            phrases.append(Phrase(cells, titles_only=False))
    if re.fullmatch("[a-z]+", letters) and len(letters) in _INITIALS:
        cells = tuple(_begins_with(letter, tables) for letter in letters)
        if all(cell.choices[0].syllables for cell in cells):
            phrases.append(Phrase(cells, titles_only=True))
    return phrases


def _read_as(syllable: str) -> Cell:
    return Cell((Choice("pinyin", "", (syllable,)),))


def _begins_with(letter: str, tables: Tables) -> Cell:
    begun = tuple(syllable for syllable in tables.syllables if syllable.startswith(letter))
    return Cell((Choice("initials", "", begun),))


def _letters(token: str) -> str:
    """Lower case, tone marks away, ü as v; other characters stay."""
    spelled = unicodedata.normalize("NFC", unicodedata.normalize("NFKC", token).lower())
    spelled = re.sub("[üǖǘǚǜ]", "v", spelled)
    marks = unicodedata.normalize("NFD", spelled)
    return "".join(letter for letter in marks if not unicodedata.combining(letter))
