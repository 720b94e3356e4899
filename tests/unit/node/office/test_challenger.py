"""Challenges: who has the bytes passes; who lies, forgot or is damaged does not."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from hashlib import sha256
from typing import Any

from ledger.holdings import checks
from node.office.challenger import DAY_S
from protocol.ids import BlobId, OfficeCode
from protocol.limits import CHUNK_BYTES
from protocol.messages import BlobAsk
from protocol.possession import Possession, possession

PROVINCE, CITY, COUNTY = map(OfficeCode, ("320000", "320500", "320581"))
ALL = (PROVINCE, CITY, COUNTY)
Play = Callable[..., None]
DATA = random.Random(7).randbytes(3 * CHUNK_BYTES + 5)
FILE = BlobId.of(DATA)


def challenger(town: Any, code: OfficeCode = PROVINCE) -> Any:
    return town.node(code).vault.challenger


async def question_for(town: Any, holder: OfficeCode, asker: OfficeCode = PROVINCE) -> Any:
    while True:
        question = await challenger(town, asker).question()
        if question is not None and question.holder == holder:
            return question


def logged(town: Any, holder: OfficeCode) -> list[tuple[str, int, int, int]]:
    node = town.node(PROVINCE)
    with node.world.state.read() as reader:
        rows = list(checks(reader, node.folding.roster, holder))
    return [(asker, row.asked, row.passed, row.failed) for _, asker, row in rows]


def test_a_holder_passes_and_the_day_is_logged_once(play: Play) -> None:
    async def story(town: Any) -> None:
        await town.report_data(COUNTY, DATA)
        await town.quiet()
        for _ in range(3):
            question = await question_for(town, CITY)
            assert question.blob == FILE
            assert await challenger(town).ask(question) == "passed"
        await challenger(town).report()
        await town.quiet()
        assert logged(town, CITY) == []
        town.hosts[PROVINCE].clock.offset_ms += int(1000 * DAY_S)
        await challenger(town).report()
        await town.quiet()
        (said,) = [row for row in logged(town, CITY) if row[0] == PROVINCE][:1]
        assert said[1] == said[2] >= 3
        assert said[3] == 0

    play(story, *ALL)


def test_a_damaged_holder_fails_is_told_of_and_mends_itself(play: Play) -> None:
    async def story(town: Any) -> None:
        await town.report_data(COUNTY, DATA)
        await town.quiet()
        for chunk in range(4):
            town.hosts[CITY].disk.flip(FILE, chunk * CHUNK_BYTES)
        assert await challenger(town).ask(await question_for(town, CITY)) == "failed"
        await challenger(town).report()
        await town.quiet()
        assert (PROVINCE, 1, 0, 1) in logged(town, CITY)
        await town.until(lambda: not town.node(CITY).custodian.incomplete)
        await asyncio.sleep(90)
        assert await challenger(town).ask(await question_for(town, CITY)) == "passed"

    play(story, *ALL)


def test_a_holder_that_kept_only_hashes_or_answers_of_before_fails(play: Play) -> None:
    async def story(town: Any) -> None:
        await town.report_data(COUNTY, DATA)
        await town.quiet()
        honest, kept = town.node(CITY).vault.lending.on_challenge, []

        async def guesses(peer: Any, ask: Any) -> Possession:
            leaves = await town.node(CITY).world.blobs.leaves(ask.blob)
            return Possession(tuple(sha256(ask.nonce + leaves).digest() for _ in ask.chunks))

        async def repeats(peer: Any, ask: Any) -> Possession:
            kept.append(await honest(peer, ask))
            return kept[0]

        handlers = town.node(CITY).links._handlers
        handlers["hold.challenge"] = guesses
        assert await challenger(town).ask(await question_for(town, CITY)) == "failed"
        handlers["hold.challenge"] = repeats
        question = await question_for(town, CITY)
        outcomes = [await challenger(town).ask(question) for _ in range(2)]
        assert outcomes == ["passed", "failed"]

    play(story, *ALL)


def test_a_holder_that_has_the_challenger_answer_for_it_does_not_pass(play: Play) -> None:
    async def story(town: Any) -> None:
        await town.report_data(COUNTY, DATA)
        await town.quiet()
        city = town.node(CITY)
        question = await question_for(town, CITY)

        async def brings(_peer: Any, ask: Any) -> Possession:
            found = []
            for number in ask.chunks:
                where = BlobAsk(ask.blob, number * CHUNK_BYTES, CHUNK_BYTES)
                chunk = await city.links.ask(source, "blob.read", where, 5)
                found.append(possession(ask.nonce, ask.blob, number, chunk.data))
            return Possession(tuple(found))

        city.links._handlers["hold.challenge"] = brings
        source = PROVINCE
        assert await challenger(town).ask(question) != "passed"
        source = COUNTY  # what the spec says that it does not show
        assert await challenger(town).ask(question) == "passed"
        assert (await city.links.ask(PROVINCE, "blob.read", BlobAsk(FILE, 0, 9), 5)).data

    play(story, *ALL)


def test_who_cannot_be_reached_is_not_accused(play: Play) -> None:
    async def story(town: Any) -> None:
        await town.report_data(COUNTY, DATA)
        await town.quiet()
        question = await question_for(town, CITY)
        await town.hosts[CITY].stop()
        assert await challenger(town).ask(question) == "silent"
        town.hosts[PROVINCE].clock.offset_ms += int(1000 * DAY_S)
        await challenger(town).report()
        assert (PROVINCE, 1, 0, 0) in logged(town, CITY)

    play(story, *ALL)


def test_a_challenger_whose_own_copy_is_damaged_accuses_nobody(play: Play) -> None:
    async def story(town: Any) -> None:
        await town.report_data(COUNTY, DATA)
        await town.quiet()
        question = await question_for(town, CITY)
        for chunk in range(4):
            town.hosts[PROVINCE].disk.flip(FILE, chunk * CHUNK_BYTES)
        assert await challenger(town).ask(question) == "silent"
        assert logged(town, CITY) == []

    play(story, *ALL)


def test_an_owner_challenges_sealed_copies_that_it_does_not_store(play: Play) -> None:
    async def story(town: Any) -> None:
        await town.report_data(COUNTY, DATA, rights="sealed")
        await town.quiet()
        await asyncio.sleep(60)
        await town.quiet()
        question = await question_for(town, PROVINCE, COUNTY)
        assert town.node(COUNTY).world.blobs.size(question.blob) is None
        assert await challenger(town, COUNTY).ask(question) == "passed"
        for chunk in range(4):
            town.hosts[PROVINCE].disk.flip(question.blob, chunk * CHUNK_BYTES)
        assert await challenger(town, COUNTY).ask(question) == "failed"

    play(story, *ALL)
