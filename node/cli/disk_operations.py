"""What a running node does about folders of its own machine: disks that it writes or takes in."""

from __future__ import annotations

import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from node.hands.ingest.carriers.bag import open_bag
from node.hands.ingest.carriers.new_bag import BAG_BYTES_MAX, NewBag
from node.hands.storage.durable import make_directory
from node.office.disks import STATEMENT
from node.office.node import Node
from protocol.errors import ConfigError, DecodeError, Full

Json = dict[str, Any]
Progress = Callable[[str, int, int], None]
Operation = Callable[[Json, Progress], Awaitable[Json]]


def disk_operations(node: Node) -> dict[str, Operation]:
    """Items that travel on a disk."""

    async def pack(arguments: Json, progress: Progress) -> Json:
        """``{item, folder}`` → ``{item, manifest, files, bytes, folder}``."""
        signed, statement, manifest = await node.disks.pack(str(arguments.get("item", "")))
        target, run = empty_folder(arguments), node.world.work.run
        total, done = sum(file.size for file in statement.files), 0
        bag = NewBag(target)
        if (free := shutil.disk_usage(target).free) < total + BAG_BYTES_MAX:
            raise Full(str(target), f"room for {total + BAG_BYTES_MAX} bytes", free)
        await run(bag.start, STATEMENT)
        await run(bag.write, signed)
        await run(bag.end, None)
        for file in statement.files:
            progress(file.path, done, total)
            await run(bag.start, file.path)
            async for piece in node.disks.pieces(file):
                await run(bag.write, piece)
                done += len(piece)
            await run(bag.end, file.blob.hex)
        member = node.folding.roster.member(statement.office)
        info = {
            "Source-Organization": f"{member.name} {member.code}",
            "External-Identifier": statement.item,
            "Title": manifest.title,
        }
        await run(bag.finish, info, node.world.clock.now())
        told = {"item": statement.item, "manifest": statement.upload.manifest.hex}
        return {**told, "files": len(statement.files), "bytes": total, "folder": str(target)}

    async def receive(arguments: Json, progress: Progress) -> Json:
        """``{folder}`` → what :meth:`Disks.receive` says."""
        folder = folder_in(arguments)
        files = await node.world.work.run(open_bag, folder)
        return await node.disks.receive({file.name: file for file in files}, progress)

    return {"pack": pack, "receive": receive}


def folder_in(arguments: Json) -> Path:
    folder = arguments.get("folder")
    if not isinstance(folder, str) or not Path(folder).is_absolute():
        raise DecodeError("folder", "an absolute path", repr(folder)[:80])
    return Path(folder)


def empty_folder(arguments: Json) -> Path:
    path = folder_in(arguments)
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise ConfigError(str(path), "a new or empty folder", "something is there")
    make_directory(path)
    return path
