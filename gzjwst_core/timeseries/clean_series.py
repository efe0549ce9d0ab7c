"""Clean one series: read bands of rows over all segments, find outliers, write cleaned copies of the segments.

Two passes over the pixels. The first finds each pixel's level and the white-light curve; the second finds outliers and
replaces them. Memory holds one band of rows of all integrations, whatever the number of segments.
"""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from gzjwst_core.timeseries.options import CleanOptions
from gzjwst_core.timeseries.outliers import find_outliers, median_in_time, white_light_of_ratios
from gzjwst_core.timeseries.pixels import bad_pixels, telegraph_pixels
from gzjwst_core.timeseries.segments import Plane, Segment, Series
from gzjwst_core.timeseries.vetting import vetted

__all__ = ["DO_NOT_USE", "JUMP_DET", "TELEGRAPH", "Cleaned", "clean_series"]

DO_NOT_USE, JUMP_DET, TELEGRAPH = 1, 4, 32768
"""Bits of DQ, as the `jwst` pipeline defines them (dqflags.pixel)."""
_BRIGHT = 2000
"""Pixels that the white-light curve is taken from: the brightest."""


class Cleaned(NamedTuple):
    """What came of a series."""

    table: Table
    """One row an integration."""
    mask: NDArray[np.uint16]
    """(y, x) bits: 1 = bad pixel, 2 = telegraph pixel; and 4 times the number of outliers in time."""
    counts: dict[str, int]


class _Light(NamedTuple):
    curve: NDArray[np.float64]
    """(integrations,) median 1."""
    total: NDArray[np.float64]
    """(integrations,) sum of all pixels."""
    level: NDArray[np.float32]
    """(y, x) median in time."""


def clean_series(series: Series, options: CleanOptions, copies: Sequence[Path]) -> Cleaned:
    """Write cleaned copies of a series' segments.

    Outliers take the running median's value (times the white-light curve) and the DQ bit JUMP_DET. Bad pixels keep
    their values and get DO_NOT_USE, telegraph pixels TELEGRAPH. ERR and all headers stay as they are. NaN stays NaN.

    Parameters
    ----------
    series
        The segments, in time order.
    options
        How outliers are found.
    copies
        Where the copies go, in the order of the segments.
    """
    for segment, copy in zip(series.segments, copies, strict=True):
        shutil.copyfile(segment.path, copy)
    light = _white_light(series, options)
    length, height, width = series.shape
    counts = np.zeros(length, dtype=np.int64)
    scatter, hits = np.zeros((height, width), dtype=np.float32), np.zeros((height, width), dtype=np.int64)
    telegraph, after = np.zeros((height, width), dtype=bool), np.zeros(length)
    curve = light.curve.astype(np.float32)
    for rows in _bands(series, options):
        values = _read(series, rows)
        found = find_outliers(values / curve, clip=options.clip, window=options.window, iterations=options.iterations)
        cleaned = np.where(found.flags, found.model * curve, values).astype(np.float32, copy=False)
        shape = (rows.stop - rows.start, width)
        counts += found.flags.sum(axis=0)
        after += np.nansum(cleaned, axis=0, dtype=np.float64)
        scatter[rows], hits[rows] = found.scatter.reshape(shape), found.flags.sum(axis=1).reshape(shape)
        switching = telegraph_pixels((cleaned / curve).astype(np.float32), separation=options.telegraph_separation)
        telegraph[rows] = switching.reshape(shape)
        _write(series, copies, rows, cleaned, found.flags)
    bad = bad_pixels(light.level, scatter, bad_clip=options.bad_clip, noise_clip=options.noise_clip)
    numbers = np.concatenate([np.arange(s.first, s.first + s.count) for s in series.segments])
    outcome = vetted(counts, numbers, options)
    at = 0
    for segment, copy in zip(series.segments, copies, strict=True):
        part = slice(at, at + segment.count)
        _finish(segment, copy, np.flatnonzero(outcome[part] == "reset"), bad, telegraph)
        at += segment.count
    after = np.where(outcome == "reset", light.total, after)
    columns = {"integration": numbers, "white_light_before": light.total, "white_light_after": after}
    table = _table(series, columns | {"n_outliers": counts, "outcome": outcome})
    mask = (bad + 2 * telegraph + 4 * np.minimum(hits, 2**13)).astype(np.uint16)
    replaced = int(counts[outcome != "reset"].sum())
    told = {name: int(np.sum(outcome == name)) for name in ("kept", "reset")}
    pixels = {"bad_pixels": int(bad.sum()), "telegraph_pixels": int(telegraph.sum())}
    return Cleaned(table, mask, {"integrations": length, "replaced": replaced, **told, **pixels})


def _white_light(series: Series, options: CleanOptions) -> _Light:
    length, height, width = series.shape
    total, level = np.zeros(length), np.zeros((height, width), dtype=np.float32)
    bright = np.zeros((0, length), dtype=np.float32)
    for rows in _bands(series, options):
        values = _read(series, rows)
        total += np.nansum(values, axis=0, dtype=np.float64)
        middle = median_in_time(values)
        level[rows] = middle.reshape(rows.stop - rows.start, width)
        brightest = np.argsort(-middle, kind="stable")[:_BRIGHT]  # NaN comes last
        both = np.concatenate([bright, values[brightest[np.isfinite(middle[brightest])]]])
        bright = both[np.argsort(-median_in_time(both), kind="stable")[:_BRIGHT]]
    curve = white_light_of_ratios(bright) if options.divide_white_light and len(bright) else np.ones(length)
    return _Light(curve, total, level)


def _bands(series: Series, options: CleanOptions) -> Iterator[slice]:
    length, height, width = series.shape
    rows = max(1, int(options.band_mb * 1e6 / (8 * 4 * length * width)))  # some eight arrays of a band at once
    for start in range(0, height, rows):
        yield slice(start, min(start + rows, height))


def _pixels(path: str | Path, plane: Plane, mode: Literal["r", "r+"] = "r") -> NDArray[Any]:
    return np.memmap(path, dtype=plane.dtype, mode=mode, offset=plane.offset, shape=plane.shape)


def _read(series: Series, rows: slice) -> NDArray[np.float32]:
    """Read a band of rows of all integrations: (pixels, integrations)."""
    parts = [_pixels(s.path, s.sci)[:, rows].astype(np.float32) for s in series.segments]
    cube = np.concatenate(parts)
    return np.ascontiguousarray(cube.reshape(len(cube), -1).T)


def _write(
    series: Series, copies: Sequence[Path], rows: slice, cleaned: NDArray[np.float32], flags: NDArray[np.bool_]
) -> None:
    shape = (-1, rows.stop - rows.start, series.shape[2])
    values, marks = cleaned.T.reshape(shape), flags.T.reshape(shape)
    at = 0
    for segment, copy in zip(series.segments, copies, strict=True):
        part = slice(at, at + segment.count)
        sci = _pixels(copy, segment.sci, "r+")
        sci[:, rows] = np.where(marks[part], values[part], sci[:, rows])  # others keep every bit
        if segment.dq is not None:
            dq = _pixels(copy, segment.dq, "r+")
            dq[:, rows] |= np.where(marks[part], JUMP_DET, 0).astype(dq.dtype)
        at += segment.count


def _finish(
    segment: Segment, copy: Path, reset: NDArray[np.int64], bad: NDArray[np.bool_], telegraph: NDArray[np.bool_]
) -> None:
    """Put integrations that are reset back as they were, and mark pixels that are bad at all times."""
    sci = _pixels(copy, segment.sci, "r+")
    sci[reset] = _pixels(segment.path, segment.sci)[reset]
    if segment.dq is not None:
        dq = _pixels(copy, segment.dq, "r+")
        dq[reset] = _pixels(segment.path, segment.dq)[reset]
        dq |= (DO_NOT_USE * bad + TELEGRAPH * telegraph).astype(dq.dtype)


def _table(series: Series, columns: dict[str, NDArray[Any]]) -> Table:
    segment = np.concatenate([np.full(s.count, s.filename) for s in series.segments])
    times = np.concatenate([s.times for s in series.segments])
    return Table({"segment": segment, "time": times, **columns})
