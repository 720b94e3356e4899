"""Calling back (调取): own and granted files, from whichever holder is up."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from ledger import holdings, views
from ledger.recall import RecallProof, check_recall
from node.office.answers import Asker
from protocol.errors import DecodeError, Forbidden, Missing, ProofError, Unavailable
from protocol.ids import BlobId, OfficeCode
from protocol.records import encode_json
from protocol.sealing import PLAIN_CHUNK_BYTES

PROVINCE, CITY, CITY2, COUNTY = map(OfficeCode, ("320000", "320500", "320600", "320581"))
Play = Callable[..., None]
TEXT = "".join(f"第{n}行 常熟虞山\n" for n in range(80_000)).encode()  # two chunks
FILE = BlobId.of(TEXT)


def view_of(town: Any, item: str, at: OfficeCode = COUNTY) -> views.ItemView:
    with town.node(at).world.state.read() as reader:
        return views.item(reader, item)


async def kept(town: Any) -> str:
    """A sealed item of the county whose sealed copies stand at the province and a city."""
    item = str((await town.report(COUNTY, {"卷一/a.txt": TEXT}, rights="sealed"))["item"])
    await town.quiet()
    await town.until(lambda: len(view_of(town, item).sealed_holders) >= 2)
    await town.quiet()
    return item


async def lose(town: Any, blob: BlobId = FILE) -> None:
    """The owner's own copy is gone, and nobody has seen it yet."""
    await town.node(COUNTY).world.blobs.delete(blob)


async def read(town: Any, item: str, at: OfficeCode, offset: int = 0, length: int = 10**9) -> bytes:
    _, _, name, read = await town.node(at).using.recall.open_file(item, FILE.hex)
    assert name == "a.txt"
    return b"".join([part async for part in read(offset, length)])


def accesses(town: Any, item: str, at: OfficeCode = PROVINCE) -> list[tuple[str, str, str]]:
    """(giver, who took, what), as the logs say."""
    with town.node(at).world.state.read() as reader:
        rows = list(holdings.accesses(reader, town.node(at).folding.roster, item))
    return [(giver, access.by, access.what) for _, giver, _, access in rows]


def test_the_owner_reads_its_own_copy_and_its_log_says_so(play: Play) -> None:
    async def story(town: Any) -> None:
        item = await kept(town)
        assert await read(town, item, COUNTY) == TEXT
        assert await read(town, item, COUNTY, 5, 9) == TEXT[5:14]
        await town.quiet()
        assert accesses(town, item) == [(COUNTY, COUNTY, "file")]  # once a day

    play(story, PROVINCE, CITY, COUNTY)


def test_the_owner_gets_its_file_from_holders_that_cannot_read_it(play: Play) -> None:
    async def story(town: Any) -> None:
        item = await kept(town)
        assert town.node(CITY).world.blobs.size(FILE) is None
        await lose(town)
        receipt = await town.node(COUNTY).using.recall.begin(item)
        assert await read(town, item, COUNTY) == TEXT
        edge = PLAIN_CHUNK_BYTES
        for offset, length in ((0, 1), (edge - 2, 4), (edge, edge), (len(TEXT) - 3, 99)):
            assert await read(town, item, COUNTY, offset, length) == TEXT[offset : offset + length]
        await town.quiet()
        givers = {giver for giver, by, what in accesses(town, item) if by == COUNTY}
        assert givers == {each["office"] for each in receipt["accesses"]} == {PROVINCE, CITY}
        await lose(town)
        await town.hosts[PROVINCE].stop()
        assert await read(town, item, COUNTY) == TEXT  # the city alone

    play(story, PROVINCE, CITY, COUNTY)


def test_a_holder_with_a_damaged_copy_costs_nothing_but_a_question(play: Play) -> None:
    async def story(town: Any) -> None:
        item = await kept(town)
        opened = await town.node(COUNTY).sealer.open(view_of(town, item))
        (name,) = [sealed.sealed for sealed, key in opened if key.file == FILE]
        for holder in (PROVINCE, CITY):
            town.hosts[holder].disk.flip(name, 3 if holder == CITY else PLAIN_CHUNK_BYTES + 99)
        await lose(town)
        assert await read(town, item, COUNTY) == TEXT

    play(story, PROVINCE, CITY, COUNTY)


def test_a_damaged_own_copy_is_read_on_from_the_holders(play: Play) -> None:
    async def story(town: Any) -> None:
        item = await kept(town)
        town.hosts[COUNTY].disk.flip(FILE, PLAIN_CHUNK_BYTES + 99)
        assert await read(town, item, COUNTY) == TEXT

    play(story, PROVINCE, CITY, COUNTY)


def test_others_are_refused_and_told_whom_to_ask(play: Play) -> None:
    async def story(town: Any) -> None:
        item = await kept(town)
        for office in (PROVINCE, CITY, CITY2):
            for what in (item, FILE.hex) if office == PROVINCE else (item,):
                with pytest.raises(Forbidden, match=rf"owner {COUNTY} or a grant of it"):
                    await town.node(office).using.recall.begin(what)
        with pytest.raises(Missing):
            await town.node(CITY2).using.recall.begin(FILE.hex)  # it knows of no such file
        assert accesses(town, item) == []

    play(story, PROVINCE, CITY, CITY2, COUNTY)


def test_a_grant_opens_the_files_and_its_revocation_closes_them(play: Play) -> None:
    async def story(town: Any) -> None:
        item = await kept(town)
        await town.node(CITY2).sealer.rotate(CITY2)
        await town.quiet()
        granting = town.node(COUNTY).using.granting
        given = await granting.grant(item, CITY2, "file", "修志引用", 3)
        await town.quiet()
        assert (
            await read(town, item, CITY2, 7, 2 * PLAIN_CHUNK_BYTES)
            == TEXT[7 : 7 + 2 * PLAIN_CHUNK_BYTES]
        )
        assert town.node(CITY2).world.blobs.size(FILE) is None
        receipt = await town.node(CITY2).using.recall.begin(item)
        await town.quiet()
        assert {by for _, by, _ in accesses(town, item)} == {CITY2}
        with town.node(COUNTY).world.state.read() as reader:
            rows = list(holdings.accesses(reader, town.node(COUNTY).folding.roster, item))
        assert {row[3].grant.index for row in rows} == {given["grant"]}
        assert town.node(PROVINCE).using.recall.check(receipt["receipt"].encode())["by"] == CITY2

        await granting.revoke(item, given["grant"])
        await town.quiet()
        with pytest.raises(Forbidden):
            await read(town, item, CITY2)
        view = view_of(town, item)
        for giver in (PROVINCE, COUNTY):  # what was opened before is shut, too
            assert not town.node(giver).using.access.lends(view, "sealed", (CITY2,))

    play(story, PROVINCE, CITY, CITY2, COUNTY)


def test_a_receipt_is_held_against_the_logs(play: Play) -> None:
    async def story(town: Any) -> None:
        item = await kept(town)
        told = await town.node(COUNTY).using.recall.begin(item)
        await town.quiet()
        check = town.node(PROVINCE).using.recall.check
        receipt = told["receipt"].encode()
        assert check(receipt)["item"] == item
        for code in (PROVINCE, COUNTY):
            proof = await town.node(code).vault.receipts.recall_proof(receipt)
            said = check_recall(RecallProof.decode(proof), town.cluster.genesis_note)
            assert (said.receipt.encoded(), said.witnessed) == (receipt, True)
            assert [access.office for access in said.accesses] == [COUNTY]
        fields = json.loads(receipt)
        (access,) = fields["accesses"]
        for name, value, error in (
            ("by", PROVINCE, ProofError),
            ("manifest", "0" * 64, ProofError),
            ("accesses", [{**access, "leaf": "0" * 64}], ProofError),
            ("accesses", [{**access, "index": 0}], ProofError),
            ("accesses", [{**access, "index": 10**6}], Missing),
            ("accesses", [{**access, "office": "x"}], DecodeError),
            ("accesses", [], DecodeError),
            ("format", "x", DecodeError),
        ):
            with pytest.raises(error):
                check(encode_json({**fields, name: value}))
        unknown = encode_json({**fields, "accesses": [{**access, "index": 10**6}]})
        with pytest.raises(Unavailable):
            await town.node(COUNTY).vault.receipts.recall_proof(unknown)

    play(story, PROVINCE, CITY, COUNTY)


def test_the_service_level_is_lent_by_the_owner_and_logged(play: Play) -> None:
    async def story(town: Any) -> None:
        text = "卷一 常熟虞山"
        item = str((await town.report(CITY, {"a.txt": text.encode()}, rights="office"))["item"])
        await town.quiet()
        reading, staff = town.node(CITY2).reading, Asker("reviewer", CITY2)
        with pytest.raises(Missing):
            await reading.page(item, 1, staff)
        with pytest.raises(Forbidden):
            await town.node(PROVINCE).reading.page(item, 1, Asker("reviewer", PROVINCE))
        await town.node(CITY).using.granting.grant(item, CITY2, "service", "审核", 3)
        await town.quiet()
        assert text in (await reading.page(item, 1, staff)).text
        with pytest.raises(Forbidden):
            await town.node(CITY2).using.recall.begin(item)
        await town.quiet()
        assert accesses(town, item) == [(CITY, CITY2, "service")]
        await town.node(CITY).using.granting.revoke(
            item, view_of(town, item, CITY).grants[0].ref.index
        )
        await town.quiet()
        with pytest.raises(Missing):
            await reading.page(item, 1, staff)

    play(story, PROVINCE, CITY, CITY2)
