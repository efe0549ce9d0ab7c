"""The rows that are handed over: one for each image, with what the catalog and the image's maker know of it.

Manifests, the Zoobot catalog and the report's sheets are all made from this one table. Here nothing is measured and
no file is opened.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from astropy.table import Table

from gzjwst_core.errors import CatalogError
from gzjwst_core.images.record import ImageRecord
from gzjwst_core.storage.tables import Column, apply_columns

__all__ = ["FROM_CATALOG", "PUBLISH_COLUMNS", "ImageRecord", "join_rows", "with_verdicts"]


PUBLISH_COLUMNS = (
    Column("id_str", "str", "", "meta.id;meta.main", "name of the source"),
    Column("group_id", "int64", "", "meta.id.assoc", "one number for one sky object over all fields"),
    Column("field", "str", "", "meta.id;obs.field", "field the image was cut from"),
    Column("ra", "float64", "deg", "pos.eq.ra;meta.main", "right ascension, ICRS"),
    Column("dec", "float64", "deg", "pos.eq.dec;meta.main", "declination, ICRS"),
    Column("mag_ref", "float32", "mag", "phot.mag", "total AB magnitude in the reference band"),
    Column("r50", "float32", "arcsec", "phys.angSize", "radius with 50 % of the light"),
    Column("flags", "uint32", "", "meta.code.qual", "bits of the catalog's Flag"),
    Column("ext_id", "str", "", "meta.id.cross", "identifier in the table of targets, if it came from one"),
    Column("image", "str", "", "meta.ref.url", "the image, relative to the survey's folder"),
    Column("cutout", "str", "", "meta.ref.url", "its cutout, relative to the survey's folder"),
    Column("strip", "str", "", "meta.ref.url", "its strip of single bands, relative to the survey's folder"),
    Column("strip_bands", "str", "", "instr.filter", "bands of the strip from left to right"),
    Column("panels", "str", "", "meta.note", "boxes of the panels, where the image is a grid"),
    Column("size_bytes", "int64", "byte", "meta.file", "size of the image's file"),
    Column("fov_rule", "str", "", "meta.id", "rule of the field of view: what size_arcsec is; empty = not known"),
    Column("fov_arcsec", "float64", "arcsec", "instr.fov", "side of the square of sky that is seen"),
    Column("size_arcsec", "float64", "arcsec", "phys.angSize", "size that the field of view follows; NaN = none"),
    Column("floor_arcsec", "float64", "arcsec", "instr.fov;stat.min", "least that shows the whole source; NaN = none"),
    Column("pixscale_arcsec", "float64", "arcsec", "instr.pixel", "scale of the image's own pixels"),
    Column("coverage_min", "float64", "", "stat.value", "smallest part with data over the bands of the colour"),
    Column("filters_rgb", "str", "", "instr.filter", "bands of the channels"),
    Column("filled", "str", "", "instr.filter", "channels without data, filled from their neighbours"),
    Column("recipe", "str", "", "meta.id", "colour recipe"),
    Column("recipe_digest", "str", "", "meta.id", "digest of the recipe and its pinned colour"),
    Column("verdict", "str", "", "meta.code.qual", "pass, warn or fail; empty = not judged"),
    Column("reasons", "str", "", "meta.note", "what is outside its limits, such as fill:above"),
)
FROM_CATALOG = ("id_str", "group_id", "field", "ra", "dec", "mag_ref", "r50", "flags", "ext_id")


_VERDICT = ("verdict", "reasons")


def join_rows(catalog: Table, images: Sequence[ImageRecord]) -> Table:
    """Join images to their catalog rows.

    Parameters
    ----------
    catalog
        The survey catalog, with unique `id_str`.
    images
        The images that exist, in any order.

    Returns
    -------
    Table
        PUBLISH_COLUMNS, one row an image, in the catalog's order.

    Raises
    ------
    CatalogError
        An image is named twice, or is of no row of the catalog; names it.
    """
    place = {name: row for row, name in enumerate(np.asarray(catalog["id_str"]).tolist())}
    by_row: dict[int, ImageRecord] = {}
    for image in images:
        row = place.get(image.id_str)
        if row is None or row in by_row:
            problem = "of no row of the catalog" if row is None else "named twice"
            raise CatalogError(f"image {image.image} ({image.id_str}) is {problem}")
        by_row[row] = image
    rows = sorted(by_row)
    values: dict[str, Any] = {name: np.asarray(catalog[name])[rows] for name in FROM_CATALOG}
    for column in PUBLISH_COLUMNS:
        if column.name in _VERDICT:
            values[column.name] = np.full(len(rows), "", dtype=np.str_)
        elif column.name not in values:
            told = [getattr(by_row[row], column.name) for row in rows]
            values[column.name] = np.array(told, dtype=column.dtype)
    return apply_columns(Table(values), PUBLISH_COLUMNS)


def with_verdicts(rows: Table, judged: Table | None) -> Table:
    """Put the verdicts on images into their rows.

    Parameters
    ----------
    rows
        PUBLISH_COLUMNS.
    judged
        With id_str, verdict and reasons, in any order; None = no image was judged.
    """
    if judged is None:
        return rows
    columns = zip(*(np.asarray(judged[name]).tolist() for name in ("id_str", *_VERDICT)), strict=True)
    found = {name: told for name, *told in columns}
    told = [found.get(name, ["", ""]) for name in np.asarray(rows["id_str"]).tolist()]
    for i, name in enumerate(_VERDICT):
        rows[name] = np.array([one[i] for one in told], dtype=np.str_)
    return apply_columns(rows, PUBLISH_COLUMNS)
