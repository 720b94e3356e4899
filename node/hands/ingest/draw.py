"""Draws a page for the service level (服务级): an image to read from, a thumbnail to choose by.

PDFium and Pillow read hostile bytes in C: nodes run this in a worker only, which bounds memory and
time; pixels are counted before any is decoded.
"""

from __future__ import annotations

import io
import struct
from contextlib import ExitStack
from functools import cache
from importlib.resources import files
from typing import Final

import pypdfium2
from PIL import Image, ImageDraw, ImageFont, ImageOps

from node.hands.ingest.findings import Drawn, Finding, finding
from node.hands.ingest.formats import HEAD_BYTES, PDF, PICTURES, by_content
from protocol.limits import IMAGE_BYTES_MAX, PICTURE_PIXELS_MAX

IMAGE_SIDE: Final = 1600  # pixels of the long side
THUMBNAIL_SIDE: Final = 256
_QUALITIES: Final = (75, 50, 25, 5)  # the first whose result keeps IMAGE_BYTES_MAX
_THUMBNAIL_QUALITY: Final = 60
_METHOD: Final = 2  # of WebP: half the time of its default for 3 % more bytes
_STRIP: Final = 30  # pixels under the image, for the mark
_INK, _PAPER = (112, 106, 98), (255, 255, 255)
_ORIENTATION: Final = 0x0112  # the tag of EXIF and TIFF


class Drawer:
    """Draws pages of one file after another; the last PDF stays open, for its next page."""

    def __init__(self) -> None:
        self._open = ExitStack()
        self._path = ""
        self._document: pypdfium2.PdfDocument | None = None

    def draw(self, path: str, name: str, page: int, mark: str) -> Drawn:
        """Page ``page`` (from 1) of the file at ``path``, called ``name`` in its package, with the
        words ``mark`` beneath it.

        Raises:
            OSError, ValueError, pypdfium2.PdfiumError, MemoryError: it cannot be drawn.
        """
        with open(path, "rb") as file:
            head = file.read(HEAD_BYTES)
        content = by_content(name, head)
        pages = self._pdf(path) if content == PDF else _frames(path)
        if not 1 <= page <= pages:
            raise ValueError(f"page {page} of {pages}")
        try:
            picture = self._pdf_page(page) if content == PDF else _frame(path, page)
        except TooManyPixels as error:
            found = finding("Q302", name, (page,), pixels=error.pixels, limit=PICTURE_PIXELS_MAX)
            return Drawn(pages, b"", b"", 0, 0, found)
        image = _marked(picture, mark)
        small = picture.copy()
        small.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
        return Drawn(
            pages,
            _encoded(image, _QUALITIES),
            _encoded(small, (_THUMBNAIL_QUALITY,)),
            *image.size,
            None,
        )

    def _pdf(self, path: str) -> int:
        if self._document is None or self._path != path:
            self._open.close()
            self._document = None
            self._document = self._open.enter_context(pypdfium2.PdfDocument(path))
            self._path = path
        return len(self._document)

    def _pdf_page(self, number: int) -> Image.Image:
        assert self._document is not None
        page = self._document[number - 1]
        try:
            width, height = page.get_size()
            scale = IMAGE_SIDE / max(width, height, 1)
            picture: Image.Image = page.render(scale=scale).to_pil()
            return picture.convert("RGB")
        finally:
            page.close()


class TooManyPixels(Exception):
    def __init__(self, pixels: int) -> None:
        super().__init__(pixels)
        self.pixels = pixels


def inspect_picture(path: str, name: str) -> tuple[list[Finding], int]:
    """What is to be said of an image file, and how many pictures its directory names; no pixel is
    decoded."""
    try:
        with _opened(path) as picture:
            _count_pixels(picture)
            return [], _frames_of(picture)
    except TooManyPixels as error:
        found = finding("Q302", name, pixels=error.pixels, limit=PICTURE_PIXELS_MAX)
        return [found], 1
    except (OSError, ValueError, SyntaxError, struct.error) as error:
        return [finding("Q301", name, reason=type(error).__name__)], 0


def _frames(path: str) -> int:
    with _opened(path) as picture:
        return _frames_of(picture)


def _frames_of(picture: Image.Image) -> int:
    return getattr(picture, "n_frames", 1) if picture.format == "TIFF" else 1


def _opened(path: str) -> Image.Image:
    Image.MAX_IMAGE_PIXELS = None  # we count ourselves, below and for every frame
    return Image.open(path, formats=PICTURES)


def _count_pixels(picture: Image.Image) -> None:
    if (pixels := picture.width * picture.height) > PICTURE_PIXELS_MAX:
        raise TooManyPixels(pixels)


def _frame(path: str, number: int) -> Image.Image:
    with _opened(path) as picture:
        if number > 1:
            picture.seek(number - 1)
        _count_pixels(picture)
        # A decoder that can leave out what nobody will see is faster and needs less memory.
        picture.draft("RGB", (2 * IMAGE_SIDE, 2 * IMAGE_SIDE))
        if picture.format == "JPEG2000":
            halvings = max(0, (max(picture.size) // (2 * IMAGE_SIDE)).bit_length() - 1)
            picture.reduce = halvings  # type: ignore[assignment, method-assign]
        picture.load()
        shown = _eight_bits(picture)
        shown.thumbnail((IMAGE_SIDE, IMAGE_SIDE), reducing_gap=2.0)
        orientation = picture.getexif().get(_ORIENTATION)
    if orientation:
        shown.getexif()[_ORIENTATION] = orientation
        ImageOps.exif_transpose(shown, in_place=True)
    return shown


def _eight_bits(picture: Image.Image) -> Image.Image:
    """Any mode as RGB or grey of 8 bits; what is transparent stands on white."""
    mode = picture.mode
    if mode.startswith("I") or mode == "F":
        low, high = picture.getextrema()
        span = max(float(high) - float(low), 1.0)  # type: ignore[arg-type]
        scale = 1 / 257 if mode.startswith("I;16") else 255 / span
        offset = 0.0 if mode.startswith("I;16") else -float(low) * scale  # type: ignore[arg-type]
        flat = picture.convert("F").point(lambda value: value * scale + offset)
        return flat.convert("L").convert("RGB")
    if mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info:
        above = picture.convert("RGBA")
        under = Image.new("RGB", above.size, _PAPER)
        under.paste(above, mask=above.getchannel("A"))
        return under
    return picture.convert("L" if mode in ("1", "L") else "RGB").convert("RGB")


def _marked(picture: Image.Image, mark: str) -> Image.Image:
    """The picture with a strip beneath that says that it is the copy for reading, and whose."""
    words = _words()
    image = Image.new("RGB", (picture.width, picture.height + _STRIP), _PAPER)
    image.paste(picture)
    ink = Image.new("RGB", words.size, _INK)
    image.paste(ink, (8, picture.height + (_STRIP - words.height) // 2), words)
    pen = ImageDraw.Draw(image)
    at = (20 + words.width, picture.height + _STRIP // 2)
    pen.text(at, mark, fill=_INK, font=_font(), anchor="lm")
    return image


@cache
def _words() -> Image.Image:
    """服务级 · 仅供阅览 (service level, for reading only), as ink to be laid on."""
    with Image.open(io.BytesIO(files(__package__).joinpath("mark.png").read_bytes())) as drawn:
        return drawn.convert("L")


@cache
def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(15)


def _encoded(picture: Image.Image, qualities: tuple[int, ...]) -> bytes:
    data = b""
    for quality in qualities:
        written = io.BytesIO()
        picture.save(written, "WEBP", quality=quality, method=_METHOD)
        data = written.getvalue()
        if len(data) <= IMAGE_BYTES_MAX:
            return data
    raise ValueError(f"more than {IMAGE_BYTES_MAX} bytes at quality {qualities[-1]}")
