"""The table of checks: how the survey's images fare by each measure, and what only the survey as a whole can show.

Judged images and what the controls told in, a table out.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from gzjwst_core.images.meanings import described
from gzjwst_core.images.verdicts import IMAGE_MEASURES, VERDICTS, grade, limits_of, outside
from gzjwst_core.options import QualityOptions
from gzjwst_core.quality.differences import within_scatter, worst_median
from gzjwst_core.storage.tables import Column, apply_columns

__all__ = ["CHECK_COLUMNS", "Controls", "checks_table", "told_by_controls"]

CHECK_COLUMNS = (
    Column("name", "str", "", "meta.id", "the measure, as its limits are named in the profile's [quality]"),
    Column("scope", "str", "", "meta.code", "image: of every image by itself; survey: of all together"),
    Column("says", "str", "", "meta.note", "what is measured"),
    Column("warn_low", "float64", "", "stat.min", "lowest value without a warning, NaN = none"),
    Column("warn_high", "float64", "", "stat.max", "highest value without a warning, NaN = none"),
    Column("fail_low", "float64", "", "stat.min", "lowest value that does not fail, NaN = none"),
    Column("fail_high", "float64", "", "stat.max", "highest value that does not fail, NaN = none"),
    Column("n_pass", "int64", "", "meta.number", "images that pass; of the survey's checks, objects that are within"),
    Column("n_warn", "int64", "", "meta.number", "images that are outside the range of warning only"),
    Column("n_fail", "int64", "", "meta.number", "images that are outside the range of failure"),
    Column("n_unknown", "int64", "", "meta.number", "images with nothing to measure"),
    Column(
        "p05",
        "float64",
        "",
        "stat.value",
        "5 % quantile of the values; NaN = there are none, or none that the limits are of",
    ),
    Column("median", "float64", "", "stat.median", "median of the values"),
    Column("p95", "float64", "", "stat.value", "95 % quantile of the values"),
    Column("highest", "float64", "", "stat.max", "highest value"),
    Column("value", "float64", "", "stat.value", "what a check of the survey is judged by, NaN for those of images"),
    Column(
        "verdict", "str", "", "meta.code", "pass, warn or fail: the worst of the images, or of the value; or unknown"
    ),
)
UNKNOWN = "unknown"
"""Verdict of a check that had nothing to look at."""
_VALUES = {
    "star_colour_sd": "; values: stars' own scatter",
    "same_galaxy": "; values: galaxies",
    "fill_share": "; counted: images, by their fill",
}
"""What the counts and quantiles of a check of the survey are of."""
_UNKNOWN = {
    "star_colour_sd": "; not known: no star was looked at in two fields",
    "same_galaxy": "; not known: no galaxy was looked at in two fields",
    "fill_share": "; not known: no image has a segment to measure",
}


@dataclass(frozen=True, slots=True)
class Controls:
    """What the controls told."""

    star_colour: float
    """Scatter of log2(red / blue) around each star's own mean; NaN without a star that two fields show."""
    stars: NDArray[np.float64]
    """(n,) the scatter of each star alone; NaN where one field alone shows it."""
    same_galaxy: float
    """Difference of the channels of galaxies in two fields: the median of the field where it is largest."""
    pairs: NDArray[np.float64]
    """(n,) that of each galaxy; NaN where its images cannot be compared."""


def checks_table(judged: Table, controls: Controls, options: QualityOptions) -> Table:
    """Tell how every check ended.

    Parameters
    ----------
    judged
        One row an image: IMAGE_MEASURES.
    controls
        What the controls told.
    options
        The limits.

    Returns
    -------
    Table
        CHECK_COLUMNS: the checks of images first, then the survey's. For each of an image's checks pass, warn, fail
        and unknown add up to the number of images.
    """
    rows = [_image_row(column, judged, options) for column in IMAGE_MEASURES]
    fill = np.asarray(judged["fill"], dtype=np.float64)
    known = fill[np.isfinite(fill)]
    within = float(np.mean(outside(known, options.fill.warn) == 0)) if known.size else math.nan
    values: dict[str, tuple[float, NDArray[np.float64]]] = {
        "star_colour_sd": (controls.star_colour, controls.stars),
        "same_galaxy": (controls.same_galaxy, controls.pairs),
        "fill_share": (within, fill),
    }
    rows += [_survey_row(name, *values[name], options) for name in values]
    return apply_columns(Table(rows=rows), CHECK_COLUMNS)


def told_by_controls(stars: Table, pairs: Table) -> Controls:
    """Sum up what was measured on controls.

    Parameters
    ----------
    stars
        One row a view of a star, of which each field has one: `id_str`, and `value` log2(red / blue); NaN = not known.
    pairs
        One row a galaxy in a field that is not its own: `field`, and `value` the difference of the channels.
    """
    names, colours = np.asarray(stars["id_str"]), np.asarray(stars["value"], dtype=np.float64)
    own = [within_scatter(colours[names == star], names[names == star]) for star in np.unique(names).tolist()]
    apart = np.asarray(pairs["value"], dtype=np.float64)
    return Controls(
        star_colour=within_scatter(colours, names),
        stars=np.array(own, dtype=np.float64),
        same_galaxy=worst_median(apart, np.asarray(pairs["field"])),
        pairs=apart,
    )


def _verdict(value: float, options: QualityOptions, name: str) -> str:
    """Judge one number of the survey."""
    return VERDICTS[int(grade(value, limits_of(options, name)))] if math.isfinite(value) else UNKNOWN


def _image_row(column: Column, judged: Table, options: QualityOptions) -> dict[str, Any]:
    values = np.asarray(judged[column.name], dtype=np.float64)
    known = values[np.isfinite(values)]
    counts = np.bincount(grade(known, limits_of(options, column.name)), minlength=len(VERDICTS)).tolist()
    worst = max((rank for rank, count in enumerate(counts) if count), default=None)
    told = {"name": column.name, "scope": "image", "says": column.meaning, "value": math.nan}
    numbers = dict(zip(("n_pass", "n_warn", "n_fail"), counts, strict=True))
    numbers["n_unknown"] = values.size - known.size
    verdict = {"verdict": UNKNOWN if worst is None else VERDICTS[worst]}
    return told | _limits(options, column.name) | numbers | _spread(known) | verdict


def _survey_row(name: str, value: float, values: NDArray[np.float64], options: QualityOptions) -> dict[str, Any]:
    """One check of the survey: its value is judged, the values that it was made from are only told.

    Of a share they are not told: they are another measure, which has a row of its own.
    """
    known, is_share = values[np.isfinite(values)], name == "fill_share"
    of = options.fill if is_share else limits_of(options, name)
    counts = np.bincount(grade(known, of), minlength=len(VERDICTS)).tolist()
    says = described(name) + _VALUES[name] + ("" if math.isfinite(value) else _UNKNOWN[name])
    told = {"name": name, "scope": "survey", "says": says, "value": value}
    numbers = dict(zip(("n_pass", "n_warn", "n_fail"), counts, strict=True))
    numbers["n_unknown"] = values.size - known.size
    spread = _spread(known[:0] if is_share else known)
    return told | _limits(options, name) | numbers | spread | {"verdict": _verdict(value, options, name)}


def _limits(options: QualityOptions, name: str) -> dict[str, float]:
    limits = limits_of(options, name)
    warn, fail = (tuple(one) or (math.nan, math.nan) for one in (limits.warn, limits.fail))
    return {"warn_low": warn[0], "warn_high": warn[1], "fail_low": fail[0], "fail_high": fail[1]}


def _spread(known: NDArray[np.float64]) -> dict[str, float]:
    if known.size == 0:
        return dict.fromkeys(("p05", "median", "p95", "highest"), math.nan)
    low, middle, high = np.quantile(known, [0.05, 0.5, 0.95]).tolist()
    return {"p05": low, "median": middle, "p95": high, "highest": float(known.max())}
