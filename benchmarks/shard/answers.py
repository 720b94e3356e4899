"""What every engine under measurement does, and what it says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from benchmarks.shard.corpus import Section

LIMIT = 10


@dataclass(frozen=True, slots=True)
class Case:
    """One query.  ``ask``: words, near, pinyin, title pinyin, title initials, folded, rules."""

    kind: str
    ask: str
    typed: str
    meant: tuple[str, ...]  # as it stands in the text or title; all of them
    syllables: tuple[str, ...] = ()  # where typed is spelled, already split, for engines that need
    size: int = 0  # characters, where the kind does not say


@dataclass(frozen=True, slots=True)
class Answer:
    """``raw`` hits are turned into section numbers by the engine, outside of what is timed."""

    total: int
    raw: Sequence[object]
    near_total: int = 0  # pages beyond the total that match with a wrong character


class Reader(Protocol):
    """An index that is open for reading."""

    name: str

    def ask(self, case: Case) -> Answer | None:
        """The best ten and the total; None where this set-up cannot answer such a query."""

    def numbers(self, answer: Answer) -> list[int]:
        """Sections of the hits, best first."""


@dataclass(frozen=True, slots=True)
class Engine:
    """How an index comes to be in a folder, and how it is opened there by any process."""

    name: str
    build: Callable[[Sequence[Section], Path], None]
    open: Callable[[Path], Reader]


def bytes_in(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
