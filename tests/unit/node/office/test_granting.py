"""Leave to use a sealed item: who may give it, what it opens, when it closes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ledger import views
from ledger.rights import decide
from node.office.granting import DAY_MS
from protocol.errors import DecodeError, Forbidden, Missing, Rejected
from protocol.ids import BlobId, OfficeCode
from protocol.sealing import parse_wraps, public_half, unwrap_keys

PROVINCE, CITY, COUNTY = map(OfficeCode, ("320000", "320500", "320581"))
Play = Callable[..., None]
SECRET = "常熟虞山".encode()


def view_of(town: Any, item: str, at: OfficeCode = CITY) -> views.ItemView:
    with town.node(at).world.state.read() as reader:
        return views.item(reader, item)


def may(town: Any, item: str, derivative: str, office: OfficeCode, days: int = 0) -> bool:
    node = town.node(CITY)
    now = node.world.clock.now() + days * DAY_MS
    try:
        decide(node.folding.roster, view_of(town, item), "reviewer", office, derivative, now)
    except Forbidden:
        return False
    return True


async def sealed(town: Any) -> str:
    item = str((await town.report(COUNTY, {"a.txt": SECRET}, rights="sealed"))["item"])
    await town.quiet()
    await town.until(lambda: view_of(town, item).seal is not None)
    return item


def test_a_grant_opens_until_its_end_or_its_revocation(play: Play) -> None:
    async def story(town: Any) -> None:
        item = await sealed(town)
        granting = town.node(COUNTY).using.granting
        await town.node(CITY).sealer.rotate(CITY)  # it has no key yet
        await town.quiet()
        assert not may(town, item, "file", CITY)
        given = await granting.grant(item, CITY, "file", "审核第三章附图", 3)
        await granting.grant(item, CITY, "service", "审核", 9)
        await town.quiet()
        assert may(town, item, "file", CITY)
        assert may(town, item, "sealed_file", CITY, days=2)
        assert not may(town, item, "file", CITY, days=3)
        assert may(town, item, "page_text", CITY, days=8)
        assert not may(town, item, "page_text", CITY, days=9)
        assert not may(town, item, "file", PROVINCE)

        (grant,) = [each for each in view_of(town, item).grants if each.what == "file"]
        blobs = town.node(COUNTY).world.blobs
        wraps = parse_wraps(await blobs.read(grant.wraps, 0, 10**6))
        private = town.hosts[CITY].folder.sealing(CITY)[-1]
        assert list(wraps.keys) == [public_half(private)]
        assert BlobId.of(SECRET) in {key.file for key in unwrap_keys(wraps, private)}

        (shown,) = [g for g in (await granting.listed())["grants"] if g["what"] == "file"]
        assert (shown["purpose"], shown["counts"], shown["grant"]) == (
            "审核第三章附图",
            True,
            given["grant"],
        )
        there = (await town.node(CITY).using.granting.listed())["grants"]
        assert {row["purpose"] for row in there} == {""}  # it is the owner's to tell
        await granting.revoke(item, given["grant"])
        await town.quiet()
        assert not may(town, item, "file", CITY)
        assert may(town, item, "page_text", CITY)
        assert blobs.size(grant.wraps) is None
        with pytest.raises(Missing):
            await granting.revoke(item, given["grant"])

    play(story, PROVINCE, CITY, COUNTY)


def test_grants_that_are_refused(play: Play) -> None:
    async def story(town: Any) -> None:
        item = await sealed(town)
        granting = town.node(COUNTY).using.granting
        with pytest.raises(Rejected, match="sealing key of 320500"):
            await granting.grant(item, CITY, "file", "审核", 1)
        for to, what, purpose, days in (
            (COUNTY, "file", "审核", 1),
            ("999999", "file", "审核", 1),
            (CITY, "everything", "审核", 1),
            (CITY, "service", " ", 1),
            (CITY, "service", "审核", 0),
            (CITY, "service", "审核", 4000),
        ):
            with pytest.raises(DecodeError):
                await granting.grant(item, to, what, purpose, days)
        with pytest.raises(Forbidden, match=COUNTY):
            await town.node(CITY).using.granting.grant(item, PROVINCE, "service", "审核", 1)
        with pytest.raises(Missing):
            await granting.grant("nothing", CITY, "service", "审核", 1)
        clerk = await town.node(COUNTY).users.enroll(COUNTY, "王", ("clerk",))
        await town.quiet()
        with pytest.raises(Forbidden, match="administrator"):
            await granting.grant(item, CITY, "service", "审核", 1, clerk["key"])
        assert view_of(town, item).grants == ()

    play(story, PROVINCE, CITY, COUNTY)
