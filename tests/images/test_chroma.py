"""Faint pixels take the hue of their neighbourhood; brightness, bright colour and gaps are left alone."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gzjwst_core.images.chroma import calmed

FAINT = 0.15, 0.25
NO_GAP = np.zeros((64, 64), dtype=bool)


def noisy(seed: int = 1) -> NDArray[Any]:
    levels = np.random.default_rng(seed).normal(0.13, 0.04, (3, 64, 64)).astype(np.float32)
    return np.clip(levels, 0.01, 1)


def chroma(levels: NDArray[Any]) -> NDArray[Any]:
    difference: NDArray[Any] = levels[0] - levels[2]
    return difference


def test_noise_loses_its_chroma_and_keeps_its_brightness() -> None:
    levels = noisy()
    got = calmed(levels, NO_GAP, 3.0, FAINT)
    assert chroma(got).std() < 0.2 * chroma(levels).std()
    np.testing.assert_allclose(got.mean(axis=0), levels.mean(axis=0), atol=0.01)


def test_bright_colour_stays_and_does_not_spread() -> None:
    levels = np.full((3, 64, 64), 0.13, dtype=np.float32)
    levels[:, 20:40, 20:40] = np.array([0.9, 0.5, 0.2], dtype=np.float32)[:, None, None]
    got = calmed(levels, NO_GAP, 3.0, FAINT)
    np.testing.assert_allclose(got[:, 22:38, 22:38], levels[:, 22:38, 22:38], atol=1e-5)
    assert np.abs(chroma(got)[levels[0] < 0.2]).max() < 0.02


def test_a_gap_lends_no_colour() -> None:
    levels, gap = noisy(), NO_GAP.copy()
    gap[:, 30:] = True
    other = levels.copy()
    other[0][gap] = 0.9
    np.testing.assert_allclose(
        calmed(levels, gap, 3.0, FAINT)[:, ~gap], calmed(other, gap, 3.0, FAINT)[:, ~gap], atol=1e-5
    )


def test_a_picture_without_data_ends() -> None:
    assert np.isfinite(calmed(noisy(), ~NO_GAP, 3.0, FAINT)).all()
