"""Cleaning a time series: CPU, memory, recall, false flags, transit depth; `python tests/bench/timeseries.py`.

400 integrations of 32 x 512 pixels with a transit of 1 %, in three segments; then noise that is not the synthetic
series' own: stripes along the rows (1/f), jitter of the spectrum, heavy tails.
"""

import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from astropy.io import fits

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from gzjwst_core.timeseries.clean_series import JUMP_DET, clean_series
from gzjwst_core.timeseries.options import CleanOptions
from gzjwst_core.timeseries.segments import read_segment, series_of
from gzjwst_core.timeseries.synthetic import SyntheticSeries, make_series, write_segments


def report(name: str, truth: SyntheticSeries, options: CleanOptions) -> str:
    """Clean one series; returns a row of figures."""
    with tempfile.TemporaryDirectory() as folder:
        paths = write_segments(truth.values, Path(folder))
        (series,) = series_of(map(read_segment, paths))
        copies = [path.with_suffix(".clean") for path in paths]
        begun = time.process_time()
        clean_series(series, options, copies)
        cpu = time.process_time() - begun
        sci, dq = (np.concatenate([fits.getdata(path, of) for path in copies]) for of in ("SCI", "DQ"))
    flags, usable = (dq & JUMP_DET) > 0, ~(truth.telegraph | truth.hot)[np.newaxis]
    false = (flags & ~truth.rays & usable).sum() / (~truth.rays & usable).sum()
    when = np.arange(len(sci)) / len(sci)
    inside, outside = (when > 0.4) & (when < 0.6), (when < 0.33) | (when > 0.67)
    light = [one.sum(axis=(1, 2), dtype=np.float64) for one in (truth.clean, sci)]
    depth = [1 - curve[inside].mean() / curve[outside].mean() for curve in light]
    scatter = [float(np.std(np.diff(curve))) for curve in light]
    found = f"{flags[truth.rays].mean():.4f}  {false:.1e}  {(depth[1] - depth[0]) * 1e6:+.2f} ppm"
    return f"{name:34} {cpu:5.2f} s  {found}  {scatter[1] / scatter[0]:.4f}"


def harmed(truth: SyntheticSeries, kind: str) -> SyntheticSeries:
    """Add a noise that the synthetic series does not know."""
    rng = np.random.default_rng(7)
    length, height, width = truth.values.shape
    if kind == "stripes":
        spectrum = np.fft.rfft(rng.normal(size=(length * height, width)))
        spectrum /= np.sqrt(np.maximum(np.arange(spectrum.shape[1]), 1))
        more = np.fft.irfft(spectrum, width).reshape(truth.values.shape)
        more *= 6 / more.std()
    elif kind == "jitter":
        shift = np.asarray(rng.normal(0, 0.01, length))[:, np.newaxis, np.newaxis]
        more = shift * np.gradient(truth.clean.mean(axis=0), axis=0)
    else:
        more = truth.sigma * 0.3 * rng.standard_t(3, truth.values.shape)
    values, clean = (np.asarray(one + more, dtype=np.float32) for one in (truth.values, truth.clean))
    return truth._replace(values=values, clean=clean)


def main() -> None:
    """Print the table."""
    truth = make_series()
    sys.stdout.write(f"{'':34} {'CPU':>7}  recall  false    depth      rms ratio\n")
    rows = [("white light divided out", truth, True), ("plain rule", truth, False)]
    rows += [(kind, harmed(truth, kind), True) for kind in ("stripes", "jitter", "heavy tails")]
    bright = make_series(peak=2e6)
    rows += [("signal to noise 1400, divided", bright, True), ("signal to noise 1400, plain", bright, False)]
    for name, series, divided in rows:
        sys.stdout.write(report(name, series, CleanOptions(divide_white_light=divided)) + "\n")
    sys.stdout.write(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3:.0f} MB\n")


if __name__ == "__main__":
    main()
