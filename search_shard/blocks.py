"""Named blocks of bytes in one buffer, each with its checksum: the container of derived data.

Used for segments and for the reading tables.  Specification: docs/spec/segment.md.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any, TypeAlias, TypeVar

import numpy as np
import xxhash

from protocol.canonical import Value, decode, encode
from protocol.errors import Corrupt, DecodeError
from protocol.limits import MiB

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
Buffer: TypeAlias = bytes | bytearray | memoryview  # a memory map comes as a memoryview

B = TypeVar("B", bound=Buffer)

_ALIGN = 8
_HEADER_BYTES_MAX = 1 * MiB
_PREFIX = 8 + 4 + 16  # magic, header length (u32, little-endian), xxh3-128 of the header


def pack_blocks(magic: bytes, header: Value, blocks: dict[str, B]) -> bytes:
    """One buffer of ``blocks`` in the order given; ``magic`` is 8 bytes naming format and version.

    Equal input gives equal bytes.  The blocks are taken out of ``blocks`` one by one, so that
    memory need not hold all of them twice.
    """
    sizes = {name: _bytes_of(data).nbytes for name, data in blocks.items()}
    table = tuple(
        (name, sizes[name], xxhash.xxh3_128_digest(_bytes_of(data)))
        for name, data in blocks.items()
    )
    head = encode((header, table))
    packed = BytesIO()
    packed.write(magic + len(head).to_bytes(4, "little") + xxhash.xxh3_128_digest(head))
    packed.write(head + _padding(_PREFIX + len(head)))
    for name, size in sizes.items():
        packed.write(_bytes_of(blocks.pop(name)))
        packed.write(_padding(size))
    return packed.getvalue()


def open_blocks(buffer: Buffer, magic: bytes, where: str) -> tuple[Value, dict[str, memoryview]]:
    """Header and blocks of a buffer, every checksum verified; blocks are views, not copies.

    Raises:
        Corrupt: another format, truncated, or a checksum that does not match.
    """
    view = memoryview(buffer).cast("B")
    if bytes(view[:8]) != magic:
        raise Corrupt(where, f"format {magic!r}", repr(bytes(view[:8])))
    length = int.from_bytes(view[8:12], "little")
    head = bytes(view[_PREFIX : _PREFIX + length])
    if len(head) != length or xxhash.xxh3_128_digest(head) != bytes(view[12:_PREFIX]):
        raise Corrupt(where, "a header that matches its checksum", "a damaged one")
    header, table = _parse_head(head, where)
    blocks: dict[str, memoryview] = {}
    at = _PREFIX + length + len(_padding(_PREFIX + length))
    for name, size, digest in table:
        block = view[at : at + size]
        if block.nbytes != size or xxhash.xxh3_128_digest(block) != digest:
            raise Corrupt(where, f"block {name!r} that matches its checksum", "a damaged one")
        blocks[name] = block
        at += size + len(_padding(size))
    if at != view.nbytes:
        raise Corrupt(where, f"{at} bytes", view.nbytes)
    return header, blocks


def array(block: memoryview, kind: str) -> Array:
    """A block as a read-only array of ``kind`` (numpy dtype, little-endian)."""
    return np.frombuffer(block, dtype=kind)


def _parse_head(head: bytes, where: str) -> tuple[Value, tuple[tuple[str, int, bytes], ...]]:
    try:
        value = decode(head, bytes_max=_HEADER_BYTES_MAX, where=where)
    except DecodeError as error:
        raise Corrupt(where, "a canonical header", str(error)) from error
    assert type(value) is tuple, "the checksum held, so we wrote it, and we write pairs"
    header, table = value
    return header, table  # type: ignore[return-value]  # likewise


def _bytes_of(data: Buffer) -> memoryview:
    view = memoryview(data)
    return view.cast("B") if view.nbytes else memoryview(b"")  # an empty shape cannot be cast


def _padding(length: int) -> bytes:
    return b"\0" * (-length % _ALIGN)
