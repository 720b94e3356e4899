from __future__ import annotations

from ledger.authority import ITEM_BODIES
from ledger.custody import ITEM_FACTS, ROWS
from ledger.events import KINDS, draft_event
from tests.fuzz.targets import example

OWN = ("key.seal", "seal.", "hold.", "receipt.", "rights.", "access.")


def test_every_kind_either_changes_an_item_or_leaves_a_row():
    kinds = {body for kind, body in KINDS.items() if kind.startswith(OWN)}
    assert kinds == {*ITEM_FACTS, *ROWS}
    assert len(kinds) == len(ITEM_FACTS) + len(ROWS)
    assert set(ITEM_FACTS) <= set(ITEM_BODIES)


def test_every_kind_names_its_item_first():
    """The quick reader of batches and the order of facts rely on it."""
    for body in ITEM_FACTS:
        assert next(iter(body.__dataclass_fields__)) == "item"


def test_every_body_fits_an_event():
    for body in (*ITEM_FACTS, *ROWS):
        assert len(draft_event(example(body))) < 1000
