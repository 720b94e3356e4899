"""Small chronicles for demonstrations, made on the spot and marked 演示数据 on every page.

Needs the extra ``demo`` (fpdf2, and a wheel that carries Noto Sans CJK under the SIL OFL).  Of the
font only the glyphs in use are embedded.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Final

from fontTools import subset
from fpdf import FPDF
from fpdf.fonts import TTFFont
from PIL import Image, ImageDraw

from configs.offices import OfficeRow, load
from node.demo.texts import Page, Phrase, Writer, alphabet

KINDS: Final = ("新方志", "旧志", "年鉴", "专志")
DEFECTS: Final = ("coarse_image", "loose_font", "empty_file")
PDF_NAME: Final = "印刷文件.pdf"
NOTICE: Final = "演示数据"
_FOOTNOTE: Final = "演示数据：文字均为虚构，不可引用　第 {number} 页"
_CAPTION: Final = "图 1　示意图（演示数据）"
_PAPER_MM: Final = (185, 260)
_MARGIN_MM: Final = 20
_LINE_MM: Final = 6.5
_PICTURE_MM: Final = (100, 60)
_MM_PER_INCH: Final = 25.4
_MADE: Final = datetime(2026, 1, 1, tzinfo=UTC)  # the same seed makes the same bytes


@dataclass(frozen=True, slots=True)
class Chronicle:
    """A folder as an office would report it."""

    folder: Path
    title: str
    phrases: tuple[Phrase, ...]


def make_chronicle(
    row: OfficeRow, kind: str, seed: int, folder: Path, *, defect: str = ""
) -> Chronicle:
    """Write a chronicle of 8 to 20 pages about the place of ``row`` into the new ``folder``.

    ``kind`` is one of KINDS.  ``defect`` is one of DEFECTS, for something that the checks find: a
    picture at 72 DPI, a font that is not embedded (both warnings), or an empty file (an error).

    Raises:
        ValueError: an unknown kind or defect.
        FileExistsError: the folder is there already.
    """
    if kind not in KINDS or defect not in ("", *DEFECTS):
        raise ValueError(f"{kind} {defect}: kinds are {KINDS}, defects {DEFECTS}")
    random = Random(f"{row.code}/{kind}/{seed}")
    writer = Writer(row, random)
    title = writer.title(kind)
    pages, phrases = writer.pages(random.randint(8, 20))
    picture = _draw_map(random, dpi=72 if defect == "coarse_image" else 300)
    folder.mkdir(parents=True)
    pdf = _typeset(title, pages, picture, loose_font=defect == "loose_font")
    (folder / PDF_NAME).write_bytes(pdf)
    if random.random() < 0.5:
        preface, _ = writer.pages(3)
        text = "\f".join("\n".join([NOTICE, page.chapter, *page.paragraphs]) for page in preface)
        (folder / "前言.txt").write_text(text, encoding="utf-8")
    if defect == "empty_file":
        (folder / "附图.tif").touch()
    metadata = {
        "title": title,
        "kind": kind,
        "responsible": f"{row.name}地方志办公室（演示）",
        "place": row.name,
        "subject": "地理；水利；物产；人物",
        "summary": f"{row.english}: a made-up chronicle for demonstrations",
        "notice": NOTICE,
        "rights": "open",
    }
    lines = [f'{element} = "{text}"\n' for element, text in metadata.items()]
    (folder / "metadata.toml").write_text("".join(lines), encoding="utf-8")
    return Chronicle(folder, title, phrases)


class _Book(FPDF):
    """A page with the title above and the mark of a demonstration below."""

    def __init__(self, title: str, font: Path, loose_font: bool) -> None:
        super().__init__(unit="mm", format=_PAPER_MM)
        self._title = title
        self._loose_font = loose_font
        self.set_margins(_MARGIN_MM, _MARGIN_MM)
        self.set_auto_page_break(False)  # a page of the text is a page of the book
        self.set_creation_date(_MADE)
        self.set_title(title)
        self.add_font("cjk", "", font)
        added = self.fonts["cjk"]
        assert isinstance(added, TTFFont)
        # Half of the time of writing would go into bounds that no reader of the PDF looks at.
        added.ttfont.recalcBBoxes = False

    def header(self) -> None:
        self.set_font("cjk", size=9)
        self.cell(0, _LINE_MM, self._title, align="C", new_x="LMARGIN", new_y="NEXT")

    def footer(self) -> None:
        self.set_y(-_MARGIN_MM + 4)
        self.set_font("cjk", size=9)
        self.cell(0, _LINE_MM, _FOOTNOTE.format(number=self.page_no()), align="C")
        if self._loose_font:
            self.set_font("helvetica", size=6)  # one of the fonts that PDF never embeds
            self.set_xy(_MARGIN_MM, -_MARGIN_MM + 10)
            self.cell(0, 4, "demonstration", align="R")


def _typeset(title: str, pages: list[Page], picture: bytes, *, loose_font: bool) -> bytes:
    text = "".join(paragraph for page in pages for paragraph in page.paragraphs)
    book = _Book(title, _font_for(title + text), loose_font)
    chapter = ""
    for number, page in enumerate(pages):
        book.add_page()
        if page.chapter != chapter:
            chapter = page.chapter
            book.set_font("cjk", size=16)
            book.cell(0, 14, chapter, align="C", new_x="LMARGIN", new_y="NEXT")
        book.set_font("cjk", size=10.5)
        for paragraph in page.paragraphs[: 2 if number == 0 else None]:
            book.multi_cell(0, _LINE_MM, f"　　{paragraph}", new_x="LMARGIN", new_y="NEXT")
        if number == 0:
            width, height = _PICTURE_MM
            book.image(io.BytesIO(picture), x=_MARGIN_MM + 22, w=width, h=height)
            book.cell(0, _LINE_MM, _CAPTION, align="C")
    return bytes(book.output())


def _font_for(text: str) -> Path:
    """A font file with the characters of ``text``: nearly always the small one.

    The whole font has 65,000 glyphs, and every PDF would pay a second for opening it; so the glyphs
    of our vocabulary are cut out once a process.
    """
    small, known = _small_font()
    return small if known.issuperset(text) else _whole_font()


@cache
def _small_font() -> tuple[Path, frozenset[str]]:
    names = "".join(row.name for row in load("jiangsu"))
    known = alphabet() | set(names + _FOOTNOTE + _CAPTION)
    options = subset.Options(
        hinting=False, layout_features=[], drop_tables=["BASE", "GDEF", "GPOS", "GSUB", "VORG"]
    )
    font = subset.load_font(str(_whole_font()), options, lazy=True, dontLoadGlyphNames=True)
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=map(ord, known))
    subsetter.subset(font)
    path = Path(_workshop().name) / "small.otf"
    font.save(path)
    return path, known


@cache
def _workshop() -> TemporaryDirectory[str]:
    return TemporaryDirectory(prefix="fangzhi-demo-")  # goes when the process ends


def _whole_font() -> Path:
    """In the wheel that the extra ``demo`` installs."""
    return Path(str(files("cvttf_NotoSansCJK_Regular") / "NotoSansCJKtc-Regular.otf"))


def _draw_map(random: Random, dpi: int) -> bytes:
    """A map of nowhere, as PNG: a river, roads and places."""
    width, height = (math.ceil(side / _MM_PER_INCH * dpi) for side in _PICTURE_MM)
    image = Image.new("RGB", (width, height), (244, 238, 220))
    draw = ImageDraw.Draw(image)
    phase, sway = random.random() * math.tau, height * random.uniform(0.1, 0.25)
    river = [
        (x, height / 2 + sway * math.sin(phase + x / width * math.tau))
        for x in range(0, width + 16, 16)
    ]
    draw.line(river, fill=(110, 160, 200), width=max(2, dpi // 12), joint="curve")
    places = [
        (random.uniform(0.05, 0.95) * width, random.uniform(0.1, 0.9) * height)
        for _ in "一二三四五六"
    ]
    draw.line(places, fill=(150, 110, 80), width=max(1, dpi // 60))
    for x, y in places:
        draw.circle((x, y), dpi // 20, fill=(170, 60, 50))
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()
