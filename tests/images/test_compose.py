"""Colour: equal flux is grey, north is up, gaps are grey, cores are white, missing channels are said."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from numpy.typing import NDArray

from gzjwst_core.cutouts.read import read_cutout
from gzjwst_core.errors import ImageError
from gzjwst_core.images.compose import colour
from gzjwst_core.images.layers import reference_sigma
from gzjwst_core.images.stretch import sky_level
from gzjwst_core.options import ImageOptions
from tests.cutouts.skies import BANDS, Blob, make_field
from tests.images.scenes import LUPTON, OPTIONS, SIGMA, cut, cut_bytes, flux, grids, punch

EQUAL = flux(20, 20, 20, 20)


def segment(size: int, fov: float, radius: float) -> NDArray[Any]:
    """Disc of this radius (arcsec) around the picture's centre."""
    i, j = np.mgrid[:size, :size]
    out: NDArray[Any] = np.hypot(i - (size - 1) / 2, j - (size - 1) / 2) < radius * size / fov
    return out


@pytest.mark.parametrize("gain", [1.0, 2.5])
@pytest.mark.parametrize("total", [2.0, 20.0, 200.0])
def test_equal_flux_after_gains_is_grey(tmp_path: Path, gain: float, total: float) -> None:
    given = dict(zip(BANDS, (gain, gain, 1.0, 1.0), strict=True))
    blobs = [Blob(0, 0, 0.27, {band: total / given[band] for band in BANDS})]
    cutout = cut(tmp_path, blobs, grids(17.0), noise=0.02)
    rgb = colour(cutout, ImageOptions(sigma=SIGMA, gain=given)).rgb
    means = rgb[segment(424, 3.0, 0.6)].mean(axis=0)
    assert abs(means[0] - means[1]) < 8
    assert abs(means[1] - means[2]) < 8


@pytest.mark.parametrize("options", [OPTIONS, LUPTON], ids=["asinh", "lupton"])
@pytest.mark.parametrize("rolls", [(0.0,), (17.0,), (100.0,), (-160.0,), (17.0, 40.0, -60.0, 200.0)], ids=str)
def test_north_is_up_and_east_is_left(tmp_path: Path, rolls: tuple[float, ...], options: ImageOptions) -> None:
    blobs = [
        Blob(0, 1.0, 0.08, flux(0, 0, 0, 9)),
        Blob(1.0, 0, 0.08, flux(9, 9, 0, 0)),
        Blob(0, 0, 0.08, flux(0, 0, 9, 0)),
    ]
    rgb = colour(cut(tmp_path, blobs, grids(*rolls), noise=0.001), options).rgb.astype(int)
    scale, middle = 160 / 3.0, 79.5
    assert peak(rgb[..., 0] - rgb[..., 2]) == pytest.approx((middle - scale, middle), abs=1.2)  # red: 1" north
    assert peak(rgb[..., 2] - rgb[..., 0]) == pytest.approx((middle, middle - scale), abs=1.2)  # blue: 1" east
    assert peak(2 * rgb[..., 1] - rgb[..., 0] - rgb[..., 2]) == pytest.approx((middle, middle), abs=1.2)


def peak(image: NDArray[Any]) -> tuple[float, float]:
    weight = np.where(image > 0.6 * image.max(), image, 0).astype(float)
    i, j = np.mgrid[: image.shape[0], : image.shape[1]]
    return float((i * weight).sum() / weight.sum()), float((j * weight).sum() / weight.sum())


@pytest.mark.parametrize("options", [OPTIONS, LUPTON], ids=["asinh", "lupton"])
def test_gaps_are_flat_grey_and_their_edges_do_not_ring(tmp_path: Path, options: ImageOptions) -> None:
    field = make_field(tmp_path, [Blob(0, 0, 0.3, EQUAL)], grids(17.0), noise=0.001)
    columns = np.zeros((233, 233), dtype=bool)
    columns[:, 122:140] = True
    whole = colour(read_cutout(cut_bytes(field)), options)
    for band in ("F115W", "F150W"):
        punch(field, band, columns)
    picture = colour(read_cutout(cut_bytes(field)), options)
    assert picture.filled == ()
    assert 0.05 < picture.gap.mean() < 0.4
    assert picture.coverage == pytest.approx(1 - picture.gap.mean())
    assert (picture.rgb[picture.gap] == options.gap_level).all()
    apart = np.abs(picture.rgb.astype(int) - whole.rgb.astype(int))[~picture.gap]
    assert apart.max() < 12


def test_saturated_core_is_white_and_a_bad_pixel_is_not(tmp_path: Path) -> None:
    blobs = [Blob(0, 0, 0.12, flux(4000, 4000, 4000, 4000)), Blob(0.0, -2.0, 0.3, flux(3, 3, 3, 3))]
    grid = grids(0.0)
    field = make_field(tmp_path, blobs, grid, noise=0.01)
    for g in grid:
        y, x = np.mgrid[: g.shape[0], : g.shape[1]]
        cy, cx = (np.array(g.shape) - 1) / 2 + np.array(g.offset[::-1])
        core = np.hypot(y - cy, x - cx) < 0.12 / g.scale
        bad = (np.rint(y - cy + 2.0 / g.scale) == 0) & (np.rint(x - cx) == 0)
        punch(field, g.band, core | bad)
    _unlabel(field.segmap_path)
    picture = colour(read_cutout(cut_bytes(field, 6.0)), OPTIONS)
    assert not picture.gap.any()
    assert (picture.rgb[78:82, 78:82] == 255).all()
    disc = picture.rgb[131:136, 77:82]  # 2 arcsec south
    assert disc.max() < 230
    assert np.ptp(disc.astype(int)) < 25


def _unlabel(path: Path) -> None:
    """Detection leaves pixels without data out of the segments."""
    with fits.open(path, mode="update") as hdus, fits.open(path.with_name("F277W.fits")) as mosaic:
        hdus["SEG"].data[np.isnan(mosaic["SCI"].data)] = 0


@pytest.mark.parametrize(
    ("bands", "filled"),
    [
        (("F115W", "F277W", "F444W"), ()),
        (("F277W", "F444W"), ("blue",)),
        (("F150W", "F444W"), ("green",)),
        (("F150W", "F277W"), ("red",)),
        (("F444W",), ("green", "blue")),
    ],
)
@pytest.mark.parametrize("options", [OPTIONS, LUPTON], ids=["asinh", "lupton"])
def test_missing_channels_are_filled_and_said(
    tmp_path: Path, bands: tuple[str, ...], filled: tuple[str, ...], options: ImageOptions
) -> None:
    field = make_field(tmp_path, [Blob(0, 0, 0.25, EQUAL)], grids(17.0), noise=0.01)
    picture = colour(read_cutout(cut_bytes(field, bands=bands)), options)
    assert picture.filled == filled
    assert picture.bands == bands
    means = picture.rgb[segment(160, 3.0, 0.5)].mean(axis=0)
    assert np.ptp(means) < 10
    assert means.min() > 100


def test_a_channel_that_hardly_covers_the_picture_counts_as_absent(tmp_path: Path) -> None:
    field = make_field(tmp_path, [Blob(0, 0, 0.25, EQUAL)], grids(0.0), noise=0.01)
    most = np.ones((233, 233), dtype=bool)
    most[:, 150:] = False
    for band in ("F115W", "F150W"):
        punch(field, band, most)
    picture = colour(read_cutout(cut_bytes(field)), OPTIONS)
    assert picture.filled == ("blue",)
    assert picture.bands == ("F277W", "F444W")
    assert not picture.gap.any()


def test_one_band_of_a_channel_stands_in_for_the_other(tmp_path: Path) -> None:
    field = make_field(tmp_path, [Blob(0, 0, 0.25, EQUAL)], grids(0.0), noise=0.01)
    some = np.zeros((233, 233), dtype=bool)
    some[:, 120:140] = True
    punch(field, "F115W", some)
    picture = colour(read_cutout(cut_bytes(field)), OPTIONS)
    assert not picture.gap.any()
    assert picture.filled == ()


def test_sky_is_neutral_and_at_its_level(tmp_path: Path) -> None:
    rgb = colour(cut(tmp_path, [Blob(0, 0, 0.1, EQUAL)], grids(17.0), noise=0.02), OPTIONS).rgb
    sky = np.median(rgb[~segment(160, 3.0, 0.9)], axis=0)
    np.testing.assert_allclose(sky, 255 * sky_level(OPTIONS), atol=2.5)


def test_no_band_of_the_recipe(tmp_path: Path) -> None:
    field = make_field(tmp_path, [Blob(0, 0, 0.25, EQUAL)], grids(0.0))
    options = ImageOptions(red={"F356W": 1.0}, green={"F356W": 1.0}, blue={"F356W": 1.0}, sigma={"F356W": 1.0})
    with pytest.raises(ImageError) as caught:
        colour(read_cutout(cut_bytes(field)), options)
    assert caught.value.reason == "no_data"


def test_reference_sigma(tmp_path: Path) -> None:
    cutout = cut(tmp_path, [Blob(0, 0, 0.25, EQUAL)], grids(0.0), noise=0.05)
    pinned = ImageOptions(sigma=flux(0.3, 0.5, 0.1, 0.2), gain=flux(2.0, 1.0, 1.0, 3.0))
    assert reference_sigma(cutout, pinned) == pytest.approx(0.55)  # of 0.6, 0.1, (0.6 + 0.5) / 2
    assert reference_sigma(cutout, ImageOptions()) == pytest.approx(0.05, rel=0.15)  # the cutout's own
    with pytest.raises(ImageError) as caught:
        reference_sigma(cutout, ImageOptions(red={"F090W": 1.0}, green={"F090W": 1.0}, blue={"F090W": 1.0}))
    assert caught.value.reason == "no_sigma"


@pytest.mark.parametrize("options", [OPTIONS, LUPTON], ids=["asinh", "lupton"])
def test_same_picture_twice(tmp_path: Path, options: ImageOptions) -> None:
    cutout = cut(tmp_path, [Blob(0, 0, 0.25, EQUAL)], grids(17.0))
    assert (colour(cutout, options).rgb == colour(cutout, options).rgb).all()
