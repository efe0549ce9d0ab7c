"""Text such as `10:00:24.5`, `10 00 24.5`, `10h00m24.5s` or `+01d53m36s` as numbers. Text in, arrays out."""

import re

import numpy as np
from numpy.typing import NDArray

__all__ = ["read_sexagesimal"]

# astropy's Angle reads the same and takes 0.1 ms a value, where one bad row costs the column
_FORM = re.compile(
    r"(?P<sign>[+-]?)\s*(?P<whole>\d{1,3})\s*(?P<mark>[:\shd°])\s*(?P<minutes>\d{1,2}(?:\.\d*)?)\s*"
    r"(?:[:\sm'\u2032]\s*(?:(?P<seconds>\d{1,2}(?:\.\d*)?)\s*(?:s|\"|\u2033|'')?)?)?",
    re.ASCII,
)


def read_sexagesimal(texts: NDArray[np.str_]) -> tuple[NDArray[np.float64], NDArray[np.str_]]:
    """Read whole parts, minutes and seconds.

    Parameters
    ----------
    texts
        (n,) one value each.

    Returns
    -------
    values
        (n,) float64, in hours or degrees, as they are written; NaN where the text is not sexagesimal, or minutes or
        seconds are above 60.
    marks
        (n,) what follows the whole part: `h`, `d`, or `:` for a colon or blank, which tells neither; empty where the
        text is not sexagesimal.
    """
    values, marks = np.full(texts.size, np.nan), np.zeros(texts.size, dtype="U1")
    for row, text in enumerate(texts.tolist()):
        found = _FORM.fullmatch(text.lower().replace("\N{MINUS SIGN}", "-").strip())
        if found is None or (found["mark"].isspace() and found["seconds"] is None):  # two numbers are no position
            continue
        marks[row] = {"h": "h", "d": "d", "°": "d"}.get(found["mark"], ":")
        minutes, seconds = float(found["minutes"]), float(found["seconds"] or 0)
        if minutes < 60 and seconds <= 60:
            size = int(found["whole"]) + minutes / 60 + seconds / 3600
            values[row] = -size if found["sign"] == "-" else size
    return values, marks
