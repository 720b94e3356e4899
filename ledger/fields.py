"""Decimal numbers and base64 as the C2SP text formats write them.

Numbers have one form.  Base64 is RFC 4648 §4 with padding; what we write is canonical, but what we
read may carry non-zero padding bits, because the reference implementations accept that: a stricter
reader would answer "malformed" where the others answer "wrong signature".
"""

from __future__ import annotations

import base64
import binascii
import re

from protocol.errors import DecodeError
from protocol.limits import TREE_SIZE_MAX

_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)


def parse_decimal(text: str, where: str) -> int:
    """An integer from 0 to 2^63-1 in ASCII digits without leading zeros.

    Raises:
        DecodeError: anything else.
    """
    if not _DECIMAL.fullmatch(text) or int(text) > TREE_SIZE_MAX:
        raise DecodeError(where, "a decimal below 2^63 without leading zeros", repr(text[:40]))
    return int(text)


def parse_base64(text: str, where: str) -> bytes:
    """The bytes of padded base64; stray padding bits are accepted, stray characters are not.

    Raises:
        DecodeError: wrong alphabet, length or padding.
    """
    try:
        if len(text) % 4:
            raise DecodeError(where, "padded base64", f"{len(text)} characters")
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise DecodeError(where, "padded base64", repr(text[:40])) from error


def parse_hash(text: str, where: str) -> bytes:
    """32 bytes written as base64.

    Raises:
        DecodeError: not base64, or of another length.
    """
    raw = parse_base64(text, where)
    if len(raw) != 32:
        raise DecodeError(where, "32 bytes in base64", repr(text[:80]))
    return raw


def format_base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
