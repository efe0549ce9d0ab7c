"""A field's sources as a DS9 region file: their Kron ellipses on the sky, named, coloured by what they are.

Text in the grammar of DS9's own region files, which CARTA and astropy's `regions` read too. Rows in, text out.
"""

from collections.abc import Iterable, Iterator

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from gzjwst_core.flag_bits import Flag

__all__ = ["COLOURS", "region_text"]

COLOURS = {"galaxy": "green", "star": "cyan", "flagged": "yellow", "duplicate": "red"}
"""`flagged` has any bit but DUPLICATE and TARGET; a star is a star whatever its flags."""

_HEAD = ("# Region file format: DS9 version 4.1", 'global color=green width=1 font="helvetica 9 normal roman"', "icrs")
_QUIET = np.uint32(Flag.DUPLICATE | Flag.TARGET)


def region_text(rows: Table) -> str:
    """Write sources as DS9 regions.

    Parameters
    ----------
    rows
        Of one field, with id_str, ra, dec (deg), kron_a, kron_b (arcsec), theta_sky (deg, east of north), is_star,
        is_primary and flags.

    Returns
    -------
    str
        One ellipse a row, in the order of the rows; text = id_str, tag = the kind. A source without an ellipse is a
        point.

    Notes
    -----
    DS9 counts angles counter-clockwise from west, which is +x where north is up and east to the left: an ellipse
    whose first axis has the position angle PA, east of north, has the angle PA + 90.
    """
    return "\n".join((*_HEAD, *_lines(rows))) + "\n"


def kinds(rows: Table) -> NDArray[np.str_]:
    """Return which kind each row is: a key of COLOURS."""
    flags = np.asarray(rows["flags"], dtype=np.uint32)
    conditions = [~np.asarray(rows["is_primary"]), np.asarray(rows["is_star"]), (flags & ~_QUIET) != 0]
    return np.asarray(np.select(conditions, ["duplicate", "star", "flagged"], "galaxy"))


def _lines(rows: Table) -> Iterator[str]:
    for row, kind in zip(rows, kinds(rows).tolist(), strict=True):
        colour = "" if kind == "galaxy" else f"color={COLOURS[kind]} "
        yield f"{_shape(row)} # {colour}text={{{row['id_str']}}} tag={{{kind}}}"


def _shape(row: Table.Row) -> str:
    place = f"{row['ra']:.7f},{row['dec']:+.7f}"
    axes: Iterable[float] = (float(row["kron_a"]), float(row["kron_b"]))
    if not all(axis > 0 for axis in axes):
        return f"point({place})"
    a, b = axes
    # a round aperture has no angle
    angle = (float(row["theta_sky"]) + 90) % 180 if np.isfinite(row["theta_sky"]) else 0.0
    return f'ellipse({place},{a:.3f}",{b:.3f}",{angle:.2f})'
