"""Service-level images through real processes: a PDF and a scan are handed in and looked at."""

from __future__ import annotations

import hashlib
import io
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fpdf import FPDF
from PIL import Image

CITY, COUNTY = "320500", "320581"
Cli = Callable[..., tuple[int, dict[str, Any], str]]


def answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=10):
            return True
    except urllib.error.HTTPError:
        return False


def test_pages_are_drawn_fetched_and_relayed(
    network: Any, cli: Cli, folder: Path, tmp_path: Path
) -> None:
    pdf = FPDF(unit="pt", format=(500, 700))
    pdf.set_font("helvetica")
    for number in (1, 2):
        pdf.add_page()
        pdf.cell(text=f"Annals, page {number}")
    pdf.output(str(folder / "a.pdf"))
    Image.new("RGB", (900, 1200), "#cc9966").save(folder / "b.tif")
    status, answer, said = cli("report", network[COUNTY].home, folder, "--title", "图志")
    assert (status, answer["reports"][0]["status"]) == (0, "submitted"), said
    item = answer["reports"][0]["item"]
    out = tmp_path / "page.webp"

    def fetched(code: str, page: int, *options: str) -> bool:
        place = ("--node", network[code].home, "-o", out)
        return cli("fetch", item, "--page", str(page), *options, *place)[0] == 0

    network.until(lambda: fetched(COUNTY, 3))
    with Image.open(out) as image:
        assert image.size == (900, 1230)
        assert image.convert("RGB").getpixel((450, 600))[0] > 180  # type: ignore[index]
    assert not fetched(COUNTY, 4)
    network.until(lambda: fetched(CITY, 1, "--thumbnail"))  # its reviewer, before it is public
    with Image.open(out) as image:
        assert max(image.size) == 256
    address = f"http://{network[CITY].web}/items/{item}/pages/2/image"
    network.until(lambda: cli("review", network[CITY].home, item, "--pass")[0] == 0)
    network.until(lambda: answers(address))
    with urllib.request.urlopen(address, timeout=10) as shown:
        data, tag = shown.read(), shown.headers["ETag"]
    assert tag.strip('"') == hashlib.sha256(data).hexdigest()
    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, max(image.size)) == ("WEBP", 1630)
