"""The Zoobot catalog: one parquet row an image, with a split that never puts one galaxy on both sides.

Sides are drawn by sky cell, from the cell's place alone: later fields, other surveys of the same sky and a second run
leave every galaxy where it is. Images stay where they are; paths are relative to the survey's folder.
"""

import hashlib
from os import PathLike
from pathlib import Path

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from gzjwst_core.options import PublishOptions
from gzjwst_core.storage.tables import Column, apply_columns

__all__ = ["ZOOBOT_COLUMNS", "absolute_file_locs", "sky_cells", "zoobot_table"]

ZOOBOT_COLUMNS = (
    Column("id_str", "str", "", "meta.id;meta.main", "unique name, the key that labels join on"),
    Column("file_loc", "str", "", "meta.ref.url", "image, relative to the survey's folder"),
    Column("filename", "str", "", "meta.id", "the image's name"),
    Column("subfolder", "str", "", "meta.id", "its folder below images/"),
    Column("file_loc_fits", "str", "", "meta.ref.url", "cutout (2-D pixels in HDU 0), relative to the survey's folder"),
    Column("ra", "float64", "deg", "pos.eq.ra;meta.main", "right ascension, ICRS"),
    Column("dec", "float64", "deg", "pos.eq.dec;meta.main", "declination, ICRS"),
    Column("fov_arcsec", "float64", "arcsec", "instr.fov", "side of the square of sky that is seen"),
    Column("pixscale_arcsec", "float64", "arcsec", "instr.pixel", "scale of the image's own pixels"),
    Column("mag_ref", "float32", "mag", "phot.mag", "total AB magnitude in the reference band"),
    Column("r50_arcsec", "float32", "arcsec", "phys.angSize", "radius with 50 % of the light"),
    Column("flags", "uint32", "", "meta.code.qual", "bits of the catalog's Flag"),
    Column("split", "str", "", "meta.code", "train or test, by sky cell"),
    Column("group_id", "int64", "", "meta.id.assoc", "one number for one sky object over all fields"),
    Column("survey", "str", "", "meta.id", "survey"),
    Column("recipe_hash", "str", "", "meta.id", "digest of the colour recipe"),
    Column("quality", "str", "", "meta.code.qual", "verdict on the image: pass, warn or fail; empty = not judged"),
)


def zoobot_table(rows: Table, survey: str, options: PublishOptions) -> Table:
    """Make the Zoobot catalog.

    Parameters
    ----------
    rows
        PUBLISH_COLUMNS of `rows`, one row an image.
    survey
        The survey's name.
    options
        `split_cell_arcmin` and `test_share`.

    Returns
    -------
    Table
        ZOOBOT_COLUMNS. Rows of one group are on one side: the cell of its first row decides.
    """
    images = np.asarray(rows["image"]).tolist()
    parts = [image.split("/") for image in images]
    values = {
        "file_loc": images,
        "filename": [p[-1] for p in parts],
        "subfolder": ["/".join(p[1:-1]) for p in parts],
        "file_loc_fits": np.asarray(rows["cutout"]),
        "r50_arcsec": np.asarray(rows["r50"]),
        "split": _splits(rows, options),
        "survey": np.full(len(rows), survey),
        "recipe_hash": np.asarray(rows["recipe_digest"]),
        "quality": np.asarray(rows["verdict"]),
    }
    same = {c.name: np.asarray(rows[c.name]) for c in ZOOBOT_COLUMNS if c.name not in values}
    return apply_columns(Table({**same, **{n: np.asarray(v) for n, v in values.items()}}), ZOOBOT_COLUMNS)


def absolute_file_locs(table: Table, survey_folder: str | PathLike[str]) -> Table:
    """Return a copy whose `file_loc` and `file_loc_fits` are absolute paths, as Zoobot's loaders want them.

    Parameters
    ----------
    table
        A Zoobot catalog.
    survey_folder
        Where the survey's folder is on this machine.
    """
    root = Path(survey_folder).resolve()
    made = table.copy()
    for name in ("file_loc", "file_loc_fits"):
        made[name] = [str(root / path) if path else "" for path in np.asarray(table[name]).tolist()]
    return made


def sky_cells(ra_deg: NDArray[np.float64], dec_deg: NDArray[np.float64], side_arcmin: float) -> list[tuple[int, int]]:
    """Find the cell of each position: rings of equal height, cut into cells about as wide as they are high.

    Parameters
    ----------
    ra_deg, dec_deg
        (n,) ICRS positions.
    side_arcmin
        Side of a cell.

    Returns
    -------
    list of (ring, cell)
        Integers that depend on the position and the side alone.
    """
    ring = np.floor((dec_deg + 90.0) * 60.0 / side_arcmin).astype(np.int64)
    middle = np.deg2rad((ring + 0.5) * side_arcmin / 60.0 - 90.0)
    count = np.maximum(1, np.floor(360.0 * 60.0 / side_arcmin * np.cos(middle))).astype(np.int64)
    cell = np.floor((ra_deg % 360.0) / 360.0 * count).astype(np.int64)
    return list(zip(ring.tolist(), np.minimum(cell, count - 1).tolist(), strict=True))


def _splits(rows: Table, options: PublishOptions) -> NDArray[np.str_]:
    ra, dec = np.asarray(rows["ra"], dtype=np.float64), np.asarray(rows["dec"], dtype=np.float64)
    cells = sky_cells(ra, dec, options.split_cell_arcmin)
    _, first, group = np.unique(np.asarray(rows["group_id"]), return_index=True, return_inverse=True)
    sides = np.array([_side(cells[row], options.test_share) for row in first.tolist()], dtype="U5")
    return sides[group]


def _side(cell: tuple[int, int], test_share: float) -> str:
    draw = int.from_bytes(hashlib.sha256(f"{cell[0]}:{cell[1]}".encode()).digest()[:8]) / 2.0**64
    return "test" if draw < test_share else "train"
