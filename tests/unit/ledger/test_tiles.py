from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.tiles import (
    TILE_NUMBER_MAX,
    Bundle,
    Tile,
    bundle_path,
    bundles_of,
    decode_bundle,
    encode_bundle,
    parse_path,
    tile_count,
    tile_path,
    tiles_of,
)
from protocol.errors import DecodeError
from protocol.merkle import leaf_hash, root_of


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("tile/0/x001/x234/067", Tile(0, 1234067, 256)),
        ("tile/0/005", Tile(0, 5, 256)),
        ("tile/63/000.p/1", Tile(63, 0, 1)),
        ("tile/1/x001/000.p/255", Tile(1, 1000, 255)),
        ("tile/entries/999", Bundle(999, 256)),
        ("tile/entries/x273/273.p/112", Bundle(273273, 112)),
    ],
)
def test_names(path: str, named: Tile | Bundle) -> None:
    assert parse_path(path) == named


@given(st.integers(0, 63), st.integers(0, TILE_NUMBER_MAX), st.integers(1, 256))
def test_path_round_trip(level: int, number: int, width: int) -> None:
    assert parse_path(tile_path(level, number, width)) == Tile(level, number, width)
    assert parse_path(bundle_path(number, width)) == Bundle(number, width)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/tile/0/000",
        "tile/0/000/",
        "tile/00/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/data/000",
        "tile/0/0",
        "tile/0/0000",
        "tile/0/1000",
        "tile/0/x000/001",
        "tile/0/001/002",
        "tile/0/x001",
        "tile/0/x001/x002",
        "tile/0/X001/002",
        "tile/0/000.p/0",
        "tile/0/000.p/01",
        "tile/0/000.p/256",
        "tile/0/000.p/999",
        "tile/0/000.p/",
        "tile/0/000.p",
        "tile/0/000\n",
        "tile/0/../000",
        "tile/0/００１",
        "tile/0/x999/x999/x999/x999/x999/x999/999",
    ],
)
def test_strange_paths_are_refused(path: str) -> None:
    with pytest.raises(DecodeError):
        parse_path(path)


@pytest.mark.parametrize(
    ("level", "number", "width"), [(-1, 0, 1), (64, 0, 1), (0, -1, 1), (0, 0, 0), (0, 0, 257)]
)
def test_no_such_tile(level: int, number: int, width: int) -> None:
    with pytest.raises(DecodeError):
        tile_path(level, number, width)


def test_widths_of_70000() -> None:
    assert [tile_count(70_000, level) for level in range(4)] == [
        (273, 112),
        (1, 17),
        (0, 1),
        (0, 0),
    ]
    assert len(list(tiles_of(70_000))) == 274 + 2 + 1
    assert list(tiles_of(256)) == [Tile(0, 0, 256), Tile(1, 0, 1)]
    assert list(tiles_of(0)) == list(bundles_of(0)) == []
    assert list(bundles_of(257)) == [Bundle(0, 256), Bundle(1, 1)]


@given(st.lists(st.binary(max_size=20), min_size=1, max_size=256))
def test_bundle_round_trip(entries: list[bytes]) -> None:
    assert list(decode_bundle(encode_bundle(entries), len(entries))) == entries


def test_bundle_bytes() -> None:
    assert encode_bundle([b"", b"ab"]) == bytes.fromhex("000000026162")
    assert len(encode_bundle([bytes(65_535)])) == 65_537


@pytest.mark.parametrize("entries", [[], [b""] * 257, [bytes(65_536)]])
def test_bundle_limits(entries: list[bytes]) -> None:
    with pytest.raises(DecodeError):
        encode_bundle(entries)


@pytest.mark.parametrize(
    ("data", "width"),
    [
        ("", 1),
        ("00", 1),
        ("0001", 1),
        ("0002ff", 1),
        ("0000", 2),
        ("000000", 1),
        ("", 0),
        ("", 257),
    ],
)
def test_bundle_must_be_whole(data: str, width: int) -> None:
    with pytest.raises(DecodeError):
        decode_bundle(bytes.fromhex(data), width)


def test_published_log(data_dir: Path) -> None:
    """The log of transparency-dev/tessera: bundles give the leaf hashes of its tiles."""
    folder = data_dir / "vectors" / "tessera-log"
    for width in range(1, 16):
        entries = decode_bundle((folder / bundle_path(0, width)).read_bytes(), width)
        leaves = [leaf_hash(entry) for entry in entries]
        assert (folder / tile_path(0, 0, width)).read_bytes() == b"".join(leaves)
        assert len(root_of(leaves)) == 32
