from __future__ import annotations

import pytest
from aiohttp import ClientSession

from node.faces.logs import WITNESS_BODY_BYTES_MAX
from tests.fake_service import CHECKPOINT, GENESIS, ORIGIN_HASH, FakeService


async def test_a_checkpoint_may_be_kept_for_a_moment(client: ClientSession) -> None:
    response = await client.get("/log/320500/checkpoint")
    assert await response.read() == CHECKPOINT
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert response.headers["Cache-Control"] == "public, max-age=2"


@pytest.mark.parametrize(
    ("path", "call", "size"),
    [
        ("0/000", ("tile", "320500", 0, 0, 256), 8192),
        ("63/000.p/1", ("tile", "320500", 63, 0, 1), 32),
        ("1/000.p/255", ("tile", "320500", 1, 0, 255), 8160),
        ("entries/x001/x234/067", ("bundle", "320500", 1234067, 256), 768),
        ("entries/000.p/7", ("bundle", "320500", 0, 7), 21),
    ],
)
async def test_tiles_and_bundles_are_for_ever(
    client: ClientSession, service: FakeService, path: str, call: tuple[object, ...], size: int
) -> None:
    response = await client.get(f"/log/320500/tile/{path}")
    assert len(await response.read()) == size
    assert response.headers["Content-Type"] == "application/octet-stream"
    assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert service.calls == [call]


@pytest.mark.parametrize(
    "path",
    [
        "/log/320500/tile/0/001",  # beyond the log
        "/log/320500/tile/00/000",
        "/log/320500/tile/64/000",
        "/log/320500/tile/0/000.p/256",
        "/log/320500/tile/0/000.p/0",
        "/log/320500/tile/0/0",
        "/log/320500/tile/data/000",
        "/log/320500/tile/",
        "/log/320100/checkpoint",
        "/log/city/checkpoint",
    ],
)
async def test_other_names_are_not_found_and_not_kept(client: ClientSession, path: str) -> None:
    response = await client.get(path)
    assert response.status == 404
    assert response.content_type == "application/problem+json"
    assert response.headers["Cache-Control"] == "no-store"


async def test_the_witness_answers_as_its_protocol_says(client: ClientSession) -> None:
    good = await client.post("/witness/add-checkpoint", data=b"old 0\n\nnote")
    assert (good.status, await good.read()) == (200, b"-- signature\n")
    stale = await client.post("/witness/add-checkpoint", data=b"stale")
    assert (stale.status, await stale.read()) == (409, b"7\n")
    assert stale.headers["Content-Type"] == "text/x.tlog.size"


async def test_a_witness_request_has_a_largest_size(client: ClientSession) -> None:
    most = await client.post("/witness/add-checkpoint", data=b"x" * WITNESS_BODY_BYTES_MAX)
    assert most.status == 200
    more = await client.post("/witness/add-checkpoint", data=b"x" * (WITNESS_BODY_BYTES_MAX + 1))
    assert more.status == 400


async def test_what_was_cosigned_is_found_by_the_hash_of_the_origin(
    client: ClientSession,
) -> None:
    response = await client.get(f"/witness/{ORIGIN_HASH}/checkpoint")
    assert await response.read() == CHECKPOINT
    for other in ("0" * 64, ORIGIN_HASH.upper(), "320500"):
        assert (await client.get(f"/witness/{other}/checkpoint")).status == 404


async def test_a_mirror_serves_the_same_bytes(client: ClientSession) -> None:
    for name in ("checkpoint", "tile/0/000", "tile/entries/000.p/7"):
        own = await client.get(f"/log/320500/{name}")
        mirrored = await client.get(f"/mirror/{ORIGIN_HASH}/{name}")
        assert (mirrored.status, await mirrored.read()) == (200, await own.read())
        assert (await client.get(f"/mirror/{'0' * 64}/{name}")).status == 404


async def test_the_policy_is_a_text(client: ClientSession) -> None:
    response = await client.get("/log/320500/policy")
    assert (response.content_type, await response.read()) == ("text/plain", b"quorum none\n")


async def test_the_genesis_note(client: ClientSession) -> None:
    assert await (await client.get("/genesis")).read() == GENESIS
