"""Which parts of the sky a run needs pixels of: where a table of targets takes the place of detection, little of it.

The squares hold what a cutout of a target can reach: its field of view, and the margin that its sky is measured in.
"""

from functools import lru_cache

import numpy as np
from astropy.table import Table

from gzjwst_core.catalog.target_list import read_targets
from gzjwst_core.cutouts.fov import fov_arcsec
from gzjwst_core.cutouts.local_sky import sky_margin_px
from gzjwst_core.mosaics.rows import Places
from gzjwst_core.options import CutoutOptions, TargetOptions
from gzjwst_core.survey.run import SurveyRun

__all__ = ["places_of"]


def places_of(run: SurveyRun) -> Places:
    """Return the squares around a run's targets; those without a usable position are left out.

    Raises
    ------
    CatalogError, StorageError
        The table of targets cannot be read.
    """
    targets = _targets(run.targets, run.targets_digest, run.profile.targets)
    fov = _widest(targets, run.profile.cutouts)
    margin = np.array([sky_margin_px(size, 1.0) for size in fov])  # in pixels of one arcsec
    aperture = run.profile.photometry.total_growth * np.nan_to_num(np.asarray(targets["a_arcsec"]))
    return Places(np.asarray(targets["ra"]), np.asarray(targets["dec"]), np.maximum(fov / 2 + margin, aperture))


@lru_cache(maxsize=4)
def _targets(path: str, _digest: str, options: TargetOptions) -> Table:
    targets = read_targets(path, options)
    return targets[np.asarray(targets["reason"]) == ""]


def _widest(targets: Table, options: CutoutOptions) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    """Return the largest field of view that each target may get, arcsec: the stated one, else the limit."""
    stated = np.asarray(targets["fov_arcsec"], dtype=np.float64)
    return fov_arcsec({"ext_fov": np.where(np.isfinite(stated), stated, options.fov_max_arcsec)}, options)
