"""A file is sent from where the node stands, whatever breaks on the way."""

from __future__ import annotations

import asyncio
from io import BytesIO
from random import Random
from typing import Any, cast

import pytest

from node.cli import reporting
from node.cli.client import Client
from node.hands.ingest.carriers.carried import CarriedFile
from protocol.errors import Rejected, Unavailable
from protocol.limits import CHUNK_BYTES


class _Upload:
    """A node that loses answers and is away at times; ``append`` checks where it stands."""

    def __init__(self, seed: int) -> None:
        self.random, self.kept, self.asked = Random(seed), bytearray(), 0

    async def append(self, path: str, offset: int, data: bytes) -> int:
        self._perhaps_away(path)
        if offset != len(self.kept):
            raise Rejected(path, f"offset {len(self.kept)}", offset)
        cut = self.random.choice((0, len(data) // 3, len(data), len(data)))
        self.kept += data[:cut]
        if cut < len(data) or self.random.random() < 0.2:
            raise Unavailable(path, "an answer", "a cut")
        return len(self.kept)

    async def offset(self, path: str) -> int:
        self._perhaps_away(path)
        return len(self.kept)

    def _perhaps_away(self, path: str) -> None:
        self.asked += 1
        if self.random.random() < 0.4:
            raise Unavailable(path, "a node", "nobody")


@pytest.mark.parametrize("seed", range(20))
def test_a_file_arrives_whole_over_cuts_and_a_node_that_is_away(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = Random(seed).randbytes((seed % 4) * CHUNK_BYTES + 24)
    file = CarriedFile("7.txt", len(content), 0, lambda: BytesIO(content))
    node, steps = _Upload(seed), list[int]()

    async def at_once(seconds: float) -> None:
        assert 0 < seconds <= reporting.PAUSE_SECONDS_MAX

    monkeypatch.setattr(reporting.asyncio, "sleep", at_once)
    asyncio.run(reporting._send(cast(Client, node), "there", file, 0, steps.append))
    assert bytes(node.kept) == content
    assert sum(steps) == len(content)


def test_a_node_that_stays_away_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    class Away(_Upload):
        def _perhaps_away(self, path: str) -> None:
            raise Unavailable(path, "a node", "nobody")

    async def at_once(seconds: float) -> None:
        pass

    monkeypatch.setattr(reporting.asyncio, "sleep", at_once)
    monkeypatch.setattr(reporting, "PATIENCE_SECONDS", 0.01)
    file = CarriedFile("7.txt", 1, 0, lambda: BytesIO(b"x"))
    told: Any = lambda count: None  # noqa: E731
    with pytest.raises(Unavailable):
        asyncio.run(reporting._send(cast(Client, Away(0)), "there", file, 0, told))
