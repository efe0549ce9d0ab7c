"""Pixels in files: windows as numpy would have them, holes, and errors where a memory map would end the process."""

import errno
import os
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gzjwst_core
from gzjwst_core.errors import CorruptMosaicError, StorageError
from gzjwst_core.mosaics.geometry import Box, stated_wcs
from gzjwst_core.mosaics.pixels import PixelFile
from gzjwst_core.mosaics.segmap import SegmapWriter

SHAPE = (7, 5)
SPANS = st.tuples(st.integers(0, 7), st.integers(0, 7)).map(lambda pair: slice(min(pair), max(pair)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pixels")


@given(writes=st.lists(st.tuples(SPANS, SPANS), max_size=4), read=st.tuples(SPANS, SPANS))
def test_windows_are_those_of_an_array(
    folder: Path, writes: list[tuple[slice, slice]], read: tuple[slice, slice]
) -> None:
    array = np.zeros(SHAPE, ">f4")
    path = folder / "windows"
    path.write_bytes(b"head")
    plane = PixelFile(path, ">f4", SHAPE, offset=4, writable=True)
    for number, window in enumerate(writes, start=1):
        plane[window] = array[window] = np.full(array[window].shape, number)
    np.testing.assert_array_equal(plane[read], array[read])
    plane.close()
    assert path.read_bytes() == b"head" + array.tobytes()


def test_what_was_never_written_is_a_hole(tmp_path: Path) -> None:
    plane = PixelFile(tmp_path / "p", np.float32, (4096, 4096), writable=True)
    plane[slice(8, 9), slice(0, 4)] = np.ones((1, 4))
    plane.close()
    assert (tmp_path / "p").stat().st_size == 4096 * 4096 * 4
    assert (tmp_path / "p").stat().st_blocks * 512 < 1 << 20


def test_a_file_that_was_cut_short_meanwhile_is_named(tmp_path: Path) -> None:
    """A memory map would end the process here."""
    plane = PixelFile(tmp_path / "p", np.float32, (100, 100), writable=True)
    os.truncate(tmp_path / "p", 5000)
    with pytest.raises(CorruptMosaicError, match="p ends at byte 5000"):
        plane[slice(0, 100), slice(0, 100)]
    plane.close()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_segmap_on_a_full_disk_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """Its blocks are asked for when they are written, by a call that can say no."""

    def full(_descriptor: int, _data: memoryview, _at: int) -> int:
        raise OSError(code, os.strerror(code))

    with SegmapWriter(tmp_path / "s.fits", (30, 20), stated_wcs((30, 20), 0.06, 150.1, 2.2)) as segmap:
        monkeypatch.setattr(os, "pwrite", full)
        segmap.write(Box(0, 30, 0, 20), np.zeros((30, 20), np.int32))
        with pytest.raises(StorageError, match=re.escape(f"s.fits: {os.strerror(code)}")) as caught:
            segmap.write(Box(0, 4, 0, 4), np.ones((4, 4), np.int32))
    assert (caught.value.reason, caught.value.retryable) == ("disk_full", False)


def test_nothing_is_written_through_a_memory_map() -> None:
    """A hole in a mapped file of a full disk is a SIGBUS, which no code can catch."""
    sources = Path(gzjwst_core.__file__).parent.rglob("*.py")
    maps = [line for path in sources for line in path.read_text().splitlines() if "memmap(" in line]
    assert not [line for line in maps if re.search(r"[\"'](w|r)\+[\"']", line)]
