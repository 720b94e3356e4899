"""What nodes say to each other before bytes move that are not everybody's: ``item.fetch``."""

from __future__ import annotations

from dataclasses import dataclass

from protocol.ids import EventRef


@dataclass(frozen=True, slots=True)
class FetchAsk:
    """This node takes ``what`` (``file`` or ``service``) of an item that is not everybody's."""

    item: str
    what: str


@dataclass(frozen=True, slots=True)
class Fetched:
    """Where the answering office's log says so; its copies may be read from now on."""

    access: EventRef
