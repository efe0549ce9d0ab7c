"""SEP as its own tutorial uses it: defaults throughout, one number for the noise.

`Background()` with its 64 pixel mesh, `extract(1.5, err=globalrms)` with the 3 x 3 kernel, area 5, contrast 0.005,
then `kron_radius` within 6, `sum_ellipse` at 2.5 with circles of 1.75 px at least, `flux_radius`. No segmap.
"""

import time

import numpy as np
import sep
from numpy.typing import NDArray

from tests.bench.truth_table.found import Band, Found, Image, Shared
from tests.bench.truth_table.skies import APERTURES

__all__ = ["plain_sep"]

_LEAST_PX = 1.75


def plain_sep(shared: Shared) -> Found:
    """Detect on the shared stack, measure on each band."""
    begun = time.process_time()
    sep.set_extract_pixstack(10_000_000)
    sep.set_sub_object_limit(8192)
    image, objects = _detect(shared.sub, shared.bad)
    x, y = objects["x"], objects["y"]
    kron, _ = sep.kron_radius(image, x, y, objects["a"], objects["b"], objects["theta"], 6.0, mask=shared.bad)
    kron = np.where(np.isfinite(kron), kron, 0.0)
    flux = _kron_flux(image, objects, kron, shared.bad)
    radius, _ = sep.flux_radius(image, x, y, 6.0 * objects["a"], 0.5, normflux=flux, subpix=5, mask=shared.bad)
    total, aperture = {}, {}
    for name, band in shared.bands.items():
        sub, rms = _subtracted(band)
        total[name] = _kron_flux(sub, objects, kron, band.bad)
        for diameter in APERTURES:
            size = diameter / 2 / shared.scale
            flux, error, _ = sep.sum_circle(sub, x, y, size, err=rms, mask=band.bad)
            aperture[name, diameter] = (flux, error)
    seconds = time.process_time() - begun
    negative = len(_detect(-shared.sub, shared.bad)[1])
    return Found(x, y, total, aperture, radius * shared.scale, "r50_stack", seconds, negative)


def _detect(image: Image, bad: NDArray[np.bool_]) -> tuple[Image, NDArray[np.void]]:
    background = sep.Background(image, mask=bad)
    sub = image - background.back()
    objects: NDArray[np.void] = sep.extract(sub, 1.5, err=background.globalrms, mask=bad)
    objects["theta"] = np.clip(objects["theta"], -np.pi / 2 + 1e-7, np.pi / 2 - 1e-7)
    return sub, objects


def _subtracted(band: Band) -> tuple[Image, float]:
    background = sep.Background(band.sci, mask=band.bad)
    return band.sci - background.back(), float(background.globalrms)


def _kron_flux(
    image: Image, objects: NDArray[np.void], kron: NDArray[np.float64], bad: NDArray[np.bool_]
) -> NDArray[np.float64]:
    x, y, a, b, theta = (objects[name] for name in ("x", "y", "a", "b", "theta"))
    circle = kron * np.sqrt(a * b) < _LEAST_PX
    flux = np.zeros(x.size)
    flux[~circle], _, _ = sep.sum_ellipse(
        image, *(v[~circle] for v in (x, y, a, b, theta)), 2.5 * kron[~circle], subpix=1, mask=bad
    )
    flux[circle], _, _ = sep.sum_circle(image, x[circle], y[circle], _LEAST_PX, subpix=1, mask=bad)
    return flux
