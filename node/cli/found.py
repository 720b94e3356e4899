"""How does an answer of a search look on a terminal?"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.table import Table
from rich.text import Text

from node.faces.results import FacetValue, facet_values
from node.faces.wording import Wording, marked, office_table
from node.office.answers import FacetCount

Json = dict[str, Any]

MARK: Final = "bold red"
LINE_CELLS: Final = 40  # of the context before the word that was found
_WORDS: Final = Wording("zh")
_UNSAFE: Final = frozenset(("Cc", "Cs", "Cf", "Zl", "Zp"))


def safe(text: str) -> str:
    """``text`` for a terminal: what could steer it, turn its direction or not be written at all
    stands as its number.  One character stays one where it is harmless."""
    return "".join(
        sign if unicodedata.category(sign) not in _UNSAFE else f"\\u{ord(sign):04x}"
        for sign in text.replace("\n", " ")
    )


def marks(text: str, highlights: Sequence[Sequence[int]]) -> Text:
    """``text`` with what was found marked."""
    shown = Text()
    for part, is_marked in marked(text, highlights):
        shown.append(safe(part), MARK if is_marked else "")
    return shown


class Printer:
    """Prints to standard output; colours only where that is a terminal."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(soft_wrap=True, highlight=False)

    def show(self, answer: Json, view: str) -> None:
        self._understood(answer)
        if view == "lines":
            self._lines(answer)
        elif view == "editions":
            self._editions(answer)
        else:
            self._books(answer)
        self._facets(answer)
        self._alternatives(answer)
        self._coverage(answer)
        if answer["explanation"]:
            self._explanation(answer["explanation"])

    def show_records(self, answer: Json) -> None:
        """An answer of the catalogue."""
        self._understood(answer)
        for hit, record in zip(answer["hits"], answer["records"], strict=True):
            self._heading(hit)
            for element in record["elements"]:
                if element["name"] not in ("title", "summary", "notice"):
                    name = Text(f"  {_WORDS.name_of('record', element['name'])}：", "dim")
                    self.say(name + marks(element["text"], element["highlights"]))
            if why := self._why(hit, answer["query"]):
                self.say(f"  匹配：{why}", "dim")
        self._facets(answer)
        self._coverage(answer, "种", "fangzhi catalogue QUERY --page TOKEN")

    def say(self, text: str | Text = "", style: str = "") -> None:
        self._console.print(text, style=style, markup=False)

    def _understood(self, answer: Json) -> None:
        if answer["did_you_mean"]:
            self.say(f"您是不是要找 did you mean：{'、'.join(map(safe, answer['did_you_mean']))}")
        for note in answer["notes"]:
            rule = _WORDS.name_of("matched", note["rule"])
            self.say(f"{rule}：{safe(note['typed'])} → {safe(note['taken_for'])}", "dim")

    def _books(self, answer: Json) -> None:
        for hits in _by_item(answer["hits"]):
            self._heading(hits[0])
            for hit in hits:
                place = " ".join(filter(None, (hit["section"], page_of(hit))))
                if place:
                    self.say(f"  {safe(place)}")
                if hit["snippet"]:
                    self.say(Text("    ") + marks(hit["snippet"], hit["highlights"]))
                if why := self._why(hit, answer["query"]):
                    self.say(f"    匹配：{why}", "dim")

    def _lines(self, answer: Json) -> None:
        for hits in _by_item(answer["hits"]):
            self._heading(hits[0])
            for hit in hits:
                page = set_cell_size(safe(hit["page"] or str(hit["seq"] or "")), 8)
                for line in hit["lines"]:
                    left = _last_cells(safe(line["left"]), LINE_CELLS)
                    shown = Text(f"  {page} {left}") + Text(safe(line["match"]), MARK)
                    self.say(shown + Text(safe(line["right"])))
                if not hit["lines"]:
                    self.say(f"  {page} {self._why(hit, answer['query'])}", "dim")

    def _editions(self, answer: Json) -> None:
        for work in answer["works"]:
            self.say(f"《{safe(work['title'])}》", "bold")
            table = Table(box=SIMPLE_HEAD)
            cells = []
            for edition in work["editions"]:
                table.add_column(Text(safe(edition["title"])))
                cell = Text(_marks_of(edition), "dim")
                for number in edition["hits"]:
                    hit = answer["hits"][number]
                    cell.append(f"\n{safe(page_of(hit))} ", "bold")
                    cell.append_text(marks(hit["snippet"], hit["highlights"]))
                cells.append(cell)
            table.add_row(*cells)
            self._console.print(table, soft_wrap=False)

    def _heading(self, hit: Json) -> None:
        title = Text(f"《{safe(hit['title']) or '（题名未在本节点）'}》", "bold")
        self.say(title + Text(f" {safe(hit['office_name'])}  {hit['item']}", "not bold"))

    def _why(self, hit: Json, query: str) -> str:
        reasons = [(reason["rule"], reason["found"]) for reason in hit["reasons"]]
        return safe(_WORDS.why(reasons, query))

    def _facets(self, answer: Json) -> None:
        counts = [FacetCount(**each) for each in answer["facets"]]
        for field, values in facet_values(counts).items():
            shown = "，".join(_branch(field, value) for value in values)
            self.say(f"{_WORDS.say(f'field.{field}')}：{shown}")

    def _alternatives(self, answer: Json) -> None:
        for other in answer.get("alternatives", ()):
            at_least = "" if other["total_is_exact"] else "至少 "
            why = _WORDS.say(f"search.other.{other['why']}")
            self.say(f"{why}：{safe(other['q'])}（{at_least}{other['total']} 页）")

        if not answer["hits"]:
            self.say(_WORDS.say("search.none_advice"), "dim")

    def _coverage(
        self, answer: Json, unit: str = "页", further: str = "fangzhi search --next"
    ) -> None:
        coverage = answer["coverage"]
        at_least = "" if answer["total_is_exact"] else "至少 "
        parts = [f"共 {at_least}{answer['total']} {unit}"]
        if answer["near_total"]:
            parts.append(_WORDS.say("search.near", count=answer["near_total"]))
        if answer["gone"]:
            parts.append(_WORDS.say("search.gone", count=answer["gone"]))
        parts.append(f"{coverage['answered']}/{coverage['asked']} 个分库作答")
        if coverage["missing"]:
            parts.append(f"缺 {'、'.join(coverage['missing'])}")
        if coverage["lagging"]:
            parts.append(f"未及最新 {'、'.join(coverage['lagging'])}")
        entries = sum(source["as_of"] for source in coverage["sources"])
        logs = len(coverage["sources"])
        parts.append(_WORDS.say("coverage.as_of_all", logs=logs, entries=entries))
        parts.append(f"{answer['took_ms']} ms")
        self.say("；".join(parts), "bold")
        if answer["next"]:
            self.say(f"下一页 next page：{further}", "dim")

    def _explanation(self, told: Json) -> None:
        self.say("\n解析 the parsed query", "bold")
        for line in told["lattice"]:
            self.say(f"  {safe(line)}")
        parts = [f"解析 parse {_ms(told['parse_us'])}"]
        parts += [
            f"{_office(holder['office'])}（{holder['shards']} 个分库）{_ms(holder['us'])}"
            for holder in told["holders"]
        ]
        self.say("；".join(parts))
        table = Table("分库 shard", "作答 by", box=SIMPLE_HEAD)
        for heading in ("索引项\npostings", "候选\ncandidates", "核对\nverified"):
            table.add_column(heading, justify="right", no_wrap=True)
        table.add_column("用时 time", no_wrap=True)
        for shard in told["shards"]:
            names = (_office(shard["office"]), _office(shard["answered_by"]))
            numbers = [str(shard[name]) for name in ("postings", "candidates", "verified")]
            table.add_row(*names, *numbers, _steps(shard["steps"]))
        self._console.print(table, soft_wrap=False)


def page_of(hit: Json) -> str:
    return f"页 {hit['page']}" if hit["page"] else ""


def _by_item(hits: Iterable[Json]) -> Iterator[list[Json]]:
    books: dict[str, list[Json]] = {}
    for hit in hits:
        books.setdefault(hit["item"], []).append(hit)
    yield from books.values()


def _marks_of(edition: Json) -> str:
    named = (f"{_WORDS.say(f'record.{name}')}：{value}" for name, value in edition["marks"].items())
    return safe("  ".join(named))


def _office(code: str) -> str:
    row = office_table().get(code)
    return row.name if row else code


def _branch(field: str, value: FacetValue) -> str:
    names = {code: row.name for code, row in office_table().items()}
    below = "，".join(_branch(field, one) for one in value.below)
    name = safe(_WORDS.facet(field, value.value, names))
    return f"{name} {value.count}" + (f"（{below}）" if below else "")


def _steps(steps: Iterable[Json]) -> str:
    return "\n".join(
        f"{_WORDS.name_of('explain.step', step['name'])} {step['count']} ({_ms(step['us'])})"
        for step in steps
    )


def _ms(us: int) -> str:
    return f"{us / 1000:.2f} ms"


def _last_cells(text: str, cells: int) -> str:
    """The end of ``text``, right-aligned in ``cells`` columns of the terminal."""
    while cell_len(text) > cells:
        text = text[1:]
    return " " * (cells - cell_len(text)) + text
