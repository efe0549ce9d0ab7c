"""What each measure of an image means, and which values are good: words for the page, ranges for its sheets.

The ranges say where to look first, unless a survey has its own; whether an image passes is not decided here.
"""

from typing import Any, NamedTuple

import numpy as np

from gzjwst_core.publish.texts import words

__all__ = ["Measure", "measure_of", "measure_words", "worst"]

_INF = float("inf")


class Measure(NamedTuple):
    """One measure of images."""

    words: str
    unit: str
    said: str
    low: float
    """Good from here; -inf = no lower end."""
    high: float
    """Good up to here; inf = no upper end."""
    digits: int = 3


_KNOWN = {
    "black": Measure("black", "", "part of the pixels with data that are black in every channel", -_INF, 0.0, 4),
    "white": Measure("white", "", "part of the pixels with data that are white in every channel", -_INF, 0.0, 4),
    "sky_median": Measure("sky level", "of 255", "median grey level of the sky, sources and gaps aside", 10, 40, 1),
    "sky_chroma": Measure("sky colour", "of 255", "how far red and blue of the mean sky lie apart", 0.0, 0.0, 2),
    "fill": Measure("fill", "of the side", "longer side of the target's segment over the picture's side", 0.2, 0.7),
    "coverage": Measure("coverage", "", "part of the picture with data", 1.0, _INF),
    "centring": Measure("centring", "of the side", "distance of the target's light from the centre", -_INF, 0.0, 4),
    "reach": Measure("reach", "", "farthest of the target's segment from the centre, 1 = an edge", -_INF, 0.0),
    "contrast": Measure(
        "contrast", "sky noise", "upper tenth of the target's grey above that of the sky's", 255, _INF, 1
    ),
    "size_bytes": Measure("file size", "byte", "size of the image's file", -_INF, 0.0, 0),
}


def measure_of(column: Any, limits: tuple[float, float] | None = None) -> Measure:
    """Say what a column of measures is.

    Parameters
    ----------
    column
        A numeric column of a table, with its name. One that is not known is explained by its own description, and
        counts as the better the nearer it is to its median.
    limits
        The good range, where a survey has its own.
    """
    measure = _KNOWN.get(column.info.name) or _unknown(column)
    return measure if limits is None else measure._replace(low=limits[0], high=limits[1])


def measure_words(name: str) -> str:
    """Write a measure's name for people."""
    return _KNOWN[name].words if name in _KNOWN else words(name)


def _unknown(column: Any) -> Measure:
    values = np.asarray(column, dtype=np.float64)
    values = values[np.isfinite(values)]
    middle = round(float(np.median(values)), 3) if values.size else 0.0
    unit = "" if column.info.unit is None else str(column.info.unit)
    return Measure(words(column.info.name), unit, column.info.description or "", middle, middle)


def worst(values: Any, measure: Measure) -> Any:
    """How far values lie outside the good range; below 0 inside it, NaN where nothing was measured."""
    return np.maximum(measure.low - values, values - measure.high)
