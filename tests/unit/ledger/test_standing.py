"""What is a checkpoint worth by the key that signed it?  Rotations, closures and returns."""

from __future__ import annotations

import pytest

from ledger.events import MemberAbolish, MemberRevoke
from ledger.evidence import cosigned, lost_tail
from ledger.members import Standing
from ledger.roster import Roster
from protocol.ids import RootHash
from protocol.keys import SigningKey

PROVINCE, CITY, COUNTY = "320000", "320500", "320581"
CURRENT, ROTATED, CLOSED, TAIL, UNKNOWN = Standing


class Story:
    """A county whose keys change; ``roster`` is the newest."""

    def __init__(self, network):
        self.network = network
        self.roster = Roster(network.genesis)
        for code in (PROVINCE, CITY, COUNTY):
            self.take(network.admit_body(code))

    def take(self, body):
        self.roster = self.roster.apply(self.roster.size, self.network.with_roots(body))

    def change(self, code, make):
        """A rotation or return with the keys of the next generation."""
        self.network.generation[code] = self.network.generation.get(code, 0) + 1
        self.take(make(code, self.roster.turn(code)))

    def rotate(self, code=COUNTY):
        self.change(code, self.network.rotate_body)

    def come_back(self):
        self.change(COUNTY, self.network.admit_body)

    def revoke(self, size, root=7):
        at = RootHash(bytes([root]) * 32)
        self.take(MemberRevoke(COUNTY, size, at, self.roster.turn(COUNTY), ()))

    def standings(self, *sizes):
        """For each log key that the county ever had, oldest first."""
        return [
            [self.roster.standing(COUNTY, each.key, size) for size in sizes]
            for each in self.roster.member(COUNTY).log_keys
        ]

    def tails(self, *sizes):
        """Likewise, whether the size is of a lost tail."""
        keys = self.roster.member(COUNTY).log_note_keys(self.network.genesis)
        return [[lost_tail(self.roster, COUNTY, key, size) for size in sizes] for key in keys]


@pytest.fixture
def story(network):
    return Story(network)


def test_keys_of_nobody_and_of_the_genesis_note(network):
    first = network.key(PROVINCE, "log").public
    empty = Roster(network.genesis)
    assert empty.standing(PROVINCE, first, 9) == CURRENT
    assert empty.standing(PROVINCE, bytes(32), 9) == UNKNOWN
    assert empty.standing(COUNTY, first, 9) == UNKNOWN
    admitted = Story(network).roster
    assert admitted.standing(PROVINCE, first, 9) == CURRENT
    assert admitted.standing(COUNTY, first, 9) == UNKNOWN
    event_key = network.key(COUNTY, "event").public
    assert admitted.standing(COUNTY, event_key, 9) == UNKNOWN  # of another purpose


def test_a_rotated_key_counts_at_any_size(story):
    assert story.standings(0, 9) == [[CURRENT] * 2]
    story.rotate()
    story.rotate()
    assert story.standings(0, 9) == [[ROTATED] * 2, [ROTATED] * 2, [CURRENT] * 2]
    assert story.tails(0, 9) == [[False] * 2] * 3


def test_a_closed_key_counts_up_to_its_closure(story):
    story.revoke(4)
    assert story.standings(0, 4, 5) == [[CLOSED, CLOSED, TAIL]]
    assert story.tails(0, 4, 5) == [[False, False, True]]
    story.come_back()
    assert story.standings(4, 5) == [[CLOSED, TAIL], [CURRENT, CURRENT]]


def test_a_closure_closes_what_was_rotated_before_it(story):
    story.rotate()
    story.revoke(4)
    assert story.standings(4, 5) == [[CLOSED, TAIL]] * 2
    assert story.tails(4, 5) == [[False, True]] * 2
    story.come_back()
    story.rotate()
    assert story.standings(4, 5) == [[CLOSED, TAIL]] * 2 + [[ROTATED] * 2, [CURRENT] * 2]
    assert story.tails(4, 5) == [[False, True]] * 2 + [[False] * 2] * 2


def test_each_key_has_the_first_closure_after_it(story):
    story.revoke(4)
    story.come_back()
    story.revoke(6)
    assert story.standings(4, 5, 6, 7) == [[CLOSED, TAIL, TAIL, TAIL], [CLOSED] * 3 + [TAIL]]
    assert story.tails(4, 5, 6, 7) == [[False, True, True, True], [False] * 3 + [True]]


def test_a_closure_of_another_office_closes_nothing_here(story):
    story.rotate(CITY)
    story.revoke(4)
    first, second = (each.key for each in story.roster.member(CITY).log_keys)
    assert story.roster.standing(CITY, first, 9) == ROTATED
    assert story.roster.standing(CITY, second, 9) == CURRENT


def test_an_abolition_closes_as_a_revocation_does(story):
    story.rotate()
    at = RootHash(bytes([7]) * 32)
    story.take(MemberAbolish(COUNTY, CITY, 4, at, story.roster.turn(COUNTY), ()))
    assert story.standings(4, 5) == [[CLOSED, TAIL]] * 2
    assert story.tails(4, 5) == [[False, True]] * 2


def test_a_witness_counts_from_the_closure_of_a_rotated_key(story):
    """It co-signed size 3 by the first key; rotation; closure at 2; return."""
    network = story.network
    for _ in range(3):
        network.append(COUNTY, network.upload(COUNTY, network.mint(COUNTY)))
    note, tree = network.checkpoint(COUNTY), network.tree(COUNTY, 2)
    root = RootHash(network.tree(COUNTY).root())
    keys = story.roster.member(COUNTY).log_note_keys(network.genesis)
    assert cosigned(story.roster, COUNTY, note, keys) == (3, root)
    story.rotate()
    assert cosigned(story.roster, COUNTY, note, keys) == (3, root)
    story.take(MemberRevoke(COUNTY, 2, RootHash(tree.root()), 2, ()))
    story.come_back()
    assert cosigned(story.roster, COUNTY, note, keys) == (2, RootHash(tree.root()))
    stranger = SigningKey.from_seed(bytes(32)).public
    assert story.roster.standing(COUNTY, stranger, 1) == UNKNOWN
