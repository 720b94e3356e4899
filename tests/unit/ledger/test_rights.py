from __future__ import annotations

import contextlib
from dataclasses import replace
from itertools import product

import pytest

from ledger import rights, views
from ledger.events import MemberAbolish, MemberMove
from ledger.merkle import EMPTY_ROOT
from protocol.errors import Forbidden
from protocol.ids import RootHash

PROVINCE, CITY, CITY2, COUNTY, COUNTY2 = "320000", "320500", "320600", "320581", "320681"
CITIES = (CITY, CITY2)
EVERYTHING = set(rights.DERIVATIVES)
ABOUT = {"record", "report", "reason"}
PUBLIC = EVERYTHING - {"reason"}


@pytest.fixture(scope="module")
def scene(founded, state_of):
    """(roster, a view of an item of the county)"""
    network = founded()
    item = network.mint(COUNTY)
    network.append(COUNTY, network.upload(COUNTY, item))
    state = state_of(network)
    state.apply_all()
    return state.fold.roster, state.read(views.item, item)


def as_of(view, rights_class, status):
    public = status == "accepted" and rights_class == "open"
    return replace(view, rights=rights_class, status=status, public=public)


def granted(roster, view, role, office):
    found = set()
    for derivative in rights.DERIVATIVES:
        with contextlib.suppress(Forbidden):
            rights.decide(roster, view, role, office, derivative)
            found.add(derivative)
    return found


# (class, status) -> what owner, an office above, and anybody else may have
ROWS = {
    (rights_class, status): (
        (ABOUT | {"file"}, ABOUT, set())
        if status == "withdrawn"
        else (
            EVERYTHING,
            EVERYTHING if rights_class == "open" else ABOUT,
            PUBLIC if (rights_class, status) == ("open", "accepted") else set(),
        )
    )
    for rights_class, status in product(("open", "office", "sealed"), views.STATUSES)
}


@pytest.mark.parametrize(("rights_class", "status"), ROWS)
def test_the_matrix(scene, rights_class, status):
    roster, view = scene
    view = as_of(view, rights_class, status)
    owner, above, others = ROWS[rights_class, status]
    for role in rights.STAFF_ROLES:
        assert granted(roster, view, role, COUNTY) == owner
        assert granted(roster, view, role, CITY) == above
        assert granted(roster, view, role, PROVINCE) == above
        assert granted(roster, view, role, CITY2) == others
        assert granted(roster, view, role, COUNTY2) == others
        assert granted(roster, view, role, "") == others
        assert granted(roster, view, role, "999999") == others
    assert granted(roster, view, "public", "") == others
    assert granted(roster, view, "public", COUNTY) == others
    assert granted(roster, view, "root", COUNTY) == others


def test_a_derivative_nobody_knows_is_refused_even_to_the_owner(scene):
    roster, view = scene
    with pytest.raises(Forbidden):
        rights.decide(roster, view, "clerk", COUNTY, "everything")


def test_a_refusal_says_who_may(scene):
    roster, view = scene
    with pytest.raises(Forbidden, match="until it is accepted and open"):
        rights.decide(roster, view, "public", "", "record")
    with pytest.raises(Forbidden, match="rights class is sealed"):
        rights.decide(roster, as_of(view, "sealed", "accepted"), "reviewer", CITY, "file")


@pytest.mark.parametrize("status", views.STATUSES)
def test_who_keeps_what(scene, status):
    roster, view = scene
    for rights_class in ("open", "office", "sealed"):
        view = as_of(view, rights_class, status)
        kept = {code: set(rights.keeps(roster, view, code, CITIES)) for code in roster.members}
        copy = set(rights.KEPT) if rights_class == "open" else {"manifest", "report"}
        stranger = {"manifest", "report"} if view.public else set()
        assert kept == {
            COUNTY: set(rights.KEPT),
            CITY: copy,
            PROVINCE: copy,
            CITY2: stranger,
            COUNTY2: stranger,
        }


def test_a_city_keeps_for_another_city(founded, state_of):
    network = founded()
    item = network.mint(CITY)
    network.append(CITY, network.upload(CITY, item))
    state = state_of(network)
    state.apply_all()
    view = state.read(views.item, item)
    assert rights.keeps(state.fold.roster, view, CITY2, CITIES) == set(rights.KEPT)
    assert not rights.keeps(state.fold.roster, view, COUNTY, CITIES)


def test_who_indexes(scene):
    roster, view = scene

    def holders(rights_class, status):
        now = as_of(view, rights_class, status)
        return {code for code in roster.members if rights.indexes(roster, now, code, CITIES)}

    assert holders("open", "submitted") == {COUNTY}
    assert holders("open", "accepted") == {COUNTY, CITY}
    assert holders("office", "accepted") == {COUNTY}
    assert holders("sealed", "accepted") == {COUNTY}
    assert holders("open", "withdrawn") == set()


@pytest.fixture(scope="module")
def heirs(founded, state_of):
    """(roster, a view of an item of the county): the county went to the other city, and then both
    the county and its first city were abolished."""
    network = founded()
    item = network.mint(COUNTY)
    network.append(COUNTY, network.upload(COUNTY, item))
    at = RootHash(network.tree(COUNTY).root())
    for body in (
        MemberMove(COUNTY2, CITY, "name", 1, ()),
        MemberAbolish(COUNTY, COUNTY2, 1, at, 1, ()),
        MemberMove(COUNTY2, CITY2, "name", 2, ()),
        MemberAbolish(CITY, CITY2, 0, RootHash(EMPTY_ROOT), 1, ()),
    ):
        network.append(PROVINCE, network.with_roots(body))
    state = state_of(network)
    assert not [change.finding for change in state.apply_all() if change.finding]
    return state.fold.roster, state.read(views.item, item)


@pytest.mark.parametrize(("rights_class", "status"), ROWS)
def test_the_matrix_with_heirs(heirs, rights_class, status):
    roster, view = heirs
    view = as_of(view, rights_class, status)
    owner, above, others = ROWS[rights_class, status]
    assert granted(roster, view, "clerk", COUNTY2) == owner
    assert (
        granted(roster, view, "clerk", CITY2) == granted(roster, view, "clerk", PROVINCE) == above
    )
    for gone in (COUNTY, CITY):
        assert granted(roster, view, "clerk", gone) == others


def test_heirs_keep_and_index(heirs):
    roster, view = heirs
    view = as_of(view, "open", "accepted")
    kept = {
        code
        for code in roster.members
        if set(rights.keeps(roster, view, code, [CITY2])) == set(rights.KEPT)
    }
    assert kept == {COUNTY2, CITY2, PROVINCE}
    assert {code for code in roster.members if rights.indexes(roster, view, code, [CITY2])} == {
        COUNTY2,
        CITY2,
    }
