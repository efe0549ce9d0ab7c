"""Drawings of the selection function: every value lands where it should, gaps stay gaps."""

import base64
import io
import re

import numpy as np
import pytest
from astropy.table import Table
from PIL import Image

from gzjwst_core.report.depth_figures import depth_limits, depth_uri
from gzjwst_core.report.selection_facts import completeness_of, residuals
from gzjwst_core.report.selection_figures import (
    astrometric_residuals,
    completeness_curves,
    completeness_map,
    corrected_counts,
    overlap_curves,
    purity_curves,
)

MAGS = np.arange(22.0, 28.5, 1.0)
SIZES = np.array([0.05, 0.1, 0.2, 0.4])


def completeness() -> Table:
    rows = [
        {"field": field, "mag_low": low, "mag_high": low + 1, "r50_low": small, "r50_high": 2 * small}
        | {"n_in": 40, "n_found": round(40 * max(0.0, min(1.0, (28 - low) / 4)))}
        for field in ("a", "b")
        for low in MAGS[:-1]
        for small in SIZES[:-1]
    ]
    return Table(rows)


def test_completeness_is_drawn_for_every_cell_and_field() -> None:
    drawing = completeness_map(completeness())
    assert drawing is not None
    opacity = [float(v) for v in re.findall(r'fill-opacity="([\d.]+)"', str(drawing))]
    assert len(opacity) == (MAGS.size - 1) * (SIZES.size - 1)
    assert max(opacity) == 0.94
    assert "0 %" in drawing
    assert "100 %" in drawing
    assert min(opacity) == pytest.approx(0.04 + 0.9 * 0.25, abs=0.01)
    curves = completeness_curves(completeness())
    assert curves is not None
    assert curves.count('class="steps"') == curves.count('class="bars"') == 2
    assert completeness_curves(completeness()[:0]) is completeness_map(completeness()[:0]) is None


def test_a_cell_into_which_nothing_was_put_stays_empty() -> None:
    table = completeness()
    table["n_in"][table["mag_low"] == 22.0] = 0
    drawing, curves = completeness_map(table), completeness_curves(table)
    assert drawing is not None
    assert drawing.count("<rect") == (MAGS.size - 2) * (SIZES.size - 1)
    assert curves is not None
    assert "nan" not in str(drawing) + str(curves)


def test_purity_breaks_where_nothing_is_known() -> None:
    table = Table({"field": ["a"] * 4, "mag_low": MAGS[:4], "mag_high": MAGS[1:5], "purity": [1.0, 0.9, np.nan, 0.5]})
    drawing = purity_curves(table)
    assert drawing is not None
    assert [part for part in re.findall(r'class="steps"[^>]* d="([^"]+)"', str(drawing)) if part.count("M") == 2]
    assert "bars" not in drawing
    table["purity_low"], table["purity_high"] = 0.8, 1.0
    with_bars = purity_curves(table)
    assert with_bars is not None
    assert re.findall(r'class="bars"[^>]* d="([^"]+)"', str(with_bars))[0].count("V") == 4
    table["purity"] = np.nan
    assert purity_curves(table) is None


def test_counts_are_corrected_only_where_most_of_a_bin_can_be() -> None:
    mag = np.repeat([22.2, 23.2, 24.2], 10)
    share = np.repeat([1.0, 0.5, 0.1], 10)
    drawing = corrected_counts(mag, share, None)
    assert drawing is not None
    line = re.findall(r'class="steps dashed"[^>]* d="([^"]+)"', str(drawing))[0]
    heights = [float(y) for y in re.findall(r"[ML][\d.]+ ([\d.]+)", line)]
    assert len(heights) == 2
    assert heights[1] < heights[0], "half of them seen: twice as many there are, drawn higher up"
    assert corrected_counts(np.array([np.nan]), np.array([1.0]), 3.0) is None


def test_residuals_are_those_of_shared_objects() -> None:
    catalog = Table(
        {
            "group_id": [1, 1, 2, 3, 3, 3],
            "field": ["a", "b", "a", "a", "b", "c"],
            "ra": [359.99999, 0.00001, 10.0, 20.0, 20.0, 20.00001],
            "dec": [60.0, 60.0, 60.0, 0.0, 0.00002, 0.0],
        }
    )
    found = {one.name: one for one in residuals(catalog)}
    assert set(found) == {"a and b", "a and c", "b and c"}
    np.testing.assert_allclose(found["a and b"].dra, [-36.0, 0.0], atol=1e-6)
    np.testing.assert_allclose(found["a and b"].ddec, [0.0, -72.0], atol=1e-6)
    drawing = astrometric_residuals([(one.name, one.dra, one.ddec) for one in found.values()])
    assert drawing is not None
    assert "a and b: -18.0, -36.0 mas" in drawing
    assert astrometric_residuals([]) is None


def test_a_depth_map_is_north_up_with_holes_transparent() -> None:
    depth = np.full((40, 30), 27.0, dtype=np.float32)
    depth[30:] = 28.0
    depth[:5] = np.nan
    limits = depth_limits([depth])
    assert limits == (27.0, 28.0)
    picture = Image.open(io.BytesIO(base64.b64decode(depth_uri(depth, limits).partition(",")[2])))
    pixels = np.asarray(picture)
    assert pixels.shape == (40, 30, 4)
    assert pixels[-1, 0, 3] == 0
    assert tuple(pixels[0, 0]) == (250, 230, 80, 255)
    assert tuple(pixels[20, 0]) == (38, 22, 74, 255)
    assert depth_limits([np.full((3, 3), np.nan, dtype=np.float32)]) is None
    assert depth_limits([]) is None


def test_a_large_depth_map_is_drawn_small() -> None:
    depth = np.full((1000, 700), 27.0, dtype=np.float32)
    picture = Image.open(io.BytesIO(base64.b64decode(depth_uri(depth, (26.0, 28.0)).partition(",")[2])))
    assert max(picture.size) <= 320


def test_completeness_is_looked_up_for_every_source_that_has_a_size() -> None:
    table = completeness()
    table["mag"], table["r50"] = table["mag_low"] + 0.5, np.sqrt(table["r50_low"] * table["r50_high"])
    for kind in ("completeness", "selected"):
        for end in ("", "_low", "_high"):
            table[f"{kind}{end}"] = table["n_found"] / table["n_in"]
    sources = Table(
        {
            "field": ["a", "b", "elsewhere", "a"],
            "mag_ref": [24.5, 26.5, 24.5, 24.5],
            "r50": [0.25, 0.25, 0.25, np.nan],
            "is_star": [False] * 4,
        }
    )
    found = completeness_of(sources, table)
    assert found[:2].tolist() == pytest.approx([1.0, 0.5])
    assert np.isnan(found[2:]).all()
    assert completeness_of(sources[:0], table).size == 0
    assert np.isnan(completeness_of(sources[3:], table)).all()


def test_overlaps_are_drawn_for_both_directions() -> None:
    table = Table(
        {
            "field": ["a", "a", "a", "b"],
            "other": ["b", "b", "b", "a"],
            "mag_low": [22.0, 23.0, np.nan, 22.0],
            "mag_high": [23.0, 24.0, np.nan, 23.0],
            "n": [10, 4, 3, 0],
            "n_found": [10, 1, 3, 0],
        }
    )
    drawing = overlap_curves(table)
    assert drawing is not None
    assert drawing.count('class="steps"') == drawing.count('class="bars"') == 1
    assert "a in b" in drawing
    assert "nan" not in drawing
    assert overlap_curves(table[2:]) is None
