"""What was found of a phrase, and what it is worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from search_shard.blocks import Array
from search_shard.lattice import Phrase
from search_shard.match import Cell, Found
from search_shard.postings import NOTHING
from search_shard.rank import CLASSES


@dataclass(frozen=True, slots=True)
class Matched:
    """A phrase and where it was found in one segment."""

    phrase: Phrase
    rule: str  # of the phrase, or of the wrong character
    cells: Sequence[Cell]
    found: Found
    titled: Array = field(default_factory=lambda: NOTHING)  # documents
    headed: Array = field(default_factory=lambda: NOTHING)
    more: int = 0  # than the class of the rule: see rank.spoken_class

    @property
    def base(self) -> int:
        """What a page with it scores at least."""
        return CLASSES[self.rule] + self.more
