"""The end of a demonstration: only what runs is offered to the visitor."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from node.demo import plan, show
from node.demo.network import Network
from node.demo.screen import Screen


async def test_portals_are_those_of_nodes_that_run(tmp_path: Path) -> None:
    said: list[str] = []
    screen: Any = SimpleNamespace(say=said.append)
    network = Network.plan(tmp_path, plan.hosting("7"))
    await show._stay(cast(Screen, screen), network)  # founding failed: nothing to stay for
    assert said == []
    up = network.places[2]
    up.process = cast(Any, object())
    staying = asyncio.ensure_future(show._stay(cast(Screen, screen), network))
    await asyncio.sleep(0)
    assert not staying.done()
    staying.cancel()
    assert [up.url in line for line in said] == [False, True]
