"""What a checker is, and what it says."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from ledger.views import ItemView
from node.office.catalog import every_item
from node.office.node import Node
from protocol.errors import FangzhiError, Missing
from protocol.ids import OfficeCode
from simulations.cluster import Cluster
from simulations.history import History

WRONGS_SHOWN: Final = 5
NOTHING: Final = "looked at nothing: the run says nothing about this"
NOT_CHECKED: Final = re.compile(r"Not checked: (.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Found:
    """What a checker looked at, in words and as a number, and what is wrong with it."""

    looked_at: str
    count: int
    wrong: list[str]


Checker = Callable[[Cluster, History], Awaitable[Found]]
"""Its docstring says what it promises and, after ``Not checked:``, what it leaves open."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a checker found.  One that looked at nothing has found that."""

    checker: str
    looked_at: str
    wrong: tuple[str, ...]

    def __str__(self) -> str:
        head = f"{'FAILED' if self.wrong else 'held':6} {self.checker}: {self.looked_at}"
        return "\n".join([head, *(f"       {line}" for line in self.wrong[:WRONGS_SHOWN])])


async def ask(name: str, checker: Checker, cluster: Cluster, history: History) -> Verdict:
    """What a checker finds, and what was seen for it while the run went on.  Damage that it cannot
    read past is a finding."""
    try:
        found = await checker(cluster, history)
    except FangzhiError as error:
        found = Found("what it could read", 1, [str(error)])
    watched = [what for whose, what in history.wrong if whose == name]
    nothing = [] if found.count else [NOTHING]
    return Verdict(name, found.looked_at, (*watched, *found.wrong, *nothing))


def not_checked(checker: Checker) -> str:
    """What a checker leaves open, in its own words."""
    said = NOT_CHECKED.search(checker.__doc__ or "")
    return " ".join(said[1].split()) if said else ""


def honest(cluster: Cluster, history: History) -> dict[OfficeCode, Node]:
    """The nodes that promises are made of: all but those of members that lie, or are gone for good.

    Raises:
        Missing: one of them does not run.
    """
    running = {}
    for code, host in cluster.hosts.items():
        if code in history.villains or code in history.gone:
            continue
        if host.node is None:
            raise Missing(f"node {code}", "a node that runs after healing", "none")
        running[code] = host.node
    return running


def province(cluster: Cluster, history: History) -> Node:
    return honest(cluster, history)[cluster.province.code]


def items(cluster: Cluster, history: History) -> list[ItemView]:
    """Every item of the network, as the province knows it."""
    with province(cluster, history).world.state.read() as reader:
        return list(every_item(reader))
