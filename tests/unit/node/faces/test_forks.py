"""Forks as the web shows them: a list, a page, and the very files."""

from __future__ import annotations

from dataclasses import asdict

from aiohttp import ClientSession

from tests.fake_service import AWAY, CHECKPOINT, MANIFEST, FakeService


async def test_the_list_names_files_that_are_served(client: ClientSession) -> None:
    answer = await (await client.get("/api/v1/evidence")).json()
    assert answer == _plain(asdict(FakeService().evidence()))
    a, b = answer["forks"][0]["files"]
    response = await client.get(a)
    assert (response.status, await response.read()) == (200, CHECKPOINT)
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    for path in (b, a.replace(AWAY, "320500"), a + "x"):
        refused = await client.get(path)
        assert refused.status == 404
        assert refused.content_type == "application/problem+json"


async def test_the_page_shows_both_sides_and_who_says_so(client: ClientSession) -> None:
    text = await (await client.get("/evidence?lang=en")).text()
    folder = f"/evidence/{AWAY}/{MANIFEST}"
    for word in (
        "in quarantine",
        f'href="{folder}/a.checkpoint"',
        f"https://node.example{folder}/b.tlog-proof",
        "aa" * 32,
        "bb" * 32,
        "fzb.jiangsu.example/320583+00000000+AQ==",
        "&lt;",
        "goes on from 7 entries; the closed key had signed 9",
    ):
        assert word in text


def _plain(value: object) -> object:
    """As JSON has it."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    return value
