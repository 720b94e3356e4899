"""Columns that are filled from their start, piece by piece, while a segment is built."""

from __future__ import annotations

import numpy as np

from search_shard.blocks import Array


class Column:
    """An array of at most ``most`` values.  What is reserved beyond those added takes no memory:
    the system gives a page when it is first written, and nothing is copied to join the pieces."""

    def __init__(self, kind: str, most: int) -> None:
        self._reserved = np.empty(most, kind)
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, values: Array) -> None:
        end = self._size + len(values)
        self._reserved[self._size : end] = values
        self._size = end

    @property
    def values(self) -> Array:
        return self._reserved[: self._size]


class BitColumn:
    """As :class:`Column`, of numbers of ``width`` bits (1 or 2), packed into bytes."""

    def __init__(self, width: int, most: int) -> None:
        self._width, self._of_byte = width, 8 // width
        self._bytes = Column("|u1", most // self._of_byte + 1)
        self._rest = np.empty(0, np.uint8)  # less than a byte

    def add(self, values: Array) -> None:
        joined = np.concatenate([self._rest, values.view(np.uint8)])
        whole = len(joined) - len(joined) % self._of_byte
        self._bytes.add(self._packed(joined[:whole]))
        self._rest = joined[whole:]

    def end(self) -> Array:
        """All bytes, the last filled with zeros."""
        self._bytes.add(
            self._packed(
                np.append(self._rest, np.zeros(-len(self._rest) % self._of_byte, np.uint8))
            )
        )
        self._rest = self._rest[:0]
        return self._bytes.values

    def _packed(self, values: Array) -> Array:
        """The first of a byte is in its highest bit; of two bits, in its lowest."""
        if self._width == 1:
            return np.packbits(values)
        four = values.reshape(-1, 4)
        packed: Array = four[:, 0] | four[:, 1] << 2 | four[:, 2] << 4 | four[:, 3] << 6
        return packed
