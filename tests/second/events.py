"""The envelope of an event and the shapes of its bodies, by ``docs/spec/event.md``."""

from __future__ import annotations

from dataclasses import dataclass

from tests.second import ed25519, values
from tests.second.values import Bad, Value

BYTES_MAX = 4096

# n a number, t a text, f true or false, b bytes, h 32 of them, k 16 (a key id), s 64, ? or null,
# also before another shape; a list repeats.
Shape = str | tuple["Shape", ...] | list["Shape"]
PLACE: Shape = ("t", "n", "h")
ROOTS: Shape = [("b", "b")]
BODIES: dict[str, Shape] = {
    "member.admit": ("t", "t", "t", "t", "b", "b", "b", "b", "b", "t", "t", "n", ROOTS),
    "member.rotate": ("t", "b", "b", "b", "b", "b", "t", "t", "n", ROOTS),
    "member.revoke": ("t", "n", "h", "n", ROOTS),
    "member.move": ("t", "t", "t", "n", ROOTS),
    "member.abolish": ("t", "t", "n", "h", "n", ROOTS),
    "recovery.set": ("n", "b", ROOTS),
    "key.seal": ("n", "b"),
    "policy.set": ("n", "n", "n", [("t", "t", "t")], "n", ROOTS),
    "key.enroll": ("b", "h", ["t"]),
    "key.retire": ("b",),
    "fork.report": ("t", "h", "n", "n"),
    "statistics.publish": ("h", "n", "n", "n"),
    "synonyms.put": ("n", "h", "n"),
    "version.upload": ("t", "h", "t", "n", "n", "h?", "h?"),
    "version.withdraw": ("t", PLACE, "h"),
    "text.derive": ("t", "h", "n", "h", "h", "n"),
    "image.derive": ("t", "h", "n", "n", "h", "h", "n"),
    "review.accept": ("t", "h", PLACE),
    "review.return": ("t", "h", PLACE, "h"),
    "seal.make": ("t", "h", "h", "h", "n", "n"),
    "seal.rewrap": ("t", "h", "h"),
    "hold.offer": ("n", "t", "f"),
    "hold.take": ("t", "h", "n", "n", "h?"),
    "hold.lose": ("t", "h", "n", "h?"),
    "hold.repair": ("t", "h", "n", "t"),
    "hold.check": ("t", "n", "n", "n", "n", "h?"),
    "receipt.issue": ("t", "h", PLACE, [PLACE]),
    "rights.grant": ("t", "t", "t", "h", "n", "h?"),
    "rights.revoke": ("t", PLACE),
    "access.fetch": ("t", "h", "t", ("?", PLACE), "t", "h?"),
    "anchor": ([("t", "n", "h")],),
}
ENVELOPE: Shape = ("n", "h", "t", "k", "n", "n", "h", "n", "h", "t", "any", "s")
LENGTHS = {"h": 32, "k": 16, "s": 64}


def fit(value: Value, shape: Shape) -> None:
    """Raises Bad where a value is not of a shape."""
    if isinstance(shape, str):
        if shape == "any" or (shape.endswith("?") and value is None):
            return
        kind = shape[0]
        if kind == "n":
            good = type(value) is int and 0 <= value < 2**63
        elif kind == "t":
            good = isinstance(value, str)
        elif kind == "f":
            good = isinstance(value, bool)
        else:
            good = isinstance(value, bytes) and len(value) == LENGTHS.get(kind, len(value))
        if not good:
            raise Bad(f"not of the shape {shape}")
        return
    if isinstance(shape, tuple) and shape[0] == "?":
        if value is not None:
            fit(value, shape[1])
        return
    if not isinstance(value, tuple):
        raise Bad("not an array")
    if isinstance(shape, list):
        for each in value:
            fit(each, shape[0])
        return
    if len(value) != len(shape):
        raise Bad("another number of fields")
    for each, part in zip(value, shape, strict=True):
        fit(each, part)


@dataclass(frozen=True)
class Event:
    network: bytes
    origin: str
    signer: bytes
    time: int
    last: tuple[int, bytes]
    roster_size: int
    roster_root: bytes
    kind: str
    body: tuple[Value, ...]
    signature: bytes
    signed: bytes

    def check_signature(self, public: bytes) -> None:
        if not ed25519.verifies(public, self.signed, self.signature):
            raise Bad("the signature")


def read_event(entry: bytes) -> Event:
    if len(entry) > BYTES_MAX:
        raise Bad("too long")
    value = values.read(entry)
    fit(value, ENVELOPE)
    version, network, origin, signer, time, size, root, roster, its_root, kind, body, mark = value
    if version != 1 or not isinstance(body, tuple):
        raise Bad("another version, or no body")
    if kind in BODIES:
        fit(body, BODIES[kind])
    signed = b"fangzhi/event/v1\n" + values.write(value[:-1])
    return Event(
        network,
        origin,
        signer,
        time,
        (size, root),
        roster,
        its_root,
        kind,
        body,
        mark,
        signed,
    )
