"""Numbers and values as a person reads them, for the report and the terminal."""

import math
from typing import Any

import numpy as np

from gzjwst_core.images.meanings import reason_words

__all__ = ["NOTHING", "bytes_text", "cell_text", "plain_text", "reasons_text", "seconds_text", "thousands", "words"]

NOTHING = "\N{EN DASH}"
"""Stands where there is no value."""
_NARROW_SPACE = "\N{NARROW NO-BREAK SPACE}"


def bytes_text(count: float | None) -> str:
    """Write bytes: `1.4 GB`."""
    if count is None:
        return NOTHING
    if count < 1000:
        return f"{count:.0f} B"
    power = min(int(math.log10(count) / 3), 4)
    size = count / 1000**power
    return f"{size:.0f} {' kMGT'[power]}B" if size >= 100 else f"{size:.1f} {' kMGT'[power]}B"


def seconds_text(seconds: float) -> str:
    """Write a duration, as exact as one wants to know: `8.2 s`, `4 min 48 s`, `48 min`, `2 h 05 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 10:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def thousands(count: int) -> str:
    """Write an integer with thin gaps between its thousands."""
    return f"{count:,}".replace(",", _NARROW_SPACE)


def reasons_text(codes: str) -> str:
    """Write reasons such as `fill:above sky_chroma:above` as words; any other text stays as it is."""
    parts = codes.split()
    return ", ".join(reason_words(one) for one in parts) if all(":" in one for one in parts) else codes


def words(code: str) -> str:
    """Write a stable code as words: `dropped:side_product` is `dropped: side product`."""
    return code.replace(":", ": ").replace("_", " ")


def plain_text(value: object) -> str:
    """Write any JSON value: lists with commas, mappings as key = value."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or value in ("", [], (), {}):
        return NOTHING
    if isinstance(value, dict):
        return "; ".join(f"{key} = {plain_text(inner)}" for key, inner in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(plain_text(inner) for inner in value)
    return str(value)


def cell_text(value: Any) -> str:
    """Write one cell of a table."""
    if isinstance(value, float | np.floating):
        return _float_text(float(value))
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    return thousands(int(value)) if isinstance(value, int | np.integer) else str(value)


def _float_text(value: float) -> str:
    if not math.isfinite(value):
        return NOTHING
    return thousands(round(value)) if 1e4 <= abs(value) < 1e9 else f"{value:.4g}"
