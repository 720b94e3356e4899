"""Where in a word do names of a table stand?"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
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
        first, second = ({re.escape(start[at]) for start in lengths} for at in (0, 1))
        # Most places in most words are passed over by this, without a look at the tables.
        self.sign = f"[{''.join(sorted(first))}](?=[{''.join(sorted(second))}])"
        self.sign = self.sign if self._names else "(?!)"
        self._may_start = re.compile(self.sign)

    def find(self, word: str) -> list[tuple[int, int]]:
        """(start, end) of the longest name at each place, from left to right, none overlapping."""
        found: list[tuple[int, int]] = []
        if self._may_start.search(word) is None:
            return found
        done = 0
        for match in self._may_start.finditer(word):
            start = match.start()
            if start < done:
                continue
            for size in self._lengths.get(word[start : start + 2], ()):
                name = word[start : start + size]  # shorter than that at the end of the word
                if name in self._names:
                    done = start + len(name)
                    found.append((start, done))
                    break
        return found


def digest(text: str) -> str:
    """Eight hexadecimal digits that tell one state of a table from another."""
    return sha256(text.encode()).hexdigest()[:8]
