"""Stars: the point-source locus of a field, and who lies on it. Arrays in, arrays out.

A classification by size alone, on the detection image. It is meant for leaving stars out of a sample of galaxies, not
for a sample of stars. What surrounds bright ones is in `halos`.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfc

from gzjwst_core.bands import wavelength_um

__all__ = ["expected_r50", "point_source_r50", "star_scores"]

Floats = NDArray[np.float64]

_BRIGHT_SNR, _ROUND = 30.0, 0.25
_WINDOW, _FEWEST = 0.07, 3
_RANGE = (0.7, 1.5)
_BOUNDARY, _LOCUS_WIDTH, _SIZE_NOISE = 0.16, 0.03, 1.0


def expected_r50(bands: Sequence[str]) -> float:
    """Return the half-light radius a point source should have in a stack of bands, arcsec.

    Notes
    -----
    0.75 x the diffraction limit lambda / 6.5 m, the mean over the bands; the wavelength is that in the filter's
    name. Good to a third: it only says where to look for the locus.
    """
    return float(np.mean([0.75 * wavelength_um(band) * 1e-6 / 6.5 * 206264.8 for band in bands]))


def point_source_r50(r50: Floats, snr: Floats, ellipticity: Floats, expected: float) -> float:
    """Find the point-source locus of a field.

    Parameters
    ----------
    r50
        Half-light radii, arcsec.
    snr
        Signal to noise on the detection image.
    ellipticity
        1 - b/a.
    expected
        From `expected_r50`.

    Returns
    -------
    float
        Arcsec: among bright round sources within 0.7-1.5 times what is expected, the smallest radius around which at
        least half as many crowd (within 7 %) as around the most crowded one; `expected` where fewer than three do.
    """
    low, high = _RANGE[0] * expected, _RANGE[1] * expected
    sample = np.sort(r50[(snr > _BRIGHT_SNR) & (ellipticity < _ROUND) & (r50 > low) & (r50 < high)])
    if sample.size < _FEWEST:
        return expected
    first = np.searchsorted(sample, sample * (1 - _WINDOW))
    last = np.searchsorted(sample, sample * (1 + _WINDOW), side="right")
    crowd = last - first
    if crowd.max() < _FEWEST:
        return expected
    chosen = int(np.argmax(crowd >= max(_FEWEST, crowd.max() / 2)))
    return float(np.median(sample[first[chosen] : last[chosen]]))


def star_scores(r50: Floats, snr: Floats, locus: float) -> Floats:
    """Score how well a source's size fits a point source: 1 = as compact, 0 = extended, NaN without a size.

    Notes
    -----
    The chance that `ln(r50 / locus)` is truly below 0.16 (17 % larger than a point source), for a normal error of
    0.03 and 1 / snr in quadrature.
    """
    width = np.hypot(_LOCUS_WIDTH, _SIZE_NOISE / np.maximum(snr, 1.0))
    excess = np.log(np.where(r50 > 0, r50, np.nan) / locus) - _BOUNDARY
    score: Floats = 0.5 * erfc(excess / width / np.sqrt(2))
    return score
