"""Panels and strips: boxes are exact, places are kept, each band is north up in its own sigma."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gzjwst_core.cutouts.read import Cutout, read_cutout
from gzjwst_core.errors import ImageError
from gzjwst_core.images import grey, render
from gzjwst_core.images.compose import Picture, colour
from gzjwst_core.images.encode import read_metadata
from gzjwst_core.images.grey import WIDEST_PX, band_in_grey, grid_of, strip_of
from gzjwst_core.options import ImageOptions
from tests.cutouts.skies import BANDS, Blob, make_field
from tests.images.scenes import OPTIONS, cut_bytes, flux, grids

LOPSIDED = [Blob(0, 0, 0.25, flux(20, 20, 20, 20)), Blob(0, 1.0, 0.1, flux(5, 0, 0, 5))]


def options(**given: Any) -> ImageOptions:
    return ImageOptions(**{**OPTIONS.model_dump(), "size_px": 64, **given})


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return cut_bytes(make_field(tmp_path_factory.mktemp("g"), LOPSIDED, grids(17.0), noise=0.02))


@pytest.fixture(scope="module")
def cutout(data: bytes) -> Cutout:
    return read_cutout(data)


def boxes(panels: str) -> dict[str, tuple[int, ...]]:
    named = (part.split("=") for part in panels.split())
    return {name: tuple(int(n) for n in box.split(",")) for name, box in named}


def test_a_band_is_north_up_and_its_gap_is_flat(cutout: Cutout) -> None:
    for band in BANDS:
        shown = band_in_grey(cutout, band, OPTIONS, 160)
        assert shown is not None
        assert shown[80, 80] > 150
        assert (shown[18:36, 70:90].max() > 100) == (band in ("F115W", "F444W"))  # the second blob is 1" north
    holed = replace(cutout.bands["F277W"], data=cutout.bands["F277W"].data.copy())
    holed.data[:10] = np.nan
    shown = band_in_grey(replace(cutout, bands={"F277W": holed}), "F277W", OPTIONS, 160)
    assert shown is not None
    assert (shown == OPTIONS.gap_level).mean() > 0.02


def test_boxes_hold_the_panels(cutout: Cutout) -> None:
    wanted = options(layout="panels")
    picture = colour(cutout, wanted)
    grid = grid_of(cutout, picture, wanted)
    found = boxes(grid.panels)
    assert list(found) == ["rgb", *BANDS]
    assert grid.rgb.shape == (2 * 64 + 4, 3 * 64 + 2 * 4, 3)
    for name, (x0, y0, x1, y1) in found.items():
        panel = grid.rgb[y0:y1, x0:x1]
        alone = picture.rgb if name == "rgb" else band_in_grey(cutout, name, wanted, 64)
        assert alone is not None
        assert (panel == (alone if alone.ndim == 3 else alone[..., None])).all()
    covered = sum((x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in found.values())
    assert covered == 5 * 64 * 64
    assert (grid.rgb[64:68] == wanted.gap_level).all()


def test_a_band_that_lacks_keeps_its_place(cutout: Cutout) -> None:
    wanted = options(layout="panels", panel_bands=("F444W", "F090W", "F115W"))
    found = boxes(grid_of(cutout, colour(cutout, wanted), wanted).panels)
    assert found == {"rgb": (0, 0, 64, 64), "F444W": (68, 0, 132, 64), "F115W": (68, 68, 132, 132)}


@settings(max_examples=40)
@given(st.integers(0, 12), st.integers(32, 2048), st.integers(0, 64))
def test_no_grid_is_too_wide(bands: int, size: int, gap: int) -> None:
    wanted = ImageOptions(layout="panels", size_px=size, panel_gap_px=gap)
    columns, rows = grey._layout(1 + bands, wanted)
    assert columns * rows >= 1 + bands > columns * (rows - 1)
    assert columns == 1 or columns * (size + gap) - gap <= WIDEST_PX


def test_single_is_the_picture_itself(cutout: Cutout) -> None:
    picture = Picture(np.zeros((64, 64, 3), np.uint8), np.zeros((64, 64), bool), (), ())
    grid = grid_of(cutout, picture, options())
    assert grid.rgb is picture.rgb
    assert grid.panels == ""


def test_strip_shows_all_bands(cutout: Cutout) -> None:
    strip = strip_of(cutout, options(strip_px=40))
    assert strip is not None
    assert strip.bands == BANDS
    assert strip.grey.shape == (40, 160)
    assert (strip.grey[:, [40, 80, 120]] == OPTIONS.gap_level).all()
    assert strip_of(cutout, options(strip_px=0)) is None


def test_files_tell_of_panels_and_strip(data: bytes) -> None:
    made = render.render_cutout("a.fits", data, options(layout="panels", strip_px=40))
    assert made.data is not None
    assert made.strip is not None
    assert made.facts is not None
    assert made.facts.strip_bands == ",".join(BANDS) == read_metadata(made.strip)["bands"]
    assert made.facts.panels == read_metadata(made.data)["panels"]
    alone = render.render_cutout("a.fits", data, options(strip_px=0))
    assert alone.facts is not None
    assert alone.strip is None
    assert alone.facts.strip_bands == ""
    assert alone.facts.measures == made.facts.measures  # of the colour picture alone


def test_without_a_strip_there_is_still_a_picture(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise ImageError("no", reason="bad_cutout")

    whole = render.render_cutout("a.fits", data, options())
    monkeypatch.setattr(render, "strip_of", fails)
    made = render.render_cutout("a.fits", data, options())
    assert made.outcome.kind == "done"
    assert made.data == whole.data
    assert made.strip is None
