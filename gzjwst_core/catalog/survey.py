"""The survey level: field catalogs in; out come astrometry, the survey catalog with its names, and what overlaps tell.

Tables in, tables out, in the order in which a referee would ask: how do the fields lie, which detections are one
object, what is it called, and would another look find it again. Reading and writing is `stages`.
"""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from gzjwst_core.catalog.astrometry import align, aligned, compare_with, is_compact, solve
from gzjwst_core.catalog.carried_ids import NameCounts, name_counts
from gzjwst_core.catalog.merge import EarlierRelease, merge_rows, stack
from gzjwst_core.catalog.reproducibility import reproducibility
from gzjwst_core.mosaics.shift import NO_SHIFT, SkyShift
from gzjwst_core.options import AstrometryOptions, MergeOptions

__all__ = ["Survey", "SurveySections", "build_survey"]

Places = tuple[NDArray[np.float64], NDArray[np.float64]]


class SurveySections(Protocol):
    """The sections of a profile that are read here."""

    @property
    def name(self) -> str:
        """The survey's name."""

    @property
    def merge(self) -> MergeOptions:
        """What is one sky object."""

    @property
    def astrometry(self) -> AstrometryOptions:
        """What is done about offsets."""


class Survey(NamedTuple):
    """What there is to say of a survey."""

    catalog: Table
    astrometry: Table
    """ASTROMETRY_COLUMNS."""
    overlap: Table
    """OVERLAP_COLUMNS."""
    shifts: Mapping[str, SkyShift]
    """What was added to the positions of a field; fields that stayed where they were are not in it."""
    names: NameCounts | None
    """What became of the names of an earlier release, if there is one."""


def build_survey(
    tables: Mapping[str, Table],
    sections: SurveySections,
    *,
    reference: Table | None = None,
    earlier: Table | None = None,
) -> Survey:
    """Make the survey's tables out of the fields'.

    Parameters
    ----------
    tables
        Field catalogs by field, as for `merge.stack`.
    sections
        The profile.
    reference
        ra, dec, mag: what positions are compared with.
    earlier
        id_str, ra, dec, is_primary of a release whose names are carried over.

    Raises
    ------
    CatalogError
        As `merge.stack`.

    Notes
    -----
    The offsets between fields are taken off before detections are matched, whether positions are corrected or not.
    """
    rows, options = stack(tables), sections.astrometry
    alignment = align(rows, list(tables), reference, options)
    places = aligned(rows, alignment.solved)
    shifts = {field: one.shift for field, one in sorted(alignment.solved.items()) if one.shift != NO_SHIFT}
    if options.remove:
        rows["ra"][:], rows["dec"][:] = places
    release = None if earlier is None else EarlierRelease(earlier, _in_frame_of(earlier, rows, options))
    catalog = merge_rows(rows, places, sections.name, sections.merge, earlier=release)
    return Survey(
        catalog=catalog,
        astrometry=alignment.table(removed=options.remove),
        overlap=reproducibility(rows, places, sections.merge.radius_arcsec),
        shifts=shifts if options.remove else {},
        names=None if earlier is None else name_counts(np.asarray(catalog["id_str"]), earlier),
    )


def _in_frame_of(earlier: Table, rows: Table, options: AstrometryOptions) -> Places:
    """Return the rows' positions in the frame of an earlier release: each field's offset from it is taken off."""
    known = earlier[np.isfinite(earlier["ra"])]
    like = Table({"ra": known["ra"], "dec": known["dec"], "mag": np.full(len(known), np.nan)})
    fields = np.unique(np.asarray(rows["field"])).tolist()
    return aligned(rows, solve(fields, compare_with(rows[is_compact(rows)], like, options)))
