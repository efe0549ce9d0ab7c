"""The light of injected galaxies on one mosaic: Sersic profiles through the PSF, added to a plane of light.

Arrays in, arrays out. Which galaxies is in `injected`; the files that hold the light are `injection`'s.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from astropy.table import Table
from astropy.wcs import WCS
from numpy.typing import NDArray

from gzjwst_core.mosaics.geometry import Box, sky_jacobian
from gzjwst_core.mosaics.pixels import PixelFile
from gzjwst_core.psf.sersic import sersic_stamp
from gzjwst_core.psf.stamp import Psf, resampled

__all__ = ["GridPlaces", "add_galaxies", "galaxy_light", "grid_places", "kernels"]

Floats = NDArray[np.float64]
Kernels = Mapping[int, NDArray[np.float32]]

_FINE, _SMALL_PX = 3, 5.0


@dataclass(frozen=True, slots=True)
class GridPlaces:
    """Where galaxies lie on a grid."""

    x: Floats
    """(n,) 0-based pixels."""
    y: Floats
    major: Floats
    """(n, 2) unit vectors (x, y) along their major axes."""


def grid_places(wcs: WCS, galaxies: Table) -> GridPlaces:
    """Bring places and position angles (`ra`, `dec`, `pa`, deg) onto a grid."""
    ra, dec, pa = (np.asarray(galaxies[name], dtype=float) for name in ("ra", "dec", "pa"))
    x, y = (np.asarray(v) for v in wcs.all_world2pix(ra, dec, 0, quiet=True))
    sky = np.column_stack([np.sin(np.radians(pa)), np.cos(np.radians(pa))])[:, :, None]
    step = (np.linalg.inv(sky_jacobian(wcs, x, y)) @ sky)[:, :, 0]
    return GridPlaces(x, y, step / np.hypot(*step.T)[:, None])


def galaxy_light(
    *, n: float, r50_px: float, axis_ratio: float, major: tuple[float, float], centre: tuple[float, float], psf: Kernels
) -> NDArray[np.float32]:
    """Draw one galaxy of unit flux as its mosaic shows it.

    Parameters
    ----------
    n, r50_px, axis_ratio, major
        As for `sersic_stamp`, in pixels of the mosaic.
    centre
        Offset (x, y) from the middle pixel, at most half a pixel.
    psf
        From `kernels`.

    Returns
    -------
    ndarray of float32
        Square, of odd side, axis order (y, x); sums to one but for what sampling leaves.

    Notes
    -----
    Small galaxies are drawn and convolved on pixels a third as wide, and read off at the middles of the mosaic's: the
    PSF holds the pixel's width already, and would have it twice otherwise.
    """
    from scipy.signal import fftconvolve  # noqa: PLC0415 - a second of imports, which few runs need

    fine = _FINE if r50_px < _SMALL_PX else 1
    offset = (centre[0] * fine, centre[1] * fine)
    stamp = sersic_stamp(n=n, r50_px=r50_px * fine, axis_ratio=axis_ratio, major=major, centre=offset)
    light = fftconvolve(stamp, psf[fine], mode="full")
    first = light.shape[0] // 2 % fine
    return np.asarray(light[first::fine, first::fine] * fine**2, dtype=np.float32)


def kernels(psf: Psf) -> Kernels:
    """Return the PSF on its own pixels, and on those that small galaxies are drawn on."""
    return {fine: resampled(psf, psf.scale_arcsec / fine).pixels for fine in (1, _FINE)}


def add_galaxies(plane: PixelFile | NDArray[np.float32], galaxies: Table, wcs: WCS, band: str, psf: Psf) -> None:
    """Add galaxies to a plane of light.

    Parameters
    ----------
    plane
        (ny, nx) uJy per pixel, changed in place; of a file, only what is touched is written.
    galaxies
        `ra`, `dec`, `pa` (deg), `r50` (arcsec), `sersic_n`, `axis_ratio` and `<band>_flux_in` (uJy).
    wcs
        Of the plane.
    band
        Whose fluxes.
    psf
        On the plane's pixels.
    """
    places, sampled = grid_places(wcs, galaxies), kernels(psf)
    shape = (plane.shape[0], plane.shape[1])
    for number in np.flatnonzero(np.asarray(galaxies[f"{band}_flux_in"]) > 0):
        row, (x, y) = galaxies[number], (float(places.x[number]), float(places.y[number]))
        column, line = round(x), round(y)
        light = galaxy_light(
            n=float(row["sersic_n"]),
            r50_px=float(row["r50"]) / psf.scale_arcsec,
            axis_ratio=float(row["axis_ratio"]),
            major=(float(places.major[number, 0]), float(places.major[number, 1])),
            centre=(x - column, y - line),
            psf=sampled,
        )
        box = Box(line, line + 1, column, column + 1).grow(light.shape[0] // 2)
        inside = box.clip(shape)
        flux = np.float32(row[f"{band}_flux_in"])
        plane[inside.slices] += light[inside.shift(-box.y0, -box.x0).slices] * flux
