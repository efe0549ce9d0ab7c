"""Pixels against the truth: flux, place and size of sources; level and correlation of noise; saturation."""

import dataclasses

import numpy as np
import pytest
import sep
from astropy.table import Table
from hypothesis import given, settings
from hypothesis import strategies as st

from gzjwst_core.psf.sersic import sersic_stamp
from gzjwst_core.sky.bands import BANDS
from gzjwst_core.sky.geometry import FieldGeometry
from gzjwst_core.sky.noise import aperture_factor, correlated_noise, full_depth_sigma
from gzjwst_core.sky.psf import psf_stamp
from gzjwst_core.sky.render import BandImage, render_band, render_light

SHORT = FieldGeometry(150.1, 2.2, 9.0, 17.0, 0.03, (0.12, -0.31), 19.5)
LONG = dataclasses.replace(SHORT, pixel_scale_arcsec=0.06, offset_px=(0.37, 0.21), rows=1)


def one_source(x: float, y: float, **columns: object) -> Table:
    """A scene of one source at pixel (x, y) of the short-wave grid."""
    ra, dec = SHORT.wcs.all_pix2world(x, y, 0)
    row = {"ra_deg": float(ra), "dec_deg": float(dec), "kind": "galaxy", "r50_arcsec": 0.3, "sersic_n": 1.0}
    row |= {"axis_ratio": 0.6, "pa_deg": 30.0} | {f"flux_{band}_ujy": 10.0 for band in BANDS} | columns
    return Table([row])


@settings(max_examples=12, deadline=None)
@given(
    x=st.floats(140, 160),
    y=st.floats(140, 160),
    n=st.floats(0.6, 4.0),
    r50=st.floats(0.03, 0.35),
    q=st.floats(0.25, 1.0),
    band=st.sampled_from(["F115W", "F444W"]),
)
def test_flux_and_place_of_a_galaxy_are_kept(*, x: float, y: float, n: float, r50: float, q: float, band: str) -> None:
    grid = SHORT if band == "F115W" else LONG
    scene = one_source(x, y, sersic_n=n, r50_arcsec=r50, axis_ratio=q)
    light = render_light(scene, grid, band).astype(np.float64)
    assert light.sum() == pytest.approx(10.0, rel=0.01)
    true_x, true_y = grid.to_pixels(scene["ra_deg"], scene["dec_deg"])
    lines, columns = np.indices(light.shape)
    assert (light * columns).sum() / light.sum() == pytest.approx(true_x[0], abs=0.05)
    assert (light * lines).sum() / light.sum() == pytest.approx(true_y[0], abs=0.05)


@pytest.mark.parametrize("n", [0.6, 1.0, 2.5, 4.0])
def test_half_of_the_light_lies_within_r50(n: float) -> None:
    stamp = sersic_stamp(n=n, r50_px=20.0, axis_ratio=1.0, major=(1.0, 0.0), centre=(0.3, -0.2)).astype(np.float64)
    half = stamp.shape[0] // 2
    flux, _, _ = sep.sum_circle(stamp, [half + 0.3], [half - 0.2], 20.0, subpix=5)
    assert flux[0] == pytest.approx(0.5, abs=0.005)
    assert stamp[0].max() < 1e-7  # fades out: no visible edge


def test_position_angle_is_east_of_north_on_the_sky() -> None:
    light = render_light(one_source(150, 150, pa_deg=60.0, axis_ratio=0.3, r50_arcsec=0.4), SHORT, "F115W")
    lines, columns = np.indices(light.shape)
    ra, dec = SHORT.wcs.all_pix2world(columns, lines, 0)
    east, north = (ra - 150.1) * np.cos(np.deg2rad(2.2)) * 3600, (dec - 2.2) * 3600
    weights = light / light.sum()
    east, north = east - (weights * east).sum(), north - (weights * north).sum()
    ee, nn, en = ((weights * a * b).sum() for a, b in ((east, east), (north, north), (east, north)))
    assert np.rad2deg(0.5 * np.arctan2(2 * en, nn - ee)) == pytest.approx(60.0, abs=1.0)


def test_psf_grows_with_wavelength_and_its_core_has_the_stated_width() -> None:
    widths = []
    for band in (BANDS["F115W"], BANDS["F277W"], BANDS["F444W"]):
        stamp = psf_stamp(band, scale_arcsec=0.005, radius_arcsec=1.0)
        profile = stamp[stamp.shape[0] // 2]
        widths.append(0.005 * np.sum(profile > profile.max() / 2))
        assert widths[-1] == pytest.approx(band.psf_fwhm_arcsec, rel=0.2, abs=0.006)
        assert stamp.sum(dtype=np.float64) == pytest.approx(1.0, abs=1e-5)
    assert widths == sorted(widths)


def test_a_bright_star_has_six_big_spikes_and_two_small() -> None:
    stamp = psf_stamp(BANDS["F150W"], scale_arcsec=0.03, radius_arcsec=3.0)
    angles = np.deg2rad(np.arange(0, 360, 2))
    middle = stamp.shape[0] // 2
    ring = stamp[np.rint(middle + 50 * np.sin(angles)).astype(int), np.rint(middle + 50 * np.cos(angles)).astype(int)]
    floor = np.median(ring)
    big = [int(angle) for angle in np.arange(0, 360, 2)[ring > 10 * floor]]
    assert {round(angle / 30) * 30 % 360 for angle in big} == {30, 90, 150, 210, 270, 330}
    assert 1.3 * floor < ring[0] < 10 * floor


def test_noise_is_correlated_as_drizzle_leaves_it() -> None:
    noise = correlated_noise((600, 600), np.random.default_rng(1)).astype(np.float64)
    assert noise.std() == pytest.approx(1.0, abs=0.01)
    assert np.mean(noise[:, 1:] * noise[:, :-1]) == pytest.approx(0.236, abs=0.01)
    blocks = noise.reshape(60, 10, 60, 10).sum(axis=(1, 3))
    assert 1.35 < blocks.std() / 10 < 1.55  # 1.5 for infinite blocks


def test_empty_apertures_reach_the_stated_depth() -> None:
    noise = correlated_noise((500, 500), np.random.default_rng(2))
    places = np.random.default_rng(3).uniform(10, 490, (2, 8000))
    sums, _, _ = sep.sum_circle(noise, *places, 2.5, subpix=5)
    assert sums.std() == pytest.approx(aperture_factor(2.5), rel=0.04)
    band = BANDS["F277W"]
    five_sigma_ujy = 5 * full_depth_sigma(band) * band.ujy_per_mjysr * aperture_factor(2.5)
    assert 23.9 - 2.5 * np.log10(five_sigma_ujy) == pytest.approx(28.0, abs=1e-6)


@pytest.fixture(scope="module")
def image() -> BandImage:
    bright = one_source(210, 210, kind="star", sersic_n=np.nan, **{f"flux_{band}_ujy": 2000.0 for band in BANDS})
    galaxy = one_source(90, 90)
    return render_band(Table([dict(galaxy[0]), dict(bright[0])]), SHORT, "F115W", seed=[1, 2])


def test_err_is_the_rms_of_the_noise_at_every_depth(image: BandImage) -> None:
    pull = (image.sci - image.light - image.background) / image.err
    exposures = np.bitwise_count(image.con[0])
    for count in (1, 2, 3, 4):
        assert np.std(pull[exposures == count]) == pytest.approx(1.0, abs=0.06)
    quiet = image.light < 0.01 * image.err
    depth = [float(np.median(image.err[quiet & (exposures == count)])) for count in (1, 2, 4)]
    assert depth[0] / depth[2] == pytest.approx(2.0, rel=0.03)
    assert np.allclose(image.err**2, image.var_poisson + image.var_rnoise + image.var_flat, equal_nan=True)


def test_missing_data_is_nan_with_no_weight_in_every_plane(image: BandImage) -> None:
    gone = image.con[0] == 0
    for plane in (image.sci, image.err, image.var_poisson, image.var_rnoise, image.var_flat):
        assert np.array_equal(np.isnan(plane), gone)
        assert plane.dtype == np.float32
    assert np.array_equal(image.wht == 0, gone)


def test_a_bright_star_loses_its_core_and_nothing_else_does(image: BandImage) -> None:
    lost = np.isnan(image.sci) & (SHORT.contribution_map() > 0)
    lines, columns = np.nonzero(lost)
    assert lost[210, 210]
    assert np.hypot(lines - 210, columns - 210).max() < 8


def test_another_seed_moves_the_noise_only() -> None:
    scene = one_source(90, 90)
    one, two = (render_band(scene, LONG, "F277W", seed=seed) for seed in (1, 2))
    assert np.array_equal(one.light, two.light)
    assert np.array_equal(one.err, two.err, equal_nan=True)
    assert not np.array_equal(one.sci, two.sci, equal_nan=True)
