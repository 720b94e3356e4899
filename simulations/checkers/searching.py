"""Does search find what there is, say what it did not reach, and come out the same when rebuilt?"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from node.office.answers import PUBLIC, VERBATIM, Question, SearchAnswer
from node.office.node import Node
from protocol.ids import OfficeCode
from protocol.limits import HITS_MAX
from search_shard.segment import merge_segments
from search_shard.tables import Tables
from simulations.checkers.copies import current
from simulations.checkers.settling import settle
from simulations.checkers.verdict import Found, honest, items, province
from simulations.cluster import Cluster
from simulations.history import History

PHRASES_MAX: Final = 100  # asked for, one by one

Answers = dict[str, dict[OfficeCode, SearchAnswer]]  # by query and node


async def coverage(cluster: Cluster, history: History) -> Found:
    """Watched: an answer that claims a shard has every page with the words that was public all the
    while to the holder that answered and to the coordinator, and none that the coordinator does not
    know as public.
    Not checked: pages that became public during the query; shards of a holder that crashed."""
    looked_at = f"{history.searches} searches, {history.shards_answered} shards answered"
    return Found(looked_at, history.shards_answered, [])


async def searched(cluster: Cluster, history: History) -> Found:
    """The same query at every node has the same hits and reaches every shard, a public page is
    found by its own words, and nothing that is not public is.
    Not checked: whether the ranking is good; more than PHRASES_MAX pages."""
    wrong = []
    running = honest(cluster, history)
    known = items(cluster, history)
    public = {view.item for view in known if view.public}
    lying = history.villains | history.gone
    asked = await _answers(cluster, history)
    for query, answers in asked.items():
        first = next(iter(answers.values()))
        for code, answer in answers.items():
            if answer.hits != first.hits or answer.total != first.total:
                wrong.append(f"{code} answers {query!r} otherwise than the others")
            if missing := [one for one in answer.coverage.missing if one not in lying]:
                wrong.append(f"{code} does not reach {missing}")
            wrong += [f"{code} shows {h.item}" for h in answer.hits if h.item not in public]
    searcher = province(cluster, history).searcher
    reports = [each for each in current(cluster, history) if each.office in running]
    for report in reports[:PHRASES_MAX]:
        phrase = report.phrases[0][0]
        answer = await searcher.search(Question(phrase, VERBATIM, HITS_MAX), PUBLIC)
        if report.item not in {hit.item for hit in answer.hits}:
            wrong.append(f"{phrase!r} does not find {report.item}")
    return Found(
        f"{len(asked)} queries at every node, {len(public)} public items", len(public), wrong
    )


async def rebuilt(cluster: Cluster, history: History) -> Found:
    """Derived state that is thrown away comes out the same: the digest, every shard byte by byte
    (its segments merged into one, which has one form), and the answers.
    Not checked: a crash during the rebuild; members that lie."""
    wrong, running = [], honest(cluster, history)
    before = await _answers(cluster, history)
    shards = {code: shard_digests(node, cluster.tables) for code, node in running.items()}
    for code, node in running.items():
        digests = await node.upkeep.rebuild()
        wrong += [] if digests["equal"] else [f"{code} rebuilds another state"]
    wrong += await settle(cluster, history)
    for code, node in running.items():
        after = shard_digests(node, cluster.tables)
        wrong += [
            f"{code} rebuilds another shard of {office}"
            for office in sorted({*after, *shards[code]})
            if after.get(office) != shards[code].get(office)
        ]
    for query, answers in (await _answers(cluster, history)).items():
        for code, answer in answers.items():
            if answer.hits != before[query][code].hits:
                wrong.append(f"{code} answers {query!r} otherwise after the rebuild")
    count = sum(map(len, shards.values()))
    return Found(f"{len(running)} nodes, {count} shards, {len(before)} queries", count, wrong)


def shard_digests(node: Node, tables: Tables) -> dict[str, str]:
    """SHA-256 of every shard that a node can answer for, as the public and as its office's staff
    may see it.  One without a page has a digest too, whether or not it has a segment."""
    digests = {}
    for office in node.folding.roster.members:
        for staff in (False, True):
            shard = node.indexer.shard(office, staff)
            if shard is not None:
                data = merge_segments(shard.segments, shard.deleted, tables)
                digests[f"{office} for {'staff' if staff else 'all'}"] = sha256(data).hexdigest()
    return digests


async def _answers(cluster: Cluster, history: History) -> Answers:
    """What every node answers to the words of a public page, spelled right and in another way."""
    spellings = next((report.phrases[0] for report in current(cluster, history)), ())
    other = 1 + cluster.mix.seed % 3
    return {
        query: {
            code: await node.searcher.search(Question(query), PUBLIC)
            for code, node in honest(cluster, history).items()
        }
        for query in (*spellings[:1], *spellings[other : other + 1])
    }
