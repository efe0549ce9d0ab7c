"""Segmaps: written in windows, read in windows, the same bytes each time."""

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from gzjwst_core.errors import CorruptMosaicError, StorageError
from gzjwst_core.mosaics.geometry import Box, stated_wcs
from gzjwst_core.mosaics.segmap import SegmapWriter, open_segmap

WCS = stated_wcs((30, 20), 0.06, 150.1, 2.2)


def fill(path: Path) -> None:
    with SegmapWriter(path, (30, 20), WCS) as segmap:
        segmap.write(Box(-2, 3, -2, 3), np.full((5, 5), 7, np.int32))
        segmap.write(Box(0, 4, 0, 4), np.full((4, 4), 300_000, np.int32))
        assert segmap.window(Box(0, 1, 0, 5)).tolist() == [[7, 7, 7, 300_000, 0]]


def test_labels_come_back_and_the_first_keeps_its_pixels(tmp_path: Path) -> None:
    fill(tmp_path / "s.fits")
    with open_segmap(tmp_path / "s.fits") as segmap:
        window = segmap.window(Box(-1, 5, -1, 5))
        assert segmap.shape == (30, 20)
        assert segmap.pixel_scale_arcsec == pytest.approx(0.06)
        np.testing.assert_allclose(segmap.wcs.all_pix2world(3.0, 4.0, 0), WCS.all_pix2world(3.0, 4.0, 0), rtol=1e-12)
    assert (window[1:4, 1:4] == 7).all()
    assert np.count_nonzero(window == 300_000) == 16 - 9
    assert not window[0].any()
    assert window.dtype.isnative


def test_the_file_is_standard_fits_and_its_bytes_depend_on_the_labels_alone(tmp_path: Path) -> None:
    for name in ("a.fits", "b.fits"):
        fill(tmp_path / name)
    assert (tmp_path / "a.fits").read_bytes() == (tmp_path / "b.fits").read_bytes()
    with fits.open(tmp_path / "a.fits") as hdus:
        hdus.verify("exception")
        assert [hdu.name for hdu in hdus] == ["PRIMARY", "SEG"]
        assert hdus["SEG"].data.max() == 300_000
        assert not {"DATE", "CHECKSUM", "DATE-OBS", "MJDREF"} & set(hdus["SEG"].header)


def test_faults_are_named(tmp_path: Path) -> None:
    fits.PrimaryHDU(np.zeros((3, 3), np.int32)).writeto(tmp_path / "other.fits")
    with pytest.raises(CorruptMosaicError, match="no int32 image SEG"):
        open_segmap(tmp_path / "other.fits")
    with pytest.raises(StorageError):
        open_segmap(tmp_path / "absent.fits")
    with pytest.raises(StorageError):
        SegmapWriter(tmp_path / "no_folder" / "s.fits", (3, 3), WCS)
