"""Tables as the report's template shows them: heads with units, cells as texts, distributions, shares.

Tables in, plain values out. Words and layout are the templates'; drawings are `figures`.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from astropy.table import Table

from gzjwst_core.publish.measures import measure_of
from gzjwst_core.publish.plots import spark
from gzjwst_core.publish.texts import cell_text, words

__all__ = ["check_rows", "distributions", "table_rows"]


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
    """Return the image checks: name, meaning, limits, and the shares of images that pass, warn and fail."""
    return [] if checks is None else [_check(dict(zip(checks.colnames, row, strict=True))) for row in checks]


def _check(row: Mapping[str, Any]) -> dict[str, Any]:
    counts = {verdict: int(row.get(verdict, 0)) for verdict in ("pass", "warn", "fail")}
    total = sum(counts.values())
    told = {name: cell_text(row[name]) if name in row else "" for name in ("said", "limits", "median", "verdict")}
    shares = {name: count / total if total else 0.0 for name, count in counts.items()}
    return {"name": words(str(row.get("name", ""))), "counts": counts, "shares": shares, "total": total, **told}


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
