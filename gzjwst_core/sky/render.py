"""One mosaic's planes from a scene: light through the PSF, background, noise, coverage, saturation.

Arrays only. Light is drawn on a grid twice as fine as the mosaic's and summed, so that sub-pixel positions and total
fluxes are kept; galaxies pass through the PSF together, by one FFT, stars are drawn at their exact place.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from astropy.table import Row, Table
from astropy.wcs import WCS
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation

from gzjwst_core.psf.sersic import sersic_stamp
from gzjwst_core.sky.bands import BANDS, BandOptics
from gzjwst_core.sky.geometry import DITHERS, FieldGeometry
from gzjwst_core.sky.noise import correlated_noise, full_depth_sigma, noise_parts
from gzjwst_core.sky.psf import psf_stamp

__all__ = ["SATURATION_UJY", "BandImage", "background_light", "render_band", "render_light"]

Image = NDArray[np.float32]

FINE = 2
"""Sub-pixels along a pixel's side."""

SATURATION_UJY = 40.0
"""A pixel that receives more than this is saturated (uJy per pixel)."""

_PSF_RADIUS_ARCSEC, _BRIGHT_RADIUS_ARCSEC, _BRIGHT_UJY = 3.0, 10.0, 200.0


@dataclass(frozen=True)
class BandImage:
    """All planes of one mosaic. Images are float32 of shape (ny, nx) in MJy/sr, NaN where there is no data.

    Attributes
    ----------
    sci
        What the telescope saw: light + background + noise.
    err
        Sigma per pixel, photon noise of sources included, correlation not.
    wht
        Weight, 0 where there is no data.
    con
        int32 of shape (1, ny, nx): bit i is set where detector image i contributes.
    var_poisson, var_rnoise, var_flat
        Variances, (MJy/sr)^2; ERR is the root of their sum.
    background
        The smooth background that is part of `sci`; finite everywhere.
    light
        Noise-free light of sources; finite everywhere. Not part of any file.
    wcs
        The grid's WCS.
    """

    sci: Image
    err: Image
    wht: Image
    con: NDArray[np.int32]
    var_poisson: Image
    var_rnoise: Image
    var_flat: Image
    background: Image
    light: Image
    wcs: WCS


def render_band(
    scene: Table, geometry: FieldGeometry, band: str, *, seed: int | Sequence[int], depth_offset_mag: float = 0.0
) -> BandImage:
    """Render a scene as one mosaic.

    Parameters
    ----------
    scene
        Truth table of `draw_scene`, or one with the columns of a source that it names.
    geometry
        The pixel grid and its exposures.
    band
        Filter name, a key of `BANDS`.
    seed
        Seed(s) of the noise.
    depth_offset_mag
        Deeper than the band's standard depth by this, mag.

    Returns
    -------
    BandImage
        All planes.
    """
    optics = BANDS[band]
    light = render_light(scene, geometry, band) / np.float32(optics.ujy_per_mjysr)
    con = geometry.contribution_map()
    con[_saturated(light, optics)] = 0
    depth = np.bitwise_count(con).astype(np.float32) / np.float32(len(DITHERS))
    parts = noise_parts(light, depth, full_depth_sigma(optics, depth_offset_mag), optics.sky_mjysr)
    background = background_light(geometry, optics)
    noise = correlated_noise(geometry.shape, np.random.default_rng(seed))
    return BandImage(
        sci=light + background + noise * parts.err,
        err=parts.err,
        wht=parts.wht,
        con=con[None],
        var_poisson=parts.poisson,
        var_rnoise=parts.rnoise,
        var_flat=parts.flat,
        background=background,
        light=light,
        wcs=geometry.wcs,
    )


def render_light(scene: Table, geometry: FieldGeometry, band: str) -> Image:
    """Render the sources alone.

    Parameters
    ----------
    scene
        Truth table.
    geometry
        The pixel grid.
    band
        Filter name.

    Returns
    -------
    ndarray of float32
        Light in uJy per pixel, shape (ny, nx); no background, no noise.
    """
    optics = BANDS[band]
    canvas = np.zeros(tuple(FINE * side for side in geometry.shape), dtype=np.float32)
    x, y = geometry.to_pixels(scene["ra_deg"], scene["dec_deg"])
    is_star = scene["kind"] == "star"
    for index in np.flatnonzero(~is_star):
        _add_galaxy(canvas, scene[index], (float(x[index]), float(y[index])), geometry, band)
    if not is_star.all():
        scale, turn = geometry.pixel_scale_arcsec / FINE, geometry.focal_roll_deg - geometry.roll_deg
        kernel = psf_stamp(optics, scale_arcsec=scale, turn_deg=turn, radius_arcsec=_PSF_RADIUS_ARCSEC)
        from scipy.signal import fftconvolve  # noqa: PLC0415 - a second of imports: who serves a sky draws none

        canvas = fftconvolve(canvas, kernel, mode="same")
    for index in np.flatnonzero(is_star):
        flux_ujy = float(scene[f"flux_{band}_ujy"][index])
        _add_star(canvas, flux_ujy, (float(x[index]), float(y[index])), geometry, optics)
    ny, nx = geometry.shape
    return np.asarray(canvas.reshape(ny, FINE, nx, FINE).sum(axis=(1, 3)), dtype=np.float32)


def background_light(geometry: FieldGeometry, band: BandOptics) -> Image:
    """Return the background left in a mosaic: a pedestal with a gentle bowl and gradient, MJy/sr, shape (ny, nx)."""
    ny, nx = geometry.shape
    x = np.linspace(-1, 1, nx, dtype=np.float32)[None, :]
    y = np.linspace(-1, 1, ny, dtype=np.float32)[:, None]
    relative = 1 + 0.35 * x - 0.20 * y + 0.15 * (x * x - y * y) + 0.10 * x * y
    return np.asarray(np.float32(0.08 * band.sky_mjysr) * relative, dtype=np.float32)


def _add_galaxy(canvas: Image, row: Row, place: tuple[float, float], geometry: FieldGeometry, band: str) -> None:
    angle = np.deg2rad(float(row["pa_deg"]) - geometry.roll_deg)
    (column, dx), (line, dy) = (_split(position) for position in place)
    stamp = sersic_stamp(
        n=float(row["sersic_n"]),
        r50_px=float(row["r50_arcsec"]) * FINE / geometry.pixel_scale_arcsec,
        axis_ratio=float(row["axis_ratio"]),
        # from the +y axis towards the left: East lies on -x
        major=(-float(np.sin(angle)), float(np.cos(angle))),
        centre=(dx, dy),
    )
    _add(canvas, stamp * np.float32(row[f"flux_{band}_ujy"]), column, line)


def _add_star(
    canvas: Image, flux_ujy: float, place: tuple[float, float], geometry: FieldGeometry, band: BandOptics
) -> None:
    (column, dx), (line, dy) = (_split(position) for position in place)
    stamp = psf_stamp(
        band,
        scale_arcsec=geometry.pixel_scale_arcsec / FINE,
        turn_deg=geometry.focal_roll_deg - geometry.roll_deg,
        radius_arcsec=_BRIGHT_RADIUS_ARCSEC if flux_ujy > _BRIGHT_UJY else _PSF_RADIUS_ARCSEC,
        centre=(dx, dy),
    )
    _add(canvas, stamp * np.float32(flux_ujy), column, line)


def _split(position: float) -> tuple[int, float]:
    """Pixel position to the nearest sub-pixel's index and the rest, in sub-pixels."""
    fine = FINE * (position + 0.5) - 0.5
    nearest = round(fine)
    return nearest, fine - nearest


def _add(canvas: Image, stamp: Image, column: int, line: int) -> None:
    """Add the part of a stamp that falls on the canvas, its middle at (line, column)."""
    half = stamp.shape[0] // 2
    top, left = line - half, column - half
    bottom, right = min(line + half + 1, canvas.shape[0]), min(column + half + 1, canvas.shape[1])
    y0, x0 = max(top, 0), max(left, 0)
    if y0 < bottom and x0 < right:
        canvas[y0:bottom, x0:right] += stamp[y0 - top : bottom - top, x0 - left : right - left]


def _saturated(light: Image, band: BandOptics) -> NDArray[np.bool_]:
    """Pixels of saturated cores, grown by one pixel: charge migrates."""
    core = light > np.float32(SATURATION_UJY / band.ujy_per_mjysr)
    return np.asarray(binary_dilation(core, np.ones((3, 3))) if core.any() else core)
