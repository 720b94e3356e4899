"""The operator's commands that a running node executes on its own home."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from configs.offices import load
from ledger.events import MemberAdmit
from ledger.holdings import sealing_key
from ledger.members import Member
from ledger.roster import Roster
from node.cli.disk_operations import disk_operations, empty_folder
from node.cli.storage_operations import storage_operations
from node.cli.vault_operations import vault_operations
from node.hands.backup import copy_home
from node.hands.keys import load_key
from node.hands.storage.home import Home
from node.office.changefile import ChangeFile, add_signature, read_change_file, write_change_file
from node.office.node import Node
from protocol.errors import ConfigError
from protocol.keys import key_id

Json = dict[str, Any]
Progress = Callable[[str, int, int], None]
Operation = Callable[[Json, Progress], Awaitable[Json]]
OFFICE_TABLE = "jiangsu"


def operations(home: Home, node: Node) -> dict[str, Operation]:
    """By name; each takes its arguments as JSON and a callback that hears of progress."""

    async def export(arguments: Json, progress: Progress) -> Json:
        target = empty_folder(arguments)

        def sink(name: str, data: bytes) -> None:
            path = target / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)

        return {**await node.upkeep.export(sink, progress), "folder": str(target)}

    async def backup(arguments: Json, progress: Progress) -> Json:
        target = empty_folder(arguments)
        world = node.world
        return await copy_home(
            home, world.ledger, world.blobs, target, world.work, world.clock, progress
        )

    async def rebuild(_arguments: Json, _progress: Progress) -> Json:
        return await node.upkeep.rebuild()

    async def statistics(_arguments: Json, _progress: Progress) -> Json:
        return await node.statistician.refresh()

    async def doctor(arguments: Json, progress: Progress) -> Json:
        ailments = await node.upkeep.examine(bool(arguments.get("repair")), progress)
        return {
            "ailments": [ailment.shown() for ailment in ailments],
            "state_digest": await node.world.work.run(node.upkeep.digest),
        }

    return {
        **_of_members(home, node),
        **_of_users(node),
        **_of_synonyms(node),
        **vault_operations(node),
        **disk_operations(node),
        **storage_operations(node),
        "export": export,
        "backup": backup,
        "rebuild": rebuild,
        "statistics": statistics,
        "doctor": doctor,
    }


def _of_members(home: Home, node: Node) -> dict[str, Operation]:
    """What the node of the province does about the roster."""

    async def admit(arguments: Json, progress: Progress) -> Json:
        """``{requests: [text]}`` → ``{invites: [text]}``, each signed by the root keys that are in
        this home."""
        roots = [load_key(path) for path in sorted(home.keys.glob("root*.pem"))]
        if not roots:
            expected = "a root key (keys/root*.pem; if they are offline: fangzhi roster draft)"
            raise ConfigError(str(home.keys), expected, "none")
        invites, texts = [], arguments.get("requests", [])
        for number, text in enumerate(texts):
            progress("admit", number, len(texts))
            file = node.registrar.draft({"admit": [text]}, load(OFFICE_TABLE))
            for root in roots:
                if file.still_needed():
                    file = add_signature(file, root)
            await node.registrar.apply(file)
            invites.append(node.registrar.invite(_codes(file)).decode())
        return {"invites": invites, "size": node.log_size(node.genesis.province)}

    async def draft(arguments: Json, _progress: Progress) -> Json:
        """See :meth:`Registrar.draft`; ``{file: text}``."""
        file = node.registrar.draft(arguments, load(OFFICE_TABLE))
        return {"file": write_change_file(file).decode()}

    async def apply(arguments: Json, _progress: Progress) -> Json:
        """``{file: text}`` → ``{size, invites: [{offices, invite}]}``, one for each node."""
        file = read_change_file(str(arguments.get("file")).encode())
        size = await node.registrar.apply(file)
        hosts: dict[bytes, list[str]] = {}
        for body in file.changes:
            if isinstance(body, MemberAdmit):
                hosts.setdefault(body.tls_pin, []).append(body.code)
        invites = [
            {"offices": codes, "invite": node.registrar.invite(codes).decode()}
            for codes in hosts.values()
        ]
        return {"size": size, "invites": invites}

    async def roster(_arguments: Json, _progress: Progress) -> Json:
        roster = node.folding.roster
        answer = shown_roster(roster)
        with node.world.state.read() as reader:
            for member in answer["members"]:
                key = sealing_key(reader, roster, member["code"])
                member["sealing_key"] = key.key.hex() if key else ""
        return answer

    return {"admit": admit, "draft": draft, "apply": apply, "roster": roster}


def _of_users(node: Node) -> dict[str, Operation]:
    """Named users of the offices hosted here."""

    async def enroll(arguments: Json, _progress: Progress) -> Json:
        """``{office?, name, roles}`` → ``{office, key, status}``."""
        roles = tuple(map(str, arguments.get("roles", ())))
        name, office = str(arguments.get("name", "")), str(arguments.get("office", ""))
        return await node.users.enroll(office, name, roles)

    async def retire(arguments: Json, _progress: Progress) -> Json:
        return await node.users.retire(str(arguments.get("key", "")))

    async def users(_arguments: Json, _progress: Progress) -> Json:
        return {"users": await node.users.listed()}

    return {"enroll": enroll, "retire": retire, "users": users}


def _of_synonyms(node: Node) -> dict[str, Operation]:
    """The table of synonyms that the province signs."""

    async def put(arguments: Json, _progress: Progress) -> Json:
        """``{text}`` → ``{version, groups, table, log_index}``."""
        return await node.thesaurus.put(str(arguments.get("text", "")))

    async def show(_arguments: Json, _progress: Progress) -> Json:
        return await node.thesaurus.shown()

    return {"put_synonyms": put, "synonyms": show}


def _codes(file: ChangeFile) -> list[str]:
    return [body.code for body in file.changes if isinstance(body, MemberAdmit)]


def shown_roster(roster: Roster) -> Json:
    """Members, closures and policy, as JSON and the command line show them."""
    members = [
        {
            "code": member.code,
            "name": member.name,
            "tier": member.tier,
            "parent": member.parent or "",
            "state": _state(member),
            "event_key": key_id(member.event_key).hex(),
            "address": member.peer_address,
            "changes": roster.turn(member.code),
        }
        for _, member in sorted(roster.members.items())
    ]
    closures = [
        {"code": cut.code, "at": cut.at, "size": cut.log_size, "root": cut.log_root.hex}
        for cut in roster.closures
    ]
    return {
        "size": roster.size,
        "genesis": roster.genesis.id.hex,
        "policy_version": roster.rules.version,
        "members": members,
        "closures": closures,
    }


def _state(member: Member) -> str:
    if member.successor:
        return f"abolished → {member.successor}"
    return "revoked" if member.revoked else "active"
