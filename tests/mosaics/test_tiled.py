"""Tile-compressed images: the same pixels, window by window, and no tile that lies is unpacked."""

import gzip
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from gzjwst_core.errors import CorruptMosaicError, MosaicLayoutError
from gzjwst_core.models import MosaicSource
from gzjwst_core.mosaics.geometry import Box, stated_wcs, whole
from gzjwst_core.mosaics.layout import read_layout
from gzjwst_core.mosaics.reader import open_mosaic
from gzjwst_core.options import MosaicOptions

SHAPE = (50, 40)


def pixels(dtype: str = "f4") -> np.ndarray:
    sci = np.random.default_rng(4).normal(100.0, 9.0, SHAPE)
    return sci.astype(dtype)


def write(path: Path, sci: np.ndarray, *, wht: np.ndarray | None = None, **packing: Any) -> MosaicSource:
    hdus: list[Any] = [fits.PrimaryHDU()]
    for name, data in (("SCI", sci), ("WHT", wht)):
        if data is not None:
            hdu = fits.CompImageHDU(data, name=name, **packing)
            hdu.header.update(stated_wcs(SHAPE, 0.06, 10, 0).to_header(), BUNIT="uJy")
            hdus.append(hdu)
    fits.HDUList(hdus).writeto(path, overwrite=True)
    return MosaicSource(field="one", band="F277W", path=str(path), uri="local:x", identity="i")


@pytest.mark.parametrize("dtype", ["f4", "f8", "i2", "i4"])
@pytest.mark.parametrize("tile", [(1, 40), (16, 16), (50, 40)])
def test_windows_hold_the_pixels_that_were_packed(tmp_path: Path, dtype: str, tile: tuple[int, int]) -> None:
    sci = pixels(dtype)
    packing = {"compression_type": "GZIP_1", "quantize_level": 0} if dtype[0] == "f" else {"compression_type": "RICE_1"}
    wht = np.ones(SHAPE, "f4" if dtype[0] == "f" else "i4")
    with open_mosaic(write(tmp_path / "x.fits", sci, wht=wht, tile_shape=tile, **packing), MosaicOptions()) as reader:
        assert reader.planes == {"SCI", "WHT"}
        for box in (whole(SHAPE), Box(3, 20, 17, 33), Box(-4, 5, 38, 50)):
            window = reader.windows(box)
            inside = box.clip(SHAPE)
            part = inside.shift(-box.y0, -box.x0).slices
            np.testing.assert_allclose(window.sci[part], sci[inside.slices], rtol=1e-6)
            assert window.wht is not None
            assert (window.wht[part] == 1).all()
        assert reader.windows(Box(900, 910, 900, 910)).sci.shape == (10, 10)


def test_quantised_pixels_come_close_and_blanks_are_gaps(tmp_path: Path) -> None:
    sci = pixels()
    sci[5, 5:9] = np.nan
    source = write(tmp_path / "x.fits", sci, compression_type="RICE_1", tile_shape=(16, 16), dither_seed=1)
    with open_mosaic(source, MosaicOptions()) as reader:
        window = reader.window("SCI", whole(SHAPE))
    assert (np.isnan(window) == np.isnan(sci)).all()
    np.testing.assert_allclose(window, sci, atol=1.0)


@pytest.mark.parametrize("packing", ["PLIO_1", "HCOMPRESS_1", "MINE"])
def test_other_packings_are_refused_by_name(tmp_path: Path, packing: str) -> None:
    source = write(tmp_path / "x.fits", pixels(), compression_type="GZIP_1", quantize_level=0)
    edit(Path(source.path), "ZCMPTYPE", f"'{packing}'")
    with pytest.raises(MosaicLayoutError, match=rf"{packing} are not read \(allowed: RICE_1.*use funpack"):
        open_mosaic(source, MosaicOptions())


def edit(path: Path, keyword: str, value: str) -> None:
    data = path.read_bytes()
    at = data.index(f"{keyword:8}= ".encode())
    path.write_bytes(data[:at] + f"{keyword:8}= {value}".ljust(80).encode() + data[at + 80 :])


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("ZNAXIS1", "100000000"),
        ("ZNAXIS2", "99999"),
        ("ZTILE1", "0"),
        ("ZTILE2", "2"),
        ("ZNAXIS", "0"),
        ("ZNAXIS1", "T"),
    ],
)
def test_more_tiles_than_rows_are_damage_before_anything_is_allocated(tmp_path: Path, keyword: str, value: str) -> None:
    source = write(tmp_path / "x.fits", pixels(), compression_type="GZIP_1", quantize_level=0)
    edit(Path(source.path), keyword, value)
    with pytest.raises(CorruptMosaicError):
        read_layout(Path(source.path))


def tile_of(path: Path) -> tuple[int, int]:
    """Where the first descriptor and the heap of the first tiled plane are."""
    plane = next(p for p in read_layout(path) if p.compressed)
    return plane.offset, plane.offset + plane.header["NAXIS1"] * plane.header["NAXIS2"]


def test_a_tile_that_unpacks_to_gigabytes_is_refused_in_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "x.fits"
    source = write(path, pixels("f8"), compression_type="GZIP_1", quantize_level=0, tile_shape=SHAPE)
    bomb = gzip.compress(bytes(9_000_000), mtime=0)
    offset, heap = tile_of(path)
    data = bytearray(path.read_bytes())
    assert len(bomb) < len(data) - heap - 2880
    data[offset : offset + 4] = len(bomb).to_bytes(4, "big")
    data[heap : heap + len(bomb)] = bomb
    path.write_bytes(data)
    tracemalloc.start()
    with pytest.raises(CorruptMosaicError, match="unpacks to more"):
        open_mosaic(source, MosaicOptions())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4_000_000


@pytest.mark.parametrize("descriptor", [(2**31 - 1, 0), (100, 2**31 - 1), (-1, 0), (100, -100)])
def test_a_tile_outside_the_heap_is_damage(tmp_path: Path, descriptor: tuple[int, int]) -> None:
    path = tmp_path / "x.fits"
    source = write(path, pixels(), compression_type="RICE_1")
    offset, _ = tile_of(path)
    data = bytearray(path.read_bytes())
    data[offset : offset + 8] = b"".join(n.to_bytes(4, "big", signed=True) for n in descriptor)
    path.write_bytes(data)
    with pytest.raises(CorruptMosaicError, match="a tile of"):
        open_mosaic(source, MosaicOptions())
