"""One WCS in, the same sky out; what is not read is refused by the name of its card."""

import logging
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS
from hypothesis import given, settings
from hypothesis import strategies as st

from gzjwst_core.errors import MosaicLayoutError
from gzjwst_core.mosaics.geometry import grid_axes, grid_positions, mapped_axes, sky_axes, sky_jacobian, stated_wcs
from gzjwst_core.mosaics.reader import open_mosaic
from gzjwst_core.mosaics.rows import Places, rows_around
from gzjwst_core.mosaics.wcs import celestial_wcs, wcs_rows
from gzjwst_core.options import MosaicOptions
from tests.mosaics.wcs_headers import HEADERS, SHAPE, TAN, corners, products, sky_of, write_mosaic

ALLOWED_MAS = 1.0
CTYPES = {"SCAMP": "RA---TPV"}
SIP = {"CTYPE1": "RA---TAN-SIP", "CTYPE2": "DEC--TAN-SIP", "A_ORDER": 2, "B_ORDER": 2}


@pytest.mark.parametrize("name", HEADERS)
def test_every_product_shows_the_sky_of_the_mosaics_header(
    name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source = write_mosaic(tmp_path / "m.fits", HEADERS[name])
    off = dict(products(tmp_path, source))
    assert {"reader", "segmap", "depth", "negative", "cutout SCI_F277W", "cutout SEG", "cutout MASK"} < set(off)
    assert sum(product.startswith("single band") for product in off) == 1
    assert max(off.values()) < ALLOWED_MAS, off
    for plane, kind in (("seg.fits", "SEG"), ("depth.fits", "F277W")):
        assert fits.getheader(tmp_path / plane, kind)["CTYPE1"] == CTYPES.get(name[:7], HEADERS[name]["CTYPE1"])
    assert capfd.readouterr().err == ""  # nobody is told of repairs that astropy makes


@pytest.mark.parametrize("name", ["TAN-SIP", "TPV", "FK5", "pole", "native reference"])
def test_a_written_wcs_is_read_again_to_the_last_digit(name: str) -> None:
    wcs = celestial_wcs(fits.Header([*HEADERS[name].items()]), "x")
    again = celestial_wcs(fits.Header(wcs_rows(wcs)), "x")
    x, y = corners(SHAPE)
    np.testing.assert_allclose(again.all_pix2world(x, y, 0), wcs.all_pix2world(x, y, 0), rtol=0, atol=1e-11)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"CTYPE1": "RA---CAR", "CTYPE2": "DEC--CAR"}, "CTYPE1.*one of TAN, SIN, STG, ARC, ZEA, TPV"),
        ({"CTYPE1": "RA---AIT", "CTYPE2": "DEC--AIT"}, "CTYPE1.*one of TAN"),
        ({"CTYPE1": "RA---MOL", "CTYPE2": "DEC--MOL"}, "CTYPE1.*one of TAN"),
        ({"CTYPE1": "RA---TNX", "CTYPE2": "DEC--TNX", "WAT1_001": "wtype=tnx axtype=ra"}, "CTYPE1.*one of TAN"),
        ({"CTYPE1": "RA---ZPX", "CTYPE2": "DEC--ZPX"}, "CTYPE1.*one of TAN"),
        ({"CTYPE1": "GLON-TAN", "CTYPE2": "GLAT-TAN"}, "CTYPE1.*right ascension and declination are needed"),
        ({"CTYPE1": "RA---TAN-SIP", "CTYPE2": "DEC--TAN-SIP"}, "A_ORDER and B_ORDER go with -SIP"),
        ({"A_ORDER": 2, "B_ORDER": 2, "A_2_0": 1e-6}, "A_ORDER and B_ORDER go with -SIP"),
        ({**SIP, "B_ORDER": 1, "A_2_0": 1e-6}, "B_ORDER = 1: a SIP order is 2 to 9"),
        ({**SIP, "CTYPE2": "DEC--TAN"}, "A_ORDER and B_ORDER go with -SIP"),
        ({**SIP, "PV1_5": 0.1}, "PV1_5 mean nothing in TAN"),
        ({**SIP, "CTYPE1": "RA---TPV-SIP", "CTYPE2": "DEC--TPV-SIP"}, "TPV and SIP"),
        ({"CTYPE1": "RA---TPV", "CTYPE2": "DEC--TPV", "PV1_4": 0.8}, "PV1_1, PV2_1 missing with TPV"),
        ({"PV2_1": 1.0, "PV2_2": 1e-3}, "PV2_1, PV2_2 mean nothing in TAN.*RA---TPV"),
        ({"CTYPE1": "RA---ARC", "CTYPE2": "DEC--ARC", "PV1_7": 1.0}, "PV1_7 mean nothing in ARC"),
        ({"CPDIS1": "LOOKUP"}, "CPDIS1: a distortion by tables in other HDUs is not read"),
        ({"D2IMDIS2": "LOOKUP", "D2IMARR": 1.0}, "D2IMDIS2, D2IMARR"),
        ({"RADESYS": "FK4"}, "RADESYS is FK4.*ICRS and FK5 of equinox 2000"),
        ({"RADECSYS": "FK4"}, "RADESYS is FK4"),
        ({"EPOCH": 1950.0}, "EQUINOX .or EPOCH. 1950.0"),
        ({"EQUINOX": 1950.0}, "EQUINOX .or EPOCH. 1950.0"),
        ({"RADESYS": "GAPPT"}, "RADESYS is GAPPT"),
        ({"RADESYS": "FK5", "PV1_1": 1.0}, "state the WCS in ICRS"),
        ({"CUNIT1": "hourangle"}, "CUNIT1 = 'hourangle' is no angle: write deg"),
        ({"CUNIT2": "pixel"}, "CUNIT2 = 'pixel' is no angle: write deg"),
        ({"CUNIT2": "furlong"}, "CUNIT2 = 'furlong' is no angle"),
        ({"PC1_1": 1.0}, "PCi_j and CDi_j are both there"),
        ({"CD1_3": 0.5}, "CD1_3 = 0.5 mixes a third axis"),
        ({"CRVAL2": 91.0}, "CRVAL2 = 91.0 deg: -90 to 90 deg is allowed"),
        ({"CRVAL1": 1e5}, "CRVAL1 = 100000.0 deg"),
        ({"CD1_1": 0.0, "CD1_2": 0.0}, "the WCS cannot be used"),
        ({"CRVAL1": "north"}, "CRVAL1 is 'north', a number is needed"),
        ({**SIP, "A_2_0": 1e-4}, "the pixels of the WCS differ too much"),
        ({"CD2_2": 3e-5, "CD2_1": 0.0, "CD1_2": 0.0}, "times as long as wide"),
    ],
)
def test_what_is_not_read_is_refused_by_the_name_of_its_card(change: dict[str, Any], said: str, tmp_path: Path) -> None:
    source = write_mosaic(tmp_path / "m.fits", {**TAN, **change})
    with pytest.raises(MosaicLayoutError, match=said) as caught:
        open_mosaic(source, MosaicOptions())
    assert caught.value.reason == "bad_wcs"
    assert "local:m.fits [SCI]" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "ERROR" not in str(caught.value)


def test_tpv_goes_with_a_matrix_in_degrees() -> None:
    """wcslib applies the terms, which are of degrees, before CDELT: the corner would be 80 degrees off."""
    cards = {**HEADERS["PC and CDELT"], "CTYPE1": "RA---TPV", "CTYPE2": "DEC--TPV", "PV1_1": 1.0, "PV2_1": 1.0}
    with pytest.raises(MosaicLayoutError, match="state the matrix as CDi_j"):
        celestial_wcs(fits.Header([*cards.items()]), "x")


def test_crota1_alone_is_refused() -> None:
    cards = {**{k: v for k, v in TAN.items() if "CD" not in k}, "CDELT1": -1e-5, "CDELT2": 1e-5, "CROTA1": 9.0}
    with pytest.raises(MosaicLayoutError, match="CROTA2 alone is read"):
        celestial_wcs(fits.Header([*cards.items()]), "x")


@settings(max_examples=25, deadline=None)
@given(
    place=st.tuples(st.floats(0, 359.9), st.floats(-89.9, 89.9)),
    grid=st.tuples(st.floats(0, 360), st.sampled_from([-1.0, 1.0]), st.floats(0.6, 1.6), st.floats(-0.4, 0.4)),
    ellipse=st.tuples(st.floats(0.2, 0.9), st.floats(0, 179.9)),
)
def test_an_ellipse_keeps_its_axes_on_any_grid(
    place: tuple[float, float], grid: tuple[float, float, float, float], ellipse: tuple[float, float]
) -> None:
    """Expected: points of the ellipse that astropy draws on the sky."""
    (ra, dec), (turn, parity, stretch, shear), (ratio, angle) = place, grid, ellipse
    wcs = WCS(naxis=2)
    c, s = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    linear = np.array([[c, -s], [s, c]]) @ np.array([[parity, shear], [0.0, stretch]])
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix = ["RA---TAN", "DEC--TAN"], [ra, dec], [1.0, 1.0]
    wcs.wcs.cd = linear * 0.06 / 3600
    around = np.radians(np.arange(0.0, 360.0, 5.0))
    radius = ratio / np.hypot(ratio * np.cos(around), np.sin(around))  # of an ellipse whose major axis is 1 arcsec
    rim = SkyCoord(ra, dec, unit="deg").directional_offset_by((np.degrees(around) + angle) * u.deg, radius * u.arcsec)
    x, y = (np.asarray(v) for v in wcs.all_world2pix(rim.ra.deg, rim.dec.deg, 0))
    jacobian, one = sky_jacobian(wcs, np.zeros(1), np.zeros(1)), np.ones(1)
    a, b, theta = grid_axes(jacobian, one, ratio * one, angle * one)
    along, across = np.cos(theta) * x + np.sin(theta) * y, np.cos(theta) * y - np.sin(theta) * x
    np.testing.assert_allclose((along / a) ** 2 + (across / b) ** 2, 1.0, atol=2e-4)
    (major,), (minor,), (back,) = sky_axes(jacobian, a, b, theta)
    assert (major, minor) == (pytest.approx(1.0), pytest.approx(ratio))
    assert (back - angle + 90) % 180 - 90 == pytest.approx(0, abs=1e-4)
    assert 0 <= back < 180


def test_axes_that_are_not_known_stay_unknown() -> None:
    nan = math.nan
    found = mapped_axes(np.eye(2), np.array([2, nan, 2, 2]), np.array([1, 1, nan, 1]), np.array([0.5, 0, 0, nan]))
    assert (found[0][0], found[1][0], found[2][0] % math.pi) == pytest.approx((2, 1, 0.5))
    assert np.isnan([values[1:] for values in found]).all()


@pytest.mark.parametrize("name", ["TAN", "SIN", "TAN-SIP", "TPV", "ZEA-SIP", "pole"])
def test_positions_anywhere_on_the_sky_are_on_the_grid_or_not(name: str) -> None:
    cards = fits.Header([*HEADERS[name].items()])
    wcs, rng = celestial_wcs(cards, "x"), np.random.default_rng(1)
    x, y = rng.uniform(-20, 60, (2, 40))
    near = sky_of(cards, x, y)
    far_ra, far_dec = rng.uniform(0, 360, 500), np.degrees(np.arcsin(rng.uniform(-1, 1, 500)))
    found = grid_positions(wcs, np.append(near.ra.deg, far_ra), np.append(near.dec.deg, far_dec))
    np.testing.assert_allclose([v[:40] for v in found], [x, y], atol=1e-3)
    inside = (np.abs(found[0][40:]) < 200) & (np.abs(found[1][40:]) < 200)
    assert not inside.any()
    assert [v.size for v in grid_positions(wcs, np.empty(0), np.empty(0))] == [0, 0]


def test_rows_are_found_on_a_grid_far_from_its_reference_point() -> None:
    """A tile of a survey that has one tangent point, six degrees away."""
    wcs = stated_wcs((100, 80), 0.06, 150.0, 2.0)
    wcs.wcs.crpix = [-360_000.0, 40.0]
    wcs.wcs.set()
    ra, dec = wcs.all_pix2world([40.0], [50.0], 0)
    assert rows_around(wcs, (100, 80), Places(ra, dec, np.array([0.3]))) == ((43, 59),)


def test_the_log_is_quiet(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("SCAMP", "Degrees", "TAN-SIP", "FK5 by RADECSYS"):
        with (
            caplog.at_level(logging.INFO),
            open_mosaic(write_mosaic(tmp_path / "m.fits", HEADERS[name]), MosaicOptions()),
        ):
            pass
    assert caplog.records == []
