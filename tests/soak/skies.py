"""One WCS in, the same sky out: every way of writing a WCS through the whole catalog and all products.

Elliptical galaxies are drawn on the sky as astropy reads it off the mosaic's header (position angle 30 deg, axis ratio
0.6), detected, measured and cut out. Call it from the checkout: `python -m tests.soak.skies`.
"""

import tempfile
from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from numpy.typing import NDArray

from gzjwst_core.photometry.field_catalog import build_field_catalog
from tests.catalog.tiny_sky import recommended
from tests.mosaics.wcs_headers import HEADERS, products, sky_of, write_mosaic

__all__ = ["measured", "run"]

SIDE = 200
PLACES = ((50.0, 52.0), (148.0, 60.0), (60.0, 150.0), (150.0, 145.0))
ANGLE, RATIO, SIGMA_ARCSEC, FLUX = 30.0, 0.6, 0.25, 8.0


def measured(folder: Path, name: str) -> dict[str, float]:
    """Return how far the catalog of one mosaic is from the truth: mas, deg and parts of the truth."""
    header = fits.Header([*HEADERS[name].items()])
    cards = {**HEADERS[name], "CRPIX1": header["CRPIX1"] + 40, "CRPIX2": header["CRPIX2"] + 40}
    header = fits.Header([*cards.items()])
    source = write_mosaic(folder / "m.fits", cards, _image(header))
    table = build_field_catalog([source], recommended(), folder / "catalog_seg.fits", bands=("F277W",)).table
    seen = sky_of(header, np.asarray(table["x"]), np.asarray(table["y"]))
    there = SkyCoord(np.asarray(table["ra"]), np.asarray(table["dec"]), unit="deg")
    rows, apart, _ = sky_of(header, *np.array(PLACES).T).match_to_catalog_sky(there)
    found = table[rows]
    turn = (np.asarray(found["theta_sky"]) - ANGLE + 90) % 180 - 90
    return {
        "radec_mas": float(there.separation(seen).mas.max()),
        "true_mas": float(apart.mas.max()),
        "theta_deg": float(np.abs(turn).max()),
        "axis_ratio": float(np.abs(np.asarray(found["b"] / found["a"]) - RATIO).max()),
        "major": float(np.abs(np.asarray(found["a"]) / SIGMA_ARCSEC - 1).max()),
        "flux": float(np.abs(np.asarray(found["F277W_flux_tot"]) / FLUX - 1).max()),
        "product_mas": max(off for _, off in products(folder, source)),
    }


def _image(header: fits.Header) -> NDArray[np.float32]:
    """Draw the galaxies, uJy per pixel, with the pixel's own area on the sky."""
    y, x = np.indices((SIDE, SIDE))
    sky = sky_of(header, x, y)
    image = np.random.default_rng(5).normal(0, 1e-3, x.shape)
    for place in PLACES:
        centre = sky_of(header, *place)
        frame = centre.skyoffset_frame(rotation=ANGLE * u.deg)
        at = sky.transform_to(frame)
        across, along = (np.asarray(v.to_value(u.arcsec)) for v in (at.lon.wrap_at(180 * u.deg), at.lat))
        (across_y, across_x), (along_y, along_x) = np.gradient(across), np.gradient(along)
        area = np.abs(across_x * along_y - across_y * along_x)
        r2 = (along / SIGMA_ARCSEC) ** 2 + (across / SIGMA_ARCSEC / RATIO) ** 2
        image += FLUX * area * np.exp(-r2 / 2) / (2 * np.pi * RATIO * SIGMA_ARCSEC**2)
    return image.astype(np.float32)


def run(_count: int, _seed: int) -> dict[str, float]:
    """Print a row for each way of writing a WCS; return how many there are, and the worst of each figure."""
    worst: dict[str, float] = {}
    for name in HEADERS:
        with tempfile.TemporaryDirectory() as folder:
            row = measured(Path(folder), name)
        print(f"{name:<18}" + " ".join(f"{key} {value:.4f}" for key, value in row.items()), flush=True)
        worst = {key: max(value, worst.get(key, 0.0)) for key, value in row.items()}
    return {"headers": len(HEADERS), **worst}


if __name__ == "__main__":
    print(run(0, 0))
