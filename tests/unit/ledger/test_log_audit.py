from __future__ import annotations

import pytest

from ledger.log_audit import LogAudit
from ledger.tiles import encode_bundle

COUNTY = "320581"
SIZE = 600


@pytest.fixture(scope="module")
def long(founded):
    """A network whose county has 600 entries that need not be events."""
    network = founded()
    for number in range(SIZE):
        network.append_raw(COUNTY, f"entry {number}".encode())
    return network


@pytest.fixture
def source(long, export_of):
    return export_of(long)


def check(long, source, size=SIZE, root=None):
    found = []
    audit = LogAudit(
        source,
        COUNTY,
        size,
        root or long.tree(COUNTY).root(),
        lambda index, code: found.append((index, code)),
    )
    leaves = [leaf for bundle in audit.leaves() for leaf in bundle]
    return found, leaves, audit.whole


def test_a_sound_log_gives_all_its_entries(long, source):
    found, leaves, whole = check(long, source)
    assert (found, whole) == ([], True)
    assert [leaf.entry for leaf in leaves] == long.logs[COUNTY]
    assert [leaf.index for leaf in leaves] == list(range(SIZE))


def test_a_changed_entry_is_the_entry_s_fault_when_the_tiles_lead_to_the_root(long, source):
    source.flip(("bundle", COUNTY, 1, 256), 5)
    found, leaves, whole = check(long, source)
    assert (found, whole) == ([(256, "entry.hash")], True)
    assert [leaf.index for leaf in leaves if leaf.entry is None] == [256]


@pytest.mark.parametrize(
    ("tile", "position", "index"),
    [((0, 1, 256), 32 * 7, 256 + 7), ((0, 2, 88), 0, 512), ((1, 0, 2), 32, 256)],
)
def test_a_changed_tile_is_the_tile_s_fault(long, source, tile, position, index):
    source.flip(("tile", COUNTY, *tile), position)
    found, leaves, whole = check(long, source)
    assert (found, whole) == ([(index, "tile.hash")], True)
    assert all(leaf.entry for leaf in leaves)


def test_a_length_that_lies_costs_the_rest_of_its_bundle(long, source):
    bundle = ("bundle", COUNTY, 2, 88)
    lengths = [2 + len(entry) for entry in long.logs[COUNTY][512:]]
    source.flip(bundle, sum(lengths[:10]))  # the length of the 11th
    found, leaves, whole = check(long, source)
    assert (found, whole) == ([(522, "bundle.decode")], True)
    assert [leaf.index for leaf in leaves if leaf.entry is None] == list(range(522, SIZE))


def test_bytes_behind_a_bundle_are_named(long, source):
    source.bytes["bundle", COUNTY, 2, 88] += b"x"
    assert check(long, source)[0] == [(599, "bundle.decode")]


def test_when_neither_fits_the_root_is_named(long, source):
    found, _, whole = check(long, source, root=bytes(32))
    assert (found, whole) == ([(-1, "log.root")], False)


def test_rewritten_entries_with_tiles_to_match_do_not_lead_to_the_root(long, source, export_of):
    entries = list(long.logs[COUNTY])
    entries[3] = b"another"
    source.bytes["bundle", COUNTY, 0, 256] = encode_bundle(entries[:256])
    source.flip(("tile", COUNTY, 0, 0, 256), 3 * 32)
    found, _, whole = check(long, source)
    assert not whole
    assert (-1, "log.root") in found


@pytest.mark.parametrize(
    ("name", "index"),
    [
        (("bundle", COUNTY, 1, 256), 256),
        (("tile", COUNTY, 0, 1, 256), 256),
        (("tile", COUNTY, 1, 0, 2), 0),
    ],
)
def test_what_is_not_served_is_named(long, source, name, index):
    del source.bytes[name]
    found, leaves, whole = check(long, source)
    assert (index, "log.missing") in found
    assert whole
    assert len(leaves) == SIZE


def test_a_size_beyond_the_log_ends_at_its_end(long, source):
    found, leaves, whole = check(long, source, size=2**62)
    assert (512, "log.missing") in found
    assert (len(leaves), whole) == (512, False)
