"""Whatever the order in which logs arrive, the fold comes out the same."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.errors import Unavailable
from tests.unit.ledger.conftest import State
from tests.unit.ledger.stories import OFFICES, Story, acts


def folded(story, order):
    """The state after folding the next event of each log of ``order`` as soon as that can be."""
    state, left = State(story.network), list(order)
    at = dict.fromkeys(OFFICES, 0)
    changes = []
    while left:
        later, waiting = [], set()
        for code in left:
            try:
                if code in waiting:
                    raise Unavailable("test", "its predecessor", "waits")
                changes.append((code, at[code], state.apply(code, at[code])))
                at[code] += 1
            except Unavailable:
                waiting.add(code)
                later.append(code)
        assert len(later) < len(left), "the fold must always go on"
        left = later
    return state, changes


@settings(max_examples=40, deadline=None)
@given(life=st.lists(acts, min_size=8, max_size=25), data=st.data())
def test_any_order_gives_the_same_state_and_nothing_is_found(life, data):
    story = Story().live(life)
    live, changes = folded(story, story.order)
    assert [each for each in changes if each[2].finding] == []
    assert live.fold.roster.members == story.roster.members
    assert live.fold.roster.closures == story.roster.closures
    rebuilt, _ = folded(story, sorted(story.order))
    assert rebuilt.digest() == live.digest()
    shuffled, _ = folded(story, data.draw(st.permutations(story.order)))
    assert shuffled.digest() == live.digest()
    last_first, _ = folded(story, sorted(story.order, reverse=True))
    assert last_first.digest() == live.digest()
