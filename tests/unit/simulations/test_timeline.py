from __future__ import annotations

from html.parser import HTMLParser

from protocol.ids import OfficeCode
from simulations.faults import Fault, Machine, Mix
from simulations.play import EFFECTS
from simulations.timeline import FAULTS, moments, timeline
from simulations.wire import Weather

PROVINCE, CITY = OfficeCode("320000"), OfficeCode("320500")
LINES = [
    "    0.000000 320000 start log=0",
    "    4.000000 320500 start log=0",
    "   10.000000 320500 submitted item=320500-b6wb2sxh7nj7p index=2",
    "   11.000000 320500 frame connection=1 to=320000 bytes=9 sha256=00",
    "   12.000000 320500 report failed error=link.gone",
    "   13.000000 320000 searched hits=0 covered=1/2 missing=320500",
    "   13.500000 320000 searched hits=0 covered=2/2 missing=nothing",
    "   20.000000 320500 crash",
    "   30.000000 320500 start log=3",
    "   60.000000 checker held   nodes: 2 <nodes>",
    "   60.000000 checker FAILED placed: 1 items",
    "       320500 lacks a file",
]


def mix() -> Mix:
    machines = {PROVINCE: Machine(), CITY: Machine()}
    faults = (Fault("crash", 20.0, 30.0, (CITY,)), Fault("whatever", 5.0, 6.0, (PROVINCE,)))
    return Mix("seven", 3, 50.0, Weather((0.001, 0.002)), machines, (), faults)


class Page(HTMLParser):
    """Which elements there are, and what their titles say."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.titles: list[str] = []
        self.attributes: dict[str, list[dict[str, str | None]]] = {}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes.setdefault(tag, []).append(dict(attrs))
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "title":
            self.titles.append(data)


def test_lines_are_read_as_they_were_written() -> None:
    read = [(moment.at, moment.actor, moment.event) for moment in moments(LINES)]
    assert read[2] == (10.0, "320500", "submitted")
    assert read[4] == (12.0, "320500", "report failed")
    assert [event for *_, event in read[5:7]] == ["searched in part", "searched"]
    assert len(read) == len(LINES) - 1  # the second line of a verdict is no line of its own


def test_offices_faults_events_and_verdicts_are_shown() -> None:
    page = Page(timeline(mix(), LINES))
    assert not page.open
    told = "\n".join(page.titles)
    for what in (
        "断电 crash 320500 20.0-30.0 s",
        "故障 whatever 320000 5.0-6.0 s",
        "关机 down 320500 20.0-30.0 s",
        "关机 down 320500 0.0-4.0 s",
        "报送 reported\n10.000000 320500 submitted",
        "报送未成 report failed",
        "检索不全 searched in part",
        "未通过 FAILED placed",
    ):
        assert what in told
    assert "missing=nothing" not in told
    assert "frame" not in told
    assert "2 &lt;nodes&gt;" in timeline(mix(), LINES)


def test_the_file_stands_alone_and_is_the_same_each_time() -> None:
    text = timeline(mix(), LINES)
    assert text == timeline(mix(), LINES)
    page = Page(text)
    assert not {"script", "link", "img"} & page.attributes.keys()
    assert "http" not in text


def test_time_runs_across_and_a_row_is_an_office() -> None:
    parts = timeline(mix(), LINES).split("<rect ")[1:]
    crash = next(part for part in parts if "断电 crash 320500" in part)
    down = next(part for part in parts if "down 320500 20.0" in part)
    whatever = next(part for part in parts if "故障 whatever 320000" in part)
    assert crash.split('"')[1] == down.split('"')[1]
    assert float(whatever.split('"')[1]) < float(crash.split('"')[1])
    assert float(whatever.split('"')[3]) < float(crash.split('"')[3])  # the province is above


def test_many_events_on_one_spot_are_one_mark() -> None:
    line = "   10.000000 320500 submitted item={} index=2"
    text = timeline(mix(), [line.format(number) for number in range(100)])
    assert text.count("item=") == 8
    assert "+92" in text


def test_every_kind_of_fault_has_a_name_in_both_languages() -> None:
    assert FAULTS.keys() == EFFECTS.keys()
