"""Pages as they are drawn: every format, every mode, and files that mean harm."""

from __future__ import annotations

import contextlib
import io
import os
import struct
import zlib
from pathlib import Path

import pytest
from fpdf import FPDF
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from node.hands.ingest import draw
from node.hands.ingest.draw import IMAGE_SIDE, THUMBNAIL_SIDE, Drawer, inspect_picture
from node.hands.ingest.findings import Drawn
from node.hands.ingest.inspect import inspect_file
from node.hands.ingest.isolate import IsolatedDrawer
from protocol.limits import IMAGE_BYTES_MAX

MARK = "320581 · 3cafe2ab"
STRIP = 30


def picture(size: tuple[int, int] = (900, 600), mode: str = "RGB") -> Image.Image:
    """Dark on the left, light on the right, in any mode."""
    image = Image.new("L", size, 230)
    ImageDraw.Draw(image).rectangle((0, 0, size[0] // 2, size[1]), fill=20)
    if mode == "I;16":
        return image.convert("I").point(lambda value: value * 257).convert("I;16")
    if mode == "F":
        return image.convert("F")
    return image.convert("RGB").convert(mode)


def drawn(path: Path, page: int = 1) -> Drawn:
    return Drawer().draw(str(path), path.name, page, MARK)


def decoded(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    assert image.format == "WEBP"
    return image.convert("RGB")


def is_the_picture(one: Drawn) -> bool:
    for data, height in ((one.image, one.height - STRIP), (one.thumbnail, None)):
        image = decoded(data)
        middle = (height or image.height) // 2
        left, right = (image.getpixel((image.width * n // 4, middle)) for n in (1, 3))
        if not (max(left) < 90 and min(right) > 180):  # type: ignore[arg-type, type-var]
            return False
    return True


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("a.jpg", "RGB"),
        ("a.jpg", "L"),
        ("a.jpg", "CMYK"),
        ("a.png", "P"),
        ("a.png", "RGBA"),
        ("a.png", "LA"),
        ("a.png", "1"),
        ("a.png", "I;16"),
        ("a.tif", "1"),
        ("a.tif", "I;16"),
        ("a.tif", "F"),
        ("a.tif", "CMYK"),
        ("a.tif", "LAB"),
        ("a.jp2", "RGB"),
        ("a.jp2", "L"),
    ],
)
def test_every_format_and_mode_looks_as_it_is(tmp_path: Path, name: str, mode: str) -> None:
    if mode == "LAB":
        from PIL import ImageCms

        to_lab = ImageCms.buildTransform(
            ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
        )
        image = ImageCms.applyTransform(picture(), to_lab)
        assert image is not None
    else:
        image = picture(mode=mode)
    image.save(tmp_path / name)
    one = drawn(tmp_path / name)
    assert one.finding is None
    assert (one.pages, one.width, one.height) == (1, 900, 600 + STRIP)
    assert is_the_picture(one)


@pytest.mark.parametrize("name", ["a.jpg", "a.jp2", "a.tif", "a.png"])
def test_large_scans_come_to_the_size_for_reading(tmp_path: Path, name: str) -> None:
    picture((7000, 5000)).save(tmp_path / name)
    one = drawn(tmp_path / name)
    assert (one.width, one.height) == (IMAGE_SIDE, round(IMAGE_SIDE * 5 / 7) + STRIP)
    assert max(decoded(one.thumbnail).size) == THUMBNAIL_SIDE
    assert is_the_picture(one)


def test_what_is_transparent_stands_on_white(tmp_path: Path) -> None:
    Image.new("RGBA", (400, 400), (0, 0, 0, 0)).save(tmp_path / "a.png")
    assert decoded(drawn(tmp_path / "a.png").image).getpixel((200, 200)) == (255, 255, 255)


def test_a_scan_that_lies_on_its_side_is_turned(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    picture((900, 600)).save(tmp_path / "a.jpg", exif=exif)
    one = drawn(tmp_path / "a.jpg")
    assert (one.width, one.height) == (600, 900 + STRIP)


def test_pages_of_a_tiff_and_of_a_pdf_are_their_own(tmp_path: Path) -> None:
    shades = [Image.new("RGB", (500, 700), (shade,) * 3) for shade in (10, 120, 240)]
    shades[0].save(tmp_path / "a.tif", save_all=True, append_images=shades[1:])
    pdf = FPDF(unit="pt", format=(500, 700))
    for shade in (10, 120, 240):
        pdf.add_page()
        pdf.set_fill_color(shade)
        pdf.rect(0, 0, 500, 700, style="F")
    pdf.output(str(tmp_path / "a.pdf"))
    drawer = Drawer()
    for name, height in (("a.tif", 700), ("a.pdf", 1600)):
        for page, shade in enumerate((10, 120, 240), start=1):
            one = drawer.draw(str(tmp_path / name), name, page, MARK)
            assert (one.pages, one.height) == (3, height + STRIP)
            got = decoded(one.image).getpixel((one.width // 2, one.height // 2))
            assert abs(got[0] - shade) < 8  # type: ignore[index]


def test_the_mark_is_on_the_image_and_not_over_it(tmp_path: Path) -> None:
    Image.new("RGB", (900, 600), "white").save(tmp_path / "a.png")
    image = decoded(drawn(tmp_path / "a.png").image)
    assert min(image.crop((0, 0, 900, 598)).convert("L").tobytes()) > 245
    words, code = (image.crop((left, 602, right, 630)) for left, right in ((0, 160), (160, 400)))
    assert all(min(part.convert("L").tobytes()) < 160 for part in (words, code))


def bomb_png(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims to be large."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        whole = kind + data
        return struct.pack(">I", len(data)) + whole + struct.pack(">I", zlib.crc32(whole))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def test_a_bomb_is_told_by_its_pixels_and_none_is_decoded(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(bomb_png(60_000, 60_000))
    one = drawn(path)
    assert one.finding is not None
    assert one.finding.code == "Q302"
    assert "3600000000" in one.finding.en
    assert [found.code for found in inspect_file(str(path), "a.png").findings] == ["Q302"]


def test_a_report_says_what_cannot_be_opened_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(b"II*\0 and no directory")
    inspection = inspect_file(str(path), "a.tif")
    assert [found.code for found in inspection.findings] == ["Q301"]
    assert inspection.acceptable
    picture().save(tmp_path / "b.tif")
    assert inspect_picture(str(tmp_path / "b.tif"), "b.tif") == ([], 1)


async def test_a_hostile_page_is_a_finding_and_the_worker_goes_on(tmp_path: Path) -> None:
    good, bad = tmp_path / "a.png", tmp_path / "b.tif"
    picture().save(good)
    bad.write_bytes(b"II*\0" + os.urandom(5000))
    drawer = IsolatedDrawer()
    try:
        for path, code in ((bad, "Q303"), (good, None), (tmp_path / "gone.pdf", "Q303")):
            one = await drawer.draw(str(path), path.name, 1, MARK, 60)
            assert (one.finding and one.finding.code) == code
        out = await drawer.draw(str(good), good.name, 9, MARK, 60)
        assert out.finding is not None
    finally:
        await drawer.close()


def test_an_image_fits_one_chunk_whatever_is_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = Image.frombytes("RGB", (700, 700), os.urandom(700 * 700 * 3))
    noise.save(tmp_path / "a.png")
    monkeypatch.setattr(draw, "IMAGE_BYTES_MAX", 150_000)
    one = drawn(tmp_path / "a.png")
    assert 0 < len(one.image) <= 150_000 < IMAGE_BYTES_MAX


@given(st.data())
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_broken_bytes_raise_what_the_worker_catches(data: st.DataObject) -> None:
    """Never more than an Exception: no hang, no crash of the process."""
    written = io.BytesIO()
    kind = data.draw(st.sampled_from(["TIFF", "PNG", "JPEG", "JPEG2000"]))
    picture((60, 40)).save(written, kind)
    whole = bytearray(written.getvalue())
    for _ in range(data.draw(st.integers(1, 8))):
        whole[data.draw(st.integers(4, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path = Path(os.environ.get("TMPDIR", "/tmp")) / f"draw-{os.getpid()}"
    path.write_bytes(whole)
    try:
        with contextlib.suppress(Exception):
            drawn(path)
    finally:
        path.unlink()
