"""Point-spread functions: the formula, other pixels, stacks of stars against the truth, files of the profile."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gzjwst_core.bands import NIRCAM_BANDS
from gzjwst_core.errors import ProfileError
from gzjwst_core.flag_bits import Flag
from gzjwst_core.options import MosaicOptions, PsfOptions
from gzjwst_core.psf.known import psf_of, with_folder
from gzjwst_core.psf.model import annular_airy, model_psf
from gzjwst_core.psf.stamp import Psf, odd_square, resampled, unit_sum
from gzjwst_core.psf.stars import stack_stars
from tests.psf.star_field import encircled, star_field, true_psf


def gaussian(side: int, sigma: float, *, dx: float = 0.0, dy: float = 0.0, ratio: float = 1.0) -> NDArray[np.float64]:
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    return np.asarray(
        np.exp(-((x - dx) ** 2 + ((y - dy) / ratio) ** 2) / (2 * sigma**2)) / (2 * np.pi * sigma**2 * ratio)
    )


def half_width(psf: Psf) -> float:
    """Full width at half maximum along x, arcsec."""
    half = psf.pixels.shape[0] // 2
    line = psf.pixels[half, half:].astype(float)
    return 2 * psf.scale_arcsec * float(np.interp(-line.max() / 2, -line, np.arange(line.size)))


@pytest.mark.parametrize("band", ["F115W", "F277W", "F444W"])
def test_the_formula_has_the_width_of_diffraction_and_sums_to_one(band: str) -> None:
    psf = model_psf(band, 0.005)
    limit = int(band[1:4]) / 100 * 1e-6 / 6.5 * 206265
    assert half_width(psf) == pytest.approx(1.0 * limit, rel=0.03)  # 1.029 for a full mirror, less with a hole
    assert encircled(psf, 1.22 * limit) == pytest.approx(0.70, abs=0.05)
    assert psf.pixels.shape[0] % 2 == 1
    assert float(psf.pixels.sum(dtype=float)) == pytest.approx(1, abs=1e-5)


def test_every_band_has_a_formula() -> None:
    for band in NIRCAM_BANDS:
        assert model_psf(band, 0.06).pixels.shape == (51, 51)


def test_the_pattern_is_one_in_the_middle_and_dark_where_it_should_be() -> None:
    limit = 2.0e-6 / 6.5 * 206265
    light = annular_airy(np.array([0.0, 1.11 * limit]), 2.0)
    assert light[0] == pytest.approx(1)
    assert light[1] < 2e-4


@given(st.floats(1.5, 4), st.floats(0.4, 3), st.floats(-180, 180))
@settings(max_examples=20, deadline=None)
def test_resampling_keeps_light_and_width(sigma: float, ratio: float, turn: float) -> None:
    psf = Psf(unit_sum(gaussian(61, 2 * sigma)), 0.03, "model")
    other = resampled(psf, 0.03 * ratio, turn_deg=turn)
    assert float(other.pixels.sum(dtype=float)) == pytest.approx(1, abs=1e-5)
    assert other.pixels.argmax() == other.pixels.size // 2
    for radius in (0.1, 0.2, 0.4):
        assert encircled(other, radius) == pytest.approx(encircled(psf, radius), abs=0.06)


def test_resampling_turns_from_x_to_y() -> None:
    flat = Psf(unit_sum(gaussian(41, 4.0, ratio=0.4)), 0.03, "model")
    turned = resampled(flat, 0.03, turn_deg=30)
    y, x = np.mgrid[-20:21, -20:21]
    angle = 0.5 * np.arctan2(2 * (turned.pixels * x * y).sum(), (turned.pixels * (x * x - y * y)).sum())
    assert np.degrees(angle) == pytest.approx(30, abs=1)


def test_an_even_image_is_centred_between_its_middle_pixels() -> None:
    image = odd_square(gaussian(40, 3.0)[:, 1:-1])
    assert image.shape == (37, 37)
    assert image.argmax() == image.size // 2
    np.testing.assert_allclose(image, image[::-1, ::-1], atol=1e-5)


@pytest.mark.parametrize("band", ["F150W", "F277W"])
def test_stacked_stars_are_the_truth(tmp_path: Path, band: str) -> None:
    source, stars = star_field(tmp_path, band)
    psf, truth = psf_of(source, PsfOptions(), MosaicOptions(), stars), true_psf(band)
    assert psf.origin == "stars"
    assert psf.stars >= 5
    assert psf.scale_arcsec == pytest.approx(truth.scale_arcsec, rel=1e-3)
    for radius in (0.1, 0.15, 0.25, 0.5, 1.0):
        assert encircled(psf, radius) == pytest.approx(encircled(truth, radius), abs=0.03)
    assert half_width(psf) == pytest.approx(half_width(truth), rel=0.06)


def test_too_few_stars_give_the_formula(tmp_path: Path) -> None:
    source, stars = star_field(tmp_path, "F277W", stars_per_arcmin2=60.0)
    assert psf_of(source, PsfOptions(min_stars=1000), MosaicOptions(), stars).origin == "model"
    for spoilt in (Flag.EDGE, Flag.GAP, Flag.SATURATED, Flag.TARGET):
        stars["flags"] = np.uint32(spoilt)
        assert psf_of(source, PsfOptions(min_stars=1), MosaicOptions(), stars).origin == "model"
    stars["flags"] = np.uint32(Flag.FEW_BANDS)
    assert psf_of(source, PsfOptions(min_stars=1), MosaicOptions(), stars).origin == "stars"
    assert psf_of(source, PsfOptions(), MosaicOptions(), stars[:0]).origin == "model"


def test_a_neighbour_and_a_gap_leave_no_mark() -> None:
    rng = np.random.default_rng(1)
    stamps, bad, centres = [], [], []
    for number in range(7):
        dx, dy = rng.uniform(-0.5, 0.5, 2)
        stamp = 50.0 * gaussian(51, 1.6, dx=dx, dy=dy) + rng.normal(0, 0.002, (51, 51)) + 0.3
        if number == 2:
            stamp += 200.0 * gaussian(51, 1.6, dx=16, dy=3)
        hole = np.zeros(stamp.shape, bool)
        hole[:, :8] = number == 3
        stamp[hole] = np.nan
        stamps.append(stamp)
        bad.append(hole)
        centres.append((25 + rng.normal(0, 0.1), 25 + rng.normal(0, 0.1)))
    psf = stack_stars(stamps, bad, centres, 0.06)
    assert psf is not None
    assert psf.stars == 7
    np.testing.assert_allclose(psf.pixels, gaussian(51, 1.6), atol=0.0015)


def test_stars_without_a_core_are_not_used() -> None:
    stamp, hole = gaussian(51, 1.6), np.zeros((51, 51), bool)
    hole[25, 25] = True
    assert stack_stars([stamp], [hole], [(25, 25)], 0.06) is None
    assert stack_stars([-stamp], [~hole & hole], [(25, 25)], 0.06) is None
    assert stack_stars([stamp], [hole & ~hole], [(18, 25)], 0.06) is None  # it is not where it should be
    assert stack_stars([], [], [], 0.06) is None


def test_a_profiles_file_wins_and_its_faults_are_named(tmp_path: Path) -> None:
    source, stars = star_field(tmp_path, "F277W", stars_per_arcmin2=20.0)
    stated = PsfOptions(files={"F277W": "psf.fits"})
    options = with_folder(stated, tmp_path)

    def write(image: NDArray[Any], **cards: float) -> None:
        fits.PrimaryHDU(image.astype(np.float32), fits.Header(cards)).writeto(tmp_path / "psf.fits", overwrite=True)

    write(gaussian(100, 6.0), PIXELSCL=0.02)
    psf = psf_of(source, options, MosaicOptions(), stars)
    assert (psf.origin, psf.stars) == ("profile", 0)
    assert half_width(psf) == pytest.approx(2.355 * 6 * 0.02, rel=0.04)
    stated_too = options.model_copy(update={"pixel_scale_arcsec": 0.03})
    assert half_width(psf_of(source, stated_too, MosaicOptions(), stars)) == pytest.approx(half_width(psf))
    write(gaussian(100, 6.0), PIXELSCL=1)
    assert half_width(psf_of(source, stated_too, MosaicOptions(), stars)) > 2
    write(gaussian(100, 6.0), CD1_1=-0.02 / 3600, CD2_1=0.0)
    np.testing.assert_allclose(psf_of(source, options, MosaicOptions(), stars).pixels, psf.pixels, atol=1e-7)
    write(gaussian(100, 6.0))
    with pytest.raises(ProfileError, match=r"psf\.pixel_scale_arcsec"):
        psf_of(source, options, MosaicOptions(), stars)
    fallback = options.model_copy(update={"pixel_scale_arcsec": 0.02})
    np.testing.assert_allclose(psf_of(source, fallback, MosaicOptions(), stars).pixels, psf.pixels, atol=1e-7)
    write(np.full((9, 9), np.nan), PIXELSCL=0.02)
    with pytest.raises(ProfileError, match="finite"):
        psf_of(source, options, MosaicOptions(), stars)
    write(np.ones(9), PIXELSCL=0.02)
    with pytest.raises(ProfileError, match="2-D"):
        psf_of(source, options, MosaicOptions(), stars)
    with pytest.raises(ProfileError, match="cannot be read"):
        psf_of(source, with_folder(stated, tmp_path / "away"), MosaicOptions(), stars)
