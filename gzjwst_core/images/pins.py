"""Colour is pinned: one sigma and one gain per band for the whole survey.

Proposed from the survey's median mosaic and its median galaxy; what is pinned for good always wins. Tables in, numbers
out; who writes them into the profile is elsewhere.
"""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from gzjwst_core.options import ImageOptions, Pin

__all__ = ["drift", "held_pins", "pins_of", "propose_pins", "reference_bands"]

_DIGITS = 4
_GAIN_LIMITS = (0.05, 20.0)
_FEWEST_GALAXIES = 5
_BRIGHTEST_SHARE = 0.5


def propose_pins(mosaics: Table, galaxies: Table, options: ImageOptions) -> tuple[dict[str, float], dict[str, float]]:
    """Propose sigma and gain of every band that has none.

    Parameters
    ----------
    mosaics
        One row a mosaic: `band` and `sigma` (uJy/arcsec2 in a pixel; NaN = not known).
    galaxies
        Selected rows of the survey catalog with `{band}_flux_auto` and `mag_ref`; may be empty.
    options
        `sigma` and `gain` that are pinned already, and the bands of the channels.

    Returns
    -------
    sigma, gain : dict
        By band, for every band with a mosaic of known sigma and every band that is pinned already; four digits, so that
        they read and write as they are.

    Notes
    -----
    sigma: the median over the band's mosaics. gain: the median, over the brighter half of the galaxies, of green flux
    over the band's flux, both in the same ellipse, so that the median galaxy is grey; no flux in a band counts as an
    infinite ratio, and so does not move the median to blue. A band that fewer than five galaxies were measured in has
    the gain 1. Gains stay within 0.05 to 20: beyond them a band shows noise alone.
    """
    sigma = _median_sigma(mosaics)
    fluxes = _bright_fluxes(galaxies)
    green = _green_flux(fluxes, options)
    gain = {band: _gain(green, flux) for band, flux in fluxes.items()}
    # a band that has no mosaic yet is not pinned: it would keep a gain that nothing speaks for
    gain = {band: gain.get(band, 1.0) for band in sigma if band not in options.gain}
    return {**sigma, **options.sigma}, {**gain, **options.gain}


def held_pins(frozen: ImageOptions, *, whole: bool, uploaded: bool) -> ImageOptions:
    """Return the pins that a run does not propose anew.

    Parameters
    ----------
    frozen
        Sigma, gain and pins of the run folder.
    whole
        Whether the run was asked for the whole survey and misses nothing that the next one may have.
    uploaded
        Whether volunteers were shown subjects of the survey: then what is provisional is final.
    """
    let_go = {"unpinned"} if uploaded else {"unpinned", "provisional"}
    anew = {band for band, pin in frozen.pins.items() if whole and pin in let_go}
    kept = {key: {b: v for b, v in getattr(frozen, key).items() if b not in anew} for key in ("sigma", "gain", "pins")}
    return frozen.model_copy(update=kept)


def pins_of(bands: Iterable[str], held: ImageOptions, *, whole: bool, uploaded: bool) -> dict[str, Pin]:
    """Say how long the pins of a run hold.

    Parameters
    ----------
    bands
        Bands that have a sigma or a gain now.
    held
        What `held_pins` returned.
    whole, uploaded
        As of `held_pins`.
    """
    settled: Pin = "final" if whole or uploaded else "provisional"
    known = {*held.sigma, *held.gain}
    new: Pin = "unpinned" if uploaded and not whole else "provisional"  # no volunteer has seen a band that comes now
    before: dict[str, Pin] = {band: held.pins.get(band, "final") if band in known else new for band in bands}
    return {band: settled if pin == "provisional" else pin for band, pin in sorted(before.items())}


def reference_bands(options: ImageOptions) -> tuple[str, ...]:
    """Bands of the green channel: the others are made neutral to it."""
    return tuple(options.green)


def _median_sigma(mosaics: Table) -> dict[str, float]:
    found: dict[str, list[float]] = {}
    for band, sigma in _known_sigmas(mosaics):
        found.setdefault(band, []).append(sigma)
    return {band: _rounded(float(np.median(values))) for band, values in sorted(found.items())}


def _known_sigmas(mosaics: Table) -> Iterator[tuple[str, float]]:
    if len(mosaics) == 0:
        return
    for band, sigma in zip(mosaics["band"], mosaics["sigma"], strict=True):
        if not np.ma.is_masked(sigma) and np.isfinite(sigma) and sigma > 0:
            yield str(band), float(sigma)


def _bright_fluxes(galaxies: Table) -> dict[str, NDArray[np.float64]]:
    """Flux of the brighter half of the galaxies, by band; NaN = not measured."""
    if len(galaxies) == 0:
        return {}
    magnitude = _column(galaxies, "mag_ref")
    known = np.isfinite(magnitude)
    limit = np.quantile(magnitude[known], _BRIGHTEST_SHARE) if known.any() else np.nan
    bright = known & (magnitude <= limit)
    suffix = "_flux_auto"
    names = [name for name in galaxies.colnames if name.endswith(suffix)]
    return {name.removesuffix(suffix): _column(galaxies, name)[bright] for name in names}


def _column(table: Table, name: str) -> NDArray[np.float64]:
    return np.ma.filled(np.ma.asarray(table[name], dtype=np.float64), np.nan)


def _green_flux(fluxes: Mapping[str, NDArray[np.float64]], options: ImageOptions) -> NDArray[np.float64] | None:
    """Weighted mean flux of the green channel's bands; where the survey has none of them, of red's, then blue's."""
    for bands in (options.green, options.red, options.blue):
        have = [band for band in bands if band in fluxes and np.isfinite(fluxes[band]).any()]
        if have:
            weights = np.array([bands[band] for band in have])[:, None]
            stack = np.stack([fluxes[band] for band in have])
            total = (weights * np.isfinite(stack)).sum(axis=0)
            return np.where(total > 0, np.nansum(weights * stack, axis=0) / np.maximum(total, 1e-9), np.nan)
    return None


def _gain(green: NDArray[np.float64] | None, flux: NDArray[np.float64]) -> float:
    if green is None:
        return 1.0
    both = np.isfinite(green) & np.isfinite(flux) & (green > 0)
    if np.count_nonzero(both) < _FEWEST_GALAXIES:
        return 1.0
    ratio = np.full(np.count_nonzero(both), np.inf)
    np.divide(green[both], flux[both], out=ratio, where=flux[both] > 0)
    # the lower of the two middle values: an even number with infinities has no mean
    middle = float(np.sort(ratio)[(ratio.size - 1) // 2])
    return _rounded(float(np.clip(middle, *_GAIN_LIMITS)))


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")


def drift(mosaics: Table, options: ImageOptions, *, percent: float = 30.0) -> list[str]:
    """Tell which mosaics' sky differs from what is pinned.

    Parameters
    ----------
    mosaics
        One row a mosaic: `band`, `sigma` (uJy/arcsec2 in a pixel), and `field` or `obs_id` for the message.
    options
        With pinned sigma; bands without one are passed over.
    percent
        Difference that is worth a warning.

    Returns
    -------
    list of str
        One sentence a mosaic. Nothing is recoloured: volunteers have seen the pinned colours.
    """
    named = next((name for name in ("field", "obs_id") if name in mosaics.colnames), None)
    warnings = []
    for row in mosaics:
        band, sigma = str(row["band"]), row["sigma"]
        pinned = options.sigma.get(band)
        if pinned is None or np.ma.is_masked(sigma) or not np.isfinite(sigma):
            continue
        change = 100 * (float(sigma) / pinned - 1)
        if abs(change) > percent:
            where = f"{row[named]} {band}" if named else band
            said = f"{where}: sky sigma {float(sigma):.4g} uJy/arcsec2 is {change:+.0f} % off the pinned {pinned:.4g}"
            warnings.append(said)
    return warnings
