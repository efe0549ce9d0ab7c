"""Two passes over one window: bright extended galaxies whole, then everything else. Arrays in, arrays out.

The cold pass finds what is bright and large and hardly parts it; the hot pass is the usual recipe. A hot object whose
peak lies on a cold object, or within a stated margin of it, is a piece of it: its pixels are given to the cold object
and its row is dropped. All other hot objects stay (Rix et al. 2004; Barden et al. 2012 drop by ellipse, this by pixel).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from gzjwst_core.detection.detect import Extraction

__all__ = ["linked_pixels", "merge_passes"]


def linked_pixels(passes: Sequence[Extraction], margin_px: float) -> NDArray[np.bool_]:
    """Return the pixels through which objects of all passes hang together: segments, and the margin of cold ones."""
    linked = passes[-1].labels > 0
    if len(passes) == 2 and len(passes[0].objects):
        linked |= distance_transform_edt(passes[0].labels == 0) <= margin_px
    return linked


def merge_passes(passes: Sequence[Extraction], margin_px: float) -> Extraction:
    """Put the passes over one window together.

    Parameters
    ----------
    passes
        One, which is returned, or cold and hot.
    margin_px
        How far beyond a cold segment hot peaks still belong to it, pixels.

    Returns
    -------
    Extraction
        Cold objects, then the hot ones that stay. A cold object has its own pixels and, of dropped hot objects, those
        that are nearer to it than to other cold objects; a hot object those of its pixels that no cold one has.
    """
    cold, hot = passes[0], passes[-1]
    if len(passes) == 1 or len(cold.objects) == 0:
        return hot
    distance, nearest = distance_transform_edt(cold.labels == 0, return_indices=True)
    peaks = hot.objects["ycpeak"], hot.objects["xcpeak"]
    dropped = np.concatenate([[False], distance[peaks] <= margin_px])
    number = np.where(dropped, 0, len(cold.objects) + np.cumsum(~dropped) - 1)
    number[0] = 0
    labels = np.where(cold.labels > 0, cold.labels, number[hot.labels])
    pieces = dropped[hot.labels] & (cold.labels == 0)
    labels[pieces] = cold.labels[nearest[0][pieces], nearest[1][pieces]]
    kept = hot.objects[~dropped[1:]]
    return Extraction(np.concatenate([cold.objects, kept]), np.ascontiguousarray(labels, dtype=np.int32))
