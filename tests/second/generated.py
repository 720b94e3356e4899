"""Random small networks through the real code, exported as folders, and damage to them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path

from ledger import logbook
from ledger.custody import HoldCheck, HoldOffer, HoldTake, KeySeal
from ledger.events import Anchor, AnchorLine, MemberRevoke, RecoverySet, SynonymsPut, sign_event
from node.hands.storage.memory_kv import MemoryStore
from node.office.upkeep import export_log
from protocol.ids import BlobId, NetworkId, OfficeCode, RootHash
from protocol.ports import Writer
from tests.unit.ledger.conftest import CITY, CITY2, COUNTY, COUNTY2, PARENTS, PROVINCE, Network, key

TABLES = ("entry", "tile", "head", "note")
OFFICES = (PROVINCE, CITY, CITY2, COUNTY, COUNTY2)
WITNESSES = (PROVINCE, CITY, CITY2)


def hold(network: Network, code: OfficeCode, count: int) -> None:
    """One batch of ``count`` events."""
    item = network.mint(COUNTY)
    network.append(code, *(HoldTake(item, BlobId.of(b"x"), 1, at) for at in range(count)))


KEEPING = (
    KeySeal(1, bytes([1]) * 32),
    KeySeal(2, bytes([2]) * 32),
    KeySeal(1, bytes(32)),
    HoldOffer(1, "机房", True),
    HoldOffer(1, "x" * 101, True),
    HoldCheck(CITY, 1, 3, 2, 1, None),
    HoldCheck(CITY, 1, 3, 3, 1, None),
    RecoverySet(1, bytes([1]) * 32, ()),
    RecoverySet(2, bytes([2]) * 32, ()),
    RecoverySet(1, bytes(31), ()),
)


def keeping(network: Network, code: OfficeCode, number: int) -> None:
    """Something about keys or copies that concerns no item; half of it against its rule."""
    body = KEEPING[number]
    is_change = isinstance(body, RecoverySet)
    network.append(code, network.with_roots(body) if is_change else body)


def synonyms(network: Network, code: OfficeCode, version: int) -> None:
    network.append(code, SynonymsPut(version, BlobId.of(b"x"), 1))


def anchor(network: Network, child: OfficeCode, size: int, root: bytes | None = None) -> None:
    """The office above records what it saw of a log, or another root."""
    tree = network.tree(child, size)
    if root and not tree.size:
        return
    line = AnchorLine(child, tree.size, RootHash(root or tree.root()))
    network.append(PARENTS[child], Anchor((line,)))


def revoke(network: Network, code: OfficeCode, size: int) -> None:
    tree = network.tree(code, size)
    body = MemberRevoke(code, tree.size, RootHash(tree.root()), 1, ())
    network.append(PROVINCE, network.with_roots(body))


def broken(network: Network, code: OfficeCode, how: str) -> None:
    """One event against a rule, at the end of a log."""
    body = HoldTake(network.mint(COUNTY), BlobId.of(b"x"), 1, 1)
    context = network.context(code)
    signer = network.key(code, "event")
    changes: dict[str, object] = {
        "network": {"network": NetworkId(bytes(32))},
        "origin": {"origin": OfficeCode("330100")},
        "chain size": {"last_size": context.last_size + 1},
        "chain root": {"last_root": RootHash(bytes(32))},
        "roster root": {"roster_root": RootHash(bytes(32))},
        "roster size": {"roster_size": context.roster_size + 1},
    }.get(how, {})
    if how == "signer":
        signer = key("somebody")
    event = sign_event(replace(context, **changes), body, network.now, signer)
    entry = event.encoded()
    if how == "signature":
        entry = entry[:-1] + bytes([entry[-1] ^ 1])
    if how == "decode":
        entry = entry[:-1]
    if how == "root signatures":
        entry = network.sign(PROVINCE, network.with_roots(network.admit_body(COUNTY), 1)).encoded()
        code = PROVINCE
    if how == "place":
        body = network.with_roots(network.admit_body(COUNTY))
        entry = network.sign(code, body).encoded()
    network.append_raw(code, entry)


BREAKS = (
    "network",
    "origin",
    "chain size",
    "chain root",
    "roster root",
    "roster size",
    "signer",
    "signature",
    "decode",
    "root signatures",
    "place",
)


def _fill(code: OfficeCode, entries: list[bytes], note: bytes, writer: Writer) -> None:
    logbook.append(writer, code, entries)
    writer.put("note", code.encode(), note)


def export(network: Network, folder: Path, codes: Iterable[str] = OFFICES) -> list[Path]:
    """What ``fangzhi export`` writes; the files, sorted."""
    store = MemoryStore(TABLES)
    for code in map(OfficeCode, codes):
        if entries := network.logs.get(code, []):
            note = network.checkpoint(code, [each for each in WITNESSES if each != code])
            store.run(partial(_fill, code, entries, note))
    written: list[Path] = []

    def sink(name: str, data: bytes) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        written.append(path)

    sink("genesis.note", network.genesis_note)
    with store.read() as reader:
        for code in codes:
            export_log(reader, OfficeCode(code), sink)
    return sorted(written[1:])
