"""Hostile variants of valid inputs: of their bytes, their lines, their values, their JSON.

Everything random comes from the ``Random`` that is given, so a seed repeats an input.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from random import Random
from typing import Any

import msgpack

BYTES_MAX = 300_000
NUMBERS = (0, 1, 2, 127, 128, 255, 256, 65_535, 65_536, 2**31, 2**32 - 1, 2**53, 2**63 - 1, 2**63)
TEXTS = (
    "9" * 5000,
    "",
    "0",
    "-1",
    "+",
    " ",
    "\r",
    "\u2028",
    "\u00a0",
    "é",
    "x" * 70_000,
    "\udc80",
    "٣",
    "NaN",
)
# Heads of msgpack forms, among them lengths that lie and types that are not ours.
BYTES = (
    *(bytes([each]) for each in (0, 0x0A, 0x0D, 0x20, 0x2B, 0x7F, 0x80, 0xA0, 0xC1, 0xFF)),
    b"\xdd\xff\xff\xff\xff",
    b"\xdc\xff\xff",
    b"\xdb\xff\xff\xff\xff",
    b"\xc6\xff\xff\xff\xff",
    b"\xdf\xff\xff\xff\xff",
    b"\xcf" + b"\xff" * 8,
    b"\xd3" + b"\xff" * 8,
    b"\xcb\x7f\xf8" + bytes(6),
    b"\xc7\xff\x00",
    b"\x91" * 2000,
    b"\n\n",
    "\n— x AAAAAAAA\n".encode(),
    b"9" * 5000,
    b"[" * 5000,
)
LINES = (b"", b"#", b" ", "— ".encode(), b"extra ", b"old 1")
Place = tuple[list[Any] | dict[str, Any], Any]


def mutated(random: Random, seeds: Sequence[bytes]) -> bytes:
    """One hostile input."""
    data = random.choice(seeds)
    way = random.random()
    if way < 0.35:
        data = _of_value(random, data)
    elif way < 0.55:
        data = _of_lines(random, data)
    if way > 0.2:
        for _ in range(random.choice((1, 1, 2, 4, 16))):
            data = _of_bytes(random, data, seeds)
    return data[:BYTES_MAX]


def _of_bytes(random: Random, data: bytes, seeds: Sequence[bytes]) -> bytes:
    at = random.randint(0, len(data))
    end = min(len(data), at + random.choice((1, 1, 2, 8, 32, 1000)))
    match random.randrange(8):
        case 0 | 1 if data:
            at %= len(data)
            return data[:at] + bytes([data[at] ^ 1 << random.randrange(8)]) + data[at + 1 :]
        case 2:
            return data[:at] + data[end:]
        case 3:
            return data[:end] + data[at:]
        case 4:
            return data[:at] + random.choice(BYTES) + data[end:]
        case 5:
            return data[:at] + random.choice(BYTES) + data[at:]
        case 6:
            other = random.choice(seeds)
            return data[:at] + other[random.randint(0, len(other)) :]
        case _:
            return data[:at] + random.randbytes(random.choice((1, 4, 32))) + data[end:]


def _of_lines(random: Random, data: bytes) -> bytes:
    lines = data.split(b"\n")
    at, other = random.randrange(len(lines)), random.randrange(len(lines))
    match random.randrange(6):
        case 0:
            lines[at], lines[other] = lines[other], lines[at]
        case 1:
            del lines[at]
        case 2:
            times = random.choice((1, 2, 63, 64, 101, 3000))
            lines[at:at] = [lines[other]] * min(times, BYTES_MAX // (1 + len(lines[other])))
        case 3:
            lines[at] += random.choice((b"\r", b" ", b"\t", b"=", b"A", b"\xc2\xa0"))
        case 4:
            words = lines[at].split(b" ")
            words[random.randrange(len(words))] = _number_or_text(random).encode(
                "utf-8", "surrogatepass"
            )
            lines[at] = b" ".join(words)
        case _:
            lines.insert(
                at, random.choice((b"", b"#", b" ", b"\xe2\x80\x94 ", b"extra ", b"old 1"))
            )
    return b"\n".join(lines)


def _number_or_text(random: Random) -> str:
    return str(random.choice(NUMBERS)) if random.random() < 0.5 else random.choice(TEXTS)


def _of_value(random: Random, data: bytes) -> bytes:
    """Of another shape, but canonical: a mutated value, encoded well."""
    if data[:1] == b"{":
        lines = data.split(b"\n")
        at = random.randrange(len(lines))
        try:
            fields = json.loads(lines[at])
        except ValueError:
            return data
        if isinstance(fields, dict | list):
            _change(random, fields)
        text = json.dumps(fields, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        lines[at] = text.encode("utf-8", "surrogatepass")
        return b"\n".join(lines)
    try:
        value = msgpack.unpackb(data)
    except Exception:
        return data
    if not isinstance(value, list):
        return data
    _change(random, value)
    return bytes(msgpack.packb(value, use_bin_type=True, unicode_errors="surrogatepass"))


def _change(random: Random, root: list[Any] | dict[str, Any]) -> None:
    places: list[Place] = []
    waiting: list[Any] = [root]
    while waiting:
        one = waiting.pop()
        keys = list(one) if isinstance(one, dict) else range(len(one))
        places += [(one, key) for key in keys]
        waiting += [one[key] for key in keys if isinstance(one[key], list | dict)]
    for _ in range(random.choice((1, 1, 2, 3))):
        if not places:
            return
        holder, key = random.choice(places)
        if isinstance(holder, list) and key >= len(holder):
            continue
        if random.random() < 0.15:
            if isinstance(holder, list):
                holder.insert(key, holder[key])
            else:
                holder[random.choice(TEXTS)] = 1
        elif random.random() < 0.15:
            holder.pop(key, None) if isinstance(holder, dict) else holder.pop(key)
        else:
            holder[key] = _other(random, holder[key] if key in _keys(holder) else None)


def _keys(holder: list[Any] | dict[str, Any]) -> Any:
    return holder if isinstance(holder, dict) else range(len(holder))


def _other(random: Random, value: object) -> Any:
    match random.randrange(8):
        case 0 | 1 if isinstance(value, int):
            return random.choice(NUMBERS)
        case 0 | 1 if isinstance(value, str):
            return random.choice(TEXTS) + value[random.randint(0, len(value)) :]
        case 0 | 1 if isinstance(value, bytes):
            return value[:-1] if random.random() < 0.5 else bytes(len(value))
        case 2 if isinstance(value, list):
            return (value * random.choice((0, 2, 100)))[:300]
        case 3:
            return random.choice((None, True, False, [], "", -1))
        case 4:
            return random.choice(NUMBERS)
        case 5:
            return random.choice(TEXTS)
        case 6:
            return [value]
        case _:
            return value
