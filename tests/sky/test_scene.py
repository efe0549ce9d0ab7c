"""The truth table: distributions as stated, one scene for both fields, grey galaxies as promised."""

import numpy as np
import pytest
from astropy.table import Table
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from gzjwst_core.sky.fields import sky_fields
from gzjwst_core.sky.options import SkyOptions
from gzjwst_core.sky.scene import draw_scene


@pytest.fixture(scope="module")
def scene() -> Table:
    return draw_scene(SkyOptions())


@pytest.mark.parametrize(
    ("wrong", "names"),
    [
        ({"bands": ("F115X",)}, "F115X"),
        ({"bands": ("F115W", "F115W")}, "twice"),
        ({"bands": ("F356W",)}, "twice"),
        ({"size_arcsec": float("nan")}, "size_arcsec"),
        ({"size_arcsec": "60"}, "size_arcsec"),
        ({"sise_arcsec": 60.0}, "sise_arcsec"),
    ],
)
def test_wrong_options_are_refused_by_name(wrong: dict[str, object], names: str) -> None:
    with pytest.raises(ValidationError, match=names):
        SkyOptions.model_validate(wrong)


def test_options_come_back_from_json() -> None:
    options = SkyOptions(seed=3, bands=("F277W",))
    assert SkyOptions.model_validate(options.model_dump(mode="json")) == options


def test_equal_options_draw_equal_scenes_and_another_seed_another(scene: Table) -> None:
    assert np.array_equal(draw_scene(SkyOptions())["ra_deg"], scene["ra_deg"])
    other = draw_scene(SkyOptions(seed=1))
    assert not np.array_equal(other["ra_deg"][-50:], scene["ra_deg"][-50:])


def test_counts_rise_steeply_and_sizes_fall_with_magnitude(scene: Table) -> None:
    galaxies = scene[(scene["kind"] == "galaxy") & ~scene["grey"]]
    mag, r50 = np.asarray(galaxies["mag_F277W"]), np.asarray(galaxies["r50_arcsec"])
    assert mag.min() > 18.2  # the law's ends, and 0.05 mag scatter
    assert mag.max() < 29.3
    slope = np.log10(np.sum(mag < 28.5) / np.sum(mag < 25.5)) / 3
    assert 0.2 < slope < 0.35
    for centre in (25.0, 27.0):
        near = np.abs(mag - centre) < 0.75
        assert np.median(r50[near]) == pytest.approx(0.30 * 10 ** (-0.09 * (centre - 24)), rel=0.2)
    assert set(np.unique(galaxies["sersic_n"])) >= {1.0, 4.0}


def test_magnitudes_are_ab_of_microjansky(scene: Table) -> None:
    for band in SkyOptions().bands:
        assert np.allclose(scene[f"mag_{band}"], 23.9 - 2.5 * np.log10(scene[f"flux_{band}_ujy"]))
        assert str(scene[f"flux_{band}_ujy"].unit) == "uJy"


def test_grey_galaxies_are_equal_in_every_band_large_and_alone(scene: Table) -> None:
    grey = scene[scene["grey"]]
    assert len(grey) == 6
    fluxes = np.array([grey[f"flux_{band}_ujy"] for band in SkyOptions().bands])
    assert np.array_equal(fluxes, np.broadcast_to(fluxes[0], fluxes.shape))
    assert np.min(grey["r50_arcsec"]) >= 0.35
    assert np.all(grey["in_o001_t001"] | grey["in_south"])
    for row in grey:
        d_ra = (scene["ra_deg"] - row["ra_deg"]) * np.cos(np.deg2rad(row["dec_deg"]))
        distances = np.sort(3600 * np.hypot(d_ra, scene["dec_deg"] - row["dec_deg"]))
        assert distances[1] > 4.0


def test_both_fields_see_the_sources_they_share(scene: Table) -> None:
    first, south = np.asarray(scene["in_o001_t001"]), np.asarray(scene["in_south"])
    assert 20 < np.sum(first & south) < 0.35 * first.sum()
    assert first.sum() > 150
    assert south.sum() > 150


@settings(max_examples=8, deadline=None)
@given(
    ra=st.floats(0, 359.9),
    dec=st.floats(-80, 80),
    overlap=st.floats(0.05, 0.6),
    roll=st.floats(-180, 180),
)
def test_overlap_is_as_asked_anywhere_on_the_sky(ra: float, dec: float, overlap: float, roll: float) -> None:
    options = SkyOptions(centre_ra_deg=ra, centre_dec_deg=dec, overlap_fraction=overlap, roll_deg=roll)
    first, south = sky_fields(options)
    grid = np.linspace(0, first.short.shape[0] - 1, 120)
    x, y = np.meshgrid(grid, grid)
    places = first.short.wcs.all_pix2world(x, y, 0)
    covered = first.short.exposures_at(*places) > 0
    both = covered & (south.short.exposures_at(*places) > 0)
    assert both.sum() / covered.sum() == pytest.approx(overlap, abs=0.06)


def test_a_tiny_field_gets_what_fits() -> None:
    scene = draw_scene(SkyOptions(size_arcsec=6.0, bright_stars=20, grey_galaxies=20))
    assert 0 < np.sum(scene["grey"]) < 40
    assert 0 < np.sum(scene["saturated"]) < 40
    assert np.all(np.isfinite(scene["ra_deg"]))
