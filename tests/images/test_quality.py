"""Measures of synthetic pictures: black, white, tinted, off-centre, clipped, faint."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.table import Table
from numpy.typing import NDArray

from gzjwst_core.cutouts.read import Cutout
from gzjwst_core.images.compose import Picture, colour
from gzjwst_core.images.quality import Measures, labels_of, measure
from gzjwst_core.images.verdicts import VERDICTS, grade, judge
from gzjwst_core.options import QualityOptions
from tests.cutouts.skies import Blob
from tests.images.scenes import OPTIONS, cut, flux, grids

SIZE, FOV = 160, 3.0


@pytest.fixture(scope="module")
def cutout(tmp_path_factory: pytest.TempPathFactory) -> Cutout:
    """A disc of 0.5 arcsec in the middle."""
    return cut(tmp_path_factory.mktemp("f"), [Blob(0, 0, 0.2, flux(1.5, 1.5, 1.5, 1.5))], grids(0.0), FOV, noise=0.02)


@pytest.fixture(scope="module")
def picture(cutout: Cutout) -> Picture:
    return colour(cutout, OPTIONS)


def repainted(picture: Picture, rgb: NDArray[Any]) -> Picture:
    return Picture(rgb=rgb.astype(np.uint8), gap=picture.gap, filled=(), bands=picture.bands)


def reasons(measures: Measures) -> str:
    """What failed the image and what it is warned of."""
    row = judge(Table([asdict(measures)]), QualityOptions())[0]
    return f"{row['reasons']} {row['warnings']}".strip()


def test_a_good_picture(cutout: Cutout, picture: Picture) -> None:
    measures = measure(cutout, picture)
    assert measures.reach == pytest.approx(measures.fill, abs=0.03)  # in the middle: half its width over half the side
    assert 20 < measures.contrast < 222
    assert reasons(measures) == "", measures


def test_a_black_picture(cutout: Cutout, picture: Picture) -> None:
    measures = measure(cutout, repainted(picture, np.zeros_like(picture.rgb)))
    assert (measures.black, measures.white, measures.contrast) == (1, 0, 0)
    assert {"black:above", "sky_median:below", "contrast:below"} <= set(reasons(measures).split())


def test_a_white_picture(cutout: Cutout, picture: Picture) -> None:
    measures = measure(cutout, repainted(picture, np.full_like(picture.rgb, 255)))
    assert (measures.black, measures.white, measures.sky_median) == (0, 1, 255)
    assert {"white:above", "sky_median:above"} <= set(reasons(measures).split())


def test_a_tinted_sky(cutout: Cutout, picture: Picture) -> None:
    tinted = picture.rgb.astype(int) + np.array([0, 0, 9])
    measures = measure(cutout, repainted(picture, np.minimum(tinted, 255)))
    assert measures.sky_chroma == pytest.approx(9, abs=2.5)
    assert "sky_chroma:above" in reasons(measures)


def test_light_beside_the_middle(cutout: Cutout, picture: Picture) -> None:
    rgb = picture.rgb.copy()
    own = labels_of(cutout, picture.gap.shape) == cutout.segment_id
    rgb[own] = 33
    rgb[own & (np.arange(SIZE)[None, :] > 95)] = 200
    measures = measure(cutout, repainted(picture, rgb))
    assert measures.centring > 10 / SIZE
    assert "centring:above" in reasons(measures)


@pytest.mark.parametrize("side", [90, 160, 400])
def test_verdicts_do_not_follow_the_size_of_the_picture(cutout: Cutout, side: int) -> None:
    """One cutout, whose light a mask of half of it moves off the middle, at sizes that differ by four."""
    picture = colour(cutout, OPTIONS.model_copy(update={"size_px": side}))
    rgb = picture.rgb.copy()
    rgb[:, : round(side * 0.48)] = 33
    measures = measure(cutout, repainted(picture, rgb))
    assert measures.centring == pytest.approx(0.05, abs=0.002)
    assert "centring:above" in reasons(measures).split()


def test_a_target_that_is_lost_in_the_sky(cutout: Cutout, picture: Picture) -> None:
    measures = measure(cutout, repainted(picture, np.full_like(picture.rgb, 33)))
    assert measures.contrast == 0
    assert "contrast:below" in reasons(measures)


@pytest.mark.parametrize(("sd", "above"), [(3, 0), (6, 0), (12, 0), (6, 2), (6, 9)])
def test_contrast_is_counted_in_the_sky_s_noise_which_by_itself_has_none(
    cutout: Cutout, picture: Picture, sd: float, above: float
) -> None:
    """Noise of any width, and the target's own pixels lifted by a multiple of it; levels are whole numbers."""
    own = labels_of(cutout, picture.gap.shape) == cutout.segment_id
    grey = np.random.default_rng(3).normal(60, sd, own.shape) + np.where(own, above * sd, 0)
    measures = measure(cutout, repainted(picture, np.repeat(grey.round()[..., None], 3, axis=2)))
    assert measures.contrast == pytest.approx(above, abs=0.3)
    said = {0: "fail", 2: "warn", 9: "pass"}[int(above)]
    limits = QualityOptions().contrast
    assert VERDICTS[int(grade(measures.contrast, limits))] == said


def test_a_target_that_a_zoom_would_clip(tmp_path: Path) -> None:
    """Its segment, 2.5 sigma to each side, reaches 1.25 of the 1.5 arcsec to an edge."""
    wide = cut(tmp_path, [Blob(0, 0, 0.5, flux(90, 90, 90, 90))], grids(17.0), FOV, noise=0.02)
    measures = measure(wide, colour(wide, OPTIONS))
    assert measures.reach == pytest.approx(1.25 / 1.5, abs=0.03)
    assert {"fill:above", "reach:above"} <= set(reasons(measures).split())
