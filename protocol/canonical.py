"""The one encoding of structured bytes: canonical msgpack of arrays.

Values are ``None``, ``bool``, ``int``, ``str``, ``bytes`` and tuples of values.  No maps, floats,
extension types or timestamps, so a value has exactly one encoding; :func:`decode` re-encodes what
it read and refuses anything that was written another way (longer integers, ``bin`` for ``str``).
Specification: docs/spec/encoding.md.
"""

from __future__ import annotations

import struct
from typing import Final, Union, cast

import msgpack

from protocol.errors import DecodeError
from protocol.limits import VALUE_DEPTH_MAX, KiB

Value = Union[None, bool, int, str, bytes, tuple["Value", ...]]
PLAIN: Final = frozenset({type(None), bool, int, str, bytes})
"""The exact types of values that are not arrays."""

_LONG_BYTES: Final = 64 * KiB  # the least length of bin 32
_LONG_BIN: Final = struct.Struct(">BI")
_BIN_32: Final = 0xC6  # of the MessagePack specification, as the next
_FIXARRAY: Final = 0x90
_FEW: Final = 15  # members of a fixarray; longer ones are mostly many small values
_pack: Final = msgpack.Packer(use_bin_type=True).pack  # one for all: making one costs as much


def encode(value: Value) -> bytes:
    """The canonical bytes of ``value``.

    Raises:
        DecodeError: the value holds something that has no canonical form.
    """
    return encode_checked(value, "canonical value")


def decode(data: bytes, *, bytes_max: int, where: str) -> Value:
    """The value that ``data`` encodes, if ``data`` is its canonical form.

    Raises:
        DecodeError: too long, truncated, trailing bytes, a forbidden type, too deep, or an
            encoding that is not the canonical one.
    """
    if len(data) > bytes_max:
        raise DecodeError(where, f"at most {bytes_max} bytes", len(data))
    try:
        value: Value = msgpack.unpackb(data, use_list=False, raw=False, strict_map_key=True)
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException) as error:
        raise DecodeError(where, "one canonical msgpack value", type(error).__name__) from error
    if encode_checked(value, where) != data:
        raise DecodeError(where, "the canonical encoding", "another encoding of the same value")
    return value


def decode_own(data: bytes) -> Value:
    """The value in bytes that this program encoded itself, as fast as may be: nothing is checked
    but that there is one."""
    value: Value = msgpack.unpackb(data, use_list=False, raw=False)
    return value


def decode_exactly(data: bytes) -> Value | object:
    """The value of which ``data`` is the msgpack encoding, if packing it gives the same bytes, else
    None.  The caller checks its types, which may be other than those of a :data:`Value`."""
    try:
        value: Value = msgpack.unpackb(data, use_list=False, raw=False, strict_map_key=True)
        if len(data) < _LONG_BYTES:
            return value if _pack(value) == data else None
        return value if _follow(value, data, 0) == len(data) else None
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException):
        return None


def _follow(value: Value, data: bytes, at: int) -> int:
    """Where the encoding of ``value``, which was read from ``data``, ends, if it stands at ``at``
    as packing would write it; else -1.  Long ``bytes`` are not copied to see that they are the
    same."""
    if type(value) is bytes and len(value) >= _LONG_BYTES:
        head = _LONG_BIN.pack(_BIN_32, len(value))
        return at + len(head) + len(value) if data.startswith(head, at) else -1
    if type(value) is tuple and len(value) <= _FEW:
        if not data.startswith(bytes((_FIXARRAY | len(value),)), at):
            return -1
        at += 1
        for member in value:
            at = _follow(member, data, at)
            if at < 0:
                return -1
        return at
    packed: bytes = _pack(value)
    return at + len(packed) if data.startswith(packed, at) else -1


def encode_checked(value: Value, where: str) -> bytes:
    """Like :func:`encode`, naming ``where`` in the error."""
    _check(value, VALUE_DEPTH_MAX, where)
    try:
        packed: bytes = _pack(value)
    except (ValueError, OverflowError, UnicodeEncodeError) as error:
        raise DecodeError(where, "an encodable value", type(error).__name__) from error
    return packed


def _check(value: object, depth: int, where: str) -> None:
    kind = type(value)
    if kind is tuple:
        if depth == 0:
            raise DecodeError(where, f"nesting of at most {VALUE_DEPTH_MAX}", "deeper")
        members = cast("tuple[object, ...]", value)
        if not PLAIN.issuperset(map(type, members)):  # the loop in C passes most arrays
            for member in members:
                if type(member) not in PLAIN:
                    _check(member, depth - 1, where)
    elif kind not in PLAIN:
        raise DecodeError(where, "null, bool, int, str, bytes or array", kind.__name__)
