"""Which galaxies the report lists, and what it tells of each: images joined to catalog rows and quality.

Tables in, a table out. Sheets of them are `sheets`, what the page embeds is `explorer`.
"""

import hashlib
from typing import Any, NamedTuple

import numpy as np
from astropy.table import Table

__all__ = ["DETAILS", "Detail", "band_details", "listed", "measure_names"]


class Detail(NamedTuple):
    """One column of the detail view."""

    group: str
    name: str
    digits: int | None = None
    """Decimals; None = text."""


DETAILS = (
    Detail("Name", "group_id"),  # too long a number for a double
    Detail("Name", "source_id", 0),
    Detail("Position", "nn_dist", 2),
    Detail("Position", "edge_dist", 2),
    Detail("Light", "mu_max", 2),
    Detail("Light", "snr_det", 1),
    Detail("Light", "total_factor", 3),
    Detail("Light", "n_bands", 0),
    Detail("Light", "valid_frac_min", 3),
    Detail("Size and shape", "r20", 3),
    Detail("Size and shape", "r90", 3),
    Detail("Size and shape", "kron_a", 3),
    Detail("Size and shape", "kron_b", 3),
    Detail("Size and shape", "bbox_diagonal", 2),
    Detail("Size and shape", "ellipticity", 3),
    Detail("Size and shape", "theta_sky", 1),
    Detail("Size and shape", "concentration", 2),
    Detail("Size and shape", "star_score", 2),
)
"""Columns of the catalog that are told of each galaxy beside those that it is handed over with."""


_JUDGED = ("verdict", "reasons")


def band_details(bands: tuple[str, ...]) -> tuple[Detail, ...]:
    """Magnitudes and their errors in every band."""
    names = [f"{band}_{what}" for band in bands for what in ("mag_tot", "mag_tot_err")]
    return tuple(Detail("Magnitudes", name, 3) for name in names)


def listed(rows: Table, catalog: Table, quality: Table | None, bands: tuple[str, ...], most: int) -> Table:
    """Choose the galaxies that the report lists and join what is known of them.

    Parameters
    ----------
    rows
        PUBLISH_COLUMNS of `rows`, one row an image.
    catalog
        The survey catalog; columns it has not are left out.
    quality
        `id_str`, numeric measures, `verdict` and `reasons` where images were judged; rows in any order.
    bands
        Of the survey.
    most
        Rows to keep at most.

    Returns
    -------
    Table
        At most so many rows in order of a hash of id_str: that is the random order, and the same part every time.
        Catalog columns and measures are appended; a measure that is not there is NaN, a verdict empty.
    """
    order = np.argsort([_draw(name) for name in np.asarray(rows["id_str"]).tolist()], kind="stable")[:most]
    made = rows[order]
    details = [one.name for one in (*DETAILS, *band_details(bands)) if one.name in catalog.colnames]
    _append(made, catalog, [name for name in details if name not in made.colnames])
    if quality is not None:
        _append(made, quality, [n for n in quality.colnames if n in _JUDGED or n not in made.colnames])
    return made


def measure_names(quality: Table | None, rows: Table) -> list[str]:
    """Names of the columns of `rows` that measure images, in the order in which they were measured."""
    names = [] if quality is None else [c.info.name for c in quality.itercols() if c.dtype.kind in "iuf"]
    return [name for name in names if np.isfinite(np.asarray(rows[name], dtype=np.float64)).any()]


def _draw(name: str) -> float:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:6]) / 2.0**48


def _append(made: Table, other: Table, names: list[str]) -> None:
    """Append columns of another table by id_str."""
    place = {name: row for row, name in enumerate(np.asarray(other["id_str"]).tolist())}
    rows = np.array([place.get(name, -1) for name in np.asarray(made["id_str"]).tolist()], dtype=np.intp)
    for name in names:
        made[name] = _joined(other[name], rows)
        made[name].info.unit, made[name].info.description = other[name].info.unit, other[name].info.description


def _joined(column: Any, rows: Any) -> Any:
    """Values at rows; where a row is -1, NaN or an empty text."""
    values = np.asarray(column)
    if values.dtype.kind not in "iufb":
        texts = values.astype(str)
        return np.where(rows < 0, "", texts[rows]) if len(texts) else np.full(len(rows), "")
    numbers = values.astype(np.float64)
    return np.where(rows < 0, np.nan, numbers[rows]) if len(numbers) else np.full(len(rows), np.nan)
