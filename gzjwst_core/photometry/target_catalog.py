"""Targets instead of a survey's own sources: the catalog of one field for the places that a person brings.

Nothing is detected. Place and shape come from the table; light is measured there in every band, in the table's
ellipse, else in a circle of 3 half-light radii, stated or from growth of light. Every target gets a segment, and the
only neighbours kept out of an aperture are the segments of other targets. Background and noise are
learned from the mosaics (rows around targets, where only those are read). The list itself is read by `target_list`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from gzjwst_core.catalog.columns import catalog_columns
from gzjwst_core.catalog.target_list import FOV_OF_R50
from gzjwst_core.flag_bits import Flag
from gzjwst_core.models import MosaicSource
from gzjwst_core.mosaics.reader import open_mosaic
from gzjwst_core.mosaics.segmap import SegmapWriter
from gzjwst_core.options import MosaicOptions
from gzjwst_core.photometry.field_catalog import FieldCatalog, Sections, build_field_catalog
from gzjwst_core.photometry.target_layout import Layout, places_on
from gzjwst_core.runs.engine import CpuMap
from gzjwst_core.storage.tables import empty_table

__all__ = ["catalog_of_targets"]

_UNKNOWN = ("a", "b", "kron_factor", "star_score")
_UNKNOWN_IF_ROUND = ("theta_sky", "theta_image", "ellipticity")
_UNKNOWN_IN_BANDS = ("_ellipticity", "_theta_sky", "_star_score")


def catalog_of_targets(
    targets: Table,
    sources: Sequence[MosaicSource],
    profile: Sections,
    segmap_path: Path,
    *,
    bands: tuple[str, ...],
    moments: bool = False,
    cpu_map: CpuMap = map,
) -> FieldCatalog:
    """Measure the targets that lie in one field.

    Parameters
    ----------
    targets
        From `read_targets`; rows with a reason are left out.
    sources, profile, segmap_path, bands, cpu_map
        As for `build_field_catalog`.
    moments
        The list's `a_arcsec` and `b_arcsec` are second moments; else they are axes of an aperture.

    Returns
    -------
    FieldCatalog
        One row a target in the field, in the order of the list, all with flag TARGET and never taken for a star.
        `ext_id`, `which_catalogue`, `ra` and `dec` are the list's; so is `r50` where it states one, else it is
        measured; `ext_fov` is the stated field of view, else 12 r50. Targets within 0.175 arcsec of each other share
        one segment and its numbers. `counts` has `targets`, and `measured_shapes` among them, whose aperture is from
        growth of light. A field without targets is not looked at: no rows, no mosaics.

    Raises
    ------
    CatalogError, MosaicError
        As `build_field_catalog`.

    Notes
    -----
    In the field is what has data in a detection band within its segment. The second moments of targets are not
    measured: `a` and `b` are NaN. Light of neighbours that are no targets is not taken off.
    """
    if not _any_here(targets, sources, profile.mosaics):
        return _nothing(sources, profile, segmap_path, bands)
    layout = Layout(targets, profile.photometry, moments=moments, cpu_map=cpu_map)
    found = build_field_catalog(sources, profile, segmap_path, bands=bands, cpu_map=cpu_map, find=layout.find)
    table = _rows(found.table, targets, layout)
    unshaped = np.isnan(targets["a_arcsec"]) & np.isnan(targets["r50_arcsec"])
    grown = np.isin(table["ext_id"], targets["ext_id"][unshaped])
    counts = {**found.counts, "stars": 0, "targets": len(table), "measured_shapes": int(grown.sum())}
    return FieldCatalog(table, found.mosaics, found.reference_band, counts, found.depth)


def _any_here(targets: Table, sources: Sequence[MosaicSource], options: MosaicOptions) -> bool:
    for source in sources:
        with open_mosaic(source, options, check=False) as reader:
            if places_on(targets, reader.wcs, reader.shape).rows.size:
                return True
    return False


def _nothing(
    sources: Sequence[MosaicSource], profile: Sections, segmap_path: Path, bands: tuple[str, ...]
) -> FieldCatalog:
    with (
        open_mosaic(sources[0], profile.mosaics, check=False) as reader,
        SegmapWriter(segmap_path, reader.shape, reader.wcs),
    ):
        table = empty_table(catalog_columns(bands, profile.photometry, profile.psf))
        return FieldCatalog(table, Table(), reader.band, {"targets": 0, "measured_shapes": 0})


def _rows(table: Table, targets: Table, layout: Layout) -> Table:
    """Give every target its segment's row, and put in what the list states."""
    row_of = {segment: row for row, segment in enumerate(np.asarray(table["segment_id"]).tolist())}
    kept = np.array([segment in row_of for segment in layout.segments.tolist()], dtype=bool)
    made = table[np.array([row_of[segment] for segment in layout.segments[kept].tolist()], dtype=int)]
    mine = targets[layout.placed.rows[kept]]
    made["source_id"] = np.arange(1, len(made) + 1, dtype=made["source_id"].dtype)
    for name, values in (("x", layout.placed.x[kept]), ("y", layout.placed.y[kept])):
        made[name] = values
    for name in ("ra", "dec"):
        made[name][:] = mine[name]
    for name in ("ext_id", "which_catalogue"):
        _replace(made, name, np.asarray(mine[name]).astype(str))
    return _with_sizes(made, mine)


def _with_sizes(made: Table, mine: Table) -> Table:
    r50, fov = (np.asarray(mine[f"{name}_arcsec"], dtype=np.float64) for name in ("r50", "fov"))
    made["r50"][:] = np.where(np.isfinite(r50), r50, made["r50"])
    made["ext_fov"][:] = np.where(np.isfinite(fov), fov, FOV_OF_R50 * np.asarray(made["r50"]))
    made["flags"] |= np.uint32(Flag.TARGET)
    made["is_star"][:] = False
    for name in (*_UNKNOWN, *(n for n in made.colnames if n.endswith(_UNKNOWN_IN_BANDS))):
        made[name][:] = np.nan
    round_ = np.asarray(made["kron_a"]) == np.asarray(made["kron_b"])
    for name in _UNKNOWN_IF_ROUND:
        made[name][round_] = np.nan
    return made


def _replace(table: Table, name: str, values: NDArray[Any]) -> None:
    """Put in values of any length of text, and keep what the column says of itself."""
    old = table[name]
    table.replace_column(name, type(old)(values, name=name, unit=old.unit, description=old.description, meta=old.meta))
