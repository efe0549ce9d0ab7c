"""Tables as the report's template shows them: heads with units, cells as texts, distributions, shares.

Tables in, plain values out. Words and layout are the templates'; drawings are `figures`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from astropy.table import Table

from gzjwst_core.report.measures import measure_of, measure_words
from gzjwst_core.report.plots import spark
from gzjwst_core.report.texts import cell_text

__all__ = ["check_rows", "distributions", "limits_of", "table_rows"]


def table_rows(table: Table | None) -> dict[str, Any] | None:
    """Any table as head and cells; None without rows."""
    if table is None or len(table) == 0:
        return None
    head = [{"name": c.info.name, "unit": _unit(c), "said": c.info.description or ""} for c in table.itercols()]
    columns = [[cell_text(value) for value in column.tolist()] for column in table.itercols()]
    numeric = [column.dtype.kind in "iuf" for column in table.itercols()]
    return {"head": head, "rows": list(zip(*columns, strict=True)), "numeric": numeric}


def distributions(table: Table | None) -> list[dict[str, Any]]:
    """Distribution of each numeric column that holds a number."""
    if table is None:
        return []
    numeric = [c for c in table.itercols() if c.dtype.kind in "iuf" and np.isfinite(c).any()]
    return [_distribution(column) for column in numeric]


def check_rows(checks: Table | None) -> list[dict[str, Any]]:
    """Return the image checks as the page shows them.

    Parameters
    ----------
    checks
        images/checks.parquet: `name`, `says`, `scope`, limits (`warn_low` ... `fail_high`, NaN = open), `n_pass`,
        `n_warn`, `n_fail`, `n_unknown`, `median`, `value` (of checks of the whole survey), `verdict`. A column that
        is not there is left empty.
    """
    return [] if checks is None else [_check(dict(zip(checks.colnames, row, strict=True))) for row in checks]


def limits_of(checks: Table | None) -> dict[str, tuple[float, float]]:
    """Return the ranges that give no warning, by measure; an open end is infinite, two open ends are left out."""
    if checks is None or "name" not in checks.colnames:
        return {}
    rows = [dict(zip(checks.colnames, row, strict=True)) for row in checks]
    ends = {str(row["name"]): (_end(row, "warn", "low"), _end(row, "warn", "high")) for row in rows}
    known = {name: (low, high) for name, (low, high) in ends.items() if np.isfinite([low, high]).any()}
    return {name: (-np.inf if np.isnan(a) else a, np.inf if np.isnan(b) else b) for name, (a, b) in known.items()}


_NATURAL = {"low": (0.0,), "high": (1.0, 255.0)}
"""Ends of what a share or a grey level can be: where warning and failure both end there, nothing is limited."""


def _end(row: Mapping[str, Any], kind: str, side: str) -> float:
    """One end of a range; NaN = open."""
    end = float(row.get(f"{kind}_{side}", np.nan))
    same = row.get(f"warn_{side}", np.nan) == row.get(f"fail_{side}", np.nan)
    return np.nan if same and end in _NATURAL[side] else end


def _check(row: Mapping[str, Any]) -> dict[str, Any]:
    counts = {verdict: int(row.get(f"n_{verdict}", 0)) for verdict in ("pass", "warn", "fail", "unknown")}
    judged = counts["pass"] + counts["warn"] + counts["fail"]
    value = row.get("value", np.nan)
    shown = value if np.isfinite(value) else row.get("median", np.nan)
    return {
        "name": measure_words(str(row.get("name", ""))),
        "said": str(row.get("says", "")),
        "survey": str(row.get("scope", "")) == "survey",
        "counts": counts,
        "share": counts["pass"] / judged if judged else None,
        "value": cell_text(float(shown)),
        "limits": "; ".join(_limits(row)),
        "verdict": str(row.get("verdict", "")),
    }


def _limits(row: Mapping[str, Any]) -> Iterator[str]:
    """Say the ranges in words: `warns below 10 or above 40`."""
    for kind, told in (("warn", "warns"), ("fail", "fails")):
        ends = [(words, _end(row, kind, side)) for side, words in (("low", "below"), ("high", "above"))]
        said = [f"{words} {cell_text(end)}" for words, end in ends if np.isfinite(end)]
        if said:
            yield f"{told} {' or '.join(said)}"


def _unit(column: Any) -> str:
    return "" if column.info.unit is None else str(column.info.unit.to_string())


def _distribution(column: Any) -> dict[str, Any]:
    values = np.asarray(column, dtype=np.float64)
    values = values[np.isfinite(values)]
    low, middle, high = np.percentile(values, [5, 50, 95])
    measure = measure_of(column)
    return {
        "name": measure.words,
        "unit": measure.unit,
        "said": measure.said,
        "spark": spark(values.tolist()),
        "numbers": [cell_text(float(v)) for v in (values.min(), low, middle, high, values.max())],
    }
