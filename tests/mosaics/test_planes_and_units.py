"""Every layout of a mosaic in every unit, and what units and areas must not be believed. Expected values: astropy's."""

import gzip
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from numpy.typing import NDArray

from gzjwst_core.errors import MosaicLayoutError
from gzjwst_core.models import MosaicSource
from gzjwst_core.mosaics.geometry import whole
from gzjwst_core.mosaics.reader import open_mosaic
from gzjwst_core.options import MosaicOptions

SHAPE = (24, 20)
SCALE_DEG = 0.06 / 3600
AREA = (math.radians(SCALE_DEG)) ** 2  # of a square pixel, sr
UNITS = {
    "MJy/sr": u.MJy / u.sr * AREA * u.sr,
    "Jy": u.Jy,
    "mJy": u.mJy,
    "uJy": u.uJy,
    "nJy": u.nJy,
    "10nJy": 10 * u.nJy,
}
PACKING: dict[str, Any] = {"compression_type": "GZIP_1", "quantize_level": 0.0}
RNG = np.random.default_rng(11)
SCI_UJY = RNG.normal(0.0, 1.0, SHAPE)
ERR_UJY = RNG.uniform(0.8, 1.2, SHAPE)


def ujy(unit: str) -> float:
    """By astropy, from the definitions."""
    return float((1 * UNITS[unit]).to_value(u.uJy))


def head(**cards: Any) -> fits.Header:
    axes = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 150.1, "CRVAL2": 2.2, "CRPIX1": 10.5, "CRPIX2": 12.5}
    made = fits.Header([*axes.items(), ("CD1_1", -SCALE_DEG), ("CD1_2", 0.0), ("CD2_1", 0.0), ("CD2_2", SCALE_DEG)])
    made.update(cards)
    return made


def image(values: NDArray[Any], unit: str, name: str = "SCI", bunit: str | None = None) -> fits.ImageHDU:
    header = head() if bunit == "" else head(BUNIT=bunit or unit)
    return fits.ImageHDU((values / ujy(unit)).astype(np.float32), header, name=name)


def write(path: Path, *hdus: Any, **primary: Any) -> MosaicSource:
    fits.HDUList([fits.PrimaryHDU(header=fits.Header(list(primary.items()))), *hdus]).writeto(path)
    return MosaicSource(field="one", band="F277W", path=str(path), uri=f"local:{path.name}", identity="i")


def primary_alone(folder: Path, unit: str) -> MosaicSource:
    fits.PrimaryHDU((SCI_UJY / ujy(unit)).astype(np.float32), head(BUNIT=unit)).writeto(folder / "m.fits")
    return MosaicSource(field="one", band="F277W", path=str(folder / "m.fits"), uri="local:m", identity="i")


def unit_in_primary(folder: Path, unit: str) -> MosaicSource:
    return write(folder / "m.fits", image(SCI_UJY, unit, bunit=""), BUNIT=unit)


def all_planes(folder: Path, unit: str) -> MosaicSource:
    weights = fits.ImageHDU(np.ones(SHAPE, np.float32), head(), name="WHT")
    return write(folder / "m.fits", image(SCI_UJY, unit), image(ERR_UJY, unit, "ERR"), weights)


def err_without_unit(folder: Path, unit: str) -> MosaicSource:
    return write(folder / "m.fits", image(SCI_UJY, unit), image(ERR_UJY, unit, "ERR", bunit=""))


def err_in_nanojansky(folder: Path, unit: str) -> MosaicSource:
    return write(folder / "m.fits", image(SCI_UJY, unit), image(ERR_UJY, "nJy", "ERR"))


def scaled_integers(folder: Path, unit: str) -> MosaicSource:
    values = image(SCI_UJY, unit)
    values.scale("int32", bscale=1e-5 / ujy(unit))
    return write(folder / "m.fits", values)


def packed(folder: Path, unit: str) -> MosaicSource:
    planes = [image(SCI_UJY, unit), image(ERR_UJY, unit, "ERR")]
    return write(folder / "m.fits", *[fits.CompImageHDU(p.data, p.header, name=p.name, **PACKING) for p in planes])


def gzipped_map_in_mjy_per_sr(folder: Path, unit: str) -> MosaicSource:
    write(folder / "n.fits", image(SCI_UJY, "MJy/sr"), image(ERR_UJY, "MJy/sr", "RMS"))
    (folder / "n.fits.gz").write_bytes(gzip.compress((folder / "n.fits").read_bytes()))
    return write(folder / "m.fits", image(SCI_UJY, unit)).replace(err_path=str(folder / "n.fits.gz"))


def rms_before_sci(folder: Path, unit: str) -> MosaicSource:
    return write(folder / "m.fits", image(ERR_UJY, "nJy", "RMS"), image(SCI_UJY, unit))


def packed_primary(folder: Path, unit: str) -> MosaicSource:
    pixels = (SCI_UJY / ujy(unit)).astype(np.float32)
    return write(folder / "m.fits", fits.CompImageHDU(pixels, head(BUNIT=unit), **PACKING))


LAYOUTS: list[Callable[[Path, str], MosaicSource]] = [
    *(primary_alone, unit_in_primary, all_planes, err_without_unit, err_in_nanojansky),
    *(scaled_integers, packed, packed_primary, gzipped_map_in_mjy_per_sr, rms_before_sci),
]


WITHOUT_NOISE = (primary_alone, unit_in_primary, scaled_integers, packed_primary)


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)
def test_every_layout_in_every_unit_is_read_in_microjansky(tmp_path: Path, layout: Any) -> None:
    for number, unit in enumerate(UNITS):
        folder = tmp_path / str(number)
        folder.mkdir()
        with open_mosaic(layout(folder, unit), MosaicOptions()) as reader:
            window = reader.windows(whole(SHAPE))
        np.testing.assert_allclose(window.sci, SCI_UJY, rtol=2e-6, atol=2e-5, err_msg=unit)
        assert (window.err is None) == (layout in WITHOUT_NOISE)
        if window.err is not None:
            np.testing.assert_allclose(window.err, ERR_UJY, rtol=2e-6, err_msg=unit)


def refused(source: MosaicSource, said: str, reason: str = "bad_unit", **options: Any) -> None:
    with pytest.raises(MosaicLayoutError, match=said) as caught:
        open_mosaic(source, MosaicOptions(**options))
    assert caught.value.reason == reason
    assert not caught.value.retryable


# ---------------------------------------------------------------- units that cannot be believed


@pytest.mark.parametrize("unit", ["ELECTRONS/S", "electron s-1", "UNITLESS", "counts", "DN/s", "ADU", "e-/s"])
def test_a_unit_that_is_no_flux_gives_way_to_the_profile_s(
    tmp_path: Path, unit: str, caplog: pytest.LogCaptureFixture
) -> None:
    planes = image(SCI_UJY, "10nJy", bunit=unit), image(ERR_UJY, "10nJy", "ERR", bunit=unit)
    source = write(tmp_path / "m.fits", *planes)
    refused(source, rf"'{unit}' is not known .*: state local\[\]\.unit or mosaics\.unit")
    for stated, options in ((source.replace(unit="10nJy"), MosaicOptions()), (source, MosaicOptions(unit="10nJy"))):
        caplog.clear()
        with open_mosaic(stated, options) as reader:
            window = reader.windows(whole(SHAPE))
        assert window.err is not None
        np.testing.assert_allclose(window.sci, SCI_UJY, rtol=1e-6)
        np.testing.assert_allclose(window.err, ERR_UJY, rtol=1e-6)
        assert caplog.text.count(f"the stated unit 10nJy is used, not BUNIT {unit}") == 1


@pytest.mark.parametrize(
    "unit", ["Mjy", "mjy", "MJY", "Mjy/sr", "MJY/SR", "erg/s/cm2/Hz", "mag", "MJy2 sr-2", "Jy/beam"]
)
def test_a_unit_that_is_not_understood_gives_way_only_to_one_stated_for_the_file(tmp_path: Path, unit: str) -> None:
    source = write(tmp_path / "m.fits", image(SCI_UJY, "uJy", bunit=unit))
    refused(source, "is not known .*case tells mega from milli")
    refused(source, "is not known", unit="uJy")
    assert open_mosaic(source.replace(unit="uJy"), MosaicOptions()).ujy_per_unit == 1.0


def test_the_profile_s_general_unit_gives_way_to_the_header_s(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = write(tmp_path / "m.fits", image(SCI_UJY, "uJy", bunit="microJansky"))
    assert open_mosaic(source, MosaicOptions(unit="nJy")).ujy_per_unit == 1.0
    assert "BUNIT microJansky is used, not mosaics.unit" in caplog.text
    caplog.clear()
    open_mosaic(source.replace(unit="uJy"), MosaicOptions()).close()
    open_mosaic(source.replace(unit="nJy"), MosaicOptions(), check=False).close()  # said when it was checked
    assert caplog.text == ""


@pytest.mark.parametrize("micro", ["µJy".encode("latin-1"), "µJy".encode(), "μJy".encode()])
def test_a_micro_sign_in_a_header_is_a_u(tmp_path: Path, micro: bytes) -> None:
    source = write(tmp_path / "m.fits", image(SCI_UJY, "uJy", bunit="MICROS"))
    path = Path(source.path)
    path.write_bytes(path.read_bytes().replace(b"'MICROS  '", b"'" + micro.ljust(8) + b"'"))
    assert open_mosaic(source, MosaicOptions()).ujy_per_unit == 1.0


def test_an_error_plane_in_what_is_no_flux_is_refused(tmp_path: Path) -> None:
    for number, unit in enumerate(["electron/s", "MJy2/sr2", "1/uJy"]):
        planes = image(SCI_UJY, "uJy"), image(ERR_UJY, "uJy", "ERR", bunit=unit)
        refused(write(tmp_path / f"{number}.fits", *planes), rf"\[ERR\]: unit '{unit}' is not known")


@pytest.mark.parametrize("spelled", ["MJy sr-1", "MJy.sr**-1", "MJy / sr"])
def test_one_unit_in_two_spellings_is_one_unit(tmp_path: Path, spelled: str) -> None:
    """A unit that is stated against BUNIT holds for a noise map of the same BUNIT, however that is spelled."""
    planes = image(SCI_UJY, "nJy", bunit="MJy/sr"), image(ERR_UJY, "nJy", "ERR", bunit=spelled)
    source = write(tmp_path / "m.fits", *planes).replace(unit="nJy")
    with open_mosaic(source, MosaicOptions()) as reader:
        window = reader.windows(whole(SHAPE))
    assert window.err is not None
    np.testing.assert_allclose(window.err, ERR_UJY, rtol=1e-6)


def test_a_noise_map_in_counts_needs_a_unit_stated_for_its_mosaic(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = write(tmp_path / "m.fits", image(SCI_UJY, "nJy"), image(ERR_UJY, "nJy", "ERR", bunit="DN/s"))
    refused(source, r"\[ERR\]: unit 'DN/s' is not known", unit="nJy")  # mosaics.unit is for other files
    with open_mosaic(source.replace(unit="nJy"), MosaicOptions()) as reader:
        window = reader.windows(whole(SHAPE))
    assert window.err is not None
    np.testing.assert_allclose(window.err, ERR_UJY, rtol=1e-6)
    assert "[ERR]: the unit stated for the science plane is used, not BUNIT DN/s" in caplog.text


@pytest.mark.parametrize(
    ("cards", "offset"),
    [
        ({"CRVAL2": 2.2 + 0.4 * SCALE_DEG}, None),
        ({"CRVAL2": 2.2 + 0.6 * SCALE_DEG}, "0.6"),
        ({"CRVAL2": 3.2}, "6e\\+04"),
        ({"CRVAL1": 330.1, "CRVAL2": -2.2}, r"1\.08e\+07"),  # the other side of the sky
        ({"CD1_1": -2 * SCALE_DEG, "CD2_2": 2 * SCALE_DEG}, r"1\d\.\d+"),  # half a diagonal
        ({"CD1_1": SCALE_DEG}, r"1[89]\.?\d*"),  # mirrored
    ],
)
def test_a_noise_map_of_another_sky_is_refused(tmp_path: Path, cards: dict[str, Any], offset: str | None) -> None:
    noise = image(ERR_UJY, "uJy", "ERR")
    noise.header.update(cards)
    write(tmp_path / "n.fits", noise)
    source = write(tmp_path / "m.fits", image(SCI_UJY, "uJy")).replace(err_path=str(tmp_path / "n.fits"))
    if offset is None:
        open_mosaic(source, MosaicOptions()).close()
    else:
        refused(source, rf"n\.fits \[ERR\]: .* up to {offset} pixels off .*m\.fits \[SCI\]", "bad_noise_map")


# ---------------------------------------------------------------- the area of a pixel


@pytest.mark.parametrize("wrong", [4.41 * AREA, AREA / 4.41, 1.05 * AREA, 0.0, -AREA, "small", 1])
def test_an_area_that_contradicts_the_grid_is_refused_with_both_figures(tmp_path: Path, wrong: Any) -> None:
    planes = [image(SCI_UJY, "MJy/sr"), image(ERR_UJY, "nJy", "ERR")]
    planes[0].header["PIXAR_SR"] = wrong
    source = write(tmp_path / "m.fits", *planes)
    refused(source, rf"PIXAR_SR is .* sr, a pixel of the grid \(WCS\) has {AREA:.6g} sr.*mosaics\.pixel_area")
    with open_mosaic(source, MosaicOptions(pixel_area="wcs")) as reader:
        assert reader.ujy_per_unit == pytest.approx(1e12 * AREA, rel=1e-6)
    if wrong != "small" and wrong > 0:
        with open_mosaic(source, MosaicOptions(pixel_area="header"), check=False) as reader:
            assert reader.ujy_per_unit == pytest.approx(1e12 * wrong)
    else:
        refused(source, "PIXAR_SR is", pixel_area="header")


@pytest.mark.parametrize("near", [0.98, 1.02])
def test_an_area_that_is_nearly_the_grid_s_counts(tmp_path: Path, near: float) -> None:
    plane = image(SCI_UJY, "MJy/sr")
    plane.header["PIXAR_SR"] = near * AREA
    source = write(tmp_path / "m.fits", plane)
    with open_mosaic(source, MosaicOptions()) as reader:
        assert reader.ujy_per_unit == pytest.approx(1e12 * near * AREA)
    with open_mosaic(source, MosaicOptions(pixel_area="wcs")) as reader:
        assert reader.ujy_per_unit == pytest.approx(1e12 * AREA, rel=1e-6)


def test_an_area_that_is_not_used_hurts_nobody(tmp_path: Path) -> None:
    plane = image(SCI_UJY, "uJy")
    plane.header["PIXAR_SR"] = 1e-9
    assert open_mosaic(write(tmp_path / "m.fits", plane), MosaicOptions()).ujy_per_unit == 1.0


def test_the_grid_s_area_is_of_its_own_pixels(tmp_path: Path) -> None:
    """Of slanted pixels the determinant, not the product of the sides; with distortions that of the middle."""
    slanted, bent = image(SCI_UJY, "MJy/sr"), image(SCI_UJY, "MJy/sr")
    slanted.header["CD1_2"] = 0.5 * SCALE_DEG
    assert open_mosaic(write(tmp_path / "s.fits", slanted), MosaicOptions()).ujy_per_unit == pytest.approx(1e12 * AREA)
    bent.header.update(CTYPE1="RA---TAN-SIP", CTYPE2="DEC--TAN-SIP", A_ORDER=2, B_ORDER=2, A_2_0=4e-5, CRPIX1=-99.5)
    middle = 1e12 * AREA * (1 + 8e-5 * 110)  # dx'/dx = 1 + 2 A_2_0 dx, dx = 9.5 + 1 + 99.5
    assert open_mosaic(write(tmp_path / "b.fits", bent), MosaicOptions()).ujy_per_unit == pytest.approx(
        middle, rel=1e-6
    )
