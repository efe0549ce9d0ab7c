"""A cutout file: the parent's pixels, its WCS, NaN, coverage, segments, mask, bytes."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gzjwst_core.cutouts.extract import Extract, MaskBit, Target, enclosed, extract
from gzjwst_core.cutouts.fits import Cutter, Provenance, make_cutout, reference_band
from gzjwst_core.cutouts.read import Cutout, read_cutout
from gzjwst_core.errors import ImageError
from gzjwst_core.models import MosaicSource
from gzjwst_core.mosaics.geometry import whole
from gzjwst_core.mosaics.reader import open_mosaic
from gzjwst_core.options import CutoutOptions, MosaicOptions
from tests.cutouts.skies import BANDS, DEC, RA, Field, write_mosaic

MADE = Provenance("test", "0.1", "abc123")
CENTRE = Target("test_J1p2", "f1", RA, DEC, 3.0, 1)


def cutter(field: Field, options: CutoutOptions | None = None, **more: Any) -> Cutter:
    given_: dict[str, Any] = {"segmap": field.segmap(), **more}
    return Cutter(field.readers(), "F277W", options or CutoutOptions(), MADE, **given_)


def made(field: Field, target: Target = CENTRE, **more: Any) -> bytes:
    data = make_cutout(target, cutter(field, **more))
    assert data is not None
    return data


def at(east: float, north: float, fov: float = 3.0) -> Target:
    return Target("test_J1p2", "f1", RA + east / 3600 / np.cos(np.radians(DEC)), DEC + north / 3600, fov, 1)


def test_zoobot_reads_two_dimensions_from_the_first_hdu(field: Field) -> None:
    with fits.open(io.BytesIO(made(field))) as hdus:
        data = hdus[0].data.astype(np.float32)
    assert data.ndim == 2
    assert data.shape[0] == data.shape[1]


def test_every_reader_understands_it(field: Field) -> None:
    with fits.open(io.BytesIO(made(field)), checksum=True) as hdus:
        hdus.verify("exception")
        assert [hdu.name for hdu in hdus] == ["SCI_F277W", "SCI_F115W", "SCI_F150W", "SCI_F444W", "SEG", "MASK"]
        assert hdus[0].header["ID_STR"] == "test_J1p2"
        assert hdus["SCI_F115W"].header["MOSURI"] == field.sources[0].uri
        assert hdus["SCI_F115W"].header["BUNIT"] == "uJy"
        assert hdus["SEG"].data.dtype.kind == "i"
        assert hdus["MASK"].data.dtype == np.uint8
        assert not {"DATE", "DATE-OBS"} & set(hdus[0].header)


def test_no_local_path_in_it(field: Field) -> None:
    assert str(Path(field.sources[0].path).parent).encode() not in made(field)


def test_same_bytes_twice(field: Field) -> None:
    assert made(field) == made(field)


@settings(max_examples=15, deadline=None)
@given(st.floats(-6, 6), st.floats(-6, 6), st.sampled_from([1.9, 2.7, 4.0]))
def test_pixels_wcs_and_coverage_are_the_parents(field: Field, east: float, north: float, fov: float) -> None:
    target = at(east, north, fov)
    data = make_cutout(target, cutter(field))
    if data is None:
        return
    cutout = read_cutout(data)
    for source in field.sources:
        with open_mosaic(source, MosaicOptions()) as parent:
            sci, wcs = parent.window("SCI", whole(parent.shape)), parent.wcs
        _same_pixels(cutout, source.band, sci, wcs)


def _same_pixels(cutout: Cutout, band: str, sci: NDArray[np.float32], parent: WCS) -> None:
    found = cutout.bands[band]
    ny, nx = found.data.shape
    x0, y0 = int(found.header["CUTX0"]), int(found.header["CUTY0"])
    y, x = np.mgrid[y0 : y0 + ny, x0 : x0 + nx]
    inside = (y >= 0) & (y < sci.shape[0]) & (x >= 0) & (x < sci.shape[1])
    brute = np.full((ny, nx), np.nan, dtype=np.float32)
    brute[inside] = sci[y[inside], x[inside]]
    np.testing.assert_array_equal(found.data, brute)
    assert found.coverage == pytest.approx(np.isfinite(brute).mean(), abs=1e-6)
    sky = np.array(parent.wcs_pix2world([[x0, y0], [x0 + nx - 1.0, y0 + ny - 1.0]], 0))
    back = found.wcs.wcs_world2pix(sky, 0)
    np.testing.assert_allclose(back, [[0, 0], [nx - 1, ny - 1]], atol=1e-6)
    placed = cutout.placed(found.wcs)
    assert abs(placed.x - (nx - 1) / 2) <= 0.5 + 1e-6
    assert abs(placed.y - (ny - 1) / 2) <= 0.5 + 1e-6


def test_astropy_sees_the_same_wcs(field: Field) -> None:
    data = made(field)
    cutout = read_cutout(data)
    with fits.open(io.BytesIO(data)) as hdus:
        for band in BANDS:
            wcs = WCS(hdus[f"SCI_{band}"].header)
            np.testing.assert_allclose(wcs.wcs_pix2world(3, 4, 0), cutout.bands[band].wcs.wcs_pix2world(3, 4, 0))


def test_cutout_of_a_cutout_is_the_cutout(field: Field, tmp_path: Path) -> None:
    big, small = read_cutout(made(field, at(0, 0, 5.0))), read_cutout(made(field))
    source = write_mosaic(tmp_path / "c.fits", "F277W", big.bands["F277W"].wcs, big.bands["F277W"].data)
    with open_mosaic(source, MosaicOptions()) as reader:
        again = extract(CENTRE, {"F277W": reader}, None, reference="F277W")
    assert again is not None
    np.testing.assert_array_equal(again.bands["F277W"].planes["SCI"], small.bands["F277W"].data)


def test_planes_on_request(field: Field) -> None:
    cutout = read_cutout(made(field, options=CutoutOptions(planes=("ERR", "WHT"))))
    for band in cutout.bands.values():
        assert band.err is not None
        assert band.wht is not None
        assert band.err.shape == band.wht.shape == band.data.shape
        assert (np.isfinite(band.err) == np.isfinite(band.data)).all()


def test_segments_keep_their_ids(field: Field) -> None:
    cutout = read_cutout(made(field))
    assert cutout.seg is not None
    assert cutout.seg_placed is not None
    assert set(np.unique(cutout.seg)) == {0, 1, 2}
    assert cutout.seg[round(cutout.seg_placed.y), round(cutout.seg_placed.x)] == cutout.segment_id == 1


def test_mask_bits(field: Field) -> None:
    cutout = read_cutout(made(field))
    mask, seg = cutout.mask, cutout.seg
    assert seg is not None
    assert ((mask & MaskBit.TARGET > 0) == (seg == 1)).all()
    assert ((mask & MaskBit.NEIGHBOUR > 0) == (seg == 2)).all()
    assert not (mask & MaskBit.NO_DATA).any()
    assert not (mask & MaskBit.ENCLOSED).any()
    assert cutout.header["COVALL"] == pytest.approx(((mask & 3) == 0).mean(), abs=1e-6)


def test_gap_of_another_band_is_carried_to_the_mask(field: Field) -> None:
    cutout = read_cutout(made(field, at(0.0, 0.0, 8.0)))
    flagged = cutout.mask & MaskBit.NO_DATA_OTHER > 0
    gap = cutout.bands["F115W"]
    y, x = np.nonzero(flagged)
    ra, dec = cutout.bands["F277W"].wcs.wcs_pix2world(x, y, 0)
    there = np.rint(np.array(gap.wcs.wcs_world2pix(ra, dec, 0))).astype(int)
    inside = ((there >= 0) & (there < gap.data.shape[0])).all(axis=0)
    empty = np.isnan(gap.data[there[1][inside], there[0][inside]])
    middle = slice(len(empty) // 3, -len(empty) // 3)
    assert flagged.any()
    assert (
        empty[middle].mean() > 0.95
    )  # a pixel of 0.06 arcsec holds four of 0.03: at the gap's rim either answer is right


def test_off_every_mosaic(field: Field) -> None:
    assert make_cutout(at(60.0, 0.0), cutter(field)) is None
    assert make_cutout(Target("x", "f1", RA + 180, -DEC, 3.0), cutter(field)) is None


def test_at_the_edge_coverage_is_partial(field: Field) -> None:
    cutout = read_cutout(made(field, at(5.0, 0.0)))
    assert 0.1 < cutout.bands["F444W"].coverage < 0.9
    assert (cutout.mask & MaskBit.NO_DATA > 0).mean() == pytest.approx(1 - cutout.bands["F277W"].coverage, abs=1e-5)


def test_without_a_segmap(field: Field) -> None:
    cutout = read_cutout(made(field, segmap=None))
    assert cutout.seg is None
    assert cutout.seg_placed is None
    assert not (cutout.mask & (MaskBit.TARGET | MaskBit.NEIGHBOUR)).any()


def test_local_sky_ignores_sources(tmp_path: Path, field: Field) -> None:
    sources = tuple(_brighter(source, tmp_path, 0.7) for source in field.sources)
    cutout = read_cutout(made(Field(sources, field.segmap_path, field.blobs)))
    for band in cutout.bands.values():
        assert band.sky == pytest.approx(0.7, abs=0.02)
        assert band.header["SKYRMS"] == pytest.approx(0.05, rel=0.2)


def _brighter(source: MosaicSource, folder: Path, sky: float) -> MosaicSource:
    with open_mosaic(source, MosaicOptions()) as reader:
        pixels = reader.window("SCI", whole(reader.shape)) + np.float32(sky * reader.pixel_scale_arcsec**2)
        return write_mosaic(folder / f"{source.band}.fits", source.band, reader.wcs, pixels)


def test_sigma_and_gain_are_recorded(field: Field) -> None:
    cutout = read_cutout(made(field, sigma={"F277W": 0.25}, gain={"F277W": 1.5}))
    assert cutout.bands["F277W"].sigma == 0.25
    assert cutout.bands["F277W"].header["GAIN"] == 1.5
    assert cutout.bands["F115W"].sigma == cutout.bands["F115W"].header["SKYRMS"]


def test_enclosed_core_is_no_gap() -> None:
    sources = np.zeros((20, 20), dtype=bool)
    sources[4:16, 4:16] = True
    empty = np.zeros_like(sources)
    empty[8:11, 8:11] = True
    sources[8:11, 8:11] = False  # detection leaves pixels without data out of a segment
    gap = np.zeros_like(sources)
    gap[:, 13] = True  # a chip gap crosses the source
    assert (enclosed(empty | gap, sources) == empty).all()
    assert not enclosed(empty, np.zeros_like(sources)).any()


@pytest.mark.parametrize("cut", [0, 1, 2880, 5760, 30000, -1])
def test_damaged_bytes_are_refused(field: Field, cut: int) -> None:
    with pytest.raises(ImageError) as caught:
        read_cutout(made(field)[:cut])
    assert caught.value.reason == "bad_cutout"


def test_another_fits_file_is_refused() -> None:
    out = io.BytesIO()
    fits.PrimaryHDU(np.zeros((4, 4), dtype=np.float32)).writeto(out)
    with pytest.raises(ImageError):
        read_cutout(out.getvalue())


def test_other_projections_are_read_too(tmp_path: Path) -> None:
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix = ["RA---SIN", "DEC--SIN"], [RA, DEC], [50.0, 50.0]
    wcs.wcs.cdelt, wcs.wcs.cunit = [-0.06 / 3600, 0.06 / 3600], ["deg", "deg"]
    pixels = np.random.default_rng(1).normal(size=(99, 99)).astype(np.float32)
    source = write_mosaic(tmp_path / "sin.fits", "F277W", wcs, pixels)
    with open_mosaic(source, MosaicOptions()) as reader:
        data = make_cutout(CENTRE, Cutter({"F277W": reader}, "F277W", CutoutOptions(), MADE))
    assert data is not None
    placed = read_cutout(data).placed(read_cutout(data).bands["F277W"].wcs)
    assert placed.scale_arcsec == pytest.approx(0.06, rel=1e-6)


def test_reference_band() -> None:
    options = CutoutOptions()
    assert reference_band(options, BANDS, ("F356W", "F277W")) == "F277W"
    assert reference_band(options, ("F115W", "F150W"), ("F277W",)) == "F150W"
    assert reference_band(CutoutOptions(reference="F444W"), BANDS, ("F277W",)) == "F444W"


def test_extract_says_what_is_there(field: Field) -> None:
    found = extract(CENTRE, field.readers(), field.segmap(), reference="F277W")
    assert isinstance(found, Extract)
    assert tuple(found.bands) == BANDS
    assert found.coverage == pytest.approx(((found.mask & 3) == 0).mean())
