"""The sheet of a comparison: rows are galaxies, columns are recipes, their figures below.

As a self-contained HTML page that a person clicks through, and as one plain JPEG for a document or a message. Values
in, bytes out; no file is opened, nothing is measured.
"""

import base64
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image, ImageDraw, ImageFont

from gzjwst_core.images.compare import Look
from gzjwst_core.images.compare_figures import FIGURES, best

__all__ = ["Column", "Row", "Sheet", "figure_lines", "figures_markdown", "sheet_html", "sheet_jpeg", "value_text"]

_PAPER, _INK, _SOFT, _GOOD, _WARN = (17, 19, 23), (226, 229, 235), (146, 153, 166), (110, 205, 150), (235, 180, 90)
_LINE = (44, 48, 56)
_MIDDLE_DOT = "\u00b7"
_WHOLE = 0.995


@dataclass(frozen=True, slots=True)
class Column:
    """One recipe, or a variant of one."""

    name: str
    note: str
    """What it differs in, or that it is the survey's own; may be empty."""
    figures: Mapping[str, float]
    """By key of `FIGURES`; those that are missing are not shown."""


@dataclass(frozen=True, slots=True)
class Row:
    """One galaxy."""

    look: Look
    why: str
    """Why it was taken; may be empty."""
    images: tuple[bytes | None, ...]
    """Image file of each column; None where the recipe could not colour it."""

    @property
    def words(self) -> tuple[str, ...]:
        """Lines beside the pictures."""
        mag = "no flux" if math.isnan(self.look.mag) else f"AB {self.look.mag:.1f}"
        lines = [self.look.id_str.rpartition("_")[2], f"{mag} {_MIDDLE_DOT} {self.look.fov_arcsec:.1f} arcsec"]
        lines += [f"data in {100 * self.look.coverage:.0f} %"] if self.look.coverage < _WHOLE else []
        lines += ["point-like"] if self.look.star_like else []
        return (*lines, *([self.why] if self.why else []))


@dataclass(frozen=True, slots=True)
class Sheet:
    """All that is shown."""

    title: str
    lead: str
    """What the sample is, in a sentence."""
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    told: tuple[str, ...] = ()
    """Warnings, such as cutouts that could not be read."""


@dataclass(frozen=True, slots=True)
class FigureLine:
    """A figure over all columns, as it is shown."""

    title: str
    meaning: str
    texts: tuple[str, ...]
    marks: tuple[str, ...]
    """`best`, `beyond` what is allowed, or empty."""


def value_text(value: float, digits: int) -> str:
    """Write a figure; a dash where there was nothing to measure."""
    return f"{value:.{digits}f}" if math.isfinite(value) else "\u2013"


def figure_lines(columns: Sequence[Column], *, clocks: bool = True) -> list[FigureLine]:
    """Lay the figures of all columns out, one line a figure.

    Parameters
    ----------
    columns
        What is compared.
    clocks
        Also what is another one every time (times).
    """
    lines = []
    for figure in FIGURES:
        values = [column.figures.get(figure.key, math.nan) for column in columns]
        if (figure.clock and not clocks) or not any(map(math.isfinite, values)):
            continue
        low, high = figure.allowed
        good = best(figure, values)
        marks = ["beyond" if not low <= v <= high and math.isfinite(v) else "" for v in values]
        marks = ["best" if is_best and not mark else mark for is_best, mark in zip(good, marks, strict=True)]
        texts = tuple(value_text(value, figure.digits) for value in values)
        lines.append(FigureLine(figure.title, figure.meaning, texts, tuple(marks)))
    return lines


def figures_markdown(columns: Sequence[Column]) -> list[str]:
    """Lines of a plain table: figures down, recipes across; a star is best, an exclamation mark beyond the limits."""
    signs = {"best": " *", "beyond": " !", "": ""}
    lines = [f"| | {' | '.join(column.name for column in columns)} |", "|---" * (len(columns) + 1) + "|"]
    for line in figure_lines(columns):
        cells = [text + signs[mark] for text, mark in zip(line.texts, line.marks, strict=True)]
        lines.append(f"| {line.title} | {' | '.join(cells)} |")
    return lines


def sheet_html(sheet: Sheet) -> str:
    """Write the page. It loads nothing: the images are inside, as volunteers would get them."""
    rows = [
        {
            "words": row.words,
            "name": row.look.id_str,
            "images": [None if data is None else _data_uri(data) for data in row.images],
        }
        for row in sheet.rows
    ]
    page = _environment().get_template("compare.html.j2")
    return page.render(sheet=sheet, rows=rows, lines=figure_lines(sheet.columns))


@cache
def _environment() -> Environment:
    loader = PackageLoader("gzjwst_core", "images/templates")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


def _data_uri(data: bytes) -> str:
    kind = "png" if data.startswith(b"\x89PNG") else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def sheet_jpeg(sheet: Sheet, *, side_px: int = 168, quality: int = 88) -> bytes:
    """Draw the sheet as one JPEG: no clock, the same input gives the same bytes.

    Parameters
    ----------
    sheet
        What is shown; times are left out.
    side_px
        Side of a picture.
    quality
        Of the JPEG.
    """
    drawing = _Drawing(sheet, side_px)
    drawing.head()
    for number, row in enumerate(sheet.rows):
        drawing.row(number, row)
    drawing.figures()
    out = io.BytesIO()
    drawing.image.save(out, "JPEG", quality=quality, subsampling=0)
    return out.getvalue()


class _Drawing:
    """Where things stand on the drawn sheet, px."""

    _GAP, _LABEL, _HEAD, _TEXT, _EDGE = 4, 178, 46, 21, 14

    def __init__(self, sheet: Sheet, side: int) -> None:
        self.sheet, self.side, self.step = sheet, side, side + self._GAP
        self.lines = figure_lines(sheet.columns, clocks=False)
        self.below = self._EDGE + self._HEAD + len(sheet.rows) * self.step
        width = self._LABEL + len(sheet.columns) * self.step + 2 * self._EDGE
        height = self.below + self._EDGE + len(self.lines) * self._TEXT + self._EDGE
        self.image = Image.new("RGB", (width, height), _PAPER)
        self.pen = ImageDraw.Draw(self.image)

    def head(self) -> None:
        for number, column in enumerate(self.sheet.columns):
            self._text((self._x(number), self._EDGE), column.name, 15, _INK)
            self._text((self._x(number), self._EDGE + 20), column.note, 11, _SOFT)

    def row(self, number: int, row: Row) -> None:
        top = self._EDGE + self._HEAD + number * self.step
        for line, text in enumerate(row.words):
            self._text((self._EDGE, top + 3 + 16 * line), text, 12, _SOFT if line else _INK, self._LABEL - 8)
        for place, data in enumerate(row.images):
            if data is None:
                self._text((self._x(place), top + 3), "no picture", 12, _WARN)
            else:
                self.image.paste(_small(data, self.side), (self._x(place), top))

    def figures(self) -> None:
        colours = {"best": _GOOD, "beyond": _WARN, "": _INK}
        for number, line in enumerate(self.lines):
            top = self.below + self._EDGE // 2 + number * self._TEXT
            self.pen.line((self._EDGE, top - 3, self.image.width - self._EDGE, top - 3), fill=_LINE)
            self._text((self._EDGE, top), line.title, 12, _SOFT)
            for place, (text, mark) in enumerate(zip(line.texts, line.marks, strict=True)):
                self._text((self._x(place), top), text, 12, colours[mark])

    def _x(self, number: int) -> int:
        return self._EDGE + self._LABEL + number * self.step

    def _text(self, at: tuple[int, int], text: str, size: int, ink: tuple[int, int, int], width: int = 0) -> None:
        font = _font(size)
        room = width or max(self.side, 8)
        while text and font.getlength(text) > room:
            text = text[:-2].rstrip("\u2026 ") + "\u2026" if len(text) > 2 else ""
        self.pen.text(at, text, fill=ink, font=font)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _small(data: bytes, side: int) -> Image.Image:
    with Image.open(io.BytesIO(data)) as opened:
        return opened.convert("RGB").resize((side, side), Image.Resampling.LANCZOS)
