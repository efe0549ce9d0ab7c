"""A synthetic time series in JWST's layout: a spectrum with a transit, noise, cosmic rays, telegraph and hot pixels."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

__all__ = ["SyntheticSeries", "make_series", "write_segments"]


class SyntheticSeries(NamedTuple):
    """Integrations, and the truth about them."""

    values: NDArray[np.float32]
    """(integrations, y, x), with cosmic rays."""
    clean: NDArray[np.float32]
    """The same without cosmic rays."""
    sigma: NDArray[np.float32]
    """(integrations, y, x): noise."""
    rays: NDArray[np.bool_]
    """(integrations, y, x): where cosmic rays hit."""
    telegraph: NDArray[np.bool_]
    """(y, x)."""
    hot: NDArray[np.bool_]
    """(y, x)."""


def make_series(
    shape: tuple[int, int, int] = (400, 32, 512), *, seed: int = 1, ray_share: float = 1e-3, peak: float = 2000.0
) -> SyntheticSeries:
    """Make integrations of a spectrum during a transit of 1 %.

    Parameters
    ----------
    shape
        (integrations, y, x).
    seed
        Of the random numbers.
    ray_share
        Share of values that a cosmic ray hits; each adds 6 standard deviations of the noise or more.
    peak
        Of the spectrum, electrons.
    """
    rng = np.random.default_rng(seed)
    length, height, width = shape
    y = np.arange(height)
    profile = np.exp(-0.5 * ((y - height / 2) / 1.5) ** 2)[:, np.newaxis]
    image = peak * profile * (0.3 + 0.7 * np.sin(np.linspace(0, np.pi, width))) + 30.0
    time = np.arange(length)
    curve = 1 - 0.01 * np.clip(np.minimum(time - 0.35 * length, 0.65 * length - time) / (0.03 * length), 0, 1)
    expected = image * (curve * (1 + 2e-4 * np.sin(time / 60)))[:, np.newaxis, np.newaxis]
    sigma = np.sqrt(expected + 64.0)
    clean = expected + sigma * rng.normal(size=shape)
    telegraph, hot = np.zeros((2, height, width), dtype=bool)
    chosen = rng.choice(height * width, 6, replace=False)
    telegraph.ravel()[chosen[:3]], hot.ravel()[chosen[3:]] = True, True
    level = np.cumsum(rng.random((length, 3)) < 0.05, axis=0) % 2
    clean[:, telegraph] += level * 12 * sigma[:, telegraph]
    clean[:, hot] += 60 * sigma[:, hot]
    rays = np.zeros(shape, dtype=bool)
    rays.ravel()[rng.choice(clean.size, int(ray_share * clean.size), replace=False)] = True
    rays &= ~(telegraph | hot)
    values = clean.copy()
    values[rays] += sigma[rays] * (6 + rng.exponential(20, int(rays.sum())))
    values, clean, sigma = (one.astype(np.float32) for one in (values, clean, sigma))
    return SyntheticSeries(values, clean, sigma, rays, telegraph, hot)


def write_segments(values: NDArray[np.float32], folder: Path, segments: int = 3) -> list[Path]:
    """Write integrations as the segments of one exposure, as the `jwst` pipeline lays out `_rateints` files.

    Parameters
    ----------
    values
        (integrations, y, x).
    folder
        Gets the files.
    segments
        How many.
    """
    paths, first = [], 1
    times = 60000.0 + np.arange(len(values)) * 1e-4
    for number, part in enumerate(np.array_split(values, segments), 1):
        head = fits.Header({"TELESCOP": "JWST", "INSTRUME": "NIRSPEC", "DETECTOR": "NRS1", "EXP_TYPE": "NRS_BRIGHTOBJ"})
        head.update({"EXSEGNUM": number, "EXSEGTOT": segments, "INTSTART": first, "INTEND": first + len(part) - 1})
        here = slice(first - 1, first - 1 + len(part))
        columns = [
            fits.Column("integration_number", "J", array=np.arange(first, first + len(part))),
            fits.Column("int_mid_MJD_UTC", "D", array=times[here]),
            fits.Column("int_mid_BJD_TDB", "D", array=times[here] + 0.001),
        ]
        hdus = fits.HDUList(
            [
                fits.PrimaryHDU(header=head),
                fits.ImageHDU(part.astype(np.float32), name="SCI"),
                fits.ImageHDU(np.sqrt(np.abs(part) + 64).astype(np.float32), name="ERR"),
                fits.ImageHDU(np.zeros(part.shape, dtype=np.uint32), name="DQ"),
                fits.BinTableHDU.from_columns(columns, name="INT_TIMES"),
            ]
        )
        path = folder / f"jw09999001001_04101_00001-seg{number:03d}_nrs1_rateints.fits"
        hdus.writeto(path)
        paths.append(path)
        first += len(part)
    return paths
