"""Mosaics of which only some rows were read: the others are holes in the file, and no coverage."""

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from numpy.typing import NDArray

from gzjwst_core.errors import NoValidPixelsError
from gzjwst_core.models import MosaicSource
from gzjwst_core.mosaics.geometry import Box, stated_wcs, whole
from gzjwst_core.mosaics.layout import read_layout
from gzjwst_core.mosaics.reader import open_mosaic
from gzjwst_core.options import MosaicOptions

SHAPE = (200, 30)
ROWS = slice(90, 97)
CASES = {
    "all planes": ("SCI", "ERR", "WHT"),
    "without weights": ("SCI", "ERR"),
    "science alone": ("SCI",),
    "science of scaled integers": ("SCI int",),
    "all of scaled integers": ("SCI int", "ERR int", "WHT int"),
    "weights of scaled integers": ("SCI", "WHT int"),
}


def sparse(path: Path, planes: tuple[str, ...], rows: slice, sci: NDArray[np.float32]) -> MosaicSource:
    """A whole file, of which only some rows are copied."""
    hdus = fits.HDUList([fits.PrimaryHDU()])
    for name in planes:
        data = sci if name.startswith("SCI") else np.full(SHAPE, 7.0, np.float32)
        stored = np.round(data * 100 - 500).astype(np.int16) if name.endswith("int") else data
        hdu = fits.ImageHDU(stored, header=stated_wcs(SHAPE, 0.06, 10, 0).to_header(), name=name.split()[0])
        hdu.header["BUNIT"] = "uJy"
        if name.endswith("int"):
            hdu.header["BSCALE"], hdu.header["BZERO"] = 0.01, 5.0
        hdus.append(hdu)
    whole_path = path.with_suffix(".whole.fits")
    hdus.writeto(whole_path, output_verify="ignore")
    body = whole_path.read_bytes()
    with path.open("wb") as file:
        file.truncate(len(body))
        at = 0
        for plane in read_layout(whole_path):
            file.seek(at)
            file.write(body[at : plane.offset])
            row_bytes = SHAPE[1] * abs(plane.header["BITPIX"]) // 8 if plane.shape else 0
            start, stop = plane.offset + rows.start * row_bytes, plane.offset + rows.stop * row_bytes
            file.seek(start)
            file.write(body[start:stop])
            at = plane.offset + -(-SHAPE[0] * row_bytes // 2880) * 2880
    return MosaicSource(
        field="one", band="F277W", path=str(path), uri="s3://b/x", identity="i", rows=((rows.start, rows.stop),)
    )


@pytest.mark.parametrize("planes", CASES.values(), ids=CASES)
def test_rows_that_were_not_read_are_no_coverage(tmp_path: Path, planes: tuple[str, ...]) -> None:
    sci = np.random.default_rng(5).normal(3.0, 1.0, SHAPE).astype(np.float32)
    source = sparse(tmp_path / "x.fits", planes, ROWS, sci)
    with open_mosaic(source, MosaicOptions(min_valid_fraction=0.9)) as reader:  # of the rows that are there
        window = reader.windows(whole(SHAPE))
        part = reader.windows(Box(95, 99, 10, 20))
    there = np.zeros(SHAPE, dtype=bool)
    there[ROWS] = True
    np.testing.assert_array_equal(np.isfinite(window.sci), there)
    np.testing.assert_allclose(window.sci[ROWS], sci[ROWS], atol=0.006)
    if window.err is not None:
        np.testing.assert_array_equal(np.isfinite(window.err), there)
    if window.wht is not None:
        np.testing.assert_array_equal(window.wht > 0, there)
    np.testing.assert_array_equal(np.isfinite(part.sci), there[95:99, 10:20])


def test_the_rows_that_are_there_must_hold_data(tmp_path: Path) -> None:
    sci = np.full(SHAPE, np.nan, np.float32)
    sci[92, :3] = [1.0, 2.0, 3.0]
    source = sparse(tmp_path / "x.fits", ("SCI",), ROWS, sci)
    open_mosaic(source, MosaicOptions(min_valid_fraction=0.014)).close()  # 3 of 7 x 30
    with pytest.raises(NoValidPixelsError, match=r"1\.43% of its pixels hold data"):
        open_mosaic(source, MosaicOptions(min_valid_fraction=0.015))


def test_where_no_row_was_read_there_are_no_pixels(tmp_path: Path) -> None:
    source = sparse(tmp_path / "x.fits", ("SCI", "WHT"), slice(0, 0), np.ones(SHAPE, np.float32))
    with open_mosaic(source, MosaicOptions(), check=False) as reader:
        assert np.isnan(reader.window("SCI", whole(SHAPE))).all()
    with pytest.raises(NoValidPixelsError, match="none of its rows holds a target"):
        open_mosaic(source, MosaicOptions())
    with pytest.raises(NoValidPixelsError):
        open_mosaic(source.replace(rows=None), MosaicOptions())
