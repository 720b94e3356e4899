"""The operator's commands that a running node executes on its own home."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from configs.offices import load
from node.hands.backup import copy_home
from node.hands.keys import load_key
from node.hands.storage.durable import make_directory
from node.hands.storage.home import Home
from node.office.membership import read_request, write_invite
from node.office.node import Node
from protocol.errors import ConfigError, DecodeError

Json = dict[str, Any]
Progress = Callable[[str, int, int], None]
OFFICE_TABLE = "jiangsu"


def operations(home: Home, node: Node) -> dict[str, Callable[[Json, Progress], Awaitable[Json]]]:
    """By name; each takes its arguments as JSON and a callback that hears of progress."""

    async def admit(arguments: Json, progress: Progress) -> Json:
        """``{requests: [text]}`` → ``{invites: [text]}``, in one batch of roster events each."""
        roots = [load_key(path) for path in sorted(home.keys.glob("root*.pem"))]
        if not roots:
            raise ConfigError(str(home.keys), "a root key (keys/root*.pem)", "none")
        invites = []
        texts = [text.encode() for text in arguments.get("requests", [])]
        for number, text in enumerate(texts):
            progress("admit", number, len(texts))
            request = read_request(text)
            await node.admit(request, load(OFFICE_TABLE), roots)
            codes = [code for code, *_ in request.offices]
            with node.world.ledger.read() as reader:
                invite = write_invite(
                    node.genesis, node.genesis_note, reader, node.folding.roster, codes
                )
            invites.append(invite.decode())
        return {"invites": invites, "size": node.log_size(node.genesis.province)}

    async def export(arguments: Json, progress: Progress) -> Json:
        target = _empty_folder(arguments)

        def sink(name: str, data: bytes) -> None:
            path = target / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)

        return {**await node.upkeep.export(sink, progress), "folder": str(target)}

    async def backup(arguments: Json, progress: Progress) -> Json:
        target = _empty_folder(arguments)
        return await node.world.work.run(copy_home, home, node.world.ledger, target, progress)

    async def rebuild(_arguments: Json, _progress: Progress) -> Json:
        return await node.upkeep.rebuild()

    async def doctor(arguments: Json, progress: Progress) -> Json:
        ailments = await node.upkeep.examine(bool(arguments.get("repair")), progress)
        return {
            "ailments": [ailment.shown() for ailment in ailments],
            "state_digest": await node.world.work.run(node.upkeep.digest),
        }

    return {
        "admit": admit,
        "export": export,
        "backup": backup,
        "rebuild": rebuild,
        "doctor": doctor,
    }


def _empty_folder(arguments: Json) -> Path:
    folder = arguments.get("folder")
    if not isinstance(folder, str) or not Path(folder).is_absolute():
        raise DecodeError("folder", "an absolute path", repr(folder)[:80])
    path = Path(folder)
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise ConfigError(folder, "a new or empty folder", "something is there")
    make_directory(path)
    return path
