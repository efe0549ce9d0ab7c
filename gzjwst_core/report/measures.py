"""Measures of images as the page shows them: the words of `meanings`, and which values are good, for its sheets.

The ranges say where to look first, unless a survey has its own; whether an image passes is not decided here.
"""

from typing import Any, NamedTuple

import numpy as np

from gzjwst_core.images.meanings import MEANINGS, measure_words
from gzjwst_core.report.texts import words

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


_GOOD = {
    "black": (-_INF, 0.0, 4),
    "white": (-_INF, 0.0, 4),
    "sky_median": (10, 40, 1),
    "sky_chroma": (0.0, 0.0, 2),
    "fill": (0.2, 0.7, 3),
    "coverage": (1.0, _INF, 3),
    "centring": (-_INF, 0.0, 4),
    "reach": (-_INF, 0.0, 3),
    "contrast": (255, _INF, 1),
    "size_bytes": (-_INF, 0.0, 0),
}
"""Lowest and highest good value, and digits to show."""
_KNOWN = {
    name: Measure(meaning.words, meaning.unit, meaning.says, *_GOOD[name])
    for name, meaning in MEANINGS.items()
    if name in _GOOD
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


def _unknown(column: Any) -> Measure:
    values = np.asarray(column, dtype=np.float64)
    values = values[np.isfinite(values)]
    middle = round(float(np.median(values)), 3) if values.size else 0.0
    unit = "" if column.info.unit is None else str(column.info.unit)
    return Measure(words(column.info.name), unit, column.info.description or "", middle, middle)


def worst(values: Any, measure: Measure) -> Any:
    """How far values lie outside the good range; below 0 inside it, NaN where nothing was measured."""
    return np.maximum(measure.low - values, values - measure.high)
