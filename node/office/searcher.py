"""Answers queries as coordinator of everybody's shards.

The coordinator parses once, weighs the words by the province's signed statistics, picks for every
office's shard a live holder that answers for many shards at once, asks each holder once, asks
elsewhere when one is silent, merges, and says what it did not reach.  What a hit may show is
decided twice: by the holder, and by the coordinator's own view of the item, so a holder that has
not heard of a withdrawal cannot leak it here.  Hits are spot-checked against the signed text.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from time import perf_counter  # of explanations: the loop counts milliseconds

from ledger.rights import may_be_found
from ledger.roster import Roster, RosterHistory
from ledger.views import ItemView
from node.office.answers import (
    Asker,
    Coverage,
    Explanation,
    Hit,
    Question,
    SearchAnswer,
    ShardSource,
)
from node.office.catalog import find
from node.office.fanout import Gathered, fan_out
from node.office.keyring import Keyring
from node.office.links import Links
from node.office.patience import Patience
from node.office.shards import ASKED_MAX, Shards
from node.office.showing import explain, notes_of, read_hit, show
from node.office.snapshots import Snapshot, Snapshots
from node.office.spotcheck import Shown, SpotChecks, says_of
from node.office.statistician import Statistician
from node.office.witnessing import Witnessing
from protocol.errors import DecodeError, FangzhiError, Unavailable
from protocol.ids import OfficeCode
from protocol.limits import HITS_MAX
from protocol.messages import HitKey, HitLine, SearchAsk, SearchReply
from protocol.placement import index_holders
from protocol.ports import KeyValueStore
from protocol.shapes import pack
from search_shard import spelling
from search_shard.federate import Merged, encode_sizes, merge
from search_shard.lattice import Filter, Query
from search_shard.page_token import (
    NO_EPOCH,
    TRAIL_MAX,
    VERSION,
    PageToken,
    question_digest,
    read_token,
)
from search_shard.parse import Rules, parse_query
from search_shard.rank import NEAR_BELOW
from search_shard.rank import Hit as ShardHit
from search_shard.statistics import weigh

ROUNDS_MAX = 3  # of asking again what a liar answered for
CHECK_SHARE = 0.5  # of the time that is left may go into spot checks
PROBE_S = 1.0
RULES_KEPT = 4  # versions of the table of synonyms
_ALL = Query("", (), (), (Filter("item", ()),))
_NOTHING = SearchAsk((), b"", pack(_ALL), 1, None, False, "snippet", False, False, False, 1)


@dataclass(slots=True)
class _Asking:
    """One question on its way."""

    question: Question
    query: Query
    staff: tuple[OfficeCode, ...]
    token: PageToken
    snapshot: Snapshot
    limit: int
    end: float  # of the loop's clock
    near: bool
    parsed_us: int
    gathered: Gathered


@dataclass(frozen=True, slots=True)
class _Page:
    """``last`` is the last hit that was looked at when there are more; ``dropped`` of them are not
    believed."""

    merged: Merged
    shown: list[Shown]
    dropped: int
    last: HitKey | None


class Searcher:
    """The coordinator."""

    def __init__(
        self,
        state: KeyValueStore,
        ledger: KeyValueStore,
        rules: Rules,
        keys: Keyring,
        links: Links,
        history: Callable[[], RosterHistory],
        reachable: Callable[[], frozenset[OfficeCode]],
        witnessing: Witnessing,
        shards: Shards,
        snapshots: Snapshots,
        checks: SpotChecks,
        statistician: Statistician,
        deadline_s: float,
        hedge_s: float,
    ) -> None:
        self._state = state
        self._ledger = ledger
        self._rules = rules
        self._synonyms = 0  # version of the province's table that is among them
        self._read_by = {0: rules}  # by that version, the newest last
        self._keys = keys
        self._links = links
        self._history = history
        self._reachable = reachable
        self._witnessing = witnessing
        self._shards = shards
        self._snapshots = snapshots
        self._checks = checks
        self._statistician = statistician
        self._deadline_s = deadline_s
        self._patience = Patience(hedge_s)
        self._holders: dict[OfficeCode, list[OfficeCode]] = {}
        self._holders_at = -1  # size of the roster that they are of
        self._held = -1, frozenset[OfficeCode]()  # likewise
        self._routed: tuple[object, Mapping[tuple[OfficeCode, ...], Sequence[OfficeCode]]]
        self._routed = None, {}  # as of what, and then
        self._fell_silent = asyncio.Event()

    def use(self, rules: Rules, synonyms: int) -> None:
        """Parse with these from now on: the province's table of synonyms is of that version.  The
        rules before are kept for further pages of what was read by them."""
        self._rules, self._synonyms = rules, synonyms
        self._read_by.pop(synonyms, None)
        self._read_by[synonyms] = rules
        if len(self._read_by) > RULES_KEPT:
            del self._read_by[next(iter(self._read_by))]

    # ---- questions

    async def search(self, question: Question, asker: Asker) -> SearchAnswer:
        """
        Raises:
            Rejected: the query cannot be answered (empty, too long); says what to do.
            DecodeError: the token of the page is not one of this question.
            Unavailable: this node has not what the token's snapshot needs.
        """
        loop = asyncio.get_running_loop()
        started = loop.time()
        asking = self._begin(question, asker, started)
        await self._ask_all(asking)
        if not asking.near and not question.page and self._wants_near(asking):
            asking.near, asking.gathered = True, Gathered()
            await self._ask_all(asking)
        page = await self._believed(asking)
        merged, coverage = page.merged, self._coverage(asking)
        token = replace(asking.token, near=asking.near)
        return SearchAnswer(
            query=question.text,
            without=question.without,
            total=merged.total + merged.near_total - page.dropped,
            total_is_exact=merged.total_is_exact and not coverage.missing,
            near_total=merged.near_total,
            hits=tuple(map(self._shown, page.shown)),
            facets=merged.facets,
            notes=notes_of(asking.query),
            did_you_mean=self._corrections(asking, page),
            next=_further(token, page.last).encoded() if page.last else "",
            previous=_before(token),
            gone=self._snapshots.gone_since(asking.snapshot.sizes) if question.page else 0,
            coverage=coverage,
            epoch=self._epoch_name(token.epoch),
            took_ms=round((loop.time() - started) * 1000),
            explanation=self._explanation(asking) if question.explain else None,
        )

    def holders(self, roster: Roster, office: OfficeCode) -> list[OfficeCode]:
        """Offices whose nodes index an office's public text, the preferred first; of an abolished
        office those of its heir.

        An always-on office comes before a county: it answers for many shards at once.
        """
        if self._holders_at != roster.size:
            self._holders, self._holders_at = {}, roster.size
        known = self._holders.get(office)
        if known is None:
            acting = roster.member(roster.heir(office))
            holders = index_holders(acting.code, roster.cities(), acting.parent)
            known = sorted(holders, key=lambda code: not roster.member(code).always_on)
            self._holders[office] = known
        return known

    def _routes(
        self, roster: Roster, due: tuple[OfficeCode, ...]
    ) -> Mapping[tuple[OfficeCode, ...], Sequence[OfficeCode]]:
        """Who else can be asked for these shards: holders by preference → offices."""
        live, distrusted = self._reachable(), self._checks.distrusted()
        key = (roster.size, live, tuple(distrusted), due)
        if self._routed[0] != key:
            routes: dict[tuple[OfficeCode, ...], list[OfficeCode]] = {}
            for code in due:
                others = (h for h in self.holders(roster, code) if h in live)
                trusted = (h for h in others if (h, code) not in distrusted)
                holders = tuple(h for h in trusted if h not in self._keys)
                routes.setdefault(holders, []).append(code)
            self._routed = key, routes
        return self._routed[1]

    def _ours(self, roster: Roster) -> frozenset[OfficeCode]:
        """The shards of which this node is a holder."""
        if self._held[0] != roster.size:
            holders = {code: self.holders(roster, code) for code in roster.members}
            held = (c for c, codes in holders.items() if not self._keys.keys().isdisjoint(codes))
            self._held = roster.size, frozenset(held)
        return self._held[1]

    async def run(self) -> None:
        """Put a small question to holders that fell silent, now and then, until they answer."""
        loop = asyncio.get_running_loop()
        while True:
            due = self._patience.next_probe()
            if due is None:
                self._fell_silent.clear()
                await self._fell_silent.wait()
                continue
            await asyncio.sleep(max(due - loop.time(), 0))
            await asyncio.gather(*map(self._probe, self._patience.due(loop.time())))

    async def _probe(self, holder: OfficeCode) -> None:
        if await self._ask(holder, _NOTHING, PROBE_S) is None:
            self._patience.fell_silent(holder, asyncio.get_running_loop().time())
        else:
            self._patience.spoke(holder)

    # ---- asking

    def _begin(self, question: Question, asker: Asker, started: float) -> _Asking:
        token, snapshot = self._page(question)
        rules = self._read_by.get(token.synonyms)
        if rules is None:
            version = f"version {token.synonyms} of the table of synonyms, as for its first page"
            raise Unavailable("page", version, f"version {self._synonyms}")
        before = perf_counter()
        parsed = parse_query(question.text, rules, frozenset(question.without))
        parsed_us = round(1e6 * (perf_counter() - before))
        epoch = self._statistician.epoch(token.epoch - 1) if token.epoch != NO_EPOCH else None
        if epoch is None and token.epoch != NO_EPOCH:
            raise Unavailable("page", "the statistics that its first page was weighed by", "others")
        return _Asking(
            question=question,
            query=weigh(parsed, epoch, self._rules.tables.fold),
            staff=tuple(self._keys) if asker.office else (),
            token=token,
            snapshot=snapshot,
            limit=max(1, min(question.limit, HITS_MAX)),
            end=started + self._deadline_s,
            near=token.near,
            parsed_us=parsed_us,
            gathered=Gathered(),
        )

    def _page(self, question: Question) -> tuple[PageToken, Snapshot]:
        """What the page that is asked for is of."""
        kind = ("records",) if question.records else ()
        digest = question_digest(question.text, (*question.without, *kind))
        if question.page:
            token = read_token(question.page, digest)
            members = sorted(self._history().at(token.roster_size).members)
            if len(members) != len(token.sizes):
                raise Unavailable("page", f"a roster of {token.roster_size} events", "an older one")
            known = dict(zip(members, token.sizes, strict=True))
            return token, Snapshot(known, encode_sizes(known))
        now = self._snapshots.now()
        newest = self._statistician.newest()
        roster_size = self._history().newest.size
        epoch = NO_EPOCH if newest is None else newest[0] + 1
        sizes = tuple(now.sizes.values())
        synonyms = self._synonyms
        return PageToken(VERSION, digest, roster_size, sizes, epoch, synonyms, False, ()), now

    async def _ask_all(self, asking: _Asking) -> None:
        """Gather what nobody has answered for yet."""
        roster = self._history().newest
        sizes, answered = asking.snapshot.sizes, asking.gathered.shards
        due = [code for code in sizes if code in roster.members and code not in answered]
        ours = self._ours(roster)
        mine = [code for code in due if code in ours]
        held = self._shards.held(mine, sizes, asking.staff, asking.question.records)
        here = {at.office: at for at in held}
        routes = self._routes(roster, tuple(code for code in due if code not in here))
        seconds = asking.end - asyncio.get_running_loop().time()
        question = self._question(asking, seconds)

        async def ask(
            holder: OfficeCode, offices: tuple[OfficeCode, ...], seconds: float
        ) -> SearchReply | None:
            deadline_ms = max(int(seconds * 1000), 0)
            asked = replace(question, offices=offices, deadline_ms=deadline_ms)
            return await self._ask(holder, asked, seconds)

        async def ask_here() -> None:
            asked = replace(question, offices=tuple(here))
            reply = await self._shards.search(asked, asking.query, held, seconds)
            asking.gathered.take(min(self._keys.hosted), tuple(here), reply)

        there, _ = await asyncio.gather(
            fan_out(routes, ask, seconds, self._patience),
            ask_here() if here else asyncio.sleep(0),
        )
        asking.gathered.join(there)
        if self._patience.next_probe() is not None:
            self._fell_silent.set()

    def _question(self, asking: _Asking, seconds: float) -> SearchAsk:
        return SearchAsk(
            offices=(),
            as_of=asking.snapshot.encoded,
            query=pack(asking.query),
            limit=min(asking.limit + 1, ASKED_MAX),
            after=asking.token.after,
            near=asking.near,
            view=asking.question.view,
            facets=asking.question.facets,
            records=asking.question.records,
            trace=asking.question.explain,
            deadline_ms=max(int(seconds * 1000), 0),
        )

    async def _ask(self, holder: OfficeCode, ask: SearchAsk, seconds: float) -> SearchReply | None:
        try:
            reply = await self._links.ask(holder, "search", ask, seconds)
        except FangzhiError as error:
            self._links.count(error.code)
            return None
        assert isinstance(reply, SearchReply)
        return reply

    # ---- what came

    async def _believed(self, asking: _Asking) -> _Page:
        """The page, spot-checked; for the shards of a holder that shows what is not there, others
        are asked."""
        loop = asyncio.get_running_loop()
        ours = min(self._keys.hosted)
        for _ in range(ROUNDS_MAX):
            page = self._believable(asking)
            theirs = [each for each in page.shown if each.holder != ours]
            drawn = self._checks.draw(theirs, asking.question.records)
            seconds = max((asking.end - loop.time()) * CHECK_SHARE, 0.0)
            checked = (
                self._checks.check_record(each)
                if asking.question.records
                else self._checks.check(each, seconds)
                for each in drawn
            )
            good = await asyncio.gather(*checked)
            liars = [each for each, held in zip(drawn, good, strict=True) if not held]
            if not liars:
                return page
            for each in liars:
                asking.gathered.drop(each.holder, each.view.owner)
            await self._ask_all(asking)
        return self._believable(asking)

    def _believable(self, asking: _Asking) -> _Page:
        """The first hits that our own view of their items lets through."""
        gathered = asking.gathered
        replies = [answered.reply for answered in gathered.shards.values()]
        merged = merge(replies, (hit for _, hit in gathered.hits), asking.limit + 1)
        by: dict[HitKey, OfficeCode] = {}
        for holder, line in gathered.hits:
            by.setdefault(line.key, holder)
        shown: list[Shown] = []
        looked_at = merged.hits[: asking.limit]
        with self._state.read() as reader:
            for line in looked_at:
                hit = self._decoded(line)
                view = find(reader, hit.item.partition("/")[0]) if hit else None
                if hit and view and self._may_show(view, hit, asking.question.records):
                    shown.append(Shown(by[line.key], hit, view))
        more = len(merged.hits) > len(looked_at)
        dropped = len(looked_at) - len(shown)
        return _Page(merged, shown, dropped, looked_at[-1].key if more else None)

    def _may_show(self, view: ItemView, hit: ShardHit, records: bool) -> bool:
        if hit.office != view.owner or not says_of(view, hit, records):
            return False
        ours = self._history().newest.heir(view.owner) in self._keys
        return may_be_found(view, by_owner=ours)

    def _decoded(self, line: HitLine) -> ShardHit | None:
        try:
            return read_hit(line)
        except DecodeError as error:
            self._links.count(error.code)
            return None

    def _wants_near(self, asking: _Asking) -> bool:
        """Whether pages with one wrong character are looked for: too few match as asked."""
        near = any(phrase.near for word in asking.query.words for phrase in word.phrases)
        found = sum(each.reply.total for each in asking.gathered.shards.values())
        return near and found < NEAR_BELOW

    def _explanation(self, asking: _Asking) -> Explanation:
        tables = f"tables: {', '.join(self._rules.versions)}"
        lattice = (*spelling.explain(asking.query), tables)
        return explain(lattice, asking.parsed_us, asking.gathered)

    def _corrections(self, asking: _Asking, page: _Page) -> tuple[str, ...]:
        reasons = [shown.hit.reasons for shown in page.shown]
        found = spelling.did_you_mean(asking.query, reasons, self._rules.fold)
        return tuple(correction.text for correction in found)

    def _coverage(self, asking: _Asking) -> Coverage:
        answered = asking.gathered.shards
        sources = tuple(
            ShardSource(code, answered[code].holder, answered[code].reply.as_of_size)
            for code in sorted(answered)
        )
        asked = [c for c in asking.snapshot.sizes if c in self._history().newest.members]
        missing = tuple(code for code in sorted(asked) if code not in answered)
        lagging = tuple(code for code in sorted(answered) if answered[code].reply.is_behind)
        return Coverage(len(asked), len(sources), missing, lagging, sources)

    def _epoch_name(self, epoch: int) -> str:
        province = self._history().newest.genesis.province
        return "" if epoch == NO_EPOCH else f"{province}/{epoch - 1}"

    def _shown(self, shown: Shown) -> Hit:
        view = shown.view
        with self._ledger.read() as ledger:
            witnesses = self._witnessing.of(ledger, view.upload.origin, view.upload.index)
        name = self._history().newest.member(view.owner).name
        return show(shown.hit, view, name, witnesses)


def _further(token: PageToken, last: HitKey) -> PageToken:
    return replace(token, trail=(*token.trail, last)[-TRAIL_MAX:])


def _before(token: PageToken) -> str:
    return replace(token, trail=token.trail[:-1]).encoded() if token.trail else ""
