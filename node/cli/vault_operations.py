"""The operator's commands about sealed items, as a running node executes them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from node.office.node import Node
from protocol.errors import DecodeError
from protocol.ids import OfficeCode

Json = dict[str, Any]
Progress = Callable[[str, int, int], None]
Operation = Callable[[Json, Progress], Awaitable[Json]]


def vault_operations(node: Node) -> dict[str, Operation]:
    async def grant(arguments: Json, _progress: Progress) -> Json:
        """``{item, to, what, purpose, days, as?}`` → ``{item, to, what, until, grant, status}``."""
        item, to, what, purpose, user = (
            str(arguments.get(name, "")) for name in ("item", "to", "what", "purpose", "as")
        )
        days = _integer(arguments, "days")
        return await node.using.granting.grant(item, to, what, purpose, days, user)

    async def revoke_grant(arguments: Json, _progress: Progress) -> Json:
        """``{item, grant, as?}``"""
        item, user = str(arguments.get("item", "")), str(arguments.get("as", ""))
        return await node.using.granting.revoke(item, _integer(arguments, "grant"), user)

    async def grants(arguments: Json, _progress: Progress) -> Json:
        """``{item?}`` → ``{grants: [...]}``"""
        return await node.using.granting.listed(str(arguments.get("item", "")))

    async def rewrap(arguments: Json, _progress: Progress) -> Json:
        """``{office?}`` → ``{office, key, items}``"""
        code = OfficeCode(str(arguments.get("office") or min(node.keys, default="")))
        items = await node.sealer.rotate(code)
        key = await node.sealer.sealing_key(code)
        return {"office": code, "key": key.hex(), "items": items}

    async def recovery_request(_arguments: Json, _progress: Progress) -> Json:
        """→ ``{file, office, reader, items}``"""
        file = await node.using.recovery.request()
        told = {"office": file.office, "reader": file.reader.hex(), "items": len(file.items)}
        return {"file": file.encoded().decode(), **told}

    async def recovery_apply(arguments: Json, _progress: Progress) -> Json:
        """``{file}`` → ``{office, items}``"""
        return await node.using.recovery.take(str(arguments.get("file", "")).encode())

    async def recall(arguments: Json, _progress: Progress) -> Json:
        """``{what}`` → the receipt, as text and as its members"""
        return await node.using.recall.begin(str(arguments.get("what", "")))

    async def recall_check(arguments: Json, _progress: Progress) -> Json:
        """``{receipt}`` → ``{item, by, accesses, files}``"""
        return node.using.recall.check(str(arguments.get("receipt", "")).encode())

    async def recall_proof(arguments: Json, _progress: Progress) -> Json:
        """``{receipt}`` → ``{proof}``, the text of a file that anyone checks"""
        receipt = str(arguments.get("receipt", "")).encode()
        return {"proof": (await node.vault.receipts.recall_proof(receipt)).decode()}

    return {
        "recall": recall,
        "recall_proof": recall_proof,
        "recall_check": recall_check,
        "grant": grant,
        "revoke_grant": revoke_grant,
        "grants": grants,
        "rewrap": rewrap,
        "recovery_request": recovery_request,
        "recovery_apply": recovery_apply,
    }


def _integer(arguments: Json, name: str) -> int:
    value = arguments.get(name)
    if type(value) is not int:
        raise DecodeError(name, "a whole number", repr(value)[:40])
    return value
