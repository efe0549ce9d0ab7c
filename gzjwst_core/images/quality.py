"""How good one image is, in numbers: what the report shows and a person would otherwise have to look for.

Pixels in, numbers out; whether an image passes is decided in `verdicts`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gzjwst_core.cutouts.place import carried
from gzjwst_core.cutouts.read import Cutout
from gzjwst_core.images.compose import Picture
from gzjwst_core.images.warp import picture_grid

__all__ = ["Measures", "labels_of", "measure"]

_BLACK, _WHITE = 2, 253
_BRIGHTER = 0.9
_ONE_SIGMA = (0.1587, 0.8413)


@dataclass(frozen=True, slots=True)
class Measures:
    """Measures of one image. Levels are of 255; NaN where there is nothing to measure."""

    black: float
    """Part of the pixels (gaps aside) that are black in every channel."""
    white: float
    """Part of them that are white in every channel."""
    sky_median: float
    """Median grey level of the sky: neither gap nor source."""
    sky_chroma: float
    """|R - B| of the sky's mean colour."""
    fill: float
    """Longer side of the target's segment, in units of the picture's side."""
    coverage: float
    """Part of the picture with data."""
    centring: float
    """Distance of the middle of the light above the sky in the target's segment from the centre, in units of the
    picture's side."""
    reach: float
    """Farthest that the target's segment reaches from the centre, 1 = an edge; a zoom by 1.4 shows up to 0.714."""
    contrast: float
    """Upper tenth of the target's grey levels above the upper tenth of the sky's, in units of the sky's noise."""


def measure(cutout: Cutout, picture: Picture) -> Measures:
    """Measure an image.

    Parameters
    ----------
    cutout
        What it was made from: its segments say where sky and target are.
    picture
        The image before encoding.
    """
    shape = picture.gap.shape
    labels = labels_of(cutout, shape)
    data = ~picture.gap
    sky = data & (labels == 0)
    red, green, blue = (np.ascontiguousarray(picture.rgb[..., i]) for i in range(3))
    grey = np.asarray((red.astype(np.uint16) + green + blue) / np.float32(3), dtype=np.float32)
    sky_median = _median(grey[sky])
    return Measures(
        black=_share(np.maximum(np.maximum(red, green), blue) <= _BLACK, data),
        white=_share(np.minimum(np.minimum(red, green), blue) >= _WHITE, data),
        sky_median=sky_median,
        sky_chroma=abs(_mean(red[sky]) - _mean(blue[sky])),
        fill=_fill(labels, cutout.segment_id),
        coverage=picture.coverage,
        centring=_centring(labels, cutout.segment_id, grey, sky_median),
        reach=_reach(labels, cutout.segment_id),
        contrast=_contrast(grey[data & (labels == cutout.segment_id) & (labels != 0)], grey[sky]),
    )


def labels_of(cutout: Cutout, shape: tuple[int, int]) -> NDArray[np.int32]:
    """Carry a cutout's segments to its picture of this shape; 0 = no source."""
    if cutout.seg is None or cutout.seg_placed is None:
        return np.zeros(shape, dtype=np.int32)
    return carried(cutout.seg, cutout.seg_placed, picture_grid(cutout.fov_arcsec, shape[0]), shape)


def _share(which: NDArray[np.bool_], of: NDArray[np.bool_]) -> float:
    total = np.count_nonzero(of)
    return float(np.count_nonzero(which & of) / total) if total else float("nan")


def _median(values: NDArray[np.float32]) -> float:
    return float(np.median(values)) if values.size else float("nan")


def _mean(values: NDArray[np.uint8]) -> float:
    return float(values.mean(dtype=np.float64)) if values.size else float("nan")


def _fill(labels: NDArray[np.int32], segment_id: int) -> float:
    own = labels == segment_id
    if segment_id == 0 or not own.any():
        return float("nan")
    rows, columns = np.flatnonzero(own.any(axis=1)), np.flatnonzero(own.any(axis=0))
    longer = max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1
    return float(longer / labels.shape[0])


def _centring(labels: NDArray[np.int32], segment_id: int, grey: NDArray[np.float32], sky: float) -> float:
    own = labels == segment_id
    if segment_id == 0 or not own.any():
        return float("nan")
    y, x = np.nonzero(own)
    light = np.maximum(grey[own].astype(np.float64) - np.nan_to_num(sky), 0) + 1e-9
    middle = (np.array(labels.shape) - 1) / 2
    away = np.array([(y * light).sum(), (x * light).sum()]) / light.sum() - middle
    return float(np.hypot(*away) / labels.shape[0])


def _reach(labels: NDArray[np.int32], segment_id: int) -> float:
    own = labels == segment_id
    if segment_id == 0 or not own.any():
        return float("nan")
    ends = [np.flatnonzero(own.any(axis=axis))[[0, -1]] for axis in (0, 1)]
    half = labels.shape[0] / 2
    return float((max(np.abs(end - (half - 0.5)).max() for end in ends) + 0.5) / half)


def _contrast(target: NDArray[np.float32], sky: NDArray[np.float32]) -> float:
    """Compare like with like: a target that is noise has the sky's own upper tenth, hence no contrast."""
    if target.size == 0 or sky.size == 0:
        return float("nan")
    low, high, brighter = np.quantile(sky, [*_ONE_SIGMA, _BRIGHTER]).tolist()
    noise = max((high - low) / 2, 1.0)  # finer than a level nothing is shown
    return float((np.quantile(target, _BRIGHTER) - brighter) / noise)
