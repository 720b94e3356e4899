"""What an audit works with; and where more rows go than fit in memory, wanted in order at the end.

Rows come in sorted blocks that are appended to a file; a block remembers every 64th key.  At the
end the keys are cut into ranges, and each range is gathered from the blocks and sorted by itself,
so that workers can share them and none needs much memory.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Final, Protocol, TypeVar

from ledger.settlement import row_bytes
from protocol.ports import Reader, Writer

A = TypeVar("A")
B = TypeVar("B")
T = TypeVar("T")

MARK_ROWS: Final = 64

Pair = tuple[bytes, bytes]


class Pages(Protocol):
    """The file of blocks, as workers read it."""

    def read(self, table: str, offset: int, length: int) -> bytes: ...


class Spool(Protocol):
    """The file of blocks, as its one writer has it."""

    def pages(self) -> Pages:
        """For workers: what was appended until now."""

    def append(self, table: str, data: bytes) -> int:
        """Where the data begins."""

    def sync(self) -> None:
        """Make durable what was appended."""

    def cut(self, table: str, length: int) -> None:
        """Forget what stands behind ``length`` bytes."""


class Hands(Protocol):
    """``map`` in order, perhaps with many workers; takes tasks as it has room for them."""

    def __call__(self, work: Callable[[A], B], tasks: Iterable[A], /) -> Iterator[B]: ...


class AuditStore(Protocol):
    """A key-value store with AUDIT_TABLES, for one thread."""

    def read(self) -> AbstractContextManager[Reader]: ...

    def run(self, job: Callable[[Writer], T]) -> T:
        """Run the job and commit it, durably where the audit is to be resumed."""


@dataclass(frozen=True, slots=True)
class Tools:
    store: AuditStore
    spool: Spool
    hands: Hands
    progress: Callable[[str, int, int], None]  # office, events done, events in its log


@dataclass(frozen=True, slots=True)
class Mark:
    """Every 64th key of a block, and where its row begins."""

    key: bytes
    at: int


@dataclass(frozen=True, slots=True)
class Block:
    """Rows in order of key: as bytes while fresh, by their place once appended."""

    data: bytes = b""
    offset: int = 0
    length: int = 0
    marks: tuple[Mark, ...] = ()

    def placed(self, offset: int) -> Block:
        return replace(self, data=b"", offset=offset)


@dataclass(frozen=True, slots=True)
class Range:
    """The rows with ``low`` ≤ key < ``high`` (None: no end), and which bytes hold them."""

    low: bytes
    high: bytes | None
    slices: tuple[tuple[int, int], ...]  # offset, length


def make_block(rows: Sequence[Pair]) -> Block:
    """The block of ``rows``, which are sorted by key."""
    parts = [row_bytes(key, value) for key, value in rows]
    at = 0
    marks = []
    for number, part in enumerate(parts):
        if number % MARK_ROWS == 0:
            marks.append(Mark(rows[number][0], at))
        at += len(part)
    return Block(b"".join(parts), 0, at, tuple(marks))


def ranges(blocks: Sequence[Block], rows_each: int, prefix: int) -> Iterator[Range]:
    """All rows of the blocks, in ranges of about so many; keys with the same ``prefix`` bytes stay
    together."""
    keys = sorted(mark.key[:prefix] for block in blocks for mark in block.marks)
    cuts = sorted(set(keys[:: max(1, rows_each // MARK_ROWS)]))
    if not cuts:
        return
    for low, high in zip([b"", *cuts[1:]], [*cuts[1:], None], strict=True):
        slices = (_slice(block, low, high) for block in blocks)
        yield Range(low, high, tuple(each for each in slices if each[1]))


def gather(pages: Pages, table: str, wanted: Range) -> list[Pair]:
    """The keys of a range in order, each with its whole row as :func:`row_bytes` made it."""
    rows: list[Pair] = []
    for offset, length in wanted.slices:
        part = split_rows(pages.read(table, offset, length))
        keys = [key for key, _ in part]
        end = len(part) if wanted.high is None else bisect_left(keys, wanted.high)
        rows += part[bisect_left(keys, wanted.low) : end]
    rows.sort()
    return rows


def split_rows(data: bytes) -> list[Pair]:
    """Joined rows, each behind its key."""
    rows = []
    at, length, read = 0, len(data), int.from_bytes
    while at < length:
        key_end = at + 8 + read(data[at : at + 8], "big")
        end = key_end + 8 + read(data[key_end : key_end + 8], "big")
        rows.append((data[at + 8 : key_end], data[at:end]))
        at = end
    return rows


def join_rows(rows: Iterable[Pair]) -> bytes:
    return b"".join([row_bytes(key, value) for key, value in rows])


def _slice(block: Block, low: bytes, high: bytes | None) -> tuple[int, int]:
    first = max(0, bisect_right(block.marks, low, key=lambda mark: mark.key) - 1)
    last = len(block.marks)
    if high is not None:
        last = bisect_left(block.marks, high, key=lambda mark: mark.key)
    if first >= last:
        return 0, 0
    start = block.marks[first].at
    end = block.marks[last].at if last < len(block.marks) else block.length
    return block.offset + start, end - start
