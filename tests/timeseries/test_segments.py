"""What a segment's headers must say; which segments are one series."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from gzjwst_core.errors import MosaicError, StorageError
from gzjwst_core.timeseries.segments import read_segment, series_of
from gzjwst_core.timeseries.synthetic import make_series, write_segments


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    return write_segments(make_series((12, 8, 8)).values, tmp_path, 3)


def test_segments_are_put_in_time_order(paths: list[Path]) -> None:
    (series,) = series_of(read_segment(path) for path in (paths[2], paths[0], paths[1]))
    assert [segment.first for segment in series.segments] == [1, 5, 9]
    assert series.name == "jw09999001001_04101_00001_nrs1"
    assert series.shape == (12, 8, 8)
    assert series.segments[0].time_system == "BJD_TDB"


def test_detectors_are_series_of_their_own(paths: list[Path], tmp_path: Path) -> None:
    other = tmp_path / paths[0].name.replace("nrs1", "nrs2")
    other.write_bytes(paths[0].read_bytes())
    fits.setval(other, "DETECTOR", value="NRS2")
    assert [one.name[-4:] for one in series_of(map(read_segment, [*paths, other]))] == ["nrs1", "nrs2"]


def test_a_segment_that_is_missing_leaves_a_gap(paths: list[Path]) -> None:
    (series,) = series_of(map(read_segment, (paths[0], paths[2])))
    assert series.shape[0] == 8


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:6000])


def flat(path: Path) -> None:
    with fits.open(path, mode="update") as hdus:
        hdus["SCI"].data = hdus["SCI"].data[0]


def integer(path: Path) -> None:
    with fits.open(path, mode="update") as hdus:
        hdus["SCI"].data = hdus["SCI"].data.astype(np.int16)


def nameless(path: Path) -> None:
    fits.setval(path, "EXTNAME", value="IMAGE", extname="SCI")


def timeless(path: Path) -> None:
    with fits.open(path, mode="update") as hdus:
        del hdus["INT_TIMES"]


def backwards(path: Path) -> None:
    with fits.open(path, mode="update") as hdus:
        for name in ("int_mid_BJD_TDB", "int_mid_MJD_UTC"):
            hdus["INT_TIMES"].data[name] = hdus["INT_TIMES"].data[name][::-1].copy()


def no_fits(path: Path) -> None:
    path.write_bytes(b"not FITS")


@pytest.mark.parametrize(
    ("harm", "reason", "said"),
    [
        (no_fits, "corrupt", "cannot be read as FITS"),
        (cut, "corrupt", "cut short"),
        (flat, "bad_layout", "SCI has the axes 8 x 8.*give rateints, not rate"),
        (integer, "bad_layout", "SCI has BITPIX 16 or is scaled"),
        (nameless, "bad_layout", "no extension SCI"),
        (timeless, "bad_layout", "no extension INT_TIMES"),
        (backwards, "bad_layout", "no rising mid-times"),
    ],
)
def test_what_cannot_be_used_is_named(harm: Callable[[Path], None], reason: str, said: str, paths: list[Path]) -> None:
    harm(paths[1])
    with pytest.raises(MosaicError, match=said) as caught:
        read_segment(paths[1])
    assert caught.value.reason == reason
    assert paths[1].name in str(caught.value)


def test_a_file_that_is_not_there_is_an_error_of_storage(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="nothing"):
        read_segment(tmp_path / "nothing.fits")


def test_the_same_integrations_twice_are_refused(paths: list[Path]) -> None:
    with pytest.raises(MosaicError, match="hold the same integrations"):
        series_of([read_segment(paths[0]), read_segment(paths[0])])
