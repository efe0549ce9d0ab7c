"""The rows that are handed over: one for each image, with what the catalog and the image's maker know of it.

Manifests, the Zoobot catalog and the report's sheets are all made from this one table. Here nothing is measured and
no file is opened.
"""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

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
    Column("reasons", "str", "", "meta.note", "what made the verdict so, such as fill:above"),
)
FROM_CATALOG = ("id_str", "group_id", "field", "ra", "dec", "mag_ref", "r50", "flags", "ext_id")


_VERDICT = ("verdict", "reasons")
_FROM_IMAGE = tuple(column for column in PUBLISH_COLUMNS if column.name not in {*FROM_CATALOG, *_VERDICT})
_BLOCK = 5000


def join_rows(catalog: Table, images: Iterable[ImageRecord]) -> Table:
    """Join images to their catalog rows.

    Parameters
    ----------
    catalog
        The survey catalog, with unique `id_str`.
    images
        The images that exist, in any order; only some thousand of them are in memory at a time.

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
    left, rows = iter(images), np.zeros(0, dtype=np.int64)
    blocks: dict[str, list[Any]] = {c.name: [np.zeros(0, dtype=c.dtype)] for c in _FROM_IMAGE}
    while block := list(islice(left, _BLOCK)):
        rows = np.append(rows, [place.pop(image.id_str, -1) for image in block])
        _refuse_strange(catalog, block, rows[-len(block) :])
        for column in _FROM_IMAGE:
            blocks[column.name].append(np.array([getattr(one, column.name) for one in block], dtype=column.dtype))
    order = np.argsort(rows)
    values: dict[str, Any] = {name: np.asarray(catalog[name])[rows[order]] for name in FROM_CATALOG}
    values |= {name: np.concatenate(blocks.pop(name))[order] for name in list(blocks)}
    values |= dict.fromkeys(_VERDICT, np.full(len(rows), "", dtype=np.str_))
    return apply_columns(Table(values, copy=False), PUBLISH_COLUMNS)


def _refuse_strange(catalog: Table, images: Sequence[ImageRecord], rows: NDArray[np.int64]) -> None:
    """Refuse an image whose row was taken, or is not there."""
    for image in (image for image, row in zip(images, rows.tolist(), strict=True) if row < 0):
        problem = "named twice" if image.id_str in catalog["id_str"] else "of no row of the catalog"
        raise CatalogError(f"image {image.image} ({image.id_str}) is {problem}")


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
