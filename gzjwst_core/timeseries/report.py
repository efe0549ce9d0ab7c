"""The report of a time series: light curve before and after, outliers per integration, the worst ones, the mask."""

import base64
import io
from collections.abc import Mapping
from importlib import resources
from typing import Any, NamedTuple

import numpy as np
from astropy.table import Table
from jinja2 import Environment, PackageLoader, select_autoescape
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

from gzjwst_core.report.plots import Axis, Frame, legend, line, nice_ticks
from gzjwst_core.runs.record import RunRecord

__all__ = ["SeriesFacts", "report_html"]

_WORST = 10
_BEFORE, _AFTER = "var(--bad)", "var(--link)"


class SeriesFacts(NamedTuple):
    """What is shown of one series."""

    table: Table
    mask: NDArray[np.uint16]


def report_html(record: RunRecord, series: Mapping[str, SeriesFacts]) -> str:
    """Return one page, complete in itself.

    Parameters
    ----------
    record
        Of the run.
    series
        By name.
    """
    templates = Environment(
        loader=PackageLoader("gzjwst_core.timeseries"), autoescape=select_autoescape(default=True), trim_blocks=True
    )
    style = Markup((resources.files("gzjwst_core.report") / "templates" / "report.css").read_text())  # noqa: S704 - ours
    shown = [_shown(name, one) for name, one in series.items()]
    return templates.get_template("timeseries.html.j2").render(record=record, series=shown, style=style)


def _shown(name: str, facts: SeriesFacts) -> dict[str, Any]:
    table = facts.table
    counts = np.asarray(table["n_outliers"])
    worst = np.argsort(-counts, kind="stable")[:_WORST]
    before, after = (np.asarray(table[f"white_light_{when}"], dtype=np.float64) for when in ("before", "after"))
    return {
        "name": name,
        "integrations": len(table),
        "replaced": int(counts[np.asarray(table["outcome"]) != "reset"].sum()),
        "noise": [f"{_scatter_ppm(of):.0f}" for of in (before, after)],
        "light": _light_curve(np.asarray(table["time"]), before, after),
        "counts": _counts(np.asarray(table["integration"]), counts),
        "worst": [{column: table[column][row] for column in table.colnames} for row in worst],
        "bad": int(((facts.mask & 1) > 0).sum()),
        "telegraph": int(((facts.mask & 2) > 0).sum()),
        "mask": _picture(facts.mask),
    }


def _scatter_ppm(curve: NDArray[np.float64]) -> float:
    """Return the scatter from one integration to the next, in 10^-6 of the median; drifts do not count."""
    median = float(np.median(curve))
    return float(np.std(np.diff(curve)) / np.sqrt(2) / abs(median) * 1e6) if median and curve.size > 1 else float("nan")


def _light_curve(time: NDArray[np.float64], before: NDArray[np.float64], after: NDArray[np.float64]) -> Markup:
    hours, unit = (time - time[0]) * 24, float(np.median(after)) or 1.0
    values = before / unit, after / unit
    low, high = (float(np.percentile(np.concatenate(values), p)) for p in (0.2, 99.8))
    pad = (high - low or 1e-6) * 0.15
    x = Axis(0.0, float(hours[-1]) or 1.0, "hours", nice_ticks(0.0, float(hours[-1]) or 1.0))
    y = Axis(low - pad, high + pad, "relative", nice_ticks(low - pad, high + pad))
    frame = Frame(x, y, "White light")
    inside = [np.clip(of, y.low, y.high) for of in values]
    drawn = [line(frame, hours, of, colour) for of, colour in zip(inside, (_BEFORE, _AFTER), strict=True)]
    return frame.draw(*drawn) + legend([("before", _BEFORE), ("after", _AFTER)])


def _counts(numbers: NDArray[np.int64], counts: NDArray[np.int64]) -> Markup:
    first, last, high = float(numbers[0]), float(numbers[-1]), float(max(counts.max(), 1)) * 1.05
    x = Axis(first, max(last, first + 1), "integration", nice_ticks(first, max(last, first + 1)))
    frame = Frame(x, Axis(0.0, high, "outliers", nice_ticks(0.0, high)), "Outliers in each integration")
    return frame.draw(line(frame, numbers, counts, _AFTER))


def _picture(mask: NDArray[np.uint16]) -> str:
    """Return the mask as a PNG: red bad, orange telegraph, grey by the number of outliers in time."""
    hits = (mask >> 2).astype(np.float64)
    grey = (40 + 200 * hits / max(float(hits.max()), 1.0)).astype(np.uint8)
    rgb = np.stack([grey] * 3, axis=-1)
    rgb[(mask & 2) > 0] = (240, 160, 40)
    rgb[(mask & 1) > 0] = (220, 50, 40)
    file = io.BytesIO()
    Image.fromarray(rgb[::-1]).save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()
