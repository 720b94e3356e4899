"""Damaged cards of the store, while every file is right: found, put right by the bytes, and where
they cannot be read at all, made again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from node.hands.storage.vault import Vault, mend_cards
from protocol.errors import StoreError
from protocol.ports import Writer
from tests.fault.test_vault_faults import cards_of, filled, open_store


async def rewritten(store: Vault, table: str, change: Callable[[bytes], bytes]) -> None:
    """Every row of a table of the cards is changed on the disk."""

    def job(writer: Writer) -> None:
        for key, row in list(writer.scan(table)):
            writer.put(table, key, change(row))

    await store._cards._store.write(job)


def flipped(row: bytes, at: int) -> bytes:
    return row[:at] + bytes([row[at] ^ 1]) + row[at + 1 :]


@pytest.mark.parametrize(("table", "at"), [("leaf", 3), ("leaf", -1), ("card", -1), ("card", -40)])
def test_a_flipped_bit_of_a_card_is_found_and_put_right_by_the_bytes(
    tmp_path: Path, table: str, at: int
) -> None:
    """Leaf hashes, the root of them, the quick hash: the bytes of all files are right."""

    async def story() -> None:
        async with open_store(tmp_path) as store:
            blobs = await filled(store)
            right = await cards_of(store)
            await rewritten(store, table, lambda row: flipped(row, at % len(row)))
            for blob in blobs:
                await store.verify(blob)
            assert await cards_of(store) == right

    asyncio.run(story())


@pytest.mark.parametrize("where", ["page", "leaf", "size", "short"])
def test_cards_that_cannot_be_read_are_thrown_away_and_made_again(
    tmp_path: Path, where: str
) -> None:
    async def story() -> None:
        async with open_store(tmp_path) as store:
            await filled(store)
            right = await cards_of(store)
            if where == "leaf":
                await rewritten(store, "leaf", lambda row: flipped(row, 3))
            if where == "size":
                await rewritten(store, "card", lambda row: flipped(row, 0))
            if where == "short":
                await rewritten(store, "card", lambda row: row[:-1])
        if where == "page":
            with (tmp_path / "vault" / "data.mdb").open("r+b") as file:
                file.write(b"?" * 8192)  # both of the pages with which LMDB begins
        with pytest.raises(StoreError):
            await mend_cards(tmp_path / "vault")
        await mend_cards(tmp_path / "vault")
        async with open_store(tmp_path) as store:
            assert await cards_of(store) == right
            checks = list(store.checks())
            assert any(checked for checked, _ in checks)
        await mend_cards(tmp_path / "vault")  # sound ones stay
        async with open_store(tmp_path) as store:
            assert list(store.checks()) == checks

    asyncio.run(story())
