from __future__ import annotations

import pytest

from ledger.survey import LeafReader, UpperTiles, check_replica, survey, tree_of
from ledger.tiles import bundles_of, encode_bundle
from protocol.errors import DecodeError, Missing, ProofError
from protocol.merkle import leaf_hash, perfect_root

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


def check(source, trusted=True):
    """What the bundles give, and then the tiles above."""
    found = []

    def report(index, code):
        found.append((index, code))

    reader, upper = (
        LeafReader(source, COUNTY, trusted, report),
        UpperTiles(source, COUNTY, 0, report),
    )
    leaves = []
    for bundle in bundles_of(SIZE):
        given = reader.read(bundle)
        if given is None:
            return found, leaves
        leaves += given
        if len(given) == 256:
            upper.add_roots(perfect_root(b"".join(each.leaf for each in given)))
    upper.close()
    return found, leaves


def test_a_sound_log_gives_all_its_entries(long, source):
    found, leaves = check(source)
    assert found == []
    assert [leaf.entry for leaf in leaves] == long.logs[COUNTY]
    assert [leaf.index for leaf in leaves] == list(range(SIZE))


def test_a_changed_entry_is_the_entry_s_fault_when_the_tiles_lead_to_the_root(source):
    source.flip(("bundle", COUNTY, 1, 256), 5)
    found, leaves = check(source)
    assert found == [(256, "entry.hash")]
    assert [leaf.index for leaf in leaves if leaf.entry is None] == [256]


@pytest.mark.parametrize(
    ("tile", "position", "index"),
    [((0, 1, 256), 32 * 7, 256 + 7), ((0, 2, 88), 0, 512), ((1, 0, 2), 32, 256)],
)
def test_a_changed_tile_is_the_tile_s_fault(source, tile, position, index):
    source.flip(("tile", COUNTY, *tile), position)
    found, leaves = check(source, trusted=False)
    assert found == [(index, "tile.hash")]
    assert all(leaf.entry for leaf in leaves)


def test_a_length_that_lies_costs_the_rest_of_its_bundle(long, source):
    bundle = ("bundle", COUNTY, 2, 88)
    lengths = [2 + len(entry) for entry in long.logs[COUNTY][512:]]
    source.flip(bundle, sum(lengths[:10]))  # the length of the 11th
    found, leaves = check(source)
    assert found == [(522, "bundle.decode")]
    assert [leaf.index for leaf in leaves if leaf.entry is None] == list(range(522, SIZE))
    assert check(source, trusted=False)[0] == [(512, "bundle.decode")]


def test_bytes_behind_a_bundle_are_named(source):
    source.bytes["bundle", COUNTY, 2, 88] += b"x"
    assert check(source)[0] == [(599, "bundle.decode")]


@pytest.mark.parametrize(
    ("name", "index"),
    [
        (("bundle", COUNTY, 1, 256), 256),
        (("tile", COUNTY, 0, 1, 256), 256),
        (("tile", COUNTY, 1, 0, 2), 0),
    ],
)
def test_what_is_not_served_is_named(source, name, index):
    del source.bytes[name]
    found, leaves = check(source, trusted=name[0] == "bundle")
    assert (index, "log.missing") in found
    assert len(leaves) == SIZE


def test_upper_tiles_compared_before_are_not_compared_again(long, source):
    source.flip(("tile", COUNTY, 1, 0, 2), 0)
    roots = tile_roots(long)
    found = []
    upper = UpperTiles(source, COUNTY, 2, lambda *each: found.append(each))
    upper.add_roots(roots)
    upper.close()
    assert found == []


def tile_roots(long):
    hashes = list(map(leaf_hash, long.logs[COUNTY]))
    return b"".join(perfect_root(b"".join(hashes[at : at + 256])) for at in (0, 256))


def test_a_survey_gives_the_tree_of_the_tiles_and_what_it_looks_for(long, source):
    surveyed = survey(source, COUNTY, tuple(bundles_of(SIZE)), (b"entry 5",))
    assert surveyed.roots == tile_roots(long)
    assert tree_of(surveyed.roots, 2, surveyed.rest) == long.tree(COUNTY)
    assert [index for index, _ in surveyed.found] == [5, *range(50, 60), *range(500, 600)]
    del source.bytes["tile", COUNTY, 0, 1, 256]
    assert survey(source, COUNTY, tuple(bundles_of(SIZE)), ()) is None


def test_a_replica_is_checked_by_its_hashes_alone(long, source):
    root = long.tree(COUNTY).root()
    check_replica(source, COUNTY, SIZE, root)
    source.flip(("bundle", COUNTY, 1, 256), 5)
    with pytest.raises(ProofError):
        check_replica(source, COUNTY, SIZE, root)
    source.bytes["bundle", COUNTY, 1, 256] = encode_bundle(long.logs[COUNTY][256:512])[:-1]
    with pytest.raises(DecodeError):
        check_replica(source, COUNTY, SIZE, root)
    del source.bytes["bundle", COUNTY, 1, 256]
    with pytest.raises(Missing):
        check_replica(source, COUNTY, 2**62, root)
