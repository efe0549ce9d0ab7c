"""Injected galaxies: drawn as stated, drawn where they belong, found again by the catalog's own code."""

from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gzjwst_core.completeness.galaxy_light import add_galaxies, galaxy_light, grid_places, kernels
from gzjwst_core.completeness.injected import (
    Colours,
    batch_sizes,
    colours_of,
    draw_galaxies,
    far_apart,
    generator,
    with_fluxes,
)
from gzjwst_core.completeness.injection import FieldBefore, detect_negative, inject
from gzjwst_core.completeness.negative import empty_and_turned
from gzjwst_core.errors import StorageError
from gzjwst_core.flag_bits import Flag
from gzjwst_core.mosaics.geometry import Box, whole
from gzjwst_core.mosaics.reader import Window, open_mosaic
from gzjwst_core.mosaics.units import ab_magnitude
from gzjwst_core.options import CompletenessOptions, MosaicOptions, PsfOptions
from gzjwst_core.photometry.field_catalog import FieldCatalog
from gzjwst_core.psf.model import model_psf
from gzjwst_core.sky.geometry import tangent_wcs
from gzjwst_core.storage.scratch import scratch
from tests.catalog.tiny_sky import Profile, TinySky

FIELD = "o001_t001"


@pytest.mark.parametrize("n", [1.0, 4.0])
@pytest.mark.parametrize("r50_px", [0.8, 4.0, 12.0])
def test_a_galaxy_keeps_its_light_and_its_place(n: float, r50_px: float) -> None:
    psf = kernels(model_psf("F277W", 0.06))
    light = galaxy_light(n=n, r50_px=r50_px, axis_ratio=0.5, major=(0.6, 0.8), centre=(0.31, -0.42), psf=psf)
    steps = np.arange(light.shape[0]) - light.shape[0] // 2
    assert light.sum() == pytest.approx(1, abs=1e-3)
    assert (light.sum(axis=0) @ steps, light.sum(axis=1) @ steps) == pytest.approx((0.31, -0.42), abs=0.02)


def test_the_pixels_width_is_in_a_small_galaxy_once() -> None:
    """A galaxy much smaller than the PSF looks like it."""
    psf = model_psf("F277W", 0.06)
    light = galaxy_light(n=1.0, r50_px=0.1, axis_ratio=1.0, major=(1.0, 0.0), centre=(0.0, 0.0), psf=kernels(psf))
    middle, star = light.shape[0] // 2, psf.pixels.shape[0] // 2
    np.testing.assert_allclose(light[middle, middle - 3 : middle + 4], psf.pixels[star, star - 3 : star + 4], atol=0.01)


@given(st.floats(0, 180), st.floats(-180, 180))
def test_position_angles_are_east_of_north_on_any_grid(pa: float, roll: float) -> None:
    galaxy = Table({"ra": [150.0], "dec": [60.0], "pa": [pa]})
    major = grid_places(tangent_wcs(150.0, 60.0, roll, 0.06), galaxy).major[0]
    turned = np.radians(pa - roll)  # from +y towards -x, which is east where north is up
    assert abs(major @ [-np.sin(turned), np.cos(turned)]) == pytest.approx(1, abs=1e-5)


def test_light_beyond_the_grid_is_dropped_and_the_rest_counts() -> None:
    wcs, psf = tangent_wcs(10.0, 0.0, 0.0, 0.06, (20.0, 20.0)), model_psf("F277W", 0.06)
    galaxy = Table({"ra": [10.0], "dec": [0.0], "pa": [0.0], "r50": [0.1], "sersic_n": [1.0], "axis_ratio": [1.0],
                    "F277W_flux_in": [3.0]})  # fmt: skip
    plane, cut = np.zeros((60, 60), np.float32), np.zeros((60, 19), np.float32)
    add_galaxies(plane, galaxy, wcs, "F277W", psf)
    add_galaxies(cut, galaxy, wcs, "F277W", psf)
    assert plane.sum() == pytest.approx(3.0, rel=5e-3)
    np.testing.assert_array_equal(cut, plane[:, :19])


def test_galaxies_are_drawn_within_the_stated_ranges_and_by_name_of_the_field() -> None:
    options = CompletenessOptions(mag_range=(24.0, 26.0), r50_range=(0.1, 0.5))
    drawn = draw_galaxies(generator(options, "a", 0), 500, options)
    for name, (low, high) in (("mag", options.mag_range), ("r50", options.r50_range)):
        assert [low, high] == pytest.approx([drawn[name].min(), drawn[name].max()], rel=0.05)
        assert low <= drawn[name].min() < drawn[name].max() <= high
    assert {1.0, 4.0} < set(drawn["sersic_n"].tolist())
    assert drawn["axis_ratio"][drawn["sersic_n"] > 2.5].min() >= 0.5
    again, other = (draw_galaxies(generator(options, name, 0), 500, options) for name in ("a", "b"))
    assert np.array_equal(drawn["mag"], again["mag"])
    assert not np.array_equal(drawn["mag"], other["mag"])


@given(st.integers(1, 5000), st.floats(0.01, 30), st.floats(1, 200), st.integers(1, 30))
def test_batches_are_no_denser_and_no_more_than_stated(sources: int, area: float, density: float, most: int) -> None:
    sizes = batch_sizes(CompletenessOptions(sources=sources, density=density, batches=most), area)
    assert 1 <= len(sizes) <= most
    assert max(sizes) <= max(density * area, 1)
    assert sum(sizes) == sources or len(sizes) == most


def test_colours_are_those_of_real_galaxies_of_that_magnitude() -> None:
    flux = np.array([100.0, 90.0, 1.0, 0.9, 50.0, 50.0])
    catalog = Table({"F277W_flux_tot": flux, "F277W_fluxerr_tot": flux / [20, 20, 20, 20, 20, 2],
                     "F150W_flux_tot": flux * [2, 2, 0.5, -1, 9, 9], "is_star": [False] * 4 + [True, False],
                     "flags": np.zeros(6, np.uint32)})  # fmt: skip
    colours = colours_of(catalog, ("F150W", "F277W"), "F277W")
    assert colours.ratio[:, 0].tolist() == [2, 2, 0.5, 0]
    one = Colours(colours.mag[:1], colours.ratio[:1])
    given_ = with_fluxes(np.random.default_rng(1), Table({"mag": [23.9, 26.4]}), one, ("F150W", "F277W"))
    assert given_["F277W_flux_in"].tolist() == pytest.approx([1.0, 0.1])
    assert given_["F150W_flux_in"].tolist() == pytest.approx([2.0, 0.2])
    assert colours_of(catalog[:0], ("F150W", "F277W"), "F277W").ratio.tolist() == [[1, 1]]
    catalog["flags"][1] = np.uint32(Flag.GAP)  # some of its light is not there
    assert colours_of(catalog, ("F150W", "F277W"), "F277W").ratio[:, 0].tolist() == [2, 0.5, 0]


@given(arrays(float, st.tuples(st.integers(0, 30), st.just(2)), elements=st.floats(0, 10)), st.floats(0.1, 5))
def test_points_are_dropped_only_for_a_kept_one_that_is_too_near(points: np.ndarray, least: float) -> None:
    kept = far_apart(points[:, 0], points[:, 1], least)
    distance = np.hypot(*(points[:, None] - points[None]).T)
    for row, stays in enumerate(kept):
        nearest = np.min(distance[row, :row][kept[:row]], initial=np.inf)
        assert stays == (nearest > least)


def test_more_galaxies_than_find_places_are_refused_and_the_most_allowed_find_theirs() -> None:
    with pytest.raises(ValueError, match="density 300: at most 225 find places 2 arcsec apart"):
        CompletenessOptions(density=300.0, apart_arcsec=2.0)
    options = CompletenessOptions(density=225.0, apart_arcsec=2.0)
    rng = np.random.default_rng(1)
    tries = rng.uniform(0, 120, (8 * 900, 2))  # four square arcmin; what _points draws in its second round
    kept = far_apart(tries[:, 0], tries[:, 1], options.apart_arcsec)
    assert kept.sum() >= options.density * 4


def test_a_reader_adds_light_where_there_are_data(sky: TinySky, tmp_path: Path) -> None:
    source = sky.fields[FIELD][1]
    with open_mosaic(source, MosaicOptions()) as reader:
        shape, plain = reader.shape, reader.windows(whole(reader.shape))
    light = np.zeros(shape, np.float32)
    light[200:204] = 2.0
    light.tofile(tmp_path / "light")
    box = Box(190, 210, -5, shape[1])
    with open_mosaic(source.replace(light=str(tmp_path / "light")), MosaicOptions()) as reader:
        lit = reader.windows(box)
    here = plain.sci[190:210]
    np.testing.assert_array_equal(lit.sci[:, 5:], here + light[190:210])
    assert np.isnan(here).any()
    assert plain.err is not None
    assert lit.err is not None
    np.testing.assert_array_equal(lit.err[:, 5:], plain.err[190:210])


def test_empty_sky_takes_the_place_of_sources_with_its_sign_turned() -> None:
    rng = np.random.default_rng(1)
    sci = rng.normal(size=(40, 40)).astype(np.float32)
    err = rng.uniform(1, 2, (40, 40)).astype(np.float32)
    sources = np.zeros((40, 40), dtype=bool)
    sources[15:20, 15:20] = True
    sci[sources] = 1e6
    sci[30, 30] = np.nan
    sources[10:30, 28:32] = True  # no step reaches beyond all of it
    made = empty_and_turned(Window(sci, err, None), sources, np.s_[10:30, 10:30], [3, 6])
    inner = np.s_[10:30, 10:30]
    free = ~sources[inner]
    np.testing.assert_array_equal(made.sci[free], -sci[inner][free])
    assert np.nanmax(np.abs(made.sci)) < 10
    pairs = {(-s, e) for s, e in zip(sci.ravel().tolist(), err.ravel().tolist(), strict=True)}
    assert made.err is not None
    covered = np.isfinite(made.sci)
    assert set(zip(made.sci[covered].tolist(), made.err[covered].tolist(), strict=True)) <= pairs


class Injecting(Profile):
    psf = PsfOptions()
    completeness = CompletenessOptions(seed=2, sources=14, density=150.0, mag_range=(22.5, 24.0), r50_range=(0.1, 0.25))


@pytest.fixture(scope="module")
def before(made: tuple[FieldCatalog, str]) -> FieldBefore:
    mosaics = made[0].mosaics
    area = float(mosaics["area"][mosaics["band"] == "F277W"][0])
    return FieldBefore(FIELD, made[0].table, "F277W", ("F277W", "F444W"), area)


def test_bright_galaxies_come_out_as_they_went_in(sky: TinySky, before: FieldBefore, tmp_path: Path) -> None:
    with scratch(tmp_path) as place:
        made = inject(sky.fields[FIELD], Injecting(), before, bands=sky.bands, scratch=place)
    injected = made.galaxies
    assert list(tmp_path.iterdir()) == []
    assert len(injected) == 14
    assert injected["recovered"].sum() >= 12
    found = injected[injected["recovered"]]
    change = {b: ab_magnitude(found[f"{b}_flux_tot"]) - ab_magnitude(found[f"{b}_flux_in"]) for b in sky.bands}
    assert abs(np.median(change["F277W"])) < 0.1  # two bright stars light up this small field
    for band in sky.bands:  # and every band holds the same galaxy
        assert abs(np.median(change[band] - change["F277W"])) < 0.08, band
    assert np.array_equal(found["mag_out"], made.detections["mag_ref"])
    assert set(made.detections.colnames) == set(before.catalog.colnames)
    assert np.array_equal(np.isnan(injected["mag_out"]), ~(injected["recovered"] | injected["blended"]))


def test_sky_without_sources_has_nearly_none(
    sky: TinySky, before: FieldBefore, made: tuple[FieldCatalog, str], tmp_path: Path
) -> None:
    with scratch(tmp_path) as place:
        negative = detect_negative(
            sky.fields[FIELD], Injecting(), before, Path(made[1]), bands=sky.bands, scratch=place
        )
    assert list(tmp_path.iterdir()) == []
    assert len(negative) <= 0.1 * len(before.catalog)


def test_scratch_files_go_however_the_block_ends(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="No such"), scratch(tmp_path / "s") as place:
        place("a").write_bytes(b"1")
        (tmp_path / "nowhere" / "b").write_bytes(b"2")
    assert list((tmp_path / "s").iterdir()) == []
