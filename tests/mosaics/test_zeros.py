"""Exact zeros without weights: gaps are regions of them, whatever the pixels are stored as and the window is."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gzjwst_core.models import MosaicSource
from gzjwst_core.mosaics.geometry import Box, stated_wcs, whole
from gzjwst_core.mosaics.reader import open_mosaic
from gzjwst_core.mosaics.zeros import surroundings, zero_gaps
from gzjwst_core.options import MosaicOptions

SHAPE = (220, 200)


def sky(steps: float, seed: int = 0) -> NDArray[np.float32]:
    """Noise of sigma 1 in whole numbers of a step, `steps` of them a sigma; 0 = not stepped."""
    noise = np.random.default_rng(seed).normal(0.0, 1.0, SHAPE)
    return (np.round(noise * steps) / steps if steps else noise).astype(np.float32)


def gaps(image: NDArray[np.float32]) -> NDArray[np.bool_]:
    return zero_gaps(image, whole(SHAPE), whole(SHAPE))


def slanted(width: int) -> NDArray[np.bool_]:
    y, x = np.indices(SHAPE)
    return np.asarray(np.abs(x * np.cos(0.3) + y * np.sin(0.3) - 150) < width / 2)


REGIONS = {
    "border of one pixel": np.pad(np.zeros((SHAPE[0] - 2, SHAPE[1] - 2), dtype=bool), 1, constant_values=True),
    "one column": np.indices(SHAPE)[1] == 133,
    "one row": np.indices(SHAPE)[0] == 127,
    "chip gap of 3": np.isin(np.indices(SHAPE)[1], [126, 127, 128]),
    "turned chip gap": slanted(8),
    "turned corner": np.indices(SHAPE)[0] * 0.4 + np.indices(SHAPE)[1] < 90,
    "small square": np.pad(np.ones((4, 4), dtype=bool), ((100, SHAPE[0] - 104), (125, SHAPE[1] - 129))),
}


@pytest.mark.parametrize("steps", [16, 4, 2, 1])
def test_zeros_of_stepped_sky_are_data_and_regions_are_gaps(steps: float) -> None:
    image = sky(steps)
    assert 0.02 < (image == 0).mean() < 0.41
    assert not gaps(image).any()
    for name, region in REGIONS.items():
        found = gaps(np.where(region, np.float32(0), image))
        assert found[region].all(), name
        assert found[~region].mean() < (0.003 if steps > 2 else 0.03), name  # the zeros that touch it


def test_every_zero_of_pixels_that_come_once_is_a_gap() -> None:
    image = sky(0)
    image[5, 77] = image[100, 100:103] = image[180, :] = 0.0
    np.testing.assert_array_equal(gaps(image), image == 0)


@pytest.mark.parametrize("side", [1, 2, 3, 5])
def test_a_zero_core_in_bright_light_is_a_hole(side: int) -> None:
    y, x = np.indices(SHAPE)
    star = np.round(1e4 * np.exp(-np.hypot(y - 110, x - 100) / 8.0)).astype(np.float32)
    image = sky(4) + star
    core = np.s_[110 : 110 + side, 100 : 100 + side]
    image[core] = 0.0
    assert gaps(image)[core].all()
    assert gaps(image).sum() == side**2


@given(st.integers(0, 210), st.integers(0, 190), st.integers(1, 220), st.integers(1, 200), st.sampled_from([0, 1, 5]))
@settings(max_examples=25, deadline=None)
def test_gaps_are_the_same_in_every_window(y0: int, x0: int, height: int, width: int, steps: float) -> None:
    image = np.where(REGIONS["turned corner"] | REGIONS["one row"] | slanted(3), np.float32(0), sky(steps))
    box = Box(y0, y0 + height, x0, x0 + width).clip(SHAPE)
    around = surroundings(box, SHAPE)
    np.testing.assert_array_equal(zero_gaps(image[around.slices], around, box), gaps(image)[box.slices])


def write(path: Path, image: NDArray[np.float32], kind: str, **planes: NDArray[Any]) -> MosaicSource:
    head = stated_wcs(SHAPE, 0.06, 150, 2).to_header()
    packing: dict[str, Any] = {"compression_type": "RICE_1", "quantize_level": 4.0}
    if kind == "integers":
        sci: Any = fits.ImageHDU(np.round(image / 0.25).astype(np.int16), head, name="SCI")
        sci.header.update(BSCALE=0.25, BZERO=0.0)
    elif kind == "plain":
        sci = fits.ImageHDU(image, head, name="SCI")
    else:
        method = {"packed": -1, "dithered, zeros kept": 2}[kind]
        sci = fits.CompImageHDU(image, head, name="SCI", quantize_method=method, **packing)
    sci.header["BUNIT"] = "uJy"
    others = [fits.ImageHDU(plane, head, name=name) for name, plane in planes.items()]
    fits.HDUList([fits.PrimaryHDU(), sci, *others]).writeto(path, output_verify="ignore")
    return MosaicSource(field="one", band="F277W", path=str(path), uri="local:x", identity="i")


@pytest.mark.parametrize("kind", ["integers", "plain", "packed", "dithered, zeros kept"])
@pytest.mark.parametrize("with_err", [False, True])
def test_coverage_does_not_depend_on_how_pixels_are_stored(tmp_path: Path, kind: str, with_err: bool) -> None:
    edge = REGIONS["turned corner"] | REGIONS["border of one pixel"]
    planes = {"ERR": np.ones(SHAPE, np.float32)} if with_err else {}  # noise that knows of no edge
    source = write(tmp_path / "m.fits", np.where(edge, np.float32(0), sky(0)), kind, **planes)
    with open_mosaic(source, MosaicOptions(min_valid_fraction=0.5)) as reader:
        empty = np.isnan(reader.windows(whole(SHAPE)).sci)
        part = np.isnan(reader.windows(Box(100, 150, 40, 200)).sci)
    assert empty[edge].all()
    assert empty[~edge].mean() < 0.003  # zeros that touch the edge
    np.testing.assert_array_equal(part, empty[100:150, 40:200])
