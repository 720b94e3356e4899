"""What the node and its worker say to each other.

Frames are a length (u32, big-endian) and a canonical value.  An empty frame, sent once, says that
the worker is ready; then each :class:`Order` is answered by an ``Inspection``, or, by a worker that
draws, each :class:`PageOrder` by a ``Drawn``.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from node.hands.ingest.findings import Drawn, Inspection, finding
from node.hands.ingest.formats import by_name

LENGTH: Final = struct.Struct(">I")


@dataclass(frozen=True, slots=True)
class Order:
    """Examine the file at ``path`` (bytes, as the system names it)."""

    path: bytes
    name: str
    seconds_max: int


@dataclass(frozen=True, slots=True)
class PageOrder:
    """Draw page ``page`` (from 1) of the file at ``path``, with the words ``mark`` beneath."""

    path: bytes
    name: str
    page: int
    mark: str
    seconds_max: int


def failed(name: str, reason: str) -> Inspection:
    """The inspection of a file that could not be examined."""
    known = by_name(name)
    found = finding("Q002", name, reason=reason)
    return Inspection(known.media_type, known.role, (found,), None, 0)


def not_drawn(name: str, page: int, reason: str) -> Drawn:
    """A page that could not be drawn."""
    return Drawn(0, b"", b"", 0, 0, finding("Q303", name, (page,), reason=reason))
