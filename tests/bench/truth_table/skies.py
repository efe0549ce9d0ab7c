"""Synthetic fields on disk with what nobody can observe: noise-free light, and true radii as the telescope blurs them.

A field is rendered once and kept in a folder of the user's choice; equal options find it there again. Tools and scores
are elsewhere.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import sep
from astropy.table import Table
from numpy.typing import NDArray

from gzjwst_core.models import MosaicSource
from gzjwst_core.sky.bands import BANDS
from gzjwst_core.sky.build import GENERATOR_VERSION
from gzjwst_core.sky.fields import SkyField, sky_fields
from gzjwst_core.sky.geometry import FieldGeometry
from gzjwst_core.sky.mosaics import mosaic_hdus
from gzjwst_core.sky.options import SkyOptions
from gzjwst_core.sky.render import render_band, render_light
from gzjwst_core.sky.scene import draw_scene
from gzjwst_core.storage.tables import read_parquet, write_parquet

__all__ = ["APERTURES", "DETECTION", "TrueField", "make_field"]

Floats = NDArray[np.float64]

DETECTION = ("F277W", "F444W")
"""Bands of the detection image; both lie on the long-wave grid, in equal depth."""

APERTURES = (0.3, 0.5)
"""Diameters of the apertures that are tested, arcsec."""

_VERSION = 2
_RADII_FAINTEST = 26.5
_LARGEST_STAMP_ARCSEC = 24.0


@dataclass(frozen=True)
class TrueField:
    """One field of one sky: mosaics as plain files, and the truth."""

    seed: int
    field: SkyField
    folder: Path
    sources: tuple[MosaicSource, ...]

    @property
    def bands(self) -> tuple[str, ...]:
        """Its bands, bluest first."""
        return tuple(source.band for source in self.sources)

    @property
    def long(self) -> FieldGeometry:
        """Grid of the detection bands."""
        return self.field.long

    def source(self, band: str) -> MosaicSource:
        """Return the mosaic of a band."""
        return next(source for source in self.sources if source.band == band)

    def light(self, band: str) -> NDArray[np.float32]:
        """Return the noise-free light of a band, uJy per pixel."""
        light: NDArray[np.float32] = np.load(self.folder / f"{band}.light.npy")
        return light

    def truth(self) -> Table:
        """Return every source of the sky, as `draw_scene` says, with columns for its own noise-free light.

        `r50_<band>` and `r50_stack` (arcsec) are radii of circles that hold half of the PSF-convolved, pixelated light;
        `own_<band>_<diameter>` (uJy) is what of it lies in an aperture at the true centre. Both NaN where no exposure
        saw the source or it is fainter than AB 26.5.
        """
        return read_parquet(self.folder / "truth.parquet")


def make_field(root: Path, options: SkyOptions, number: int) -> TrueField:
    """Render a field, or find it in the folder.

    Parameters
    ----------
    root
        Folder of skies.
    options
        The sky.
    number
        0 or 1: which of its fields.
    """
    field = sky_fields(options)[number]
    stamp = json.dumps([_VERSION, GENERATOR_VERSION, field.key, options.model_dump(mode="json")], sort_keys=True)
    folder = root / f"{options.seed}-{field.key}-{hashlib.sha256(stamp.encode()).hexdigest()[:12]}"
    made = TrueField(options.seed, field, folder, tuple(_source(folder, field, band) for band in options.bands))
    if not (folder / "done").exists():
        folder.mkdir(parents=True, exist_ok=True)
        _render(made, options)
        (folder / "done").write_text(stamp)
    return made


def _source(folder: Path, field: SkyField, band: str) -> MosaicSource:
    path = folder / f"{band}.fits"
    return MosaicSource(field=field.key, band=band, path=str(path), uri=f"local:{path.name}", identity="sky")


def _render(made: TrueField, options: SkyOptions) -> None:
    scene = draw_scene(options)
    for index, band in enumerate(options.bands):
        seed = [options.seed, made.field.number, index]
        image = render_band(
            scene, made.field.geometry(band), band, seed=seed, depth_offset_mag=options.depth_offset_mag
        )
        mosaic_hdus(made.field, band, image).writeto(made.source(band).path, overwrite=True)
        np.save(made.folder / f"{band}.light.npy", image.light * np.float32(BANDS[band].ujy_per_mjysr))
    for name, values in _own_light(made, scene).items():
        scene[name] = values
    write_parquet(scene, made.folder / "truth.parquet")


def _own_light(made: TrueField, scene: Table) -> dict[str, Floats]:
    bands = [band for band in made.bands if band in DETECTION]
    names = [*(f"r50_{band}" for band in bands), "r50_stack", *(f"own_{b}_{d}" for b in bands for d in APERTURES)]
    columns = {name: np.full(len(scene), np.nan) for name in names}
    wanted = np.asarray(scene[f"in_{made.field.key}"]) & (np.asarray(scene["mag_F277W"]) < _RADII_FAINTEST)
    wanted &= ~np.asarray(scene["saturated"])
    for row in np.flatnonzero(wanted):
        for name, value in zip(columns, _alone(scene[row : row + 1], made.long, bands), strict=True):
            columns[name][row] = value
    return columns


def _alone(one: Table, grid: FieldGeometry, bands: Sequence[str]) -> list[float]:
    """Draw one source alone, as it looks on the mosaic's pixels, in each band and in their sum."""
    r50 = float(one["r50_arcsec"][0])
    side = min(2 * (3.0 + 5 * r50), _LARGEST_STAMP_ARCSEC)
    place = {"ra_deg": float(one["ra_deg"][0]), "dec_deg": float(one["dec_deg"][0]), "size_arcsec": side}
    stamp = replace(grid, **place, offset_px=_phase(one, grid, side))  # type: ignore[arg-type]
    light = [render_light(one, stamp, band) for band in bands]
    fluxes = [float(one[f"flux_{band}_ujy"][0]) for band in bands]
    x, y = stamp.to_pixels(place["ra_deg"], place["dec_deg"])
    both = [*zip(light, fluxes, strict=True), (np.stack(light).sum(axis=0), sum(fluxes))]
    reach = side / 2 / grid.pixel_scale_arcsec
    radii = [_radius(image, float(x), float(y), reach, flux) * grid.pixel_scale_arcsec for image, flux in both]
    sizes = [diameter / 2 / grid.pixel_scale_arcsec for diameter in APERTURES]
    return [*radii, *(float(sep.sum_circle(image, [x], [y], r, subpix=10)[0][0]) for image in light for r in sizes)]


def _phase(one: Table, grid: FieldGeometry, side: float) -> tuple[float, float]:
    """Offset that lets the source fall on the same part of a pixel as on the mosaic."""
    x, y = (float(v[0]) for v in grid.to_pixels(one["ra_deg"], one["dec_deg"]))
    middle = (round(side / grid.pixel_scale_arcsec) - 1) / 2
    return (x - middle) % 1, (y - middle) % 1


def _radius(light: NDArray[Any], x: float, y: float, reach: float, flux: float) -> float:
    radius, _ = sep.flux_radius(light, [x], [y], [reach], 0.5, normflux=[flux], subpix=10)
    return float(np.asarray(radius).ravel()[0])
