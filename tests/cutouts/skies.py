"""Tiny fields in code: mosaics and a segmap on disk, with any roll, scale and sub-pixel offset."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from numpy.typing import NDArray

from gzjwst_core.models import MosaicSource
from gzjwst_core.mosaics.geometry import Box
from gzjwst_core.mosaics.reader import MosaicReader, open_mosaic
from gzjwst_core.mosaics.segmap import SegmapReader, SegmapWriter, open_segmap
from gzjwst_core.options import MosaicOptions

RA, DEC = 150.1, 2.2
BANDS = ("F115W", "F150W", "F277W", "F444W")
PSF_FWHM = dict(zip(BANDS, (0.040, 0.050, 0.092, 0.145), strict=True))


def tan_wcs(
    shape: tuple[int, int], scale: float, roll_deg: float = 0.0, offset: tuple[float, float] = (0.0, 0.0), **at: float
) -> WCS:
    """A TAN grid whose centre (plus `offset` pixels) looks at the field's centre; +y at position angle `roll_deg`."""
    wcs = WCS(naxis=2)
    cos, sin = np.cos(np.radians(roll_deg)), np.sin(np.radians(roll_deg))
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.cunit = ["deg", "deg"]
    wcs.wcs.crval = [at.get("ra", RA), at.get("dec", DEC)]
    wcs.wcs.crpix = [(shape[1] + 1) / 2 + offset[0], (shape[0] + 1) / 2 + offset[1]]
    wcs.wcs.cdelt = [scale / 3600] * 2
    wcs.wcs.pc = [[-cos, sin], [sin, cos]]
    wcs.wcs.radesys = "ICRS"
    wcs.wcs.set()
    return wcs


@dataclass(frozen=True)
class Blob:
    """A round Gaussian galaxy: offsets on the sky, size before the PSF, flux of each band (uJy)."""

    east: float
    north: float
    sigma_arcsec: float
    flux: dict[str, float]


def sky_offsets(wcs: WCS, shape: tuple[int, int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """East and north of the field's centre, arcsec, of every pixel."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    ra, dec = wcs.wcs_pix2world(x, y, 0)
    d = np.radians(np.asarray(ra) - RA)
    cos = np.sin(np.radians(DEC)) * np.sin(np.radians(dec)) + np.cos(np.radians(DEC)) * np.cos(
        np.radians(dec)
    ) * np.cos(d)
    east = np.cos(np.radians(dec)) * np.sin(d) / cos
    north = (
        np.cos(np.radians(DEC)) * np.sin(np.radians(dec))
        - np.sin(np.radians(DEC)) * np.cos(np.radians(dec)) * np.cos(d)
    ) / cos
    return np.degrees(east) * 3600, np.degrees(north) * 3600


def render(
    band: str, wcs: WCS, shape: tuple[int, int], blobs: list[Blob], *, noise: float = 0.0, seed: int = 1
) -> NDArray[np.float32]:
    """Pixels in uJy; `noise` is the sigma in uJy/arcsec2."""
    east, north = sky_offsets(wcs, shape)
    area = float(abs(np.linalg.det(wcs.pixel_scale_matrix))) * 3600**2
    image: NDArray[np.float64] = np.random.default_rng(seed).normal(0, max(noise, 1e-6), shape) * area
    for b in blobs:
        width2 = b.sigma_arcsec**2 + (PSF_FWHM[band] / 2.3548) ** 2
        r2 = ((east - b.east) ** 2 + (north - b.north) ** 2) / width2
        image += b.flux.get(band, 0.0) * area / (2 * np.pi * width2) * np.exp(-r2 / 2)
    return image.astype(np.float32)


@dataclass(frozen=True)
class Grid:
    """One band's pixel grid."""

    band: str
    scale: float
    roll: float = 0.0
    offset: tuple[float, float] = (0.0, 0.0)
    side_arcsec: float = 10.0

    @property
    def shape(self) -> tuple[int, int]:
        n = round(self.side_arcsec / self.scale)
        return n, n

    @property
    def wcs(self) -> WCS:
        return tan_wcs(self.shape, self.scale, self.roll, self.offset)


GRIDS = (
    Grid("F115W", 0.03, 17.0, (0.3, -0.2)),
    Grid("F150W", 0.03, 17.0, (0.1, 0.4)),
    Grid("F277W", 0.06, 17.0),
    Grid("F444W", 0.06, 17.0, (-0.45, 0.25)),
)


def write_mosaic(path: Path, band: str, wcs: WCS, pixels: NDArray[np.float32]) -> MosaicSource:
    """An i2d-like file in uJy per pixel: PRIMARY, SCI (NaN = gap), ERR, WHT."""
    head = wcs.to_header()
    head["BUNIT"] = "uJy"
    primary = fits.PrimaryHDU()
    primary.header["TELESCOP"], primary.header["INSTRUME"] = "JWST", "NIRCAM"
    sigma = max(float(np.nanmedian(np.abs(np.diff(pixels)))), 1e-7)  # about the sky's own scatter
    planes = {"SCI": pixels, "ERR": np.full_like(pixels, sigma), "WHT": np.isfinite(pixels).astype(np.float32)}
    hdus = [primary, *(fits.ImageHDU(data, head, name=name) for name, data in planes.items())]
    fits.HDUList(hdus).writeto(path, overwrite=True)
    uri = f"mast:JWST/product/jw01234-o001_t001_nircam_clear-{band.lower()}_i2d.fits"
    return MosaicSource(field="f1", band=band, path=str(path), uri=uri, identity=f"{uri}|{path.stat().st_size}|abc")


def write_segmap(path: Path, grid: Grid, blobs: list[Blob], radius: float = 2.5) -> None:
    """Discs of `radius` sigma around each blob, labelled 1, 2, ..."""
    east, north = sky_offsets(grid.wcs, grid.shape)
    labels = np.zeros(grid.shape, dtype=np.int32)
    for i, b in enumerate(blobs, 1):
        labels[np.hypot(east - b.east, north - b.north) < radius * b.sigma_arcsec] = i
    with SegmapWriter(path, grid.shape, grid.wcs) as writer:
        writer.write(Box(0, grid.shape[0], 0, grid.shape[1]), labels)


@dataclass(frozen=True)
class Field:
    """A field on disk."""

    sources: tuple[MosaicSource, ...]
    segmap_path: Path
    blobs: tuple[Blob, ...]

    def readers(self) -> dict[str, MosaicReader]:
        return {s.band: open_mosaic(s, MosaicOptions()) for s in self.sources}

    def segmap(self) -> SegmapReader:
        return open_segmap(self.segmap_path)


def make_field(
    folder: Path, blobs: list[Blob], grids: tuple[Grid, ...] = GRIDS, noise: float = 0.05, reference: str = "F277W"
) -> Field:
    """Write mosaics and segmap of a field."""
    folder.mkdir(parents=True, exist_ok=True)
    sources = tuple(
        write_mosaic(
            folder / f"{g.band}.fits", g.band, g.wcs, render(g.band, g.wcs, g.shape, blobs, noise=noise, seed=seed)
        )
        for seed, g in enumerate(grids)
    )
    home = next(g for g in grids if g.band == reference)
    write_segmap(folder / "seg.fits", home, blobs)
    return Field(sources, folder / "seg.fits", tuple(blobs))


def rows_of(blobs: tuple[Blob, ...], diagonal: float = 2.0) -> Table:
    """Catalog rows of a field's blobs."""
    cos = np.cos(np.radians(DEC))
    return Table(
        {
            "id_str": [f"test_J{i:09d}p0" for i in range(len(blobs))],
            "field": ["f1"] * len(blobs),
            "ra": [RA + b.east / 3600 / cos for b in blobs],
            "dec": [DEC + b.north / 3600 for b in blobs],
            "segment_id": np.arange(1, len(blobs) + 1, dtype=np.int32),
            "bbox_diagonal": np.full(len(blobs), diagonal),
            "isophote_diagonal": np.full(len(blobs), diagonal),
            "ellipticity": np.zeros(len(blobs)),
            "segment_reach": np.full(len(blobs), diagonal / 3),
            "kron_a": np.full(len(blobs), diagonal / 2),
        }
    )
