"""Did the network keep its promises?

They are asked when all faults are over and the network had time to settle; what must hold all the
time (heads, coverage) was watched during the run and waits in the history.  Each checker says what
it promises and what it does not check; one that looked at nothing fails the run.
"""

from __future__ import annotations

from typing import Final

from simulations.checkers.bounds import bounded
from simulations.checkers.copies import placed, read, sealed
from simulations.checkers.forks import forks
from simulations.checkers.logs import acknowledged, audited, checkpoints, equal, nodes
from simulations.checkers.searching import coverage, rebuilt, searched
from simulations.checkers.settling import progress, settled, witnessed
from simulations.checkers.verdict import NOTHING, Checker, Verdict, ask, not_checked
from simulations.cluster import Cluster
from simulations.history import History

__all__ = ["CHECKERS", "NOTHING", "Verdict", "judge", "not_checked"]

CHECKERS: Final[dict[str, Checker]] = {
    "settled": settled,  # first: the others look at a network at rest
    "progress": progress,
    "nodes": nodes,
    "forks": forks,
    "acknowledged": acknowledged,
    "checkpoints": checkpoints,
    "equal": equal,
    "witnessed": witnessed,
    "placed": placed,
    "sealed": sealed,
    "coverage": coverage,
    "searched": searched,
    "read": read,
    "audited": audited,
    "bounded": bounded,
    "rebuilt": rebuilt,  # last: it throws away what the others look at
}


async def judge(cluster: Cluster, history: History) -> list[Verdict]:
    """Every checker's verdict; the faults are over."""
    verdicts: list[Verdict] = []
    for name, checker in CHECKERS.items():
        verdicts.append(await ask(name, checker, cluster, history))
        if name == "settled" and not history.all_stand(cluster):
            return verdicts  # the others ask every node
    return verdicts
