"""A field of stars alone, with a table of them as the catalog would write it."""

from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table

from gzjwst_core.models import MosaicSource
from gzjwst_core.psf.stamp import Psf, offsets_arcsec
from gzjwst_core.sky.bands import BANDS
from gzjwst_core.sky.fields import sky_fields
from gzjwst_core.sky.mosaics import mosaic_hdus
from gzjwst_core.sky.options import SkyOptions
from gzjwst_core.sky.psf import psf_stamp
from gzjwst_core.sky.render import FINE, render_band
from gzjwst_core.sky.scene import draw_scene
from tests.catalog.tiny_sky import source_of

NOTHING_ELSE: dict[str, Any] = {"galaxies_per_arcmin2": 0.0, "grey_galaxies": 0, "bright_stars": 0, "missing": ()}


def star_field(folder: Path, band: str, *, stars_per_arcmin2: float = 150.0) -> tuple[MosaicSource, Table]:
    """Field 1 of a sky of stars, and its stars brighter than 25."""
    bands = tuple(dict.fromkeys((band, "F277W")))
    given = SkyOptions(bands=bands, size_arcsec=24.0, stars_per_arcmin2=stars_per_arcmin2, **NOTHING_ELSE)
    scene, pointing = draw_scene(given), sky_fields(given)[0]
    path = folder / f"{band}.fits"
    mosaic_hdus(pointing, band, render_band(scene, pointing.geometry(band), band, seed=3)).writeto(path)
    mine = scene[np.asarray(scene[f"in_{pointing.key}"])]
    table = Table({"ra": np.asarray(mine["ra_deg"]), "dec": np.asarray(mine["dec_deg"])})
    table["is_star"], table["flags"] = True, np.uint32(0)
    table["kron_a"], table["nn_dist"] = 0.3, 1.0
    table[f"{band}_flux_auto"] = np.asarray(mine[f"flux_{band}_ujy"])
    table[f"{band}_fluxerr_auto"] = 0.01
    return source_of(path, band), table[np.asarray(mine["mag_F277W"]) < 25]


def true_psf(band: str, *, turn_deg: float = 2.5) -> Psf:
    """What the synthetic sky's pixels show of a star in the middle of one."""
    optics = BANDS[band]
    fine = 5 * FINE + 1
    scale = optics.pixel_scale_arcsec
    stamp = psf_stamp(optics, scale_arcsec=scale / fine, turn_deg=turn_deg, radius_arcsec=3.0)
    keep = (2 * int(1.5 / scale) + 1) * fine // 2
    middle = stamp.shape[0] // 2
    cut = stamp[middle - keep : middle + keep + 1, middle - keep : middle + keep + 1]
    side = cut.shape[0] // fine
    pixels = cut.reshape(side, fine, side, fine).sum(axis=(1, 3))
    return Psf(np.asarray(pixels, dtype=np.float32), scale, "truth")


def encircled(psf: Psf, radius_arcsec: float) -> float:
    """Return the part of the light within a radius, arcsec; pixels on the rim count by a linear ramp."""
    distance = offsets_arcsec(psf.pixels.shape[0], psf.scale_arcsec)
    inside = np.clip((radius_arcsec - distance) / psf.scale_arcsec + 0.5, 0, 1)
    return float(np.sum(psf.pixels * inside, dtype=np.float64))
