"""Canonical values, read by ``docs/spec/encoding.md``: a cursor over bytes, one rule a line."""

from __future__ import annotations

DEPTH_MAX = 16
Value = None | bool | int | str | bytes | tuple["Value", ...]


class Bad(Exception):
    """Bytes, a signature or a rule that does not hold."""


class _Cursor:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, count: int) -> bytes:
        if count > len(self.data) - self.at:
            raise Bad("truncated")
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, width: int, smallest: int) -> int:
        """A big-endian number that would not fit a shorter form."""
        value = int.from_bytes(self.take(width), "big")
        if value < smallest:
            raise Bad("not the shortest form")
        return value

    def negative(self, width: int, limit: int) -> int:
        """One below ``limit``, which a shorter form holds."""
        value = int.from_bytes(self.take(width), "big", signed=True)
        if value >= limit:
            raise Bad("not the shortest form")
        return value

    def value(self, depth: int = 0) -> Value:
        tag = self.take(1)[0]
        if tag <= 0x7F:
            return tag
        if tag >= 0xE0:
            return tag - 0x100  # no field takes it, but a kind to come may
        if 0xA0 <= tag <= 0xBF:
            return self.text(tag & 31)
        if 0x90 <= tag <= 0x9F:
            return self.array(tag & 15, depth)
        match tag:
            case 0xC0:
                return None
            case 0xC2 | 0xC3:
                return tag == 0xC3
            case 0xCC:
                return self.number(1, 0x80)
            case 0xCD:
                return self.number(2, 0x100)
            case 0xCE:
                return self.number(4, 0x1_0000)
            case 0xCF:
                return self.number(8, 0x1_0000_0000)
            case 0xD9:
                return self.text(self.number(1, 32))
            case 0xDA:
                return self.text(self.number(2, 0x100))
            case 0xDB:
                return self.text(self.number(4, 0x1_0000))
            case 0xD0:
                return self.negative(1, -0x20)
            case 0xD1:
                return self.negative(2, -0x80)
            case 0xD2:
                return self.negative(4, -0x8000)
            case 0xD3:
                return self.negative(8, -0x8000_0000)
            case 0xC4:
                return self.take(self.number(1, 0))
            case 0xC5:
                return self.take(self.number(2, 0x100))
            case 0xC6:
                return self.take(self.number(4, 0x1_0000))
            case 0xDC:
                return self.array(self.number(2, 16), depth)
            case 0xDD:
                return self.array(self.number(4, 0x1_0000), depth)
        raise Bad(f"a form that is not ours: {tag:#x}")

    def text(self, count: int) -> str:
        try:
            return self.take(count).decode()
        except UnicodeDecodeError as error:
            raise Bad("not UTF-8") from error

    def array(self, count: int, depth: int) -> tuple[Value, ...]:
        if depth >= DEPTH_MAX or count > len(self.data) - self.at:
            raise Bad("too deep, or longer than what follows")
        return tuple(self.value(depth + 1) for _ in range(count))


def read(data: bytes) -> Value:
    """The one value that these bytes encode; raises Bad."""
    cursor = _Cursor(data)
    value = cursor.value()
    if cursor.at != len(data):
        raise Bad("bytes after the value")
    return value


def write(value: Value) -> bytes:
    """The encoding of a value."""
    if value is None or isinstance(value, bool):
        return {None: b"\xc0", False: b"\xc2", True: b"\xc3"}[value]
    if isinstance(value, int):
        if -0x20 <= value <= 0x7F:
            return bytes([value & 0xFF])
        if value < 0:
            width = next(each for each in (1, 2, 4, 8) if value >= -1 << 8 * each - 1)
            head = {1: 0xD0, 2: 0xD1, 4: 0xD2, 8: 0xD3}[width]
            return bytes([head]) + value.to_bytes(width, "big", signed=True)
        return _sized(value, {1: 0xCC, 2: 0xCD, 4: 0xCE, 8: 0xCF})
    if isinstance(value, bytes):
        return _sized(len(value), {1: 0xC4, 2: 0xC5, 4: 0xC6}) + value
    if isinstance(value, str):
        raw = value.encode()
        if len(raw) < 32:
            return bytes([0xA0 | len(raw)]) + raw
        return _sized(len(raw), {1: 0xD9, 2: 0xDA, 4: 0xDB}) + raw
    short = len(value) < 16
    head = bytes([0x90 | len(value)]) if short else _sized(len(value), {2: 0xDC, 4: 0xDD})
    return head + b"".join(map(write, value))


def _sized(number: int, tags: dict[int, int]) -> bytes:
    for width, tag in tags.items():
        if number < 1 << 8 * width:
            return bytes([tag]) + number.to_bytes(width, "big")
    raise Bad("too large")
