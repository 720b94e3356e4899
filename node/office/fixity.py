"""How the copies are (完整性报告): of this node from its cards, of everybody from the logs."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ledger.holdings import checks, repairs
from ledger.keeping import standing
from ledger.members import Member
from ledger.roster import Roster
from node.hands.keys import OfficeKeys
from node.hands.world import World
from node.office.answers import CopyReason, ShortLine
from node.office.catalog import damaged_blobs, every_item, find, uses
from node.office.custodian import Custodian
from node.office.scrubber import Scrubber
from protocol.ids import OfficeCode
from protocol.placement import COPIES_MIN

DAY_MS = 86_400_000
DAYS_SHOWN = 30  # of challenges
SHORT_LINES_MAX = 500


@dataclass(frozen=True, slots=True)
class DamagedLine:
    """A damaged copy here.  ``lost``: nobody's log says that there is another."""

    file: str
    items: tuple[str, ...]
    since: int  # milliseconds
    lost: bool


@dataclass(frozen=True, slots=True)
class HolderLine:
    """An office by the logs: what it holds, how it answered challenges of the last days."""

    office: str
    name: str
    items: int
    file_bytes: int
    asked: int
    passed: int
    failed: int
    last_day: int  # of a challenge, days since 1970; 0 for never
    repaired: int  # hold.repair events, ever


@dataclass(frozen=True, slots=True)
class FixityAnswer:
    time: int
    offices: tuple[str, ...]  # hosted here
    files: int  # stored here
    file_bytes: int
    scrub_days: int
    checked: int  # of the files: read and found right within scrub_days
    oldest: int  # when the file that waits longest was last found right; 0: one never was
    damaged: tuple[DamagedLine, ...]
    repaired: int  # by the offices here, ever
    copies_wanted: int
    items: int  # in all logs
    by_copies: dict[str, int]  # "0", "1", … → how many items have so many copies
    lost: tuple[str, ...]  # items of which no copy stands
    short_total: int
    short: tuple[ShortLine, ...]
    holders: tuple[HolderLine, ...]
    days: int  # of challenges that were counted


class Fixity:
    """Reports; reads and changes nothing."""

    def __init__(
        self,
        world: World,
        keys: Mapping[OfficeCode, OfficeKeys],
        custodian: Custodian,
        scrubber: Scrubber,
        roster: Callable[[], Roster],
        reachable: Callable[[], frozenset[OfficeCode]],
        scrub_days: int,
    ) -> None:
        self._world = world
        self._keys = keys
        self._custodian = custodian
        self._scrubber = scrubber
        self._roster = roster
        self._reachable = reachable
        self._scrub_days = scrub_days

    def short(self, limit: int = SHORT_LINES_MAX) -> tuple[ShortLine, ...]:
        """Items that lack copies, by id, at most ``limit``."""
        lines = []
        with self._world.state.read() as reader:
            for item in sorted(self._custodian.short)[:limit]:
                view = find(reader, item)
                if view is None:
                    continue
                held = standing(self._roster(), view)
                reasons = tuple(
                    CopyReason(one.reason, one.office, self._reaches(one.office))
                    for one in self._custodian.short.get(item, ())
                )
                lines.append(ShortLine(item, view.owner, len(held), held, reasons))
        return tuple(lines)

    async def report(self) -> FixityAnswer:
        short = self.short()
        return await self._world.work.run(self._report, short)

    def _reaches(self, office: str) -> bool:
        return office == "" or office in self._keys or OfficeCode(office) in self._reachable()

    def _report(self, short: tuple[ShortLine, ...]) -> FixityAnswer:
        now, roster = self._world.clock.now(), self._roster()
        by_copies, lost = Counter[str](), list[str]()
        held: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        with self._world.state.read() as reader:
            for view in every_item(reader):
                codes = standing(roster, view)
                by_copies[str(len(codes))] += 1
                if not codes:
                    lost.append(view.item)
                for code in codes:
                    size = view.file_bytes if code in view.holders else view.sealed_bytes
                    held[code][0] += 1
                    held[code][1] += size
            mended = Counter[str](who for who, _ in repairs(reader, roster))
            tested: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
            for holder, _, check in checks(reader, roster):
                row = tested[holder]
                row[3] = max(row[3], check.day)
                if check.day > now // DAY_MS - DAYS_SHOWN:
                    for at, count in enumerate((check.asked, check.passed, check.failed)):
                        row[at] += count
        cards = [(at, self._world.blobs.size(blob) or 0) for at, blob in self._world.blobs.checks()]
        return FixityAnswer(
            time=now,
            offices=tuple(sorted(self._keys)),
            files=len(cards),
            file_bytes=sum(size for _, size in cards),
            scrub_days=self._scrub_days,
            checked=sum(at > now - self._scrub_days * DAY_MS for at, _ in cards),
            oldest=min((at for at, _ in cards), default=0),
            damaged=self._damaged(),
            repaired=sum(mended[code] for code in self._keys),
            copies_wanted=COPIES_MIN,
            items=by_copies.total(),
            by_copies=dict(sorted(by_copies.items())),
            lost=tuple(lost),
            short_total=len(self._custodian.short),
            short=short,
            holders=tuple(
                _line(member, held[member.code], tested[member.code], mended[member.code])
                for member in roster.active()
            ),
            days=DAYS_SHOWN,
        )

    def _damaged(self) -> tuple[DamagedLine, ...]:
        lost = {blob for blob, _ in self._scrubber.alarms()}
        with self._world.state.read() as reader:
            return tuple(
                DamagedLine(
                    blob.hex,
                    tuple(sorted({view.item for view, _ in uses(reader, blob)})),
                    since,
                    blob in lost,
                )
                for blob, since in damaged_blobs(reader)
            )


def _line(member: Member, held: list[int], tested: list[int], mended: int) -> HolderLine:
    items, file_bytes = held
    asked, passed, failed, last_day = tested
    return HolderLine(
        member.code, member.name, items, file_bytes, asked, passed, failed, last_day, mended
    )
