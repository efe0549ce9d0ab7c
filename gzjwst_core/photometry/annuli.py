"""Light summed ring by ring, so that what is masked counts as the mean of the others at its own radius.

The mean over a whole ellipse would have the core's light in it, and a mask mostly lies at the rim. Which apertures are
summed like this is in `measure`. Arrays in, arrays out.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import sep
from numpy.typing import NDArray

from gzjwst_core.detection.calibrated_frame import Frame
from gzjwst_core.detection.regrid import Ellipses

__all__ = ["RINGS", "SAMPLES", "SAMPLE_RADII", "SUBPIX", "ring_light"]

Floats = NDArray[np.float64]

RINGS = 4
"""Into which an aperture is cut."""
SUBPIX = 5
SAMPLES = 64
SAMPLE_RADII = np.sqrt((np.arange(SAMPLES) + 0.5) / SAMPLES)
"""Of the points that are spread over an ellipse, in units of its axes; see `measure.sample_ellipses`."""


def ring_light(
    frame: Frame, masks: Mapping[str, Any], free: NDArray[np.bool_], ellipses: Ellipses, edges: tuple[float, float]
) -> tuple[Floats, Floats]:
    """Sum the light between two multiples of ellipses in rings of equal width.

    Parameters
    ----------
    frame, masks
        The window, and SEP's keywords for what is masked in it.
    free
        (n, 64) whether each point that is spread over the outer ellipse is not masked.
    ellipses
        (n,) in pixels.
    edges
        Inner and outer multiple.

    Returns
    -------
    flux, error
        (n,) uJy; NaN where a ring is masked all around. The error is that of uncorrelated noise, each ring's scaled to
        its whole area as its light is; SEP scales the variance, not the error: too little.
    """
    e, radius = ellipses, edges[1] * SAMPLE_RADII
    flux, variance = np.zeros((2, e.x.size))
    for inner, outer in pairwise(np.linspace(*edges, RINGS + 1).tolist()):
        light, naive, _ = sep.sum_ellipann(
            frame.sub, e.x, e.y, e.a, e.b, e.theta, inner, outer, err=frame.err, subpix=SUBPIX, **masks
        )
        here = free[:, (radius >= inner) & (radius < outer)]
        flux += light
        variance += naive**2 / np.maximum(here.mean(axis=1), 1 / here.shape[1])
    return flux, np.sqrt(variance)
