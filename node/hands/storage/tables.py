"""What every backend of KeyValueStore agrees on: which keys there are, where a prefix ends."""

from __future__ import annotations

from protocol.limits import KEY_BYTES_MAX


def check_key(key: bytes) -> bytes:
    """``key``, if a table can hold it.

    Raises:
        ValueError: empty or too long, which is a mistake of the calling code.
    """
    if not 1 <= len(key) <= KEY_BYTES_MAX:
        raise ValueError(f"a key has 1 to {KEY_BYTES_MAX} bytes, not {len(key)}")
    return key


def prefix_end(prefix: bytes) -> bytes | None:
    """The smallest bytes above every key with ``prefix``; None when nothing is above them."""
    stem = prefix.rstrip(b"\xff")
    return stem[:-1] + bytes([stem[-1] + 1]) if stem else None
