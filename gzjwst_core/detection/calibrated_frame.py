"""A band ready to be measured: background taken off, errors calibrated, gaps marked, in any window.

`BandModel` is what was learned of a mosaic, small enough to send to a worker; `band_frame` applies it to the planes of
a window. Arrays in, arrays out: opening and reading is `mosaics.reader`'s.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gzjwst_core.detection.background import Mesh
from gzjwst_core.detection.depth import SkyNoise
from gzjwst_core.mosaics.geometry import Box
from gzjwst_core.mosaics.reader import Window

__all__ = ["BandModel", "Frame", "band_frame", "raw_error"]


@dataclass(frozen=True, slots=True)
class Frame:
    """One window of a band or of the detection image, (ny, nx); uJy per pixel of its own grid."""

    sub: NDArray[np.float32]
    """Background subtracted; 0 where bad."""
    err: NDArray[np.float32]
    """Calibrated noise of a pixel; 0 where bad."""
    bad: NDArray[np.bool_]
    """No coverage."""
    wht: NDArray[np.float32] | None = None
    """Weights as in the file; 0 where bad."""


@dataclass(frozen=True)
class BandModel:
    """What was learned of one mosaic.

    Attributes
    ----------
    mesh
        Background and its noise.
    err_factor
        Calibrated noise / noise map (ERR, or the root of 1 / weights; 1 without either), measured on empty sky. It
        multiplies sources' photon noise too: what it mends is what drizzling does to the variance of every pixel alike,
        and one image cannot tell the parts of ERR apart.
    sigma
        Median calibrated noise of a pixel, uJy.
    noise
        Noise of the sky in cells of the mosaic, and the laws of sums of pixels.
    wht_median
        Median weight; NaN without weights.
    has_err
        There is an error map.
    """

    mesh: Mesh
    err_factor: float = 1.0
    sigma: float = float("nan")
    noise: SkyNoise = field(default_factory=lambda: SkyNoise(1, np.full((1, 1), np.nan)))
    wht_median: float = float("nan")
    has_err: bool = True

    @property
    def has_noise_map(self) -> bool:
        """There is an error map, or weights to make one of: `err_factor` was measured on it."""
        return self.has_err or bool(np.isfinite(self.wht_median))


def raw_error(window: Window, mesh: Mesh | None, box: Box) -> NDArray[np.float32]:
    """Return the best noise map there is before calibration, (ny, nx).

    The error plane; else the weights as inverse variances; else the rms of the background (1 before it is known).
    """
    if window.err is not None:
        return window.err
    if window.wht is not None:
        root = np.sqrt(window.wht)
        return np.divide(1, root, out=np.full_like(root, np.nan), where=root > 0)
    return np.ones_like(window.sci) if mesh is None else mesh.rms_in(box)


def band_frame(window: Window, model: BandModel, box: Box) -> Frame:
    """Prepare a window of a band for measurement.

    Parameters
    ----------
    window
        The planes of `box`, uJy per pixel.
    model
        What was learned of the mosaic.
    box
        Where the window lies on the mosaic.
    """
    bad = ~np.isfinite(window.sci)
    sub = window.sci - model.mesh.back_in(box)
    err = raw_error(window, model.mesh, box) * np.float32(model.err_factor)
    bad |= ~(err > 0)
    sub[bad], err[bad] = 0, 0
    return Frame(np.ascontiguousarray(sub), np.ascontiguousarray(err), bad, window.wht)
