"""The records of items that were found in the catalogue, with what matched marked in them.

A hit comes from whoever holds the shard; the record shown comes from the manifest held here, whose
hash the log names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from node.office.answers import Element, Hit, RecordShown
from node.office.catalog import find, record
from protocol.ports import Reader
from protocol.records import RECORD_ELEMENTS
from search_shard.grammar import FILTER_NAMES

Fold = Callable[[str], str]  # one character to one
_MARKS_MAX = 20  # in an element


def cards(reader: Reader, hits: Iterable[Hit], text: str, fold: Fold) -> tuple[RecordShown, ...]:
    """The record of each hit of the question ``text``."""
    typed = [fold(word) for word in text.split() if not _is_filter(word)]
    return tuple(_card(reader, hit, typed, fold) for hit in hits)


def _card(reader: Reader, hit: Hit, typed: list[str], fold: Fold) -> RecordShown:
    view = find(reader, hit.item)
    manifest = record(reader, view.manifest) if view else None
    said = manifest.record if manifest else {"title": hit.title}
    # What stands in a title has no text in its reason: there the words themselves are looked for.
    found = [fold(reason.found) for reason in hit.reasons if reason.found] + typed
    elements = tuple(
        Element(name, said[name], tuple(_marks(fold(said[name]), found)))
        for name in RECORD_ELEMENTS
        if said.get(name)
    )
    in_title = any(not reason.found for reason in hit.reasons)
    return RecordShown(
        elements=elements,
        matched=tuple(
            each.name for each in elements if each.highlights or (in_title and each.name == "title")
        ),
        rights=view.rights if view else "",
        pages=view.pages if view else 0,
        holders=view.holders if view else (),
    )


def _is_filter(word: str) -> bool:
    name = word.replace("：", ":").partition(":")[0]
    return any(name in names for names in FILTER_NAMES.values())


def _marks(folded: str, found: Iterable[str]) -> Iterator[tuple[int, int]]:
    """Where each of ``found`` stands, apart from one another and rising."""
    spans = sorted({span for part in found if part for span in _places(folded, part)})
    end = 0
    for start, stop in spans[:_MARKS_MAX]:
        if start >= end:
            yield start, stop
            end = stop


def _places(folded: str, part: str) -> Iterator[tuple[int, int]]:
    at = folded.find(part)
    while at >= 0:
        yield at, at + len(part)
        at = folded.find(part, at + len(part))
