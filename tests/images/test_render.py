"""A chunk of images: files, facts, measures, failures."""

import io
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gzjwst_core.images.encode import recipe_digest
from gzjwst_core.images.render import render_chunk, render_cutout
from gzjwst_core.images.stretch import sky_level
from gzjwst_core.options import ImageOptions
from tests.cutouts.skies import Blob, make_field
from tests.images.scenes import OPTIONS, cut_bytes, flux, grids

EQUAL = flux(20, 20, 20, 20)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    field = make_field(tmp_path_factory.mktemp("f"), [Blob(0, 0, 0.25, EQUAL)], grids(17.0), noise=0.02)
    return cut_bytes(field)


def test_a_wcs_that_leads_nowhere_is_a_damaged_cutout(data: bytes) -> None:
    card = data.index(b"CRVAL2  =")
    damaged = data[:card] + b"CRVAL2  =               1000.0".ljust(80) + data[card + 80 :]
    made = render_cutout("a.fits", damaged, OPTIONS)
    assert (made.outcome.kind, made.outcome.reason) == ("failed", "bad_cutout")


def test_a_damaged_cutout_stops_nothing(data: bytes) -> None:
    made = list(render_chunk([("a.fits", data), ("b.fits", data[:5000]), ("c.fits", data)], OPTIONS))
    assert [p.name for p in made] == ["a.jpg", "b.jpg", "c.jpg"]
    assert [p.outcome.kind for p in made] == ["done", "failed", "done"]
    assert made[1].outcome.reason == "bad_cutout"
    assert "b.fits" in made[1].outcome.detail
    assert made[0].data == made[2].data
    assert made[1].data is None


def test_file_and_facts(data: bytes) -> None:
    made = render_cutout("test_J1p2.fits", data, OPTIONS)
    assert made.data is not None
    assert made.facts is not None
    with Image.open(io.BytesIO(made.data)) as image:
        assert image.size == (160, 160)
    facts = made.facts
    assert facts.id_str == "test_J1p2"
    assert facts.fov_arcsec == 3.0
    assert facts.pixscale_arcsec == pytest.approx(3.0 / 160)
    assert facts.coverage_min == 1.0
    assert facts.filters_rgb == "R=F444W G=F277W B=F150W+F115W"
    assert facts.recipe_digest == recipe_digest(OPTIONS)


def test_measures(data: bytes) -> None:
    made = render_cutout("a.fits", data, OPTIONS)
    assert made.facts is not None
    measures = made.facts.measures
    assert measures.sky_median == pytest.approx(255 * sky_level(OPTIONS), abs=3)
    assert measures.sky_chroma < 2
    assert measures.fill == pytest.approx(2 * 2.5 * 0.25 / 3.0, abs=0.05)
    assert measures.coverage == 1.0
    assert measures.centring < 1.5 / OPTIONS.size_px
    assert measures.black < 0.01
    assert measures.white < 0.2


def test_partial_bands_are_said(tmp_path: Path) -> None:
    field = make_field(tmp_path, [Blob(0, 0, 0.25, EQUAL)], grids(17.0))
    made = render_cutout("a.fits", cut_bytes(field, bands=("F277W", "F444W")), OPTIONS)
    assert made.facts is not None
    assert made.data is not None
    assert made.facts.filled == ("blue",)
    assert made.facts.filters_rgb == "R=F444W G=F277W B=-"
    assert b"filled=blue" in made.data


def test_without_a_segment_there_is_no_fill(tmp_path: Path) -> None:
    field = make_field(tmp_path, [Blob(3.0, 3.0, 0.1, EQUAL)], grids(0.0))
    made = render_cutout("a.fits", cut_bytes(field, 1.9), OPTIONS)
    assert made.facts is not None
    assert math.isnan(made.facts.measures.fill)
    assert math.isnan(made.facts.measures.centring)


def test_default_size_and_weight(data: bytes) -> None:
    options = ImageOptions(sigma=OPTIONS.sigma, gain=OPTIONS.gain)
    made = render_cutout("a.fits", data, options)
    assert made.data is not None
    with Image.open(io.BytesIO(made.data)) as image:
        assert np.asarray(image).shape == (424, 424, 3)
    assert len(made.data) < 600_000
