"""Faint pixels take the hue of their neighbourhood; brightness, what has a colour, white and gaps are left alone."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gzjwst_core.images.chroma import calmed

FAINT, NOISE = (0.2, 0.45), 0.05
NO_GAP = np.zeros((64, 64), dtype=bool)
WIDTH = 6.0
RADIUS = np.hypot(*(np.mgrid[:64, :64] - 31.5))
POINT = np.exp(-(RADIUS**2) / (2 * (WIDTH / 2) ** 2))


def noisy(seed: int = 1) -> NDArray[Any]:
    levels = np.random.default_rng(seed).normal(0.13, 0.04, (3, 64, 64)).astype(np.float32)
    return np.clip(levels, 0.01, 1)


def chroma(levels: NDArray[Any]) -> NDArray[Any]:
    difference: NDArray[Any] = levels[0] - levels[2]
    return difference


def test_noise_loses_its_chroma_and_keeps_its_brightness() -> None:
    levels = noisy()
    got = calmed(levels, NO_GAP, 3.0, FAINT, NOISE)
    assert chroma(got).std() < 0.25 * chroma(levels).std()
    np.testing.assert_allclose(got.mean(axis=0), levels.mean(axis=0), atol=0.01)


def test_bright_colour_stays_and_does_not_spread() -> None:
    levels = np.full((3, 64, 64), 0.13, dtype=np.float32)
    levels[:, 20:40, 20:40] = np.array([0.9, 0.5, 0.2], dtype=np.float32)[:, None, None]
    got = calmed(levels, NO_GAP, 3.0, FAINT, NOISE)
    np.testing.assert_allclose(got[:, 23:37, 23:37], levels[:, 23:37, 23:37], atol=1e-5)
    assert np.abs(chroma(got)[levels[0] < 0.2]).max() < 0.02


@pytest.mark.parametrize(("peak", "kept"), [(0.6, 0.93), (0.3, 0.75), (0.15, 0.5)])
@pytest.mark.parametrize("hue", [(0.4, 1.0, 1.6), (1.6, 1.0, 0.4)])
def test_a_compact_source_keeps_its_colour_and_tints_no_sky(
    peak: float, kept: float, hue: tuple[float, float, float]
) -> None:
    sky = noisy()
    levels = (sky + peak * np.array(hue)[:, None, None] * POINT).astype(np.float32)
    got = calmed(levels, NO_GAP, WIDTH, FAINT, NOISE)
    core, around = RADIUS < WIDTH / 2, (RADIUS > 2 * WIDTH) & (RADIUS < 3.3 * WIDTH)
    assert kept < chroma(got)[core].mean() / chroma(levels)[core].mean() < 1.05
    tint = chroma(got)[around].mean() - chroma(calmed(sky, NO_GAP, WIDTH, FAINT, NOISE))[around].mean()
    assert abs(tint) < 0.006


def test_white_stays_white() -> None:
    levels = noisy()
    levels[0, :, 32:] = 0.8
    levels[:, 30:34, 30:34] = 1
    for faint in (FAINT, (1.0, 1.0)):
        assert (calmed(levels, NO_GAP, WIDTH, faint, NOISE)[:, 30:34, 30:34] == 1).all()


def test_a_gap_lends_no_colour() -> None:
    levels, gap = noisy(), NO_GAP.copy()
    gap[:, 30:] = True
    other = levels.copy()
    other[0][gap] = 0.9
    np.testing.assert_allclose(
        calmed(levels, gap, 3.0, FAINT, NOISE)[:, ~gap], calmed(other, gap, 3.0, FAINT, NOISE)[:, ~gap], atol=1e-5
    )


def test_a_picture_without_data_ends() -> None:
    assert np.isfinite(calmed(noisy(), ~NO_GAP, 3.0, FAINT, NOISE)).all()
