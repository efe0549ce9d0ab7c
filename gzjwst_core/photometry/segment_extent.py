"""How far a source's own segment reaches from its position: what a frame around that position must hold.

Arrays in, arrays out, on one window of the detection image; positions and lengths are pixels of that window. The box of
a segment, which says nothing about where in it the position lies, is in `measure`.
"""

import numpy as np
from numpy.typing import NDArray

from gzjwst_core.photometry.measure import Scene, ranked_labels

__all__ = ["segment_reaches"]

Floats = NDArray[np.float64]


def segment_reaches(scene: Scene, x: Floats, y: Floats) -> Floats:
    """Measure from each position to the farthest corner of a pixel of the source's segment.

    Parameters
    ----------
    scene
        The sources' segments.
    x, y
        (n,) positions, 0-based.

    Returns
    -------
    ndarray of float64, (n,)
        Distance, in pixels; NaN where there is no pixel. A square of twice that side around the position holds the
        segment however it is turned.
    """
    ranks = ranked_labels(scene)
    rows, columns = np.nonzero(ranks)
    own = ranks[rows, columns] - 1
    found = np.zeros(scene.ids.size)
    np.maximum.at(found, own, np.hypot(np.abs(columns - x[own]) + 0.5, np.abs(rows - y[own]) + 0.5))
    return np.where(found > 0, found, np.nan)
