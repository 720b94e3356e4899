from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from node.cli.found import _last_cells, marks, safe


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("运河\n两岸", "运河 两岸"),
        ("\x1b[31m红", "\\u001b[31m红"),
        ("\u202e反", "\\u202e反"),
        ("\ud800", "\\ud800"),
        ("<b>𪚥〓", "<b>𪚥〓"),
        ("[bold]x[/]", "[bold]x[/]"),
    ],
)
def test_nothing_steers_the_terminal(text: str, shown: str) -> None:
    assert safe(text) == shown


@given(st.text())
def test_whatever_is_shown_can_be_written(text: str) -> None:
    shown = safe(text)
    shown.encode()
    assert not any(ord(sign) < 32 or ord(sign) == 0x7F for sign in shown)


def test_marks_stand_on_the_words_even_after_what_is_escaped() -> None:
    shown = marks("\u202e沿运河", ((2, 4),))
    assert shown.plain == "\\u202e沿运河"
    assert [shown.plain[span.start : span.end] for span in shown.spans] == ["运河"]


@given(st.text(alphabet="a运 ，", max_size=60))
def test_the_end_of_a_context_fills_its_columns(text: str) -> None:
    shown = _last_cells(text, 40)
    assert cell_len(shown) == 40
    assert text.lstrip(" ").endswith(shown.lstrip(" "))
