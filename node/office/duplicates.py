"""Is this here already?  The same bytes under another record; a record of nearly the same name.

Only what the office may know of is told: its own items, also those that still wait for the log,
and what is public.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

from ledger.roster import Roster
from node.hands.ingest.findings import Finding, finding
from node.hands.world import World
from node.office.catalog import find, noted_items, record, recorded
from protocol.errors import FangzhiError
from protocol.ids import BlobId
from protocol.ports import Reader
from protocol.records import Manifest
from search_shard.fold import is_skipped
from search_shard.rules.numerals import NUMBER_RUN, parse_number

BEIJING: Final = timezone(timedelta(hours=8))
NEAR_SHOWN_MAX: Final = 5
_COUNTED: Final = "卷册编集辑部"
_TAIL: Final = re.compile(f"第?[{_COUNTED}]?([0-9]+)[.][{_COUNTED}]?$|([上中下])[卷册编]$")
_FORMAL: Final = str.maketrans("壹贰叁肆伍陆柒捌玖拾", "一二三四五六七八九十")
_MARKS: Final = re.compile(f"第|[{_COUNTED}]|之|至|到|vol|no")


@dataclass(frozen=True, slots=True)
class Earlier:
    """An item that was handed in before."""

    item: str
    office: str  # its name
    title: str
    volume: str
    date: str

    def near(self) -> Finding:
        return finding(
            "Q012", "", title=self.title, volume=self.volume, item=self.item, date=self.date
        )

    def same(self, path: str) -> Finding:
        return finding(
            "Q011", path, title=self.title, office=self.office, item=self.item, date=self.date
        )


class Duplicates:
    def __init__(
        self, world: World, roster: Callable[[], Roster], fold: Callable[[str], str]
    ) -> None:
        self._world = world
        self._roster = roster
        self._fold = fold
        self._forms: dict[BlobId, str] = {}  # by manifest, as far as looked at

    async def near(self, office: str, asked: dict[str, str], besides: str) -> list[Earlier]:
        """Items of ``office``, but for ``besides``, whose title and volume are the same when
        variants, punctuation and the spelling of numbers are left out of account."""
        return await self._world.work.run(self._near, office, asked, besides)

    def same(self, blob: BlobId, office: str, besides: str) -> Earlier | None:
        """Another item, its own or a public one, that has this very file."""
        with self._world.state.read() as reader:
            for item in noted_items(reader, blob):
                if item == besides:
                    continue
                if (earlier := self._earlier(reader, item, office)) is not None:
                    return earlier
        return None

    def _near(self, office: str, asked: dict[str, str], besides: str) -> list[Earlier]:
        form, found = self._form(asked), list[Earlier]()
        roster = self._roster()
        births = {office, *(code for code in roster.members if roster.heir(code) == office)}
        with self._world.state.read() as reader:
            for item, manifest in recorded(reader, sorted(births)):
                if item != besides and self._form_of(reader, manifest) == form:
                    view = find(reader, item)
                    if view is None or view.withdrawn is None:
                        found += filter(None, [self._earlier(reader, item, office)])
                if len(found) == NEAR_SHOWN_MAX:
                    break
        return found

    def _form_of(self, reader: Reader, manifest: BlobId) -> str:
        if manifest not in self._forms:
            kept = _record(reader, manifest)
            self._forms[manifest] = self._form(kept.record) if kept else ""
        return self._forms[manifest]

    def _form(self, asked: dict[str, str]) -> str:
        return near_form(asked.get("title", ""), asked.get("volume", ""), self._fold)

    def _earlier(self, reader: Reader, item: str, office: str) -> Earlier | None:
        """What ``office`` may know of an item; None when that is nothing."""
        view, roster = find(reader, item), self._roster()
        birth = item[:6] if view is None else view.owner
        is_own = birth in roster.members and roster.heir(birth) == office
        if not is_own and not (view is not None and view.public):
            return None
        rows = dict(recorded(reader, [item]))
        manifest = _record(reader, view.manifest if view else rows[item]) if rows else None
        if manifest is None:
            return None
        name = roster.member(birth).name if birth in roster.members else birth
        date = _day(view.uploaded_at) if view else "待登记 not yet logged"
        return Earlier(item, name, manifest.title, manifest.record.get("volume", ""), date)


def near_form(title: str, volume: str, fold: Callable[[str], str]) -> str:
    """What two spellings of one title and volume have in common: 《蘇州府志》卷一 and 苏州府志,
    第1卷."""
    counted = _plain(volume, lambda text: fold(text).translate(_FORMAL))
    name, part = _plain(title, fold), _MARKS.sub("", counted)
    if (tail := _TAIL.search(name)) is not None:
        of_title = f"{tail[1]}." if tail[1] else tail[2]
        if part in ("", of_title) and tail.start():
            name, part = name[: tail.start()], of_title
    return f"{name}\n{part}"


def _plain(text: str, fold: Callable[[str], str]) -> str:
    """Folded, numbers in figures with a dot behind each, nothing that is not read aloud."""
    return "".join(_parts(fold(text)))


def _parts(text: str) -> Iterator[str]:
    at = 0
    for run in NUMBER_RUN.finditer(text):
        yield _spoken(text[at : run.start()])
        number = int(run[0]) if run[0].isascii() else parse_number(run[0])
        yield run[0] if number is None else f"{number}."
        at = run.end()
    yield _spoken(text[at:])


def _spoken(text: Iterable[str]) -> str:
    return "".join(character for character in text if not is_skipped(character))


def _record(reader: Reader, manifest: BlobId) -> Manifest | None:
    try:
        return record(reader, manifest)
    except FangzhiError:  # damaged here; the custodian mends it
        return None


def _day(time_ms: int) -> str:
    try:
        return datetime.fromtimestamp(time_ms / 1000, UTC).astimezone(BEIJING).date().isoformat()
    except (ValueError, OverflowError, OSError):
        return f"{time_ms} ms"
