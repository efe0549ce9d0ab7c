"""Columns as compact JSON for a page: numbers as whole steps in base64, texts by what they have in common.

Values in, plain JSON values out; what the columns are is `explorer`. `templates/galaxies.data.js` reads them back.
"""

import base64
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import ArrayLike

__all__ = ["choices", "doubles", "numbers", "paths", "script_json", "steps_of", "texts"]

Packed = dict[str, Any]


def steps_of(values: ArrayLike, digits: int) -> Any:
    """Round values as the page shows them: float64, so many decimals; what is not finite is NaN."""
    array = np.asarray(values, dtype=np.float64)
    known = np.isfinite(array)
    rounded: Any = np.full(array.shape, np.nan)
    rounded[known] = np.rint(array[known] * 10**digits) / 10**digits
    return rounded


def numbers(values: ArrayLike, digits: int) -> Packed:
    """Pack numbers as whole steps of 10^-digits, 16 or 32 bits each, little end first; the least integer is NaN.

    Parameters
    ----------
    values
        (n,) any numbers or truth values.
    digits
        Decimals to keep, none of them lost. Values too large for 32 bits are kept as doubles.
    """
    array = np.asarray(values, dtype=np.float64)
    known = np.isfinite(array)
    scaled = np.rint(np.where(known, array, 0.0) * 10**digits)
    most = float(np.abs(scaled).max(initial=0.0))
    bits = 16 if most < 2**15 else 32
    if most >= 2**31:
        return doubles(values, digits)
    scaled[~known] = -(2 ** (bits - 1))
    return {"digits": digits, "bits": bits, "data": _text(scaled.astype(f"<i{bits // 8}"))}


def doubles(values: ArrayLike, digits: int) -> Packed:
    """Pack numbers as they are, 64 bits each; `digits` decimals are shown."""
    return {"digits": digits, "bits": 64, "data": _text(np.asarray(values, dtype="<f8"))}


def choices(values: Sequence[str]) -> Packed:
    """Pack texts of which there are few different ones: the sorted list of them, and each one's place."""
    different, places = np.unique(np.asarray(values, dtype=str), return_inverse=True)
    return {"choices": different.tolist(), "of": numbers(places.ravel(), 0)}


def texts(values: Sequence[str]) -> Packed:
    """Pack texts that all differ, their common beginning once."""
    first, last = min(values, default=""), max(values, default="")
    same = next((n for n, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    shared = first[:same]
    return {"prefix": shared, "texts": [value.removeprefix(shared) for value in values]}


def paths(values: Sequence[str], fields: Sequence[str], names: Sequence[str]) -> Packed:
    """Pack paths that follow one pattern of field and name; those that do not are kept beside it.

    Returns
    -------
    dict
        `like`: the first path with `{field}` and `{stem}` (the name as its files write it) in their places; `but`: by
        row number, the paths that the pattern does not give.
    """
    first = next((row for row, path in enumerate(values) if path), None)
    like = "" if first is None else _pattern(values[first], fields[first], _stem(names[first]))
    given = (_filled(like, field, _stem(name)) for field, name in zip(fields, names, strict=True))
    but = {str(row): path for row, (path, same) in enumerate(zip(values, given, strict=True)) if path != same}
    return {"like": like, "but": but}


def script_json(value: Any) -> Markup:
    """Write JSON that may stand between `<script>` tags: no character of it can end the script."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    safe = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return Markup(safe)  # noqa: S704 - nothing that HTML reads is left in it


def _text(array: Any) -> str:
    return base64.b64encode(array.tobytes()).decode()


def _pattern(path: str, field: str, stem: str) -> str:
    if "{" in path:
        return ""
    folder, _, name = path.rpartition("/")
    return f"{_put(folder, field, '{field}')}/{_put(name, stem, '{stem}')}"


def _stem(name: str) -> str:
    """As `names.file_stem`; here a name makes no path, so nothing is refused."""
    survey, mark, coordinates = name.rpartition("_J")
    return survey + mark + coordinates.replace("+", "p").replace("-", "m")


def _put(text: str, part: str, mark: str) -> str:
    return text.replace(part, mark) if part else text


def _filled(like: str, field: str, stem: str) -> str:
    return like.replace("{field}", field).replace("{stem}", stem)
