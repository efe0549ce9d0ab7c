"""Contact sheets: which images a person should look at first, and their small copies inside the report.

A sheet is a way to sort or filter the galaxies that are listed; the page offers each as one click. Here its first
images are chosen by the same rule, for their small copies to be inside the page.
"""

import base64
import io
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from astropy.table import Table
from PIL import Image, UnidentifiedImageError

from gzjwst_core.errors import ImageError
from gzjwst_core.report.measures import Measure, worst
from gzjwst_core.report.packing import steps_of
from gzjwst_core.report.panel_boxes import Box

__all__ = ["RANDOM", "SORT_DIGITS", "Sheet", "choose", "sheets_of", "thumbnail"]

SORT_DIGITS = {"mag_ref": 3, "r50": 3, "fov_arcsec": 3}
"""Decimals to which galaxies are sorted, so that the page and its small copies agree."""


class Sheet(NamedTuple):
    """One contact sheet."""

    title: str
    sort: str = ""
    """A column, or `worst:` and a measure; empty = random."""
    down: bool = False
    """Largest values first."""
    verdict: str = ""
    """Only images of this verdict."""
    said: str = ""


RANDOM = Sheet("Random", said="the same images every time")
_PLAIN = (
    RANDOM,
    Sheet("Brightest", "mag_ref"),
    Sheet("Faintest", "mag_ref", down=True),
    Sheet("Largest", "r50", down=True),
    Sheet("Smallest", "r50"),
)
_VERDICTS = (Sheet("Failed", verdict="fail"), Sheet("Warned", verdict="warn"))


def sheets_of(galaxies: Table, measures: Mapping[str, Measure]) -> list[Sheet]:
    """Name the sheets of a survey: the plain ones, those of verdicts that images have, the worst by each measure."""
    verdicts = set(np.asarray(galaxies["verdict"]).tolist()) if "verdict" in galaxies.colnames else set()
    judged = [sheet for sheet in _VERDICTS if sheet.verdict in verdicts]
    worse = [
        Sheet(f"Worst {measure.words}", f"worst:{name}", down=True, said=measure.said)
        for name, measure in measures.items()
    ]
    return [*_PLAIN, *judged, *worse]


def choose(sheet: Sheet, galaxies: Table, measures: Mapping[str, Measure], count: int) -> list[int]:
    """Choose the first images of a sheet.

    Parameters
    ----------
    sheet
        Of `sheets_of`.
    galaxies
        Of `galaxies.listed`: their order is the random one, and decides between equals.
    measures
        By name.
    count
        Images at most.

    Returns
    -------
    list
        Row numbers; rows without a value come last.
    """
    rows = np.arange(len(galaxies))
    if sheet.verdict:
        rows = rows[np.asarray(galaxies["verdict"])[rows] == sheet.verdict]
    if sheet.sort:
        keys = _keys(sheet, galaxies, measures)[rows]
        rows = rows[np.argsort(keys, kind="stable")]
    return [int(row) for row in rows[:count]]


def _keys(sheet: Sheet, galaxies: Table, measures: Mapping[str, Measure]) -> np.ndarray:
    """Lowest first, NaN last."""
    name = sheet.sort.removeprefix("worst:")
    digits = measures[name].digits if name in measures else SORT_DIGITS[name]
    values = steps_of(galaxies[name], digits)
    keys = worst(values, measures[name]) if sheet.sort != name else values
    return np.asarray(-keys if sheet.down else keys, dtype=np.float64)


def thumbnail(image: bytes, side_px: int = 132, *, box: Box | None = None) -> str:
    """Re-encode an image to a small JPEG.

    Parameters
    ----------
    image
        Any format that pillow reads.
    side_px
        Longest side.
    box
        The part to show; None, or a box that the image does not hold = all of it.

    Returns
    -------
    str
        Its bytes in base64.

    Raises
    ------
    ImageError
        It is no image.
    """
    try:
        with Image.open(io.BytesIO(image)) as opened:
            inside = box is not None and box[2] <= opened.width and box[3] <= opened.height
            if not inside:
                opened.draft("RGB", (side_px, side_px))  # a large JPEG is decoded at half its size
            small = opened.convert("RGB").crop(box) if inside else opened.convert("RGB")
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:  # what pillow's formats raise
        raise ImageError(f"it cannot be read as an image: {type(error).__name__}") from error
    small.thumbnail((side_px, side_px), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    small.save(out, format="JPEG", quality=80, optimize=True)
    return base64.b64encode(out.getvalue()).decode()
