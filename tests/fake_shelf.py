"""What stands on the shelves of the paper node: items, pages, offices.

Offices are the real ones of the demonstration province; texts are our own.  One item has a hostile
title, one is not public, one office is away, and one work is there in two editions.
"""

from __future__ import annotations

import hashlib
import io
from functools import cache

from PIL import Image, ImageDraw

from configs.offices import load
from node.office.answers import OfficeLine
from protocol.ids import mint_item

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>&amp;"
OPEN_FILE = bytes(range(256)) * 40
OPEN_SHA = hashlib.sha256(OPEN_FILE).hexdigest()
AWAY = "320583"


def item_id(number: int, office: str = "320582") -> str:
    return mint_item(office, number.to_bytes(8, "big"))  # type: ignore[arg-type]


BOOK, HIDDEN, STRANGE, YEARBOOK = (item_id(number) for number in range(1, 5))
CARVED, PUNCTUATED = (item_id(number, "320581") for number in range(1, 3))
TITLES = {
    BOOK: ("张家港市志（1986—2005）", "新方志"),
    YEARBOOK: ("张家港年鉴（2019）", "年鉴"),
    STRANGE: (HOSTILE, "专志"),
    HIDDEN: ("常阴沙志（征求意见稿）", "专志"),
}
EDITIONS = {
    CARVED: ("常昭合志（光绪三十年）", "旧志"),
    PUNCTUATED: ("常昭合志（点校本）", "旧志"),
}
PAGES = (
    (
        "　　张家港市位于长江下游南岸，东与常熟、太仓为邻，西接江阴，北滨长江，与南通、如皋、靖江"
        "隔江相望。境内河道纵横，港汊交错，旧称沙洲，以江中沙洲并岸成陆而得名。\n"
        "　　全境地势平坦，南部为古长江三角洲，成陆较早；北部为新三角洲，由数十个沙洲逐年涨接而成。"
    ),
    (
        "　　境内运河有张家港河、十一圩港、三干河等。张家港河北起长江，南接东横河，为市境通江骨干"
        "河道，亦为内河航运要道，沿河集镇多因运河而兴。\n"
        "　　民国二十三年（1934）大旱，各乡开浚淤浅河道，得益农田数万亩。"
    ),
    "",
)

SHOWN = (1200, 1630)  # pixels of the image of a page


@cache
def leaf(seq: int, thumbnail: bool) -> bytes:
    """The image of a page of paper, or its thumbnail: columns of dots for characters."""
    size = (188, 256) if thumbnail else SHOWN
    page = Image.new("RGB", size, "#f4efe2")
    pen, step = ImageDraw.Draw(page), size[0] // 12
    for column in range(1, 11):
        for row in range(1, 14 - (column * seq) % 4):
            x, y = size[0] - (column + 1) * step, row * step
            pen.rectangle((x, y, x + step * 2 // 3, y + step * 2 // 3), fill="#4a4540")
    written = io.BytesIO()
    page.save(written, "WEBP", quality=60)
    return written.getvalue()


def offices() -> list[OfficeLine]:
    rows = load("jiangsu")
    return [
        OfficeLine(
            code=row.code,
            name=row.name,
            tier=row.tier,
            parent=row.parent or "",
            web_url="https://zjg.example/" if row.code == "320582" else "",
            log_size=40 + number,
            witnessed_size=40 + number - (number % 9 == 0),
            witnessed_by=("320000", "320500") if row.tier == "county" else ("320100", "320500"),
            items_public=3 if row.code == "320582" else number % 4,
            hosted_here=row.code in ("320500", "320582"),
            reachable=row.code != AWAY,
        )
        for number, row in enumerate(rows)
    ]
