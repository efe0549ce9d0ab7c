"""Units: the stated zero points, and refusal of what is not known."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gzjwst_core.errors import MosaicLayoutError
from gzjwst_core.mosaics.units import ab_magnitude, magnitude_error, ujy_per_unit, zero_point_ab

SR = (math.pi / 180 / 3600) ** 2


@pytest.mark.parametrize(("scale", "zero_point"), [(0.03, 28.0865), (0.06, 26.5814)])
def test_zero_points_of_surface_brightness(scale: float, zero_point: float) -> None:
    assert zero_point_ab(ujy_per_unit("MJy/sr", scale**2 * SR, "x")) == pytest.approx(zero_point, abs=5e-5)


@pytest.mark.parametrize(
    ("unit", "factor", "zero_point"),
    [("Jy", 1e6, 8.9), ("mJy", 1e3, 16.4), ("uJy", 1.0, 23.9), ("nJy", 1e-3, 31.4), ("10nJy", 1e-2, 28.9)],
)
def test_fluxes_per_pixel(unit: str, factor: float, zero_point: float) -> None:
    assert ujy_per_unit(unit, 1.0, "x") == factor
    assert zero_point_ab(factor) == pytest.approx(zero_point)


@pytest.mark.parametrize("unit", ["10.0*nanoJansky", "10 nJy", "10*nJy"])
def test_spellings_of_ten_nanojansky(unit: str) -> None:
    assert ujy_per_unit(unit, 1.0, "x") == 1e-2


@pytest.mark.parametrize("unit", ["", "DN/s", "mJy/sr", "MJy", "counts", "erg"])
def test_unknown_units_are_refused_by_name(unit: str) -> None:
    with pytest.raises(MosaicLayoutError, match=r"field one.*is not known \(allowed: MJy/sr") as caught:
        ujy_per_unit(unit, 1.0, "field one")
    assert caught.value.reason == "bad_unit"


@given(st.floats(1e-6, 1e6))
@settings(max_examples=30, deadline=None)
def test_magnitudes_give_the_flux_back(flux: float) -> None:
    assert 10 ** (0.4 * (23.9 - float(ab_magnitude(np.array(flux))))) == pytest.approx(flux, rel=1e-9)


def test_no_flux_has_no_magnitude() -> None:
    assert np.isnan(ab_magnitude(np.array([0.0, -1.0, np.nan]))).all()
    assert np.isnan(magnitude_error(np.array([0.0, -1.0]), np.array([1.0, 1.0]))).all()
    assert magnitude_error(np.array([10.0]), np.array([1.0]))[0] == pytest.approx(0.10857, abs=1e-5)
