"""Single bands out of cutouts: what the loader opens, nothing missing in it, the same sky as the colour image."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from numpy.typing import NDArray

from gzjwst_core.cutouts.read import read_cutout
from gzjwst_core.zoobot.single_band import filled, is_flat, single_bands
from tests.cutouts.skies import DEC, RA, Blob, Field, make_field, sky_offsets
from tests.images.scenes import cut_bytes, flux, grids, punch

FOV = 3.0
GRIDS = grids(30.0)


@pytest.fixture(scope="module")
def field(tmp_path_factory: pytest.TempPathFactory) -> Field:
    """A galaxy on grids that are turned by 30 degrees; F444W has a gap beside it and lost its core."""
    made = make_field(tmp_path_factory.mktemp("sky"), [Blob(0, 0, 0.2, flux(20, 20, 20, 20))], GRIDS)
    shape, wcs = GRIDS[3].shape, GRIDS[3].wcs
    east, north = sky_offsets(wcs, shape)
    holes = np.hypot(east, north) < 0.1
    holes[:, 70:76] = True
    punch(made, "F444W", holes)
    return made


@pytest.fixture(scope="module")
def cutout(field: Field) -> bytes:
    return cut_bytes(field, FOV)


def made(cutout: bytes, band: str) -> bytes:
    (single,) = single_bands("x.fits", cutout, [band])
    assert single.outcome.kind == "done"
    assert single.data is not None
    return single.data


def as_loaded(data: bytes) -> NDArray[Any]:
    """What galaxy-datasets does with a file: `fits.open(loc)[0].data.astype(np.float32)`."""
    with fits.open(io.BytesIO(data)) as hdus:
        return np.asarray(hdus[0].data.astype(np.float32))


@pytest.mark.parametrize("band", ["F115W", "F277W", "F444W"])
def test_the_loader_finds_two_dimensions_without_a_nan(cutout: bytes, band: str) -> None:
    pixels = as_loaded(made(cutout, band))
    assert (pixels.ndim, pixels.dtype) == (2, np.dtype(np.float32))
    assert pixels.shape == (round(FOV / (0.03 if band == "F115W" else 0.06)),) * 2
    assert np.isfinite(pixels).all()
    assert np.unravel_index(np.argmax(pixels), pixels.shape) == pytest.approx(np.array(pixels.shape) / 2, abs=2)


def test_pixels_are_the_cutouts_own_at_the_same_place_on_the_sky(cutout: bytes) -> None:
    whole = read_cutout(cutout).bands["F115W"]
    with fits.open(io.BytesIO(made(cutout, "F115W"))) as hdus:
        pixels, wcs = np.asarray(hdus[0].data), WCS(hdus[0].header)
        x0, y0 = (hdus[0].header[key] - whole.header[key] for key in ("CUTX0", "CUTY0"))
    n = len(pixels)
    assert np.array_equal(pixels, whole.data[y0 : y0 + n, x0 : x0 + n])
    x, y = wcs.wcs_world2pix(RA, DEC, 0)
    assert abs(x - (n - 1) / 2) <= 0.51
    assert abs(y - (n - 1) / 2) <= 0.51
    assert np.allclose(whole.wcs.wcs_pix2world(x0, y0, 0), wcs.wcs_pix2world(0, 0, 0), rtol=0, atol=1e-10)


def test_gaps_hold_the_sky_and_cores_their_brightest_rim(cutout: bytes) -> None:
    with fits.open(io.BytesIO(made(cutout, "F444W"))) as hdus:
        pixels, header = np.asarray(hdus[0].data), hdus[0].header
        empty = round((1 - header["COVFRAC"]) * pixels.size)
    assert header["NFILLED"] + header["NCORE"] == empty
    assert header["NFILLED"] > 100
    assert header["NCORE"] == 9
    assert np.count_nonzero(pixels == np.float32(header["FILLVAL"])) == pytest.approx(header["NFILLED"], abs=1)
    assert np.count_nonzero(pixels == pixels.max()) == 10  # the core and the pixel that it took
    assert as_loaded(made(cutout, "F277W")).min() < 0  # noise stays as it is


def test_cards_tell_of_the_target_and_of_the_band(cutout: bytes) -> None:
    with fits.open(io.BytesIO(cutout)) as whole, fits.open(io.BytesIO(made(cutout, "F115W")), checksum=True) as hdus:
        hdus.verify("exception")
        header = hdus[0].header
        assert len(hdus) == 1
        for key in ("ORIGIN", "GZVER", "PROFDIG", "SURVEY", "FIELD", "ID_STR", "RA_OBJ", "DEC_OBJ", "FOVASEC"):
            assert header[key] == whole[0].header[key], key
        for key in ("FILTER", "BUNIT", "PHOTZP", "PIXSCALE", "MOSURI", "MOSID", "SKYLOC", "SKYRMS", "CD1_1", "CRVAL1"):
            assert header[key] == whole["SCI_F115W"].header[key], key
        assert header["BUNIT"] == "uJy"
        keywords = [keyword for keyword in header if keyword != "CONTINUE"]
        assert len(keywords) == len(set(keywords))
        assert not {"BANDS", "REFBAND", "SEGID", "XTENSION"} & set(keywords)


def test_same_bytes_twice(cutout: bytes) -> None:
    assert made(cutout, "F444W") == made(cutout, "F444W")


def test_what_cannot_be_made_says_why(field: Field, cutout: bytes) -> None:
    some = cut_bytes(field, FOV, ("F115W", "F277W"))
    one, other = single_bands("x.fits", some, ["F444W", "F277W"])
    assert (one.data, one.outcome.reason, other.outcome.kind) == (None, "no_band", "done")
    for single in single_bands("x.fits", cutout[:5000], ["F444W", "F277W"]):
        assert (single.data, single.outcome.kind, single.outcome.reason) == (None, "failed", "bad_cutout")


def test_a_band_that_shows_nothing_has_no_file(tmp_path: Path) -> None:
    bare = make_field(tmp_path, [Blob(0, 0, 0.2, flux(20, 20, 20, 20))], GRIDS)
    east, north = sky_offsets(GRIDS[1].wcs, GRIDS[1].shape)
    punch(bare, "F150W", np.hypot(east, north) < 3)
    (single,) = single_bands("x.fits", cut_bytes(bare, FOV), ["F150W"])
    assert (single.data, single.outcome.reason) == (None, "no_data")


def test_flat_is_what_the_loaders_scaling_would_divide_by_zero() -> None:
    pixels = np.zeros((100, 100), dtype=np.float32)
    assert is_flat(pixels)
    pixels[0, :20] = 1  # 0.2 % of the pixels: the 99.7 % quantile is still the smallest
    assert is_flat(pixels)
    pixels[1, :20] = 1
    assert not is_flat(pixels)


def test_a_core_without_a_rim_is_sky() -> None:
    pixels = np.full((3, 3), np.nan, dtype=np.float32)
    assert (filled(pixels, np.isnan(pixels), 2.5) == 2.5).all()
