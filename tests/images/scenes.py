"""Cutouts to colour, made from tiny fields."""

from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from gzjwst_core.cutouts.extract import Target
from gzjwst_core.cutouts.fits import Cutter, Provenance, make_cutout
from gzjwst_core.cutouts.read import Cutout, read_cutout
from gzjwst_core.options import CutoutOptions, ImageOptions
from tests.cutouts.skies import BANDS, DEC, RA, Blob, Field, Grid, make_field

SIGMA = dict.fromkeys(BANDS, 0.05)
OPTIONS = ImageOptions(sigma=SIGMA, gain=dict.fromkeys(BANDS, 1.0), size_px=160)
LUPTON = ImageOptions(recipe="lupton", sigma=SIGMA, gain=dict.fromkeys(BANDS, 1.0), size_px=160)


def flux(*values: float) -> dict[str, float]:
    """Flux of each band, uJy."""
    return dict(zip(BANDS, values, strict=True))


def grids(*rolls: float, side: float = 7.0) -> tuple[Grid, ...]:
    """Four bands, short-wave at 0.03 and long-wave at 0.06 arcsec, each with its own roll and sub-pixel offset."""
    scales = (0.03, 0.03, 0.06, 0.06)
    offsets = ((0.3, -0.2), (0.1, 0.4), (0.0, 0.0), (-0.45, 0.25))
    given = rolls if len(rolls) == len(BANDS) else rolls * len(BANDS)
    rows = zip(BANDS, scales, given, offsets, strict=True)
    return tuple(Grid(band, scale, roll, offset, side) for band, scale, roll, offset in rows)


def cut_bytes(field: Field, fov: float = 3.0, bands: tuple[str, ...] = BANDS) -> bytes:
    """The cutout file of the source in the field's middle."""
    readers = {band: reader for band, reader in field.readers().items() if band in bands}
    target = Target("test_J1p2", "f1", RA, DEC, fov, 1)
    reference = "F277W" if "F277W" in bands else bands[0]
    segmap = field.segmap()
    data = make_cutout(target, Cutter(readers, reference, CutoutOptions(), Provenance("t", "1", "a"), segmap))
    assert data is not None
    return data


def cut(folder: Path, blobs: list[Blob], grid: tuple[Grid, ...], fov: float = 3.0, noise: float = 0.05) -> Cutout:
    """Make a field and cut out its middle."""
    return read_cutout(cut_bytes(make_field(folder, blobs, grid, noise), fov))


def punch(field: Field, band: str, where: NDArray[np.bool_]) -> None:
    """Take the data of some pixels of one band away."""
    path = next(source.path for source in field.sources if source.band == band)
    with fits.open(path, mode="update") as hdus:
        hdus["SCI"].data[where] = np.nan
        hdus["WHT"].data[where] = 0
