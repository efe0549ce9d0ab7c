"""Planes in the cache that are not what was written: found where they are read, and fetched anew."""

import io
import zlib
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from gzjwst_core.archives.locate import locate
from gzjwst_core.cache import fetch_rows as windows
from gzjwst_core.cache.fetch import fetch
from gzjwst_core.cache.fetch_rows import fetch_rows, has_rows, rows_key
from gzjwst_core.cache.mosaic_cache import MosaicCache
from gzjwst_core.errors import CorruptMosaicError
from gzjwst_core.models import MosaicSource
from gzjwst_core.mosaics import blocks
from gzjwst_core.mosaics.blocks import BLOCKS, Summing
from gzjwst_core.mosaics.geometry import Box
from gzjwst_core.mosaics.layout import read_layout
from gzjwst_core.mosaics.reader import open_mosaic
from gzjwst_core.options import MosaicOptions
from gzjwst_core.survey.mosaic_access import _forgetting_damage
from tests.archives.test_windows import OPTIONS, Counted, at, body, bring
from tests.archives.tiny import SCI, mosaic

TOP, BOTTOM = Box(500, 510, 0, 603), Box(0, 10, 0, 603)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (blocks, windows):
        monkeypatch.setattr(module, "BLOCK_BYTES", 1 << 14)


@pytest.fixture
def cache(tmp_path: Path) -> MosaicCache:
    return MosaicCache(tmp_path / "cache")


def flip(path: Path, at: int, mask: int = 1) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0] ^ mask
        file.seek(at)
        file.write(bytes([byte]))


def pixel(path: Path, plane: str, row: int) -> int:
    """Byte of a pixel."""
    found = next(one for one in read_layout(path) if one.name == plane)
    return found.offset + (row * found.shape[1] + 300) * 4 + 1


def look(source: MosaicSource, box: Box) -> None:
    with open_mosaic(source, MosaicOptions(), check=False) as reader:
        reader.windows(box)


@settings(max_examples=40, deadline=None)
@given(sizes=st.lists(st.integers(0, 50_000), max_size=6), data=st.data())
def test_every_byte_is_in_one_block_whatever_the_pieces(sizes: list[int], data: st.DataObject) -> None:
    target, whole = io.BytesIO(), np.random.default_rng(1).bytes(sum(sizes))
    summed = Summing(target)
    for begin, size in zip(np.cumsum([0, *sizes]), sizes, strict=False):
        summed.write(whole[begin : begin + size])
    ranges = summed.ranges()
    assert target.getvalue() == whole
    assert [start for start, _, _ in ranges] == list(range(0, len(whole), blocks.BLOCK_BYTES))
    assert [stop for _, stop, _ in ranges][-1:] == ([len(whole)] if whole else [])
    assert all(zlib.crc32(whole[start:stop]) == total for start, stop, total in ranges)


@pytest.mark.parametrize("plane", ["SCI", "ERR", "WHT"])
def test_a_window_finds_damage_in_its_own_blocks_alone(cache: MosaicCache, plane: str) -> None:
    archive = Counted(body())
    located = locate(mosaic(), [archive])
    source = fetch(located, archive, cache, OPTIONS, SCI).source
    path = Path(source.path)
    look(source, TOP)
    right = path.read_bytes()
    flip(path, pixel(path, plane, 505))
    look(source, BOTTOM)
    with pytest.raises(CorruptMosaicError, match="are not those that were written") as caught:
        look(source, TOP)
    assert caught.value.retryable
    key = cache.key(located, SCI)
    with pytest.raises(CorruptMosaicError), _forgetting_damage(cache, [key]):
        look(source, TOP)
    assert cache.find(key, located) is None
    assert path.exists(), "who reads it elsewhere must find damage, not nothing"
    fetch(located, archive, cache, OPTIONS, SCI)
    assert path.read_bytes() == right
    look(source, TOP)


def test_damage_in_a_header_is_found_before_it_is_believed(cache: MosaicCache) -> None:
    archive = Counted(body())
    source = fetch(locate(mosaic(), [archive]), archive, cache, OPTIONS, SCI).source
    path = Path(source.path)
    flip(path, path.read_bytes().index(b"CRVAL1  =                150.0") + 28)
    with pytest.raises(CorruptMosaicError, match="are not those that were written"):
        look(source, BOTTOM)


def test_tiles_are_looked_at_as_a_whole(cache: MosaicCache, tmp_path: Path) -> None:
    with fits.open(io.BytesIO(body(planes=("SCI",)))) as hdus:
        tiled = fits.CompImageHDU(hdus["SCI"].data, hdus["SCI"].header, name="SCI", compression_type="GZIP_1")
    fits.HDUList([fits.PrimaryHDU(), tiled]).writeto(tmp_path / "tiled.fits")
    archive = Counted((tmp_path / "tiled.fits").read_bytes())
    source = fetch(locate(mosaic(), [archive]), archive, cache, OPTIONS, SCI).source
    look(source, BOTTOM)
    path = Path(source.path)
    flip(path, path.stat().st_size - 40_000)
    with pytest.raises(CorruptMosaicError, match="are not those that were written"):
        look(source, BOTTOM)


def test_what_has_no_digests_is_read_as_it_is(cache: MosaicCache) -> None:
    """A cache of an earlier version, or a record that is damaged itself."""
    archive = Counted(body())
    located = locate(mosaic(), [archive])
    source = fetch(located, archive, cache, OPTIONS, SCI).source
    path = Path(source.path)
    for text in ("{", ""):
        path.with_name(BLOCKS).write_text(text)
        flip(path, pixel(path, "SCI", 505))
        look(source, TOP)
        cache.forget_damaged(cache.key(located, SCI))
        assert cache.find(cache.key(located, SCI), located) == path


def test_fetched_rows_have_digests_and_holes_have_none(cache: MosaicCache) -> None:
    archive = Counted(body())
    first, second = at(-15.0), at(15.0)
    located = locate(mosaic(), [archive])
    low = bring(archive, cache, first)
    path = Path(low.path)
    both = bring(archive, cache, second)
    assert low.rows
    assert both.rows
    rows = [(source, Box(*source.rows[0], 0, 603)) for source in (low, both) if source.rows]
    for source, box in rows:
        look(source, box)
    flip(path, pixel(path, "ERR", 300))  # a hole
    for source, box in rows:
        look(source, box)
    flip(path, pixel(path, "WHT", both.rows[0][0] + 2))
    look(*rows[0])
    key = rows_key(located, cache, SCI)
    with pytest.raises(CorruptMosaicError, match="written"), _forgetting_damage(cache, [key]):
        look(*rows[1])
    assert not has_rows(located, cache, SCI, first)
    assert fetch_rows(located, archive, cache, OPTIONS, SCI, places=second) is not None
    look(*rows[1])


def test_rows_that_came_in_pieces_are_all_summed_up(cache: MosaicCache) -> None:
    archive = Counted(body())
    archive.breaks_every = 31
    source = bring(archive, cache, at(-12.0, 3.0, 14.0, reach=2.0))
    assert source.rows
    for low, high in source.rows:
        for row in (low, high - 1):
            flip(Path(source.path), pixel(Path(source.path), "SCI", row))
            with pytest.raises(CorruptMosaicError):
                look(source, Box(row, row + 1, 0, 603))
            flip(Path(source.path), pixel(Path(source.path), "SCI", row))
            look(source, Box(row, row + 1, 0, 603))
