"""Whether an image passes, warns or fails, and why: measures and the profile's limits in, verdicts out.

What is measured is `quality`'s, the limits are the profile's. Arrays and tables only; nothing is opened.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from astropy.table import Table
from numpy.typing import ArrayLike, NDArray

from gzjwst_core.images.meanings import described
from gzjwst_core.options import Limits, QualityOptions
from gzjwst_core.storage.tables import Column

__all__ = [
    "IMAGE_MEASURES",
    "UNMEASURED",
    "VERDICTS",
    "grade",
    "judge",
    "limits_of",
    "outside",
    "reasons_of",
]

VERDICTS = ("pass", "warn", "fail")
"""From best to worst."""
UNMEASURED = "unmeasured"
"""Reason of an image of which no measure is known."""

IMAGE_MEASURES = tuple(
    Column(name, "float64", unit, ucd, described(name))
    for name, unit, ucd in (
        ("black", "", "stat.value"),
        ("white", "", "stat.value"),
        ("sky_median", "", "stat.median;instr.background"),
        ("sky_chroma", "", "instr.background"),
        ("fill", "", "stat.value"),
        ("reach", "", "stat.value"),
        ("coverage", "", "stat.value"),
        ("centring", "", "pos.distance"),
        ("contrast", "", "stat.value"),
        ("size_bytes", "byte", "meta.file"),
    )
)
"""Measures of one image; each has its limits under the same name."""


def judge(measures: Table, options: QualityOptions) -> Table:
    """Judge every image.

    Parameters
    ----------
    measures
        One row an image, with the columns of IMAGE_MEASURES that are known; NaN = there was nothing to measure.
    options
        The limits.

    Returns
    -------
    Table
        `verdict`: pass, warn or fail, the worst of the row's measures; `reasons`: what made it so, such as
        `fill:above`, joined by spaces; `warnings`: what gave a warning, whether or not something else failed.

    Notes
    -----
    A measure that is not known decides nothing, but a row of which none is known fails as `unmeasured`.
    """
    count = len(measures)
    grades = np.zeros(count, dtype=np.int8)
    known = np.zeros(count, dtype=np.bool_)
    said: tuple[list[list[str]], ...] = ([[] for _ in range(count)], [[] for _ in range(count)])
    for name in (column.name for column in IMAGE_MEASURES if column.name in measures.colnames):
        values, limits = np.asarray(measures[name], dtype=np.float64), limits_of(options, name)
        known |= np.isfinite(values) & (name != "size_bytes")  # a file has a size, whatever it shows
        grades = np.maximum(grades, grade(values, limits))
        _tell(said, name, values, limits)
    grades[~known] = len(VERDICTS) - 1
    for row in np.flatnonzero(~known).tolist():
        said[1][row].insert(0, UNMEASURED)
    warnings, failures = ([" ".join(row) for row in of] for of in said)
    reasons = [failed or warned for warned, failed in zip(warnings, failures, strict=True)]
    told = {"reasons": reasons, "warnings": warnings}
    texts = {name: np.array(of, dtype=np.str_) for name, of in told.items()}
    return Table({"verdict": np.array(VERDICTS)[grades], **texts})


def limits_of(options: QualityOptions, name: str) -> Limits:
    """Return the limits of a measure, by its name."""
    found: Limits = getattr(options, name)
    return found


def outside(values: ArrayLike, limits: Sequence[float]) -> NDArray[np.int8]:
    """Tell on which side of a range values lie: -1 below, 1 above, 0 within or not known.

    Parameters
    ----------
    values
        Any shape; NaN = not known.
    limits
        Lowest and highest, both within; empty = everything is.
    """
    given = np.asarray(values, dtype=np.float64)
    if len(limits) == 0:
        return np.zeros(given.shape, dtype=np.int8)
    return (given > limits[1]).astype(np.int8) - (given < limits[0]).astype(np.int8)


def grade(values: ArrayLike, limits: Limits) -> NDArray[np.int8]:
    """Grade values: 0 pass, 1 warn, 2 fail; what is not known passes."""
    warned, failed = outside(values, limits.warn) != 0, outside(values, limits.fail) != 0
    return np.where(failed, np.int8(2), warned.astype(np.int8))


def _tell(said: tuple[list[list[str]], ...], name: str, values: NDArray[np.float64], limits: Limits) -> None:
    """Note a reason at every image that a measure speaks against: (warnings, failures)."""
    grades, words = grade(values, limits), {-1: "below", 1: "above"}
    failed, warned = outside(values, limits.fail), outside(values, limits.warn)
    for row in np.flatnonzero(grades).tolist():
        which = int(grades[row]) - 1
        said[which][row].append(f"{name}:{words[int((warned, failed)[which][row])]}")


def reasons_of(judged: Table, verdict: str) -> Mapping[str, int]:
    """Count the first reason, which decided, of every image with this verdict; the sum is their number."""
    first = [text.partition(" ")[0] for text in np.asarray(judged["reasons"])[judged["verdict"] == verdict].tolist()]
    return {reason: first.count(reason) for reason in sorted(set(first))}
