from __future__ import annotations

import contextlib
from dataclasses import replace
from itertools import product

import pytest

from ledger import rights, views
from ledger.events import MemberAbolish, MemberMove
from ledger.views import Grant
from protocol.errors import Forbidden
from protocol.ids import BlobId, RootHash, UnixMs
from protocol.merkle import EMPTY_ROOT

PROVINCE, CITY, CITY2, COUNTY, COUNTY2 = "320000", "320500", "320600", "320581", "320681"
CITIES = (CITY, CITY2)
BLOB = BlobId.of(b"purpose")
EVERYTHING = set(rights.DERIVATIVES)
ABOUT = {"record", "report", "reason"}
PUBLIC = EVERYTHING - {"reason", "sealed_file"}
SERVICE = {"record", "page_text", "snippet", "service_image", "thumbnail"}
NOW = UnixMs(1_000)


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
            rights.decide(roster, view, role, office, derivative, NOW)
            found.add(derivative)
    return found


# (class, status) -> what owner, an office above, and anybody else may have
ROWS = {
    (rights_class, status): (
        (ABOUT | {"file", "sealed_file"}, ABOUT, set())
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
        rights.decide(roster, view, "clerk", COUNTY, "everything", NOW)


def test_a_refusal_says_who_may(scene):
    roster, view = scene
    with pytest.raises(Forbidden, match="until it is accepted and open"):
        rights.decide(roster, view, "public", "", "record", NOW)
    with pytest.raises(Forbidden, match="rights class is sealed"):
        rights.decide(roster, as_of(view, "sealed", "accepted"), "reviewer", CITY, "file", NOW)


@pytest.mark.parametrize(("rights_class", "status"), ROWS)
def test_a_search_finds_what_the_decision_allows(scene, rights_class, status):
    view = as_of(scene[1], rights_class, status)
    owner, _, others = ROWS[rights_class, status]
    assert rights.may_be_found(view, by_owner=True) == ("snippet" in owner)
    assert rights.may_be_found(view, by_owner=False) == ("snippet" in others)
    assert view.public == ("page_text" in others)


GRANTS = {  # state of a grant -> (until, what, to), and what it opens to whom it is for
    "none": (None, set()),
    "service": ((NOW + 1, "service", CITY2), SERVICE),
    "file": ((NOW + 1, "file", CITY2), SERVICE | {"file", "sealed_file"}),
    "expired": ((NOW, "file", CITY2), set()),
    "another's": ((NOW + 1, "file", COUNTY2), set()),
    "unknown": ((NOW + 1, "everything", CITY2), set()),
}


def with_grant(view, terms):
    if terms is None:
        return view
    until, what, to = terms
    return replace(view, grants=(Grant(view.upload, to, what, BLOB, until, None),))


@pytest.mark.parametrize("state", GRANTS)
@pytest.mark.parametrize(("rights_class", "status"), ROWS)
def test_the_matrix_with_grants(scene, rights_class, status, state):
    """Class × status × role × derivative × state of a grant; a grant adds and never takes away."""
    roster, view = scene
    terms, opened = GRANTS[state]
    view = with_grant(as_of(view, rights_class, status), terms)
    owner, above, others = ROWS[rights_class, status]
    opened = set() if status == "withdrawn" else opened
    for role in rights.STAFF_ROLES:
        assert granted(roster, view, role, CITY2) == others | opened
        assert granted(roster, view, role, COUNTY) == owner
        assert granted(roster, view, role, CITY) == above
        assert granted(roster, view, role, "") == others
    for role, office in (("public", CITY2), ("public", ""), ("root", CITY2)):
        assert granted(roster, view, role, office) == others


def test_a_reviewer_has_the_original_under_a_grant_only(scene):
    roster, view = scene
    sealed = as_of(view, "sealed", "submitted")
    assert granted(roster, sealed, "reviewer", CITY) == ABOUT
    service = with_grant(sealed, (NOW + 1, "service", CITY))
    assert granted(roster, service, "reviewer", CITY) == ABOUT | SERVICE
    original = with_grant(sealed, (NOW + 1, "file", CITY))
    assert granted(roster, original, "reviewer", CITY) == EVERYTHING
    assert granted(roster, original, "reviewer", PROVINCE) == ABOUT


def test_the_decision_names_the_grant_it_took(scene):
    roster, view = scene
    sealed = with_grant(as_of(view, "sealed", "accepted"), (NOW + 1, "file", CITY))
    assert rights.decide(roster, sealed, "clerk", CITY, "file", NOW) == sealed.grants[0]
    assert rights.decide(roster, sealed, "clerk", CITY, "record", NOW) is None
    assert rights.decide(roster, sealed, "clerk", COUNTY, "file", NOW) is None


def test_a_grant_goes_to_the_heir(heirs):
    """The other county acts for the abolished one, and the other city for its city."""
    roster, view = heirs
    view = with_grant(as_of(view, "sealed", "accepted"), (NOW + 1, "file", CITY))
    assert "file" in granted(roster, view, "clerk", CITY2)
    assert "file" not in granted(roster, view, "clerk", CITY)


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


def test_heirs_index(heirs):
    roster, view = heirs
    view = as_of(view, "open", "accepted")
    assert {code for code in roster.members if rights.indexes(roster, view, code, [CITY2])} == {
        COUNTY2,
        CITY2,
    }
