"""Are those who sign two histories convicted, and nobody else?"""

from __future__ import annotations

import asyncio
from typing import Final

from ledger.evidence import verify_evidence
from protocol.errors import FangzhiError
from simulations.checkers.verdict import Found, honest
from simulations.cluster import Cluster
from simulations.history import History

PROVEN_SECONDS_MAX: Final = 300.0  # from the fork, or the last fault after it


async def forks(cluster: Cluster, history: History) -> Found:
    """Every node that stands has evidence of every fork at most PROVEN_SECONDS_MAX after the fork
    or, if that is later, the last fault; and all evidence that any node has convicts, verified
    anew, a member that did fork.
    Not checked: forks that no two honest nodes were shown different sides of."""
    running = honest(cluster, history)
    healed = cluster.mix.seconds
    wrong = []
    for at, node in running.items():
        for code, digest, held in node.accuser.evidence():
            if code not in history.forks:
                wrong.append(f"{at} accuses {code}, which is honest")
            try:
                verify_evidence(held.evidence, node.accuser.log_keys(code))
            except FangzhiError as error:
                wrong.append(f"{at} keeps evidence {digest.short} that proves nothing: {error}")
        for code, forked in history.forks.items():
            due = max(forked, healed) + PROVEN_SECONDS_MAX
            proven = history.proven.get((at, code))
            if proven is None and asyncio.get_running_loop().time() > due:
                wrong.append(f"{at} has no evidence that {code} forked at {forked:.0f} s")
            elif proven is not None and proven > due:
                wrong.append(f"{at} has evidence against {code} only since {proven:.0f} s")
    looked_at = f"{len(history.forks)} forks, evidence at {len(running)} nodes"
    return Found(looked_at, len(running), wrong)
