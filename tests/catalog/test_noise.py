"""Noise: calibration factors and the law of correlated noise, against noise whose law is known."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from gzjwst_core.detection.noise import (
    WHITE,
    WHITE_EVERYWHERE,
    NoiseLaw,
    NoiseLaws,
    empty_apertures,
    fit_noise_law,
    fit_noise_laws,
    half_width,
    mad_sigma,
    snr_scatter,
)

RADII = [2.0, 3.0, 5.0, 8.0]


def white(seed: int = 0) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return np.random.default_rng(seed).normal(size=(600, 600)).astype(np.float32)


def ratios(image: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    free = np.zeros(image.shape, dtype=bool)
    return [found.ratio for found in empty_apertures(image, np.ones_like(image), free, RADII)]


def test_white_noise_has_the_plain_law() -> None:
    image = white()
    law = fit_noise_law(ratios(image), RADII)
    assert float(law.factor(np.pi * 25)) == pytest.approx(1.0, abs=0.1)
    assert law.beta == pytest.approx(0.5, abs=0.05)


def test_correlated_noise_is_louder_in_apertures_and_the_law_says_how_much() -> None:
    image = uniform_filter(white(), 3, mode="wrap")
    image /= image.std()
    law = fit_noise_law(ratios(image), RADII)
    sums = [image[y : y + 14, x : x + 14].sum() for y in range(0, 580, 16) for x in range(0, 580, 16)]
    assert np.std(sums) / 14 == pytest.approx(float(law.factor(196)), rel=0.15)
    assert law.beta > 0.55


def test_depth_follows_the_law() -> None:
    law = NoiseLaw(alpha=1.2, beta=0.55)
    pixels = np.pi * 2.5**2
    expected = 23.9 - 2.5 * np.log10(5 * 1e-3 * 1.2 * pixels**0.55)
    assert law.depth_ab(1e-3, 0.06) == pytest.approx(expected)
    assert np.isnan(law.depth_ab(0.0, 0.06))
    assert WHITE.depth_ab(1e-3, 0.06) > law.depth_ab(1e-3, 0.06)


def test_apertures_avoid_sources_and_gaps() -> None:
    image, blocked = white(), np.zeros((600, 600), dtype=bool)
    blocked[::7, ::7] = True
    image[blocked] = 1e6
    samples = empty_apertures(image, np.ones_like(image), blocked, [2.0, 8.0])
    assert samples[1].ratio.size == 0
    assert np.abs(samples[0].ratio).max(initial=0) < 10
    assert fit_noise_law([np.zeros(0), np.zeros(3)], [1.0, 2.0]) == WHITE


def test_one_radius_alone_gives_the_level() -> None:
    assert fit_noise_law([np.random.default_rng(1).normal(0, 2, 4000), np.zeros(0)], [2.0, 4.0]).alpha == pytest.approx(
        2.0, rel=0.05
    )


def test_the_error_map_s_factor_is_found_under_sources_of_background() -> None:
    image = 3 * white() + 100
    scatter = snr_scatter(image, np.full_like(image, 1.5), np.ones(image.shape, bool), 100)
    assert scatter.shape == (6, 6)
    assert np.median(scatter) == pytest.approx(2.0, rel=0.02)
    assert np.isnan(mad_sigma(np.zeros(0)))


def test_a_shallow_part_keeps_its_own_law() -> None:
    """White noise, and beside it noise four times as loud that is correlated: the two laws must not be averaged."""
    smooth = uniform_filter(white(1), 3, mode="wrap")
    image = np.hstack([white(), 4 * smooth / smooth.std()])
    err = np.ones_like(image)
    err[:, 600:] = 4
    found = empty_apertures(image, err, np.zeros(image.shape, bool), RADII)
    sigma = [np.where(one.x < 600, 1.0, 4.0) for one in found]
    laws = fit_noise_laws([one.ratio for one in found], sigma, RADII, 1.0)
    factor = laws.factor(np.full(3, np.pi * 25), np.array([1.0, 4.0, np.nan]))
    assert factor[0] == pytest.approx(1.0, abs=0.1)
    assert factor[1] > 2 * factor[0]
    assert factor[0] < factor[2] < factor[1]  # a place that is not known has the whole mosaic's
    origins = [b.origin for b in laws.bins]
    assert origins.count("own") == 2
    assert laws.bins[0].law == laws.bins[4].law
    assert laws.bins[-1].apertures == sum(one.x.size for one in found) - laws.bins[4].apertures
    assert {b.origin for b in fit_noise_laws([np.zeros(0)] * 4, [np.zeros(0)] * 4, RADII, 1.0).bins} == {"whole"}


def test_without_bins_the_law_of_the_whole_holds_everywhere() -> None:
    law = NoiseLaw(1.3, 0.6)
    assert NoiseLaws(law).at(np.array([1.0, np.nan])) == law
    np.testing.assert_array_equal(WHITE_EVERYWHERE.factor(np.array([1.0, 50.0]), np.ones(2)), [1, 1])


def test_half_a_width_is_sigma_and_sees_what_is_too_faint_to_be_found() -> None:
    noise = np.random.default_rng(3).normal(0, 2, 40_000)
    assert half_width(noise) == pytest.approx(2.0, rel=0.02)
    faint = noise + np.where(np.arange(noise.size) % 5 == 0, 3.0, 0.0)
    assert mad_sigma(noise) < mad_sigma(faint) < half_width(faint) < float(faint.std()) * 1.02
    assert np.isnan(half_width(np.zeros(0)))
