"""Frozen dataclasses to canonical values and back, strictly, by their annotations.

A dataclass travels as the array of its fields in order.  Understood field types: ``int`` (0 ≤ n <
2^63), ``str``, ``bytes``, ``bool``, ``X | None``, ``tuple[X, ...]``, :class:`protocol.ids.Digest`
subclasses, NewTypes of these, nested dataclasses, and ``Value`` (any canonical value).  Anything
else in the bytes is refused with the path of the field.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import cache
from operator import attrgetter
from typing import Any, TypeVar, cast

from protocol.canonical import PLAIN, Value, decode, decode_exactly, encode
from protocol.errors import DecodeError
from protocol.ids import Digest

T = TypeVar("T")
_Reader = Callable[[Value, str], Any]
_Writer = Callable[[Any], Value]


def to_value(thing: object) -> Value:
    """The canonical value of a dataclass (or of anything a field may hold)."""
    kind: type = type(thing)
    if kind in PLAIN:
        return cast(Value, thing)
    if kind is tuple:
        members = cast("tuple[object, ...]", thing)
        if PLAIN.issuperset(map(type, members)):  # the loop in C
            return cast(Value, members)
        return tuple([to_value(member) for member in members])
    return _writer(kind)(thing)


@cache
def _writer(kind: type) -> _Writer:
    if issubclass(kind, Digest):
        return attrgetter("raw")
    if not is_dataclass(kind):
        return lambda thing: thing  # encode() refuses it
    hints = typing.get_type_hints(kind)
    members = [_written(hints[field.name], f"thing.{field.name}") for field in fields(kind)]
    whole = f"lambda thing: ({''.join(f'{member}, ' for member in members)})"
    return cast(_Writer, eval(whole, {"to_value": to_value}))  # noqa: S307 (our own annotations)


def _written(kind: Any, name: str) -> str:
    """The expression of a field's value."""
    kind = getattr(kind, "__supertype__", kind)
    if kind in (int, str, bytes, bool):
        return name
    if isinstance(kind, type) and issubclass(kind, Digest):
        return f"{name}.raw"
    return f"to_value({name})"


def from_value(cls: type[T], value: Value, where: str) -> T:
    """The ``cls`` that ``value`` describes.

    Raises:
        DecodeError: naming the field that does not fit.
    """
    return cast(T, _reader(cast(Any, cls))(value, where))


def pack(thing: object) -> bytes:
    """Canonical bytes of a dataclass."""
    return encode(to_value(thing))


def unpack(cls: type[T], data: bytes, *, bytes_max: int, where: str) -> T:
    """The ``cls`` in canonical ``data``.

    Raises:
        DecodeError: not canonical, too long, or of another shape.
    """
    return from_value(cls, decode(data, bytes_max=bytes_max, where=where), where)


def plain_reader(cls: type[Any]) -> Callable[[bytes], tuple[Any, ...] | None]:
    """A function that gives the undecoded members of a ``cls`` in canonical bytes, and None for
    bytes that :func:`unpack` refuses.  For shapes without arrays of any length."""
    scope: dict[str, Any] = {}
    fits = eval(f"lambda v: {_fitting(cls, 'v', scope)}", scope)  # noqa: S307 (own annotations)

    def read(data: bytes) -> tuple[Any, ...] | None:
        value = decode_exactly(data)
        return cast("tuple[Any, ...]", value) if fits(value) else None

    return read


def _fitting(kind: Any, name: str, scope: dict[str, Any]) -> str:
    """The test that ``name`` is the value of a field of this kind."""
    while isinstance(kind, typing.NewType):
        kind = kind.__supertype__
    if is_dataclass(kind) and isinstance(kind, type) and not issubclass(kind, Digest):
        hints = typing.get_type_hints(kind)
        names = [field.name for field in fields(kind)]
        tests = [f"type({name}) is tuple and len({name}) == {len(names)}"]
        tests += [_fitting(hints[each], f"{name}[{at}]", scope) for at, each in enumerate(names)]
        return " and ".join(tests)
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        (inner,) = (member for member in typing.get_args(kind) if member is not type(None))
        return f"({name} is None or {_fitting(inner, name, scope)})"
    tests = _quick(kind, name, 0, scope)[0]
    if not tests:
        raise TypeError(f"no plain shape for {kind!r}")
    return " and ".join(tests)


@cache
def _reader(kind: Any) -> _Reader:
    if isinstance(kind, typing.NewType):
        return _reader(kind.__supertype__)
    if kind is object or {bool, int, str, bytes} <= set(typing.get_args(kind)):
        return lambda value, where: value  # Value itself: decode() has checked it
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        return _optional(kind)
    if origin is tuple:
        return _sequence(_reader(typing.get_args(kind)[0]))
    if kind is int:
        return _integer
    if kind in (str, bytes, bool):
        return _scalar(kind)
    if isinstance(kind, type) and issubclass(kind, Digest):
        return _digest(kind)
    if is_dataclass(kind) and isinstance(kind, type):
        return _record(kind)
    raise TypeError(f"no shape for {kind!r}")


def _integer(value: Value, where: str) -> int:
    if type(value) is not int or not 0 <= value < 2**63:
        raise DecodeError(where, "an integer from 0 to 2^63-1", repr(value)[:40])
    return value


def _scalar(kind: type) -> _Reader:
    def read(value: Value, where: str) -> Any:
        if type(value) is not kind:
            raise DecodeError(where, kind.__name__, type(value).__name__)
        return value

    return read


def _digest(kind: type[Digest]) -> _Reader:
    def read(value: Value, where: str) -> Digest:
        if type(value) is not bytes or len(value) != 32:
            raise DecodeError(where, "32 bytes", repr(value)[:40])
        return kind(value)

    return read


def _optional(kind: Any) -> _Reader:
    inner = [member for member in typing.get_args(kind) if member is not type(None)]
    if len(inner) != 1:
        raise TypeError(f"no shape for {kind!r}")
    read_inner = _reader(inner[0])
    return lambda value, where: None if value is None else read_inner(value, where)


def _sequence(read_member: _Reader) -> _Reader:
    def read(value: Value, where: str) -> tuple[Any, ...]:
        if type(value) is not tuple:
            raise DecodeError(where, "an array", type(value).__name__)
        if not value:
            return value
        members: list[Any] = []
        try:
            for member in value:
                members.append(read_member(member, ""))  # noqa: PERF401 (its length is the path)
        except DecodeError as error:
            path = f"{where}[{len(members)}]{error.where}"
            raise DecodeError(path, error.expected, error.got) from error
        return tuple(members)

    return read


def _record(kind: type) -> _Reader:
    """Reads well-formed arrays by one generated expression; the rest field by field, to say what
    is wrong with them."""
    hints = typing.get_type_hints(kind)
    names = [field.name for field in fields(kind)]
    readers = [_reader(hints[name]) for name in names]

    def careful(value: Value, where: str) -> Any:
        if type(value) is not tuple or len(value) != len(names):
            shape = f"an array of {len(names)} ({', '.join(names)})"
            got = f"{len(value)} members" if type(value) is tuple else type(value).__name__
            raise DecodeError(where, shape, got)
        try:
            return kind(
                *[
                    read_field(member, name)
                    for read_field, member, name in zip(readers, value, names, strict=True)
                ]
            )
        except DecodeError as error:  # the path is put together only when something is wrong
            raise DecodeError(f"{where}.{error.where}", error.expected, error.got) from error

    scope: dict[str, Any] = {"kind": kind, "careful": careful, "DecodeError": DecodeError}
    tests, members = [], []
    for number, (name, read_field) in enumerate(zip(names, readers, strict=True)):
        scope[f"read{number}"] = read_field
        test, member = _quick(hints[name], f"v{number}", number, scope)
        tests += test
        members.append(member)
    exec(  # noqa: S102 (as dataclasses do it; nothing but our own annotations goes in)
        _QUICK.format(
            count=len(names),
            targets=", ".join(f"v{number}" for number in range(len(names))),
            tests=" and ".join(tests) or "True",
            members=", ".join(members),
        ),
        scope,
    )
    return cast(_Reader, scope["quick"])


_QUICK = """
def quick(value, where):
    if type(value) is tuple and len(value) == {count}:
        [{targets}] = value
        if {tests}:
            try:
                return kind({members})
            except DecodeError:
                pass
    return careful(value, where)
"""


def _quick(kind: Any, name: str, number: int, scope: dict[str, Any]) -> tuple[list[str], str]:
    """What a field's value must satisfy, and the expression that reads it then."""
    while isinstance(kind, typing.NewType):
        kind = kind.__supertype__
    if kind is int:
        return [f"type({name}) is int and 0 <= {name} < 0x8000000000000000"], name
    if kind in (str, bytes, bool):
        return [f"type({name}) is {kind.__name__}"], name
    if isinstance(kind, type) and issubclass(kind, Digest):
        scope[f"digest{number}"] = kind
        return [f"type({name}) is bytes and len({name}) == 32"], f"digest{number}({name})"
    return [], f"read{number}({name}, '')"
