"""Where files lie, and moving them, as a running node executes it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from node.hands.storage.moving import bucket_of
from node.hands.storage.vault import Vault
from node.office.node import Node

Json = dict[str, Any]
Progress = Callable[[str, int, int], None]
Operation = Callable[[Json, Progress], Awaitable[Json]]


def storage_operations(node: Node) -> dict[str, Operation]:
    vault = node.world.blobs
    if not isinstance(vault, Vault):  # in a simulation
        return {}
    mover = vault.mover

    async def show(_arguments: Json, _progress: Progress) -> Json:
        return mover.show()

    async def move(arguments: Json, progress: Progress) -> Json:
        """``{bucket: {url, endpoint, region, access_key, secret_key} | null}`` → what ``storage``
        says in the end.  The move goes on if whoever asked goes away."""
        await mover.move(bucket_of(arguments.get("bucket")))
        total = sum(shelf["files"] for shelf in mover.show()["shelves"])
        await mover.finished(lambda moved: progress("file", moved, total))
        return mover.show()

    return {"storage": show, "move_storage": move}
