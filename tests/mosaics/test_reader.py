"""Opening mosaics: planes, units, coverage, local files without WCS, and every fault by name."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from numpy.typing import NDArray

from gzjwst_core.errors import (
    CorruptMosaicError,
    GzJwstError,
    MosaicError,
    MosaicLayoutError,
    NoValidPixelsError,
    StorageError,
)
from gzjwst_core.models import MosaicSource
from gzjwst_core.mosaics.geometry import Box, stated_wcs, whole
from gzjwst_core.mosaics.reader import open_mosaic
from gzjwst_core.options import MosaicOptions

SHAPE = (40, 50)
SR = 8.46159499e-14  # 0.06 arcsec


def planes(**more: NDArray[Any]) -> dict[str, NDArray[Any]]:
    rng = np.random.default_rng(1)
    sci = rng.normal(0.0, 1.0, SHAPE).astype(np.float32)
    return {"SCI": sci, "ERR": np.ones(SHAPE, np.float32), "WHT": np.full(SHAPE, 9.0, np.float32), **more}


def write(
    path: Path, images: dict[str, NDArray[Any]], *, unit: str = "MJy/sr", area: float | None = SR
) -> MosaicSource:
    header = stated_wcs(SHAPE, 0.06, 150.1, 2.2).to_header()
    hdus = fits.HDUList([fits.PrimaryHDU()])
    for name, image in images.items():
        hdu = fits.ImageHDU(image, header=header, name=name)
        if name.startswith("SCI"):
            hdu.header["BUNIT"] = unit
            if area is not None:
                hdu.header["PIXAR_SR"] = area
        hdus.append(hdu)
    hdus.writeto(path)
    return MosaicSource(field="one", band="F277W", path=str(path), uri=f"local:{path.name}", identity="i")


def test_planes_come_in_microjansky_with_their_headers(tmp_path: Path) -> None:
    images = planes()
    with open_mosaic(write(tmp_path / "m.fits", images), MosaicOptions()) as reader:
        assert reader.shape == SHAPE
        assert reader.planes == {"SCI", "ERR", "WHT"}
        assert reader.pixel_scale_arcsec == pytest.approx(0.06)
        assert reader.ujy_per_unit == pytest.approx(0.0846159499)
        assert reader.header["BUNIT"] == "MJy/sr"
        assert reader.primary["SIMPLE"] is True
        window = reader.windows(whole(SHAPE))
    assert window.err is not None
    assert window.wht is not None
    assert window.sci.dtype == np.dtype("float32")
    assert window.sci.flags.c_contiguous
    np.testing.assert_allclose(window.sci, images["SCI"] * reader.ujy_per_unit, rtol=1e-6)
    np.testing.assert_allclose(window.err, reader.ujy_per_unit, rtol=1e-6)
    np.testing.assert_array_equal(window.wht, images["WHT"])


def test_a_window_beyond_the_mosaic_has_no_coverage_there(tmp_path: Path) -> None:
    with open_mosaic(write(tmp_path / "m.fits", planes()), MosaicOptions()) as reader:
        sci, wht = (reader.window(p, Box(-3, 4, 45, 55)) for p in ("SCI", "WHT"))
        far = reader.window("SCI", Box(1000, 1003, 2000, 2002))
    assert np.isfinite(sci).sum() == np.count_nonzero(wht) == 4 * 5
    assert np.isfinite(sci[3:, :5]).all()
    assert far.shape == (3, 2)
    assert np.isnan(far).all()


def test_the_background_subtracted_plane_is_preferred(tmp_path: Path) -> None:
    images = planes()
    source = write(tmp_path / "m.fits", {"SCI": images["SCI"] + 5, "SCI_BKSUB": images["SCI"]})
    with open_mosaic(source, MosaicOptions()) as reader:
        assert reader.header["EXTNAME"] == "SCI_BKSUB"
        assert abs(float(np.median(reader.window("SCI", whole(SHAPE))))) < 0.1
    with open_mosaic(source, MosaicOptions(sci_planes=("SCI",))) as reader:
        assert reader.header["EXTNAME"] == "SCI"


def test_every_kind_of_gap_is_no_coverage(tmp_path: Path) -> None:
    images = planes()
    images["SCI"][0, :4] = [np.nan, np.inf, -np.inf, 0.0]
    images["WHT"][0, 3] = 0.0
    images["WHT"][1, 0], images["WHT"][1, 1] = 0.0, np.nan
    images["ERR"][1, 2:5] = [np.nan, 0.0, -1.0]
    images["SCI"][1, 5] = 0.0  # with weight: a value like any other
    with open_mosaic(write(tmp_path / "m.fits", images), MosaicOptions()) as reader:
        window = reader.windows(whole(SHAPE))
    assert window.err is not None
    assert window.wht is not None
    bad = np.zeros(SHAPE, dtype=bool)
    bad[0, :4] = bad[1, :5] = True
    np.testing.assert_array_equal(np.isnan(window.sci), bad)
    np.testing.assert_array_equal(np.isnan(window.err), bad)
    np.testing.assert_array_equal(window.wht == 0, bad)


def test_exact_zeros_are_gaps_where_there_are_no_weights(tmp_path: Path) -> None:
    images = {"SCI": planes()["SCI"]}
    images["SCI"][:10] = 0.0
    with open_mosaic(write(tmp_path / "m.fits", images), MosaicOptions()) as reader:
        assert reader.planes == {"SCI"}
        assert np.isnan(reader.window("SCI", whole(SHAPE))).sum() == 10 * SHAPE[1]
        with pytest.raises(MosaicLayoutError, match="no ERR plane") as caught:
            reader.window("ERR", whole(SHAPE))
    assert caught.value.reason == "missing_plane"


@pytest.mark.parametrize("dtype", [np.float64, ">f4", np.int16])
def test_pixels_of_any_type_become_native_float32(tmp_path: Path, dtype: Any) -> None:
    sci = np.arange(1, 2001).reshape(SHAPE).astype(dtype)
    source = write(tmp_path / "m.fits", {"SCI": sci}, unit="nJy")
    with open_mosaic(source, MosaicOptions()) as reader:
        window = reader.window("SCI", whole(SHAPE))
    assert window.dtype.isnative
    np.testing.assert_allclose(window, sci.astype(float) * 1e-3, rtol=1e-6)


def test_scaled_blank_and_compressed_pixels_are_read_right(tmp_path: Path) -> None:
    values = np.arange(1, 2001, dtype=np.int16).reshape(SHAPE)
    scaled = fits.ImageHDU(values, header=stated_wcs(SHAPE, 0.06, 10, 0).to_header(), name="SCI")
    scaled.header["BUNIT"] = "uJy"
    path = tmp_path / "scaled.fits"
    fits.HDUList([fits.PrimaryHDU(), scaled]).writeto(path)
    with fits.open(path, mode="update", do_not_scale_image_data=True) as hdus:
        hdus["SCI"].header["BSCALE"], hdus["SCI"].header["BZERO"], hdus["SCI"].header["BLANK"] = 0.5, 10.0, 7
    source = MosaicSource(field="one", band="F277W", path=str(path), uri="local:s", identity="i")
    with open_mosaic(source, MosaicOptions()) as reader:
        window = reader.window("SCI", whole(SHAPE))
    expected = np.where(values == 7, np.nan, values * 0.5 + 10)
    np.testing.assert_allclose(window, expected)
    packed = tmp_path / "packed.fits"
    squeezed = fits.CompImageHDU(planes()["SCI"], name="SCI", compression_type="GZIP_1", quantize_level=0)
    squeezed.header.update(stated_wcs(SHAPE, 0.06, 10, 0).to_header(), BUNIT="uJy")
    squeezed.writeto(packed)
    with open_mosaic(source.replace(path=str(packed)), MosaicOptions()) as reader:
        np.testing.assert_array_equal(reader.window("SCI", whole(SHAPE)), planes()["SCI"])


def rewritten(path: Path, **cards: str) -> None:
    """Write cards of SCI as they are, whatever astropy thinks of them; SPARE gives room for a new one."""
    data = path.read_bytes()
    for number, (keyword, value) in enumerate(cards.items()):
        at = data.index(f"SPARE{number}  =".encode())
        data = data[:at] + f"{keyword:8}= {value}".ljust(80).encode() + data[at + 80 :]
    path.write_bytes(data)


def spare(path: Path, dtype: Any = np.int16) -> MosaicSource:
    sci = fits.ImageHDU(np.arange(2000, dtype=dtype).reshape(SHAPE), stated_wcs(SHAPE, 0.06, 10, 0).to_header(), "SCI")
    sci.header.update(BUNIT="uJy", SPARE0=1, SPARE1=1, SPARE2=1)
    fits.HDUList([fits.PrimaryHDU(), sci]).writeto(path)
    return MosaicSource(field="one", band="F277W", path=str(path), uri="local:x", identity="i")


@pytest.mark.parametrize(
    "cards",
    [{"BSCALE": "0.0"}, {"BSCALE": "'two'"}, {"BSCALE": "T"}, {"BZERO": "'x'"}, {"BLANK": "1.5"}, {"BLANK": "'none'"}],
)
def test_a_scaling_that_is_none_is_refused(tmp_path: Path, cards: dict[str, str]) -> None:
    source = spare(tmp_path / "m.fits")
    rewritten(tmp_path / "m.fits", **cards)
    with pytest.raises(MosaicLayoutError, match=r"m\.fits \[SCI\]: B"):
        open_mosaic(source, MosaicOptions())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_beyond_float32_are_no_coverage(tmp_path: Path, dtype: Any) -> None:
    source = spare(tmp_path / "m.fits", dtype)
    rewritten(tmp_path / "m.fits", BSCALE="1.0E37", BZERO="-1.0E38")
    with open_mosaic(source, MosaicOptions()) as reader:
        window = reader.window("SCI", whole(SHAPE))
    values = np.arange(2000).reshape(SHAPE) * 1e37 - 1e38
    np.testing.assert_array_equal(np.isfinite(window), (values < np.finfo(np.float32).max) & (values != 0))


def test_blank_that_no_pixel_can_hold_changes_nothing(tmp_path: Path) -> None:
    source = spare(tmp_path / "m.fits")
    rewritten(tmp_path / "m.fits", BLANK="999999999999999999")
    with open_mosaic(source, MosaicOptions()) as reader:
        assert np.isfinite(reader.window("SCI", Box(1, 2, 0, 50))).all()


@pytest.mark.parametrize("area", [8.46e-17, 8.46e-11, 1e300])
def test_a_pixel_s_area_must_be_the_grid_s(tmp_path: Path, area: float) -> None:
    with pytest.raises(MosaicLayoutError, match="PIXAR_SR is") as caught:
        open_mosaic(write(tmp_path / "m.fits", planes(), area=area), MosaicOptions())
    assert caught.value.reason == "bad_unit"


def test_a_replaced_file_is_read_anew(tmp_path: Path) -> None:
    """Of the same size, in the same tick of the clock."""
    first, second = planes(), planes()
    second["SCI"] = second["SCI"] + 1
    source = write(tmp_path / "m.fits", first)
    write(tmp_path / "n.fits", {"WHT": second["WHT"], "SCI": second["SCI"], "ERR": second["ERR"]})
    path, other = tmp_path / "m.fits", tmp_path / "n.fits"
    with open_mosaic(source, MosaicOptions()) as reader:
        before = reader.window("SCI", whole(SHAPE))
    os.utime(other, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    assert path.stat().st_size == other.stat().st_size
    other.replace(path)
    with open_mosaic(source, MosaicOptions()) as reader:
        np.testing.assert_allclose(reader.window("SCI", whole(SHAPE)), before + reader.ujy_per_unit, atol=1e-6)


def test_cards_that_cannot_be_read_hurt_nobody(tmp_path: Path) -> None:
    source = spare(tmp_path / "m.fits", np.float32)
    rewritten(tmp_path / "m.fits", PHOTMJSR="NaN", FILTER="'never ended", OBSERVER="(1, )")
    with open_mosaic(source, MosaicOptions()) as reader:
        assert "PHOTMJSR" not in reader.header
        assert all(isinstance(card.keyword, str) and card.value is not None for card in reader.header.cards)


def test_a_file_without_wcs_takes_what_is_stated(tmp_path: Path) -> None:
    data, noise = planes()["SCI"].astype(">f8"), np.full(SHAPE, 2.0)
    fits.PrimaryHDU(data).writeto(tmp_path / "data.fits")
    fits.PrimaryHDU(noise).writeto(tmp_path / "noise.fits")
    stated: dict[str, Any] = {"pixel_scale_arcsec": 0.06, "centre_ra_deg": 150.1, "centre_dec_deg": 1.9}
    source = MosaicSource(
        field="ring", band="F444W", path=str(tmp_path / "data.fits"), uri="local:data.fits", identity="i",
        err_path=str(tmp_path / "noise.fits"), unit="MJy/sr", **stated,
    )  # fmt: skip
    with open_mosaic(source, MosaicOptions()) as reader:
        assert reader.planes == {"SCI", "ERR"}
        assert reader.ujy_per_unit == pytest.approx(0.0846159499)
        np.testing.assert_allclose(reader.window("ERR", Box(0, 2, 0, 2)), 2 * reader.ujy_per_unit, rtol=1e-6)
    for missing in ("pixel_scale_arcsec", "unit"):
        with pytest.raises(MosaicLayoutError):
            open_mosaic(source.replace(**{missing: None if missing != "unit" else ""}), MosaicOptions())


STATED: dict[str, Any] = {"pixel_scale_arcsec": 0.06, "centre_ra_deg": 150.1, "centre_dec_deg": 2.2}


def test_a_stated_geometry_that_the_header_s_wcs_agrees_with_is_fine(tmp_path: Path) -> None:
    source = write(tmp_path / "m.fits", planes())
    with open_mosaic(source.replace(**STATED), MosaicOptions()) as stated, open_mosaic(source, MosaicOptions()) as own:
        np.testing.assert_array_equal(stated.wcs.pixel_scale_matrix, own.wcs.pixel_scale_matrix)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("pixel_scale_arcsec", 0.03, r"pixels of 0\.03 arcsec .* its own WCS has 0\.06 arcsec"),
        ("centre_ra_deg", 150.2, r"around 150\.2 \+2\.2 deg .* around 150\.100000 \+2\.200000, 5996 pixels off"),
        ("centre_dec_deg", -2.2, r"around 150\.1 -2\.2 deg .* around 150\.100000 \+2\.200000"),
    ],
)
def test_a_stated_geometry_that_the_header_s_wcs_contradicts_is_refused(
    tmp_path: Path, key: str, value: float, said: str
) -> None:
    source = write(tmp_path / "m.fits", planes()).replace(**{**STATED, key: value})
    with pytest.raises(MosaicLayoutError, match=rf"{said}.*without these keys the header's WCS decides") as caught:
        open_mosaic(source, MosaicOptions())
    assert caught.value.reason == "bad_wcs"


@pytest.mark.parametrize("name", ["F444W", "DATA", "IMAGE"])
def test_pixels_of_the_first_hdu_are_science_whatever_its_name(tmp_path: Path, name: str) -> None:
    hdu = fits.PrimaryHDU(planes()["SCI"])
    hdu.header["EXTNAME"] = name
    hdu.writeto(tmp_path / "m.fits")
    source = MosaicSource(field="f", band="F444W", path=str(tmp_path / "m.fits"), uri="x", identity="i", unit="uJy")
    with open_mosaic(source.replace(**STATED), MosaicOptions()) as reader:
        assert reader.shape == hdu.data.shape


def test_a_centre_that_a_person_rounded_is_told_and_the_header_s_counts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = write(tmp_path / "m.fits", planes())
    with open_mosaic(source.replace(**{**STATED, "centre_dec_deg": 2.20005}), MosaicOptions()) as stated:
        assert caplog.text.count("3 pixels off (at most 10): the header's WCS decides") == 1
        with open_mosaic(source, MosaicOptions()) as own:
            np.testing.assert_array_equal(stated.wcs.wcs.crval, own.wcs.wcs.crval)


def test_of_two_packed_images_without_a_name_none_is_guessed(tmp_path: Path) -> None:
    images = [fits.CompImageHDU(planes()["SCI"], compression_type="RICE_1") for _ in range(2)]
    fits.HDUList([fits.PrimaryHDU(), *images]).writeto(tmp_path / "m.fits.fz")
    source = MosaicSource(field="f", band="F444W", path=str(tmp_path / "m.fits.fz"), uri="x", identity="i", unit="uJy")
    with pytest.raises(MosaicLayoutError, match="no science plane"):
        open_mosaic(source.replace(**STATED), MosaicOptions())


def test_a_stated_geometry_is_checked_as_a_header_s_is(tmp_path: Path) -> None:
    fits.PrimaryHDU(planes()["SCI"]).writeto(tmp_path / "m.fits")
    source = MosaicSource(field="f", band="F444W", path=str(tmp_path / "m.fits"), uri="x", identity="i", unit="uJy")
    for scale in (0.004, 12.0):
        with pytest.raises(
            MosaicLayoutError, match=rf"by local\[\]\.pixel_scale_arcsec.* its pixels are {scale:g} arcsec"
        ):
            open_mosaic(source.replace(**{**STATED, "pixel_scale_arcsec": scale}), MosaicOptions())


def test_a_unit_stated_for_the_file_wins_over_its_header_s(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = write(tmp_path / "m.fits", planes(), unit="uJy").replace(unit="nJy")
    assert open_mosaic(source, MosaicOptions()).ujy_per_unit == 1e-3
    assert caplog.text.count("the stated unit nJy is used, not BUNIT uJy") == 1


def test_the_area_of_a_pixel_comes_from_the_wcs_where_the_header_is_silent(tmp_path: Path) -> None:
    with open_mosaic(write(tmp_path / "m.fits", planes(), area=None), MosaicOptions()) as reader:
        assert reader.ujy_per_unit == pytest.approx(0.0846159499, rel=1e-6)


def nothing(images: dict[str, NDArray[Any]]) -> None:
    images["SCI"][:] = np.nan


def zeros(images: dict[str, NDArray[Any]]) -> None:
    images["SCI"][:] = 0.0
    images["WHT"][:] = 0.0


def constant(images: dict[str, NDArray[Any]]) -> None:
    images["SCI"][:] = 3.0


def weightless(images: dict[str, NDArray[Any]]) -> None:
    images["WHT"][:] = 0.0


def nearly_nothing(images: dict[str, NDArray[Any]]) -> None:
    images["SCI"].ravel()[3:] = np.nan


@pytest.mark.parametrize("spoil", [nothing, zeros, constant, weightless, nearly_nothing])
def test_a_mosaic_that_cannot_be_measured_says_so(
    tmp_path: Path, spoil: Callable[[dict[str, NDArray[Any]]], None]
) -> None:
    images = planes()
    spoil(images)
    source = write(tmp_path / "m.fits", images)
    with pytest.raises(NoValidPixelsError) as caught:
        open_mosaic(source, MosaicOptions())
    assert caught.value.reason == "no_valid_pixels"
    open_mosaic(source, MosaicOptions(), check=False).close()


def test_valid_pixels_in_few_rows_are_found(tmp_path: Path) -> None:
    images = planes()
    images["SCI"][np.arange(SHAPE[0]) != 7] = np.nan
    open_mosaic(write(tmp_path / "m.fits", images), MosaicOptions()).close()


@pytest.mark.parametrize("cut", [0, 100, 2880, 4000, 9000, -1, -2880])
def test_a_truncated_file_is_corrupt(tmp_path: Path, cut: int) -> None:
    source = write(tmp_path / "m.fits", planes())
    path = Path(source.path)
    path.write_bytes(path.read_bytes()[: cut or None] if cut else b"")
    with pytest.raises(MosaicError) as caught:
        open_mosaic(source, MosaicOptions())
    assert isinstance(caught.value, CorruptMosaicError) == (cut != 2880)  # PRIMARY alone is a whole FITS file


def bad_header(**cards: Any) -> bytes:
    base = {"SIMPLE": True, "BITPIX": -32, "NAXIS": 2, "NAXIS1": 10, "NAXIS2": 10, **cards}
    text = "".join(fits.Card(k, v).image for k, v in base.items()) + "END".ljust(80)
    return text.ljust(2880).encode() + b"\0" * 2880


@pytest.mark.parametrize(
    "content",
    [
        bad_header(NAXIS1=100_000, NAXIS2=100_000),
        bad_header(NAXIS1=2**31, NAXIS2=2**31),
        bad_header(NAXIS1=-5),
        bad_header(BITPIX=-99),
        bad_header(NAXIS="two"),
        bad_header(NAXIS=999),
        b"SIMPLE  =                    T".ljust(2880) * 3,
        b"<html>busy</html>",
        b"SIMPLE  =                    T / \xff\xfe".ljust(2880),
        bad_header().replace(b"NAXIS1  =                   10", b"NAXIS1  = 'broken            "),
    ],
)
def test_absurd_and_damaged_headers_are_corrupt_before_anything_is_allocated(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.fits"
    path.write_bytes(content)
    source = MosaicSource(field="one", band="F277W", path=str(path), uri="local:m", identity="i", unit="uJy")
    with pytest.raises(CorruptMosaicError, match=r"m\.fits") as caught:
        open_mosaic(source, MosaicOptions())
    assert caught.value.retryable


def test_layout_faults_name_what_is_missing(tmp_path: Path) -> None:
    images = planes()
    cases: dict[str, tuple[dict[str, NDArray[Any]], str]] = {
        "noname": ({"DATA": images["SCI"], "WHT": images["WHT"]}, "missing_extension"),
        "cube": ({"SCI": np.zeros((3, 40, 50), np.float32)}, "bad_layout"),
        "shapes": ({"SCI": images["SCI"], "ERR": np.ones((4, 4), np.float32)}, "bad_layout"),
    }
    for name, (content, reason) in cases.items():
        with pytest.raises(MosaicLayoutError) as caught:
            open_mosaic(write(tmp_path / f"{name}.fits", content), MosaicOptions())
        assert caught.value.reason == reason, name
    with pytest.raises(MosaicLayoutError, match="'DN/s' is not known"):
        open_mosaic(write(tmp_path / "unit.fits", images, unit="DN/s"), MosaicOptions())


def test_an_absent_file_is_a_storage_error(tmp_path: Path) -> None:
    source = MosaicSource(field="one", band="F277W", path=str(tmp_path / "no.fits"), uri="local:no", identity="i")
    with pytest.raises(StorageError):
        open_mosaic(source, MosaicOptions())


def test_random_damage_never_ends_in_another_kind_of_error(tmp_path: Path) -> None:
    whole_file = Path(write(tmp_path / "m.fits", planes()).path).read_bytes()
    rng = np.random.default_rng(3)
    path = tmp_path / "fuzz.fits"
    source = MosaicSource(field="one", band="F277W", path=str(path), uri="local:fuzz", identity="i")
    reasons = set()
    for _ in range(150):
        damaged = bytearray(whole_file)
        for place in rng.integers(0, 8640, size=rng.integers(1, 6)):  # the headers
            damaged[place] = rng.integers(0, 256)
        path.write_bytes(damaged)
        try:
            open_mosaic(source, MosaicOptions()).close()
        except GzJwstError as error:
            reasons.add(error.reason)
    assert "corrupt" in reasons
