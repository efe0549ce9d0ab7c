"""photutils: Background2D, convolve, detect_sources, deblend_sources, SourceCatalog.

Same threshold map, kernel, area, levels, contrast and mesh as ours; Kron parameters, neighbour correction and the
rest as photutils has them. Errors are the files' own ERR planes, as its documentation advises.
"""

import time
import warnings

import numpy as np
from astropy.convolution import convolve
from numpy.typing import NDArray
from photutils.background import Background2D  # type: ignore[import-untyped, unused-ignore]
from photutils.segmentation import (  # type: ignore[import-untyped, unused-ignore]
    SegmentationImage,
    SourceCatalog,
    deblend_sources,
    detect_sources,
)

from tests.bench.truth_table.found import Found, Image, Shared
from tests.bench.truth_table.skies import APERTURES

__all__ = ["with_photutils"]


def with_photutils(shared: Shared) -> Found:
    """Detect on the shared stack, measure on each band with the detection's apertures."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of single bad sources: what comes out is scored
        begun = time.process_time()
        sub, smooth, segments = _detect(shared.sub, shared)
        found = SourceCatalog(sub, segments, convolved_data=smooth, error=shared.err, mask=shared.bad)
        x, y = np.asarray(found.x_centroid), np.asarray(found.y_centroid)
        radius = np.asarray(found.flux_radius(0.5).value) * shared.scale
        total, aperture = {}, {}
        for name, band in shared.bands.items():
            image = band.sci - _background(band.sci, band.bad, shared)
            there = SourceCatalog(image, segments, error=band.err, mask=band.bad, detection_catalog=found)
            total[name] = np.asarray(there.kron_flux)
            for diameter in APERTURES:
                flux, error = there.circular_photometry(diameter / 2 / shared.scale)
                aperture[name, diameter] = (np.asarray(flux), np.asarray(error))
        seconds = time.process_time() - begun
        holes = _detect(-shared.sub, shared)[2]
    return Found(x, y, total, aperture, radius, "r50_stack", seconds, holes.n_labels if holes else 0)


def _background(image: Image, bad: NDArray[np.bool_], shared: Shared) -> Image:
    mesh = shared.mesh_px()
    return np.asarray(Background2D(image, mesh, coverage_mask=bad).background, dtype=np.float32)


def _detect(image: Image, shared: Shared) -> tuple[Image, Image, SegmentationImage | None]:
    sub = image - _background(image, shared.bad, shared)
    smooth = np.asarray(convolve(sub, shared.kernel, boundary="extend"), dtype=np.float32)
    level = shared.threshold * shared.err
    segments = detect_sources(smooth, level, shared.area, mask=shared.bad)
    if segments is None:  # photutils' word for nothing
        return sub, smooth, None
    given = {"n_levels": shared.options.deblend_levels, "contrast": shared.options.deblend_contrast}
    segments = deblend_sources(smooth, segments, shared.area, **given, progress_bar=False)
    return sub, smooth, segments
