"""Text as the engines see it: spaces away, or folded, or spelled."""

from __future__ import annotations

from collections.abc import Callable

from pypinyin import lazy_pinyin

from search_shard.fold import is_skipped
from search_shard.tables import Tables


class Folding:
    """Per-character translations that learn each character when they first meet it."""

    def __init__(self, tables: Tables) -> None:
        def sound(character: str) -> str:
            return (tables.readings(character) or (character,))[0]

        self._folds = _Learned(tables.fold)
        self._reads = _Learned(lambda c: "" if is_skipped(c) else tables.fold(c))
        self._sounds = _Learned(lambda c: sound(c) + " ")
        self._initials = _Learned(lambda c: sound(c)[0] + " ")

    def fold(self, text: str) -> str:
        return text.translate(self._folds)

    def read(self, text: str) -> str:
        """Folded, and what matching passes over left out."""
        return text.translate(self._reads)

    def spell(self, text: str) -> str:
        """First readings with a space after each."""
        return unspaced(text).translate(self._sounds)

    def begin(self, text: str) -> str:
        """First letters of first readings with a space after each."""
        return unspaced(text).translate(self._initials)


class _Learned(dict[int, str]):
    def __init__(self, learn: Callable[[str], str]) -> None:
        super().__init__()
        self.learn = learn

    def __missing__(self, point: int) -> str:
        self[point] = self.learn(chr(point))
        return self[point]


def spelled(word: str) -> list[str]:
    """Toneless syllables with ü as v, as a person would type them: readings in their context."""
    return [syllable.replace("ü", "v") for syllable in lazy_pinyin(word)]


def unspaced(text: str) -> str:
    return "".join(text.split())
