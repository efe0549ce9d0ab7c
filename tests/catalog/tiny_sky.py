"""Small skies for the catalog's tests: fields of the synthetic sky as plain files, and files with faults."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.table import Table
from numpy.typing import NDArray

from gzjwst_core.models import MosaicSource
from gzjwst_core.mosaics.reader import open_mosaic
from gzjwst_core.options import DetectOptions, MosaicOptions, PhotometryOptions, PsfOptions
from gzjwst_core.photometry.field_catalog import FieldCatalog, build_field_catalog
from gzjwst_core.runs.engine import CpuMap
from gzjwst_core.sky.fields import sky_fields
from gzjwst_core.sky.mosaics import mosaic_hdus
from gzjwst_core.sky.options import SkyOptions
from gzjwst_core.sky.render import render_band
from gzjwst_core.sky.scene import draw_scene

RECOMMENDED: dict[str, Any] = {
    "threshold": 3.8,
    "kernel_arcsec": 0.05,
    "min_area_arcsec2": 0.0144,
    "deblend_contrast": 0.001,
}


@dataclass(frozen=True)
class Profile:
    """The sections a catalog reads."""

    detect: DetectOptions = field(default_factory=lambda: DetectOptions(**RECOMMENDED))
    mosaics: MosaicOptions = field(default_factory=MosaicOptions)
    photometry: PhotometryOptions = field(default_factory=PhotometryOptions)
    psf: PsfOptions = field(default_factory=PsfOptions)


def recommended(**changes: Any) -> Profile:
    return Profile(DetectOptions(**{**RECOMMENDED, **changes}))


@dataclass(frozen=True)
class TinySky:
    """Fields on disk and the truth."""

    truth: Table
    fields: dict[str, tuple[MosaicSource, ...]]
    bands: tuple[str, ...]


def render_sky(folder: Path, bands: tuple[str, ...], **options: Any) -> TinySky:
    """Write both fields of a synthetic sky as plain FITS files."""
    given = SkyOptions(bands=bands, missing=(), **options)
    scene = draw_scene(given)
    fields: dict[str, tuple[MosaicSource, ...]] = {}
    for pointing in sky_fields(given):
        made = []
        for number, band in enumerate(bands):
            image = render_band(scene, pointing.geometry(band), band, seed=[given.seed, pointing.number, number])
            path = folder / f"{pointing.key}_{band}.fits"
            mosaic_hdus(pointing, band, image).writeto(path)
            made.append(source_of(path, band, field_name=pointing.key))
        fields[pointing.key] = tuple(made)
    return TinySky(scene, fields, bands)


def source_of(path: Path, band: str, *, field_name: str = "tiny", **more: Any) -> MosaicSource:
    return MosaicSource(field=field_name, band=band, path=str(path), uri=f"local:{path.name}", identity="tiny", **more)


def catalog_of(
    sky: TinySky, name: str, segmap: Path, profile: Profile | None = None, cpu_map: CpuMap = map
) -> FieldCatalog:
    return build_field_catalog(sky.fields[name], profile or Profile(), segmap, bands=sky.bands, cpu_map=cpu_map)


def edited(source: MosaicSource, folder: Path, edit: Callable[[fits.HDUList], None]) -> MosaicSource:
    """Copy a mosaic with a change."""
    path = folder / f"edited_{source.band}.fits"
    with fits.open(source.path) as hdus:
        copies = fits.HDUList([hdu.copy() for hdu in hdus])
        edit(copies)
        copies.writeto(path, overwrite=True)
    return source.replace(path=str(path))


def truth_pixels(sky: TinySky, source: MosaicSource) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.bool_]]:
    """Where true sources are on a mosaic's grid, and which are on pixels with data."""
    with open_mosaic(source, MosaicOptions()) as reader:
        x, y = reader.wcs.all_world2pix(sky.truth["ra_deg"], sky.truth["dec_deg"], 0)
        ny, nx = reader.shape
        rows, columns = np.rint(y).astype(int), np.rint(x).astype(int)
        inside = (rows >= 0) & (rows < ny) & (columns >= 0) & (columns < nx)
        sci = fits.getdata(source.path, reader.header["EXTNAME"])
        wht = fits.getdata(source.path, "WHT")
        inside[inside] &= (np.isfinite(sci) & (wht > 0))[rows[inside], columns[inside]]
    return x, y, inside


def write_plain(path: Path, data: NDArray[Any], *, header: Sequence[tuple[str, Any]] = ()) -> Path:
    hdu = fits.PrimaryHDU(data)
    for key, value in header:
        hdu.header[key] = value
    hdu.writeto(path, overwrite=True)
    return path
