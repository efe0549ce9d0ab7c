"""Cosmic rays, telegraph and bad pixels of a series whose truth is known, and of small arrays."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from gzjwst_core.timeseries.clean_series import DO_NOT_USE, JUMP_DET, TELEGRAPH, Cleaned, clean_series
from gzjwst_core.timeseries.options import CleanOptions
from gzjwst_core.timeseries.outliers import find_outliers, median_in_time, running_median, white_light_of_ratios
from gzjwst_core.timeseries.pixels import telegraph_pixels
from gzjwst_core.timeseries.segments import read_segment, series_of
from gzjwst_core.timeseries.synthetic import SyntheticSeries, make_series, write_segments
from gzjwst_core.timeseries.vetting import vetted


@pytest.fixture(scope="module")
def truth() -> SyntheticSeries:
    return make_series((400, 32, 128))


@pytest.fixture(scope="module")
def small() -> SyntheticSeries:
    return make_series((60, 8, 32), ray_share=2e-3)


def cleaned(
    folder: Path, values: NDArray[np.float32], options: CleanOptions, segments: int = 3
) -> tuple[Cleaned, list[Path]]:
    for name in ("in", "out"):
        (folder / name).mkdir(parents=True)
    paths = write_segments(values, folder / "in", segments)
    (series,) = series_of([read_segment(path) for path in reversed(paths)])
    copies = [folder / "out" / path.name for path in paths]
    return clean_series(series, options, copies), copies


def stacked(paths: list[Path], name: str) -> NDArray[Any]:
    return np.concatenate([fits.getdata(path, name) for path in paths])


def test_a_transit_stays_and_cosmic_rays_go(tmp_path: Path, truth: SyntheticSeries) -> None:
    made, copies = cleaned(tmp_path, truth.values, CleanOptions())
    flags = (stacked(copies, "DQ") & JUMP_DET) > 0
    usable = ~(truth.telegraph | truth.hot)[np.newaxis]
    assert flags[truth.rays].mean() >= 0.995
    assert (flags & ~truth.rays & usable).sum() / (~truth.rays & usable).sum() <= 1e-5
    time = np.arange(400)
    inside, outside = (time > 160) & (time < 240), (time < 130) | (time > 270)
    curves = [one.sum(axis=(1, 2), dtype=np.float64) for one in (truth.clean, stacked(copies, "SCI"))]
    depths = [1 - curve[inside].mean() / curve[outside].mean() for curve in curves]
    assert abs(depths[1] - depths[0]) < 20e-6  # of a quarter of the pixels: 10 ppm of all of them, see the bench
    scatter = [np.std(np.diff(curve)) for curve in curves]
    assert scatter[1] / scatter[0] == pytest.approx(1, abs=0.02)
    assert made.counts["telegraph_pixels"] == 3
    dq = stacked(copies, "DQ")[0]
    assert np.all(dq[truth.telegraph] & TELEGRAPH)
    assert np.all(dq[truth.hot] & DO_NOT_USE)
    assert made.table["time"].tolist() == sorted(made.table["time"].tolist())


def test_headers_errors_and_what_is_no_outlier_keep_every_byte(tmp_path: Path, small: SyntheticSeries) -> None:
    _, copies = cleaned(tmp_path, small.values, CleanOptions())
    for copy in copies:
        with fits.open(tmp_path / "in" / copy.name) as before, fits.open(copy) as after:
            assert [hdu.header.tostring() for hdu in before] == [hdu.header.tostring() for hdu in after]
            assert np.array_equal(before["ERR"].data, after["ERR"].data)
            same = (after["DQ"].data & JUMP_DET) == 0
            assert np.array_equal(before["SCI"].data[same], after["SCI"].data[same])


def test_bands_of_rows_and_segments_change_no_byte(tmp_path: Path) -> None:
    values = make_series((50, 12, 80), ray_share=2e-3).values
    made = [
        cleaned(tmp_path / str(n), values, CleanOptions(band_mb=mb), segments)[1]
        for n, (mb, segments) in enumerate([(128.0, 1), (1.0, 1), (1.0, 4)])
    ]
    first, *others = [stacked(one, "SCI").tobytes() + stacked(one, "DQ").tobytes() for one in made]
    assert others == [first, first]


def test_values_that_are_missing_stay_so_and_spoil_nothing(tmp_path: Path, small: SyntheticSeries) -> None:
    values = small.values.copy()
    values[:, 2, 3] = np.nan
    values[10, 5] = np.nan
    made, copies = cleaned(tmp_path, values, CleanOptions())
    assert np.array_equal(np.isnan(stacked(copies, "SCI")), np.isnan(values))
    assert made.mask[2, 3] & 1
    assert not np.any((stacked(copies, "DQ") & JUMP_DET > 0) & np.isnan(values))


@pytest.mark.parametrize(
    ("options", "outcome"),
    [
        (CleanOptions(), "kept"),
        (CleanOptions(vet="reset"), "reset"),
        (CleanOptions(vet="reset", keep=(34,)), "kept"),
        (CleanOptions(reset=(34,)), "reset"),
    ],
)
def test_an_integration_of_many_outliers_is_kept_or_reset(
    options: CleanOptions, outcome: str, tmp_path: Path, small: SyntheticSeries
) -> None:
    values = small.values.copy()
    values[33, ::2, ::2] += 40 * small.sigma[33, ::2, ::2]
    made, copies = cleaned(tmp_path, values, options)
    assert made.table["outcome"][33] == outcome
    assert np.array_equal(stacked(copies, "SCI")[33], values[33]) == (outcome == "reset")


def test_lists_name_integrations_by_their_own_numbers() -> None:
    counts, numbers = np.array([1, 1, 9, 1]), np.array([101, 102, 103, 104])
    assert vetted(counts, numbers, CleanOptions(reset=(101,))).tolist() == ["reset", "usual", "kept", "usual"]


def test_a_short_eclipse_is_no_outlier_once_the_light_curve_is_divided_out() -> None:
    rng = np.random.default_rng(3)
    curve = np.where(np.abs(np.arange(100) - 50) < 2, 0.9, 1.0)  # shorter than half the window
    series = (1e4 * curve + rng.normal(0, 10, (500, 100))).astype(np.float32)
    plain, divided = (
        find_outliers((series / of).astype(np.float32), clip=4.65, window=15, iterations=5).flags.mean()
        for of in (np.ones(100), white_light_of_ratios(series))
    )
    assert plain > 0.02
    assert divided < 1e-4


def test_noise_alone_has_no_telegraph_pixels() -> None:
    series = np.random.default_rng(4).normal(100, 5, (2000, 200)).astype(np.float32)
    assert not telegraph_pixels(series, separation=4.0).any()
    assert not telegraph_pixels(np.ones((3, 200), dtype=np.float32), separation=4.0).any()


@given(st.integers(1, 40), st.sampled_from([3, 5, 15]), st.integers(0, 2**32 - 1))
def test_the_running_median_is_numpys(length: int, window: int, seed: int) -> None:
    series = np.random.default_rng(seed).normal(size=(3, length)).astype(np.float32)
    half = min(window, 2 * length - 1) // 2
    wide = np.pad(series, ((0, 0), (half, half)), mode="reflect") if half else series
    expected = [np.median(wide[:, at : at + 2 * half + 1], axis=1) for at in range(length)]
    assert np.array_equal(running_median(series, window), np.array(expected).T.astype(np.float32))


@given(st.integers(0, 2**32 - 1))
def test_another_unit_changes_no_flag(seed: int) -> None:
    series = np.random.default_rng(seed).normal(100, 3, (4, 50)).astype(np.float32)
    series[1, 20] += 60
    one, other = (
        find_outliers(of, clip=4.65, window=15, iterations=5).flags for of in (series, series * np.float32(2))
    )
    assert np.array_equal(one, other)
    assert one[1, 20]


def test_the_median_in_time_leaves_missing_values_out() -> None:
    series = np.array([[1, 2, 3], [1, np.nan, 5], [np.nan] * 3], dtype=np.float32)
    assert median_in_time(series)[:2].tolist() == [2, 3]
    assert np.isnan(median_in_time(series)[2])
