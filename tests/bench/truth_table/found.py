"""What a tool says about a field, in one shape for all tools; and the images that tools which take files are given.

`Found` is compared with the truth in `scores`. The detection image is ours, the same for everyone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from gzjwst_core.detection.calibrate import calibrate
from gzjwst_core.detection.detect import kernel_for
from gzjwst_core.detection.noise_model import learn_bands
from gzjwst_core.detection.tiles import DetectionPlan, detection_frame
from gzjwst_core.mosaics.geometry import whole
from gzjwst_core.mosaics.reader import open_mosaic
from gzjwst_core.options import DetectOptions, MosaicOptions
from tests.bench.truth_table.skies import DETECTION, TrueField

__all__ = ["Band", "Found", "Shared", "shared_images"]

Floats = NDArray[np.float64]
Image = NDArray[np.float32]


@dataclass(frozen=True)
class Found:
    """A tool's catalog of one field.

    Attributes
    ----------
    x, y
        0-based pixels of the long-wave grid.
    total
        Total flux by band, uJy.
    aperture
        (flux, error) in uJy by band and diameter.
    r50
        Half-light radius, arcsec.
    r50_of
        Column of the truth it is to be compared with.
    seconds
        CPU seconds of the positive image, everything the tool does.
    negative
        Detections on the negative image.
    smooth
        Its circles take the light inside a pixel as the neighbours tell: so does the truth they are held against then.
    """

    x: Floats
    y: Floats
    total: Mapping[str, Floats]
    aperture: Mapping[tuple[str, float], tuple[Floats, Floats]]
    r50: Floats
    r50_of: str
    seconds: float
    negative: int
    smooth: bool = False


@dataclass(frozen=True)
class Band:
    """One band on the long-wave grid as its file has it: background in it, uJy per pixel, errors not calibrated."""

    sci: Image
    err: Image
    bad: NDArray[np.bool_]


@dataclass(frozen=True)
class Shared:
    """What the peers are given.

    Attributes
    ----------
    sub, err, bad
        Our inverse-variance stack: background subtracted, uJy per pixel; calibrated noise; no coverage (both 0 there).
    threshold
        In units of `err`, for the filtered image.
    kernel
        The filter, unit sum.
    area
        Least number of pixels.
    options
        Our recipe's other settings.
    scale
        Arcsec per pixel.
    bands
        Images to measure fluxes on.
    """

    sub: Image
    err: Image
    bad: NDArray[np.bool_]
    threshold: float
    kernel: Image
    area: int
    options: DetectOptions
    scale: float
    bands: Mapping[str, Band]

    def mesh_px(self) -> int:
        """Side of a background mesh."""
        return round(self.options.mesh_arcsec / self.scale)


def shared_images(field: TrueField) -> Shared:
    """Make the images that every peer works on."""
    options, mosaics = DetectOptions(bands=DETECTION), MosaicOptions()
    sources = [field.source(band) for band in DETECTION]
    learned = learn_bands(sources, mosaics, options.mesh_arcsec, cpu_map=map)
    plan = calibrate(DetectionPlan(tuple(learned[band] for band in DETECTION), mosaics, options), cpu_map=map)
    frame = detection_frame(plan, whole(plan.shape))
    area = max(round(options.min_area_arcsec2 / plan.scale_arcsec**2), 4)
    kernel = kernel_for(options, plan.scale_arcsec)
    bands = {band: _band(field, band) for band in DETECTION}
    threshold = options.threshold * plan.filter_noise
    return Shared(frame.sub, frame.err, frame.bad, threshold, kernel, area, options, plan.scale_arcsec, bands)


def _band(field: TrueField, band: str) -> Band:
    with open_mosaic(field.source(band), MosaicOptions()) as reader:
        window = reader.windows(whole(reader.shape))
    if window.err is None:
        raise SystemExit(f"{band}: the sky has no error plane")
    bad = ~(np.isfinite(window.sci) & (window.err > 0))
    return Band(np.where(bad, np.float32(0), window.sci), np.where(bad, np.float32(0), window.err), bad)


def write_image(path: Any, image: NDArray[Any]) -> str:
    """Write a plain FITS image."""
    fits.writeto(path, np.asarray(image, dtype=np.float32), overwrite=True)
    return str(path)
