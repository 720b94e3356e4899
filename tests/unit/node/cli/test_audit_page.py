from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from ledger.audit_report import (
    AuditReport,
    Bin,
    Lateness,
    LogReport,
    Timeline,
    Witnessed,
    finding,
)
from ledger.findings import WORDS
from node.cli.audit_page import cure, page, when
from node.cli.audit_picture import draw

T0 = 1_760_000_000_000


def log(code, tier, bins=5, name="某志办"):
    line = Timeline(20, tuple(Bin((T0 >> 20) + at, at + 1) for at in range(bins)))
    return LogReport(
        office=code,
        name=name,
        tier=tier,
        parent="",
        size=15,
        root="ab" * 32,
        kinds={"hold.take": 15},
        witnesses_needed=1,
        witnesses=(("320500", T0 // 1000 + 3600),),
        witnessed_size=15,
        events=line,
        anchors=line,
        witnessed=(Witnessed(0, 15, T0, T0 + 5, T0 + 9000, "320000"),),
    )


@pytest.fixture
def report():
    logs = (log("320000", "province"), log("320500", "city"), log("320581", "county"))
    return AuditReport(
        network="fzb.test.example",
        genesis_id="9f" * 32,
        sources=("a folder",),
        logs=logs,
        findings=(),
        findings_left_out=0,
        notes=(),
        notes_left_out=0,
        lateness=(),
        evidence={},
        items={"accepted": 3},
        state_digest="cd" * 32,
    )


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.seen = []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))


def tags_of(text):
    parser = Tags()
    parser.feed(text)
    return parser.seen


def test_a_sound_network_is_said_to_hold_in_both_languages(report):
    text = page(report)
    assert "全部核验通过：3 部日志、45 个事件" in text
    assert "Everything holds: 45 events in 3 logs" in text
    assert "问题与处置" not in text


def test_the_page_needs_nothing_else(report):
    tags = tags_of(page(report))
    assert not {"script", "link", "img", "iframe"} & {tag for tag, _ in tags}
    assert not [attrs for _, attrs in tags if "src" in attrs or "href" in attrs]
    assert "url(" not in page(report)


def test_findings_are_shown_with_what_to_do(report):
    found = (finding("320581", 7, "entry.hash"), finding("320581", -1, "log.fork", "ee" * 32))
    bad = replace(
        report,
        findings=found,
        notes=(finding("320500", 3, "note.newer", "320581 #9"),),
        lateness=(Lateness("320581", 4, T0, T0 + 1, 2**62),),
        evidence={"ee" * 32: b"x"},
    )
    text = page(bad)
    assert "发现 2 个问题，涉及 1 个机构" in text
    assert cure("entry.hash")[0] in text
    assert cure("log.fork")[0] in text
    assert "320581 #9" in text
    assert text.count("ee" * 32) == 2
    assert re.search(r"<td>—</td>", text)  # no calendar has that time


def test_every_code_has_a_cure_in_two_languages():
    for code in WORDS:
        zh, en = cure(code)
        assert re.search("[一-鿿]", zh)
        assert en.isascii()


def test_what_an_office_calls_itself_stays_text(report):
    bad = replace(report, logs=(log("320581", "county", name="<b>&\"'"),))
    tags = [tag for tag, _ in tags_of(page(bad))]
    assert "b" not in tags


@pytest.mark.parametrize("offices", [0, 1, 7, 109])
def test_the_picture_has_a_row_for_each_office(report, offices):
    logs = tuple(log(f"{320100 + at}", "county") for at in range(offices))
    tags = tags_of(draw(replace(report, logs=logs), {"320100": 1}))
    assert [attrs["class"] for tag, attrs in tags if tag == "circle"] == ["held"] * offices
    assert sum(attrs.get("class") == "event" for _, attrs in tags) >= offices
    assert sum(attrs.get("class") == "bad" for _, attrs in tags) == min(1, offices)
    shapes = [attrs for tag, attrs in tags if tag == "rect"]
    assert all(0 <= float(each["x"]) <= 1000 for each in shapes)


def test_a_claim_from_beyond_the_calendar_is_drawn_nowhere(report):
    odd = replace(log("320581", "county"), events=Timeline(10, (Bin(2**52, 1),)))
    assert "<svg" in draw(replace(report, logs=(odd,)), {})
    assert when(2**62) == "—"
    assert when(T0) == "2025-10-09 08:53:20"
