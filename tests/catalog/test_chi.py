"""The chi-mean image: its moments, what its threshold means, fewer bands in gaps."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError
from scipy.ndimage import gaussian_filter, label
from scipy.stats import chi

from gzjwst_core.detection.calibrated_frame import Frame
from gzjwst_core.detection.chi_mean import chi_mean, chi_moments, chi_threshold, smoothed_snr
from gzjwst_core.detection.detect import extract, kernel_for
from gzjwst_core.options import DetectOptions

OPTIONS = DetectOptions(combine="chi-mean")


def smooth_noise(count: int, shape: tuple[int, int] = (400, 400)) -> list[NDArray[np.float32]]:
    rng = np.random.default_rng(3)
    images = [gaussian_filter(rng.standard_normal(shape), 1.2, mode="wrap") for _ in range(count)]
    return [(image / image.std()).astype(np.float32) for image in images]


@pytest.mark.parametrize("n", [1, 2, 3, 7])
def test_moments_are_those_of_the_chi_distribution(n: int) -> None:
    assert chi_moments(n) == pytest.approx((chi.mean(n), chi.std(n)))


def test_one_band_counts_both_signs() -> None:
    """The level of one band is where a Gaussian makes half as many islands: above t, for both signs together."""
    for threshold in (2.0, 3.8):
        mean, spread = chi_moments(1)
        u = chi_threshold(threshold, 1) * spread + mean
        assert 2 * u * np.exp(-(u**2) / 2) == pytest.approx(threshold * np.exp(-(threshold**2) / 2))


@settings(max_examples=40, deadline=None)
@given(threshold=st.floats(1.1, 30), n=st.integers(1, 9), island=st.floats(0, 2), more=st.floats(0.05, 3))
def test_a_higher_threshold_is_a_higher_level(threshold: float, n: int, island: float, more: float) -> None:
    level = chi_threshold(threshold, n, island)
    assert np.isfinite(level)
    assert chi_threshold(threshold + more, n, island) > level


def test_noise_makes_as_many_islands_as_on_one_image() -> None:
    """Islands of at least five pixels above 2.5 on Gaussian images, and above the level that means the same on chi."""
    threshold, least = 2.5, 5
    noise = smooth_noise(9)
    clear = [np.zeros(noise[0].shape, dtype=bool)] * 3
    roughness = float(np.mean([np.var(np.diff(image, axis=1)) for image in noise]))
    gaussian = np.mean([_islands(image > threshold, least) for image in noise])
    chi_islands, naive = [], []
    for first in (0, 3, 6):
        frame = chi_mean(noise[first : first + 3], clear, threshold, roughness * least / (2 * np.pi))
        chi_islands.append(_islands(frame.sub > threshold * frame.err, least))
        naive.append(_islands(frame.sub > chi_threshold(threshold, 3), least))
    assert gaussian > 30
    assert np.mean(chi_islands) == pytest.approx(gaussian, rel=0.35)
    assert np.mean(naive) < 0.6 * gaussian  # without the size of islands it would be too strict


def _islands(above: NDArray[np.bool_], least: int) -> int:
    labels, _ = label(above, structure=np.ones((3, 3)))
    return int((np.bincount(labels.ravel())[1:] >= least).sum())


def test_each_pixel_counts_the_bands_it_has() -> None:
    noise = smooth_noise(3, (60, 60))
    bad = [np.zeros((60, 60), dtype=bool) for _ in range(3)]
    bad[0][:20], bad[1][:10], bad[2][:5] = True, True, True
    frame = chi_mean(noise, bad, 3.8)
    assert frame.bad.sum() == 5 * 60
    assert not frame.sub[:5].any()
    squares = noise[1] ** 2 + noise[2] ** 2
    mean, spread = chi_moments(2)
    np.testing.assert_allclose(frame.sub[12], ((np.sqrt(squares) - mean) / spread)[12], rtol=1e-4, atol=1e-4)
    assert frame.err[[7, 15, 30], 3] * 3.8 == pytest.approx([chi_threshold(3.8, n) for n in (1, 2, 3)])


def test_a_source_of_one_band_and_a_hole_in_another_are_both_found() -> None:
    """A dropout counts undiluted; so does a dark spot, for squares have no sign."""
    rng = np.random.default_rng(5)
    frames = []
    for _ in range(3):
        image = rng.standard_normal((90, 90)).astype(np.float32)
        frames.append(Frame(image, np.full((90, 90), 1, np.float32), np.zeros((90, 90), dtype=bool)))
    yy, xx = np.mgrid[:90, :90]
    frames[0].sub[:] += 9 * np.exp(-((yy - 30) ** 2 + (xx - 30) ** 2) / 4)
    frames[2].sub[:] -= 9 * np.exp(-((yy - 60) ** 2 + (xx - 60) ** 2) / 4)
    kernel = kernel_for(OPTIONS, 0.06)
    sigma = float(np.sqrt((kernel**2).sum()))
    bad = [f.bad for f in frames]
    combined = chi_mean([smoothed_snr(f, kernel) / np.float32(sigma) for f in frames], bad, 3.8)
    found = extract(combined, OPTIONS, 0.06, filtered=True)
    places = sorted(zip(found.objects["y"].round(), found.objects["x"].round(), strict=True))
    assert places == [(30, 30), (60, 60)]


def test_one_rms_for_all_pixels_is_refused() -> None:
    with pytest.raises(ValidationError, match="map"):
        DetectOptions(combine="chi-mean", noise="scalar")
