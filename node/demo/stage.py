"""What every act of the demonstration works with, and how it asks a node."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

from node.demo.network import Network, Place
from node.demo.plan import VICTIM, Package
from node.demo.screen import Screen
from node.demo.texts import Phrase

Json = dict[str, Any]


@dataclass(slots=True)
class Stage:
    """Everything the acts work with."""

    screen: Screen
    network: Network
    packages: list[Package]
    random: Random
    large: bool  # all offices: its bounds are checks too

    def of(self, fate: str, office: str = "") -> list[Package]:
        return [p for p in self.packages if p.fate == fate and office in ("", p.office)]

    def one(self, fate: str, office: str = "") -> Package:
        return self.of(fate, office)[0]

    @property
    def victim(self) -> Place:
        return self.network.place_of(VICTIM)


async def search(place: Place, query: str, staff: bool = False, limit: int = 20) -> Json:
    answer: Json = await place.get("/api/v1/search", staff, q=query, limit=limit)
    return answer


def hits_of(answer: Json, package: Package, phrase: Phrase) -> list[Json]:
    """The hits on the very page of a package that has the phrase."""
    label = package.label(phrase)
    return [hit for hit in answer["hits"] if (hit["item"], hit["page"]) == (package.item, label)]


async def listed(place: Place, staff: bool = False) -> dict[str, Json]:
    """Every item that a node lists for the public, or for its staff."""
    found: dict[str, Json] = {}
    after: dict[str, str] = {}
    async with place.ask(staff) as client:
        while True:
            part = await client.get("/api/v1/items", limit=100, **after)
            found.update({line["item"]: line for line in part["items"]})
            if part["next"] is None:
                return found
            after = {"after": part["next"]}


def found(answer: Json) -> list[Json]:
    """The hits of an answer, less who has witnessed them: more do so from moment to moment."""
    return [
        {name: value for name, value in hit.items() if name != "witnessed_by"}
        for hit in answer["hits"]
    ]
