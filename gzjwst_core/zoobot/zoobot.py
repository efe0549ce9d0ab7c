"""The Zoobot catalog: one parquet row an image, with the columns that galaxy-datasets reads.

Its loader takes `id_str` and `file_loc` of a pandas table, opens what ends in jpg, jpeg or png with PIL and what ends
in fits with astropy (2-D in HDU 0, one channel, local files only). Images stay where they are; paths are relative to
the survey's folder, and `absolute_file_locs` joins the two. Which side of the split a row is on is `split`.
"""

from collections.abc import Collection, Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from gzjwst_core.errors import StorageError
from gzjwst_core.options import PublishOptions
from gzjwst_core.storage.folder import Folder
from gzjwst_core.storage.tables import Column, apply_columns
from gzjwst_core.zoobot.single_band import single_path
from gzjwst_core.zoobot.split import sides_of, split_rule

__all__ = ["ZOOBOT_COLUMNS", "absolute_file_locs", "zoobot_columns", "zoobot_splits", "zoobot_table"]

T = TypeVar("T", bound=Any)

ZOOBOT_COLUMNS = (
    Column("id_str", "str", "", "meta.id;meta.main", "unique name, the key that labels join on"),
    Column("file_loc", "str", "", "meta.ref.url", "image, relative to the survey's folder"),
    Column("filename", "str", "", "meta.id", "the image's name"),
    Column("subfolder", "str", "", "meta.id", "its folder below images/"),
    Column("file_loc_fits", "str", "", "meta.ref.url", "cutout (2-D pixels in HDU 0), relative to the survey's folder"),
    Column("ra", "float64", "deg", "pos.eq.ra;meta.main", "right ascension, ICRS"),
    Column("dec", "float64", "deg", "pos.eq.dec;meta.main", "declination, ICRS"),
    Column("fov_arcsec", "float64", "arcsec", "instr.fov", "side of the square of sky that is seen"),
    Column("size_arcsec", "float64", "arcsec", "phys.angSize", "size that the field of view follows; NaN = none"),
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
"""Of every catalog; `zoobot_columns` tells what one with single bands has besides."""


def zoobot_columns(options: PublishOptions) -> tuple[Column, ...]:
    """Columns of the Zoobot catalog."""
    singles = tuple(
        Column(f"file_loc_{band}", "str", "", "meta.ref.url", f"{band} alone as FITS, where there is one; as file_loc")
        for band in options.zoobot_fits
    )
    return (*ZOOBOT_COLUMNS, *singles)


def zoobot_table(
    rows: Table,
    survey: str,
    options: PublishOptions,
    *,
    singles: Collection[str] = (),
    earlier: Table | None = None,
) -> Table:
    """Make the Zoobot catalog.

    Parameters
    ----------
    rows
        PUBLISH_COLUMNS of `rows`, one row an image; with `verdict` where images were judged.
    survey
        The survey's name.
    options
        `split_cell_arcmin`, `test_share` and `zoobot_fits`.
    singles
        Paths of the single-band files that exist, as `single_band.single_path` makes them.
    earlier
        What is remembered of hand-overs before this one (`split.remembered`): who is in it stays on its side.

    Returns
    -------
    Table
        `zoobot_columns`; `file_loc_<band>` is empty where there is no such file. Rows of one group are on one side.
    """
    images = np.asarray(rows["image"]).tolist()
    parts = [image.split("/") for image in images]
    values = {
        "file_loc": images,
        "filename": [p[-1] for p in parts],
        "subfolder": ["/".join(p[1:-1]) for p in parts],
        "file_loc_fits": np.asarray(rows["cutout"]),
        "r50_arcsec": np.asarray(rows["r50"]),
        "split": sides_of(rows, options, earlier),
        "survey": np.full(len(rows), survey),
        "recipe_hash": np.asarray(rows["recipe_digest"]),
        "quality": np.asarray(rows["verdict"]),
        **{f"file_loc_{band}": _single_locs(rows, band, singles) for band in options.zoobot_fits},
    }
    columns = zoobot_columns(options)
    same = {c.name: np.asarray(rows[c.name]) for c in columns if c.name not in values}
    made = Table({**same, **{n: np.asarray(v) for n, v in values.items()}}, meta=split_rule(options))
    return apply_columns(made, columns)


def _single_locs(rows: Table, band: str, singles: Collection[str]) -> NDArray[np.str_]:
    paths = [single_path(cutout, band) for cutout in np.asarray(rows["cutout"]).tolist()]
    return np.array([path if path in singles else "" for path in paths], dtype=str)


def zoobot_splits(catalog: T) -> tuple[T, T]:
    """Return the rows to train on and those to test on.

    Parameters
    ----------
    catalog
        A Zoobot catalog, as astropy or pandas table.
    """
    split = np.asarray(catalog["split"])
    return catalog[split == "train"], catalog[split == "test"]


def absolute_file_locs(catalog: T, survey_folder: str | PathLike[str], columns: Sequence[str] | None = None) -> T:
    """Return a copy whose file locations are absolute paths, as Zoobot's loaders want them.

    Parameters
    ----------
    catalog
        A Zoobot catalog, as astropy or pandas table.
    survey_folder
        Where the survey's folder is on this machine.
    columns
        Which columns; None = every one that starts with `file_loc`. Empty cells stay empty.

    Raises
    ------
    StorageError
        The folder is on no local disk (`bad_url`), or files are not there (`not_found`; names the first, says how
        many).
    """
    root = Folder(fspath(survey_folder)).local()
    if root is None:
        raise StorageError(f"{survey_folder}: Zoobot reads local files only: copy the folder first", reason="bad_url")
    made: T = catalog.copy()
    paths: list[str] = []
    for name in columns or [name for name in catalog.columns if name.startswith("file_loc")]:
        made[name] = [str(root.resolve() / path) if path else "" for path in np.asarray(catalog[name]).tolist()]
        paths += [path for path in made[name] if path]
    missing = [path for path in paths if not Path(path).is_file()]
    if missing:
        said = f"{missing[0]} is not there ({len(missing)} of {len(paths)} files are missing)"
        raise StorageError(said, reason="not_found")
    return made
