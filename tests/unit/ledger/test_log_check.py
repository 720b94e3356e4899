from __future__ import annotations

from collections.abc import Callable

from ledger import logbook
from ledger.hash_rows import TILE, row_key
from ledger.log_check import check_log
from ledger.logbook import ENTRY, HEAD, entry_key
from node.hands.storage.memory_kv import MemoryStore
from protocol.ids import parse_office
from protocol.ports import Writer

CODE = parse_office("320500")


def store(size: int) -> MemoryStore:
    tables = MemoryStore([ENTRY, TILE, HEAD])
    entries = [f"entry {index}".encode() for index in range(size)]
    tables.run(lambda writer: logbook.append(writer, CODE, entries))
    return tables


def findings(tables: MemoryStore) -> list[tuple[str, str]]:
    with tables.read() as reader:
        return [(found.code, found.where) for found in check_log(reader, CODE)]


def damage(tables: MemoryStore, table: str, key: bytes, change: Callable[[bytes], bytes]) -> None:
    tables.run(lambda writer: writer.put(table, key, change(writer.get(table, key) or b"")))


def flip(at: int) -> Callable[[bytes], bytes]:
    return lambda value: value[:at] + bytes([value[at] ^ 1]) + value[at + 1 :]


def test_a_sound_log_yields_nothing() -> None:
    for size in (0, 1, 15, 16, 17, 255, 256, 257, 600):
        assert findings(store(size)) == []


def test_check_names_what_is_damaged() -> None:
    def of(table: str, key: bytes, change: Callable[[bytes], bytes]) -> list[tuple[str, str]]:
        tables = store(600)
        damage(tables, table, key, change)
        return findings(tables)

    assert of(ENTRY, entry_key(CODE, 300), flip(0)) == [("log.entry", "entry 300")]
    assert of(ENTRY, entry_key(CODE, 0), lambda value: value + b"!") == [("log.entry", "entry 0")]
    # a damaged leaf hash disagrees with the entry below it and with what is above it
    assert of(TILE, row_key(CODE, 0, 18), flip(32 * 12)) == [
        ("log.entry", "entry 300"),
        ("log.tile", "row 1/1"),
    ]
    assert of(TILE, row_key(CODE, 0, 37), flip(0)) == [
        ("log.entry", "entry 592"),
        ("log.root", "head of size 600"),
    ]
    assert of(TILE, row_key(CODE, 1, 0), flip(40)) == [
        ("log.tile", "row 1/0"),
        ("log.tile", "row 2/0"),
    ]
    assert of(TILE, row_key(CODE, 2, 0), flip(40)) == [
        ("log.tile", "row 2/0"),
        ("log.root", "head of size 600"),
    ]
    for short in (lambda v: v[:-32], lambda v: v[:-1]):
        assert of(TILE, row_key(CODE, 0, 37), short) == [("log.tile.width", "row 0/37")]
    for change in (flip(0), flip(7), flip(8), flip(40), lambda v: v[:-1], lambda v: b""):
        assert of(HEAD, CODE.encode(), change) == [("log.head", "head")]


def test_check_names_what_is_missing_or_too_much() -> None:
    tables = store(600)

    def job(writer: Writer) -> None:
        for index in (0, 5, 6, 599):
            writer.delete(ENTRY, entry_key(CODE, index))
        writer.delete(TILE, row_key(CODE, 0, 0))
        writer.put(ENTRY, entry_key(CODE, 600), b"")
        writer.put(TILE, row_key(CODE, 0, 38), bytes(32))
        writer.put(TILE, row_key(CODE, 3, 0), bytes(32))

    tables.run(job)
    assert findings(tables) == [
        ("log.entry.missing", "entries 0 to 0"),
        ("log.entry.missing", "entries 5 to 6"),
        ("log.entry.extra", "entry 600"),
        ("log.entry.missing", "entries 599 to 599"),
        ("log.tile.width", "row 0/0"),
        ("log.tile.extra", "row 0/38"),
        ("log.tile.extra", "row 3/0"),
    ]


def test_a_gap_at_the_start_of_a_row_is_one_finding() -> None:
    tables = store(600)
    tables.run(lambda writer: writer.delete(ENTRY, entry_key(CODE, 256)))
    assert findings(tables) == [("log.entry.missing", "entries 256 to 256")]
