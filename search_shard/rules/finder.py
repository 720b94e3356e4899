"""Where in a word do names of a table stand?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256

Fold = Callable[[str], str]  # folds a text, character by character


class Finder:
    """Occurrences of names of two characters or more, in time that depends on the word alone."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(names)
        lengths: dict[str, set[int]] = {}
        for name in self._names:
            lengths.setdefault(name[:2], set()).add(len(name))
        self._lengths = {start: sorted(sizes, reverse=True) for start, sizes in lengths.items()}
        self._firsts = frozenset(start[0] for start in lengths)

    def find(self, word: str) -> Iterator[tuple[int, int]]:
        """(start, end) of the longest name at each place, from left to right, none overlapping."""
        if self._firsts.isdisjoint(word):
            return
        done = 0
        for start in range(len(word) - 1):
            if start < done or (sizes := self._lengths.get(word[start : start + 2])) is None:
                continue
            for size in sizes:
                name = word[start : start + size]  # shorter than that at the end of the word
                if name in self._names:
                    done = start + len(name)
                    yield start, done
                    break


def digest(text: str) -> str:
    """Eight hexadecimal digits that tell one state of a table from another."""
    return sha256(text.encode()).hexdigest()[:8]
