from __future__ import annotations

import re
from pathlib import Path

from ledger.findings import WORDS

ROOT = Path(__file__).resolve().parents[3]


def codes_in(*modules):
    words = set()
    for module in modules:
        text = (ROOT / "ledger" / f"{module}.py").read_text(encoding="utf-8")
        words |= set(
            re.findall(
                r'"((?:event|item|member|key|upload|text|review|withdraw|anchor|log|checkpoint|'
                r"bundle|entry|tile|fork|note|hold|statistics|synonyms|seal|grant|receipt|offer|check|"
                r'repair|access)\.[a-z]+)"',
                text,
            )
        )
    return words


def test_every_code_that_is_given_has_words_and_the_other_way_round():
    from ledger.events import KINDS

    rooms = (
        "holdings",
        "replay",
        "settlement",
        "authority",
        "audit",
        "log_join",
        "examine",
        "survey",
    )
    given = codes_in(*rooms, "item_ranges", "seen", "source", "charges") - set(KINDS)
    assert given == set(WORDS)


def test_the_spec_has_every_code():
    page = (ROOT / "docs/spec/audit.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `([a-z.]+)` \|", page, re.MULTILINE)) == set(WORDS)


def test_words_are_in_two_languages():
    for zh, en in WORDS.values():
        assert re.search("[一-鿿]", zh)
        assert en.isascii()
