"""Bands of one width: a star's core has one colour, light is kept, gaps and cores do not bleed."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gzjwst_core.bands import NIRCAM_BANDS
from gzjwst_core.cutouts.place import Placement
from gzjwst_core.images.layers import Layer
from gzjwst_core.images.matched import broadest, matched, seen_width
from gzjwst_core.images.recipes import rendered
from gzjwst_core.images.warp import picture_grid
from gzjwst_core.options import ImageOptions
from gzjwst_core.sky.bands import BANDS
from gzjwst_core.sky.psf import psf_stamp

SIZE, FOV = 100, 1.0


def star(band: str, flux: float = 10.0) -> Layer:
    """A star of the synthetic sky; flux in reference sigma x arcsec2."""
    optics = BANDS[band]
    scale, fine = optics.pixel_scale_arcsec, 3
    side = 2 * int(1.2 / scale) + 1
    stamp = psf_stamp(optics, scale_arcsec=scale / fine, radius_arcsec=1.1)
    pixels = np.pad(stamp, (fine * side - stamp.shape[0]) // 2).reshape(side, fine, side, fine).sum(axis=(1, 3))
    at = Placement(side // 2, side // 2, -1 / scale, 0.0, 0.0, 1 / scale)
    nothing = np.zeros((side, side), dtype=bool)
    return Layer(band, (flux * pixels / scale**2).astype(np.float32), ~nothing, nothing, at)


def ring(recipe: str) -> float:
    """Range of R - B over the radii of a star's core, levels of 255."""
    bands = {"red": ("F444W",), "green": ("F277W",), "blue": ("F150W", "F115W")}
    channels = {channel: [(1.0, star(band)) for band in names] for channel, names in bands.items()}
    planes = rendered(
        channels, picture_grid(FOV, SIZE), ImageOptions.model_validate({"recipe": recipe, "size_px": SIZE})
    )
    i, j = np.mgrid[:SIZE, :SIZE]
    radius = np.hypot(i - (SIZE - 1) / 2, j - (SIZE - 1) / 2) * FOV / SIZE
    apart: NDArray[Any] = 255 * (planes["red"].level - planes["blue"].level)
    return float(np.ptp([apart[(radius >= r) & (radius < r + 0.02)].mean() for r in np.arange(0, 0.15, 0.02)]))


def test_a_star_has_no_ring_of_colour() -> None:
    assert ring("lupton") > 200
    assert ring("lupton-matched") < 20


@pytest.mark.parametrize("band", ["F090W", "F150W", "F277W", "F410M"])
def test_light_is_kept_and_spread(band: str) -> None:
    before = star(band)
    after = matched(before, "F444W", 0.06, ImageOptions())
    assert after.signal.sum() == pytest.approx(before.signal.sum(), rel=0.01)
    assert after.signal.max() < before.signal.max()


def test_a_gap_and_a_core_do_not_bleed() -> None:
    flat = star("F150W")
    hole, core = np.zeros(flat.signal.shape, dtype=bool), np.zeros(flat.signal.shape, dtype=bool)
    hole[:, :20], core[30:33, 30:33] = True, True
    signal = np.full(flat.signal.shape, 7.0, dtype=np.float32)
    signal[hole], signal[core] = -50, 1e5
    after = matched(Layer("F150W", signal, ~hole, core, flat.at), "F444W", 0.06, ImageOptions()).signal
    np.testing.assert_allclose(after[~hole & ~core], 7.0, rtol=1e-4)
    assert (after[core] == 1e5).all()


def test_the_broadest_stays_as_it_is() -> None:
    layer = star("F444W")
    assert matched(layer, "F444W", 0.06, ImageOptions()) is layer


def test_widths_of_the_profile_win() -> None:
    bands = ("F115W", "F444W")
    assert broadest(bands, ImageOptions()) == "F444W"
    assert broadest(bands, ImageOptions(psf_fwhm={"F115W": 0.3})) == "F115W"


@settings(max_examples=30)
@given(st.sampled_from(NIRCAM_BANDS), st.floats(0.01, 0.1))
def test_a_width_is_more_than_its_pixel_adds(band: str, scale: float) -> None:
    optics = seen_width(band, 0.0, ImageOptions())
    assert optics < seen_width(band, scale, ImageOptions()) < optics + scale
    assert seen_width(band, scale, ImageOptions(psf_fwhm={band: optics})) == seen_width(band, scale, ImageOptions())
