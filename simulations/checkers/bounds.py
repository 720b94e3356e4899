"""Does anything grow that should not?"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping
from typing import Any, Final

from ledger import logbook
from node.office.node import Node
from simulations.checkers.verdict import Found, honest
from simulations.cluster import Cluster
from simulations.history import History

CONTAINERS: Final = (dict, OrderedDict, list, set, deque)
OURS: Final = "node.office"  # what belongs to a node and not to the world it stands in
ROWS_FREE: Final = 256  # a cache may always have so many
TASKS_PER_NODE_MAX: Final = 100
TASKS_PER_LINK_MAX: Final = 8


async def bounded(cluster: Cluster, history: History) -> Found:
    """At rest no service of any node keeps more rows, in any one container, than there are things
    to know (events, files, offices and pairs of these, and ROWS_FREE besides), and no more tasks
    run than nodes and their links need.
    Not checked: bytes of memory; how far it grows while work is under way; what the pretended world
    keeps."""
    running = honest(cluster, history)
    wrong, count = [], 0
    links = 0
    for code, node in running.items():
        bound = things(node)
        links += len(node.links.peers())
        for path, size in containers(node):
            count += 1
            if size > bound:
                wrong.append(f"{code}: {path} has {size} rows; {bound} things are to be known")
    tasks = len(asyncio.all_tasks())
    tasks_max = len(cluster.hosts) * TASKS_PER_NODE_MAX + links * TASKS_PER_LINK_MAX
    if tasks > tasks_max:
        wrong.append(f"{tasks} tasks run; {tasks_max} are plenty")
    looked_at = f"{count} containers of {len(running)} nodes, {tasks} tasks"
    return Found(looked_at, count, wrong)


def things(node: Node) -> int:
    """How many things a node may have a row for."""
    offices = len(node.folding.roster.members)
    with node.world.ledger.read() as reader:
        events = sum(logbook.head(reader, code).size for code in node.folding.roster.members)
    files = sum(1 for _ in node.world.blobs.scan())
    return events + files + offices * offices + ROWS_FREE


def containers(node: Node) -> Iterator[tuple[str, int]]:
    """Every container that the services of a node keep in memory: where it is, and its rows."""
    seen: set[int] = set()
    yield from _inside("", node, seen)


def _inside(path: str, thing: Any, seen: set[int]) -> Iterator[tuple[str, int]]:
    if id(thing) in seen:
        return
    seen.add(id(thing))
    if isinstance(thing, CONTAINERS):
        yield path, len(thing)
        rows = thing.values() if isinstance(thing, dict) else thing
        for row in list(rows):
            yield from _inside(f"{path}[]", row, seen)
    elif type(thing).__module__.startswith(OURS):
        for name, part in _parts(thing).items():
            yield from _inside(f"{path}.{name}" if path else name, part, seen)


def _parts(thing: Any) -> Mapping[str, Any]:
    slots = getattr(type(thing), "__slots__", ())
    named = {name: getattr(thing, name) for name in slots if hasattr(thing, name)}
    return {**named, **getattr(thing, "__dict__", {})}
