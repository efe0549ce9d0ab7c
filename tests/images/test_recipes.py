"""Every recipe: north up from any WCS, any number of bands, gaps and cores, one table of names."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from astropy.wcs import WCS
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gzjwst_core.cutouts.read import Cutout, read_cutout
from gzjwst_core.images.compose import colour
from gzjwst_core.images.recipes import RECIPES, grey_levels
from gzjwst_core.options import ImageOptions
from tests.cutouts.skies import BANDS, Blob, Grid, make_field
from tests.images.scenes import OPTIONS, cut, cut_bytes, flux, grids, punch

EQUAL = flux(20, 20, 20, 20)


def by(recipe: str, **options: Any) -> ImageOptions:
    return ImageOptions(**{**OPTIONS.model_dump(), "recipe": recipe, **options})


@dataclass(frozen=True)
class Mirrored(Grid):
    """East to the right at roll 0."""

    @property
    def wcs(self) -> WCS:
        wcs = super().wcs
        wcs.wcs.pc = wcs.wcs.pc * np.array([[-1], [1]])
        wcs.wcs.set()
        return wcs


@pytest.fixture(scope="module")
def disc(tmp_path_factory: pytest.TempPathFactory) -> Cutout:
    return cut(tmp_path_factory.mktemp("disc"), [Blob(0, 0, 0.25, EQUAL)], grids(17.0), noise=0.01)


def middle(rgb: NDArray[np.uint8]) -> NDArray[Any]:
    mean: NDArray[Any] = rgb[70:90, 70:90].mean(axis=(0, 1))
    return mean


def test_names_are_the_options() -> None:
    assert set(RECIPES) == set(get_args(ImageOptions.model_fields["recipe"].annotation))
    assert RECIPES[0] == ImageOptions().recipe


@pytest.mark.parametrize("roll", [0.0, 130.0])
def test_north_is_up_and_east_is_left_of_a_mirrored_wcs(tmp_path: Path, roll: float) -> None:
    blobs = [Blob(0, 1.0, 0.1, flux(0, 0, 0, 9)), Blob(1.0, 0, 0.1, flux(9, 9, 0, 0)), Blob(0, 0, 0.1, EQUAL)]
    grid = tuple(Mirrored(**vars(g)) for g in grids(roll))
    cutout = cut(tmp_path, blobs, grid, noise=0.001)
    for recipe in RECIPES:
        rgb = colour(cutout, by(recipe)).rgb.astype(int)
        north, east, opposite = rgb[20:33, 73:87], rgb[73:87, 20:33], rgb[73:87, 127:140]
        assert north[..., 0].max() > 60 + north[..., 2].max(), recipe
        assert east[..., 2].max() > 60 + east[..., 0].max(), recipe
        assert opposite.max() < 60, recipe


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_grey_galaxy_is_grey_whatever_bands_make_the_channels(disc: Cutout, recipe: str) -> None:
    copies = {"F200W": "F150W", "F356W": "F277W"}
    six = replace(
        disc, bands=dict(disc.bands) | {new: replace(disc.bands[old], band=new) for new, old in copies.items()}
    )
    sigma = dict.fromkeys(six.bands, 0.05)
    one = by(recipe, red={"F277W": 1}, green={"F277W": 1}, blue={"F277W": 1})
    two = by(recipe, red={"F444W": 1, "F277W": 0.5}, green={"F277W": 1, "F150W": 0.5}, blue={"F150W": 1})
    all_six = by(
        recipe, red={"F444W": 1, "F356W": 1}, green={"F277W": 2, "F200W": 1}, blue={"F150W": 1, "F115W": 1}, sigma=sigma
    )
    for options, used in ((one, ("F277W",)), (two, ("F150W", "F277W", "F444W")), (all_six, tuple(six.bands))):
        picture = colour(six, options)
        assert set(picture.bands) == set(used)
        assert np.ptp(middle(picture.rgb)) < 10
        assert middle(picture.rgb).min() > 60


@pytest.mark.parametrize("recipe", RECIPES)
def test_gaps_are_flat_and_do_not_bleed(tmp_path: Path, recipe: str) -> None:
    field = make_field(tmp_path, [Blob(0, 0, 0.3, EQUAL)], grids(0.0), noise=0.001)
    whole = colour(read_cutout(cut_bytes(field)), by(recipe)).rgb.astype(int)
    hole = np.zeros((233, 233), dtype=bool)
    hole[:, 122:140] = True
    punch(field, "F115W", hole)
    punch(field, "F150W", hole)
    picture = colour(read_cutout(cut_bytes(field)), by(recipe))
    assert 0.05 < picture.gap.mean() < 0.4
    assert (picture.rgb[picture.gap] == OPTIONS.gap_level).all()
    # beside a gap the mean of what is known leans away from it
    assert np.abs(picture.rgb.astype(int) - whole)[~picture.gap].max() < (40 if recipe == "lupton-matched" else 12)


@pytest.mark.parametrize("recipe", RECIPES)
def test_missing_bands_are_said(disc: Cutout, recipe: str) -> None:
    for lost, filled in ((("F115W", "F150W"), ("blue",)), (BANDS[:3], ("green", "blue"))):
        left = replace(disc, bands={name: band for name, band in disc.bands.items() if name not in lost})
        picture = colour(left, by(recipe))
        assert picture.filled == filled
        assert np.ptp(middle(picture.rgb)) < 10


@pytest.mark.parametrize("recipe", RECIPES)
def test_brighter_grey_is_brighter(recipe: str) -> None:
    signal = np.array([-5.0, 0.0, 1.0, 10.0, 100.0], dtype=np.float32)
    assert (np.diff(grey_levels(signal, by(recipe))) > (0 if "lupton" in recipe else -1e-9)).all()


@pytest.fixture(scope="module")
def saturated(tmp_path_factory: pytest.TempPathFactory) -> Cutout:
    """A blue star with a core without data."""
    there = grids(17.0)
    blobs = [Blob(0, 0, 0.15, flux(900, 900, 500, 300))]
    field = make_field(tmp_path_factory.mktemp("f"), blobs, there)
    for grid in there:
        y, x = np.indices(grid.shape)
        cy, cx = (np.array(grid.shape) - 1) / 2 + np.array(grid.offset[::-1])
        punch(field, grid.band, np.hypot(y - cy, x - cx) * grid.scale < 0.12)
    return read_cutout(cut_bytes(field, 2.0))


CURVES = st.fixed_dictionaries(
    {
        "low_sigma": st.floats(-5, 0) | st.floats(-1e4, 0),
        "knee_sigma": st.floats(0.5, 20) | st.floats(0.01, 1e4),
        "high_sigma": st.floats(0.1, 3) | st.floats(0.1, 1e4),
        "lupton_q": st.floats(0.01, 100),
    }
)


@pytest.mark.parametrize("recipe", RECIPES)
@settings(max_examples=10, deadline=None)
@given(CURVES)
@example({"high_sigma": 2.0})
@example({"lupton_q": 0.01})
def test_a_saturated_core_is_white_whatever_the_curve(saturated: Cutout, recipe: str, curve: dict[str, float]) -> None:
    assert (colour(saturated, by(recipe, size_px=32, **curve)).rgb[15:17, 15:17] == 255).all()
