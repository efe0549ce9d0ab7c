"""The field of view of a cutout: how much sky a volunteer sees around a galaxy.

Arrays of sizes in, arrays of fields of view out. Where a cutout lies on a mosaic is `place`, not here.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gzjwst_core.options import CutoutOptions

__all__ = ["fov_arcsec", "fov_steps", "quantise"]

_KRON_FACTOR = 3.0


def fov_arcsec(columns: Mapping[str, Any], options: CutoutOptions) -> NDArray[np.float64]:
    """Field of view of each source.

    Parameters
    ----------
    columns
        A catalog (astropy Table, dict of arrays) with the column the rule reads: `bbox_diagonal` or `kron_a`, arcsec;
        and perhaps `ext_fov`, which takes the rule's place where it is finite.
    options
        Rule, factor, limits and steps.

    Returns
    -------
    ndarray of float64, (n,)
        Side of the square that is seen, arcsec. A size that is not finite (a target without a segment) counts as the
        smallest.

    Notes
    -----
    `bbox`: fov_factor x the diagonal of the segment's bounding box, measured in
    facts as the rule with the fewest galaxies too tight or too tiny. `kron`: 3 x the Kron ellipse's semi-major axis.
    Both are clipped to the limits and rounded up to one of `fov_steps` sizes, so that images are comparable.
    """
    wanted = _stated(columns)
    if wanted is None or not np.isfinite(wanted).all():
        by_rule = _by_rule(columns, options)
        wanted = by_rule if wanted is None else np.where(np.isfinite(wanted), wanted, by_rule)
    wanted = np.where(np.isfinite(wanted), wanted, options.fov_min_arcsec)
    return quantise(np.clip(wanted, options.fov_min_arcsec, options.fov_max_arcsec), options)


def _stated(columns: Mapping[str, Any]) -> NDArray[np.float64] | None:
    there = "ext_fov" in getattr(columns, "colnames", columns)
    return np.asarray(columns["ext_fov"], dtype=np.float64) if there else None


def _by_rule(columns: Mapping[str, Any], options: CutoutOptions) -> NDArray[np.float64]:
    if options.fov_rule == "bbox":
        return options.fov_factor * np.asarray(columns["bbox_diagonal"], dtype=np.float64)
    return _KRON_FACTOR * np.asarray(columns["kron_a"], dtype=np.float64)


def fov_steps(options: CutoutOptions) -> NDArray[np.float64]:
    """Sizes that are used, ascending, arcsec; empty when nothing is rounded.

    Notes
    -----
    Evenly spaced in the logarithm, both limits included, and given to 0.01 arcsec so that they read well; one step
    means the upper limit alone.
    """
    if options.fov_steps == 0:
        return np.empty(0)
    if options.fov_steps == 1:
        return np.array([options.fov_max_arcsec])
    inner = np.round(np.geomspace(options.fov_min_arcsec, options.fov_max_arcsec, options.fov_steps), 2)
    inner[0], inner[-1] = options.fov_min_arcsec, options.fov_max_arcsec
    return inner


def quantise(sizes_arcsec: ArrayLike, options: CutoutOptions) -> NDArray[np.float64]:
    """Round sizes within the limits up to the next step."""
    sizes = np.asarray(sizes_arcsec, dtype=np.float64)
    steps = fov_steps(options)
    if steps.size == 0:
        return sizes
    # a size that equals a step but for the last bits stays on it
    above = np.searchsorted(steps, sizes * (1 - 1e-9), side="left")
    return steps[np.minimum(above, steps.size - 1)]
