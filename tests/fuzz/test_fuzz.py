"""A little of every fuzz target; ``python -m tests.fuzz.run`` is the long run."""

from __future__ import annotations

from contextlib import suppress
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.errors import FangzhiError
from tests.fuzz.mutate import mutated
from tests.fuzz.targets import targets


@pytest.mark.parametrize("target", targets(), ids=lambda target: target.name)
def test_only_typed_errors(target):
    @settings(max_examples=60, deadline=1000)
    @given(st.integers(0, 2**32))
    def run(seed):
        with suppress(FangzhiError):
            target.decode(mutated(Random(seed), target.seeds))

    run()


@pytest.mark.parametrize("target", targets(), ids=lambda target: target.name)
def test_the_seeds_reach_the_decoder(target):
    """At least one input is taken, or refused only for what it says, not for its form."""
    reached = 0
    for seed in target.seeds:
        try:
            target.decode(seed)
            reached += 1
        except FangzhiError as error:
            reached += error.code.startswith("proof")
    assert reached
