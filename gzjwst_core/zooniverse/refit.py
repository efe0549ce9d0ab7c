"""The constant of the field-of-view rule, refitted from bad-zoom votes. Arrays in, numbers out.

A bad-zoom vote does not say whether the frame was too tight or too wide: but the share of such votes is lowest at the
field of view that suits people. So that share is fitted as a parabola (in its logit) over the logarithm of frame over
size, and the constant that expects the fewest such votes is looked for, with the rule's own limits and steps.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gzjwst_core.cutouts.fov import quantise
from gzjwst_core.errors import SubjectsError
from gzjwst_core.options import CutoutOptions

__all__ = ["Refit", "SizeBin", "Votes", "refit"]

Floats = NDArray[np.float64]

_LEAST_VOTES = 100
_LEAST_SUBJECTS = 50
_DRAWS = 200
_SEED = 20
_MOST_LOST = 0.025
_CELL = np.array([0.02, 0.1])
_COLLINEAR = 0.98
_NO_SIZE = 3
_NEWTON_STEPS = 60
_BINS = 3


class Votes(NamedTuple):
    """Subjects and their votes, one value each."""

    fov_arcsec: Floats
    """Side of the frame that people saw."""
    size_arcsec: Floats
    """What the rule multiplies."""
    floor_arcsec: Floats
    """Least that shows the whole galaxy, whatever the constant; 0 = the rule has none."""
    classifications: Floats
    bad_zoom: Floats

    def take(self, which: NDArray[np.bool_]) -> "Votes":
        """Return some of them."""
        return Votes(*(values[which] for values in self))


class SizeBin(NamedTuple):
    """The best frame for galaxies of some sizes."""

    low_arcsec: float
    high_arcsec: float
    subjects: int
    ratio: float | None
    """Best frame over size; None where the votes do not tell."""
    ratio_range: tuple[float, float] | None


@dataclass(frozen=True)
class Refit:
    """What the votes say."""

    ratio: float
    """Frame over size with the fewest bad-zoom votes."""
    ratio_range: tuple[float, float]
    """95 % interval, by drawing subjects again."""
    factor: float
    """Constant of the rule that expects the fewest, with its limits and its rounding up to steps."""
    factor_range: tuple[float, float]
    share_seen: float
    """Share of bad-zoom votes as they are."""
    share_present: float
    """Expected with the present constant."""
    share_best: float
    """Expected with `factor`."""
    floored_present: float
    """Share of frames that the floor and not the constant decides, with the present one."""
    floored_best: float
    """With `factor`."""
    by_size: tuple[SizeBin, ...]
    with_size: bool
    """Whether larger galaxies were let have more, or fewer, such votes at any frame."""


def refit(votes: Votes, options: CutoutOptions) -> Refit:
    """Find the best constant.

    Parameters
    ----------
    votes
        Subjects with at least one classification, and a frame and a size above 0.
    options
        The rule's present constant, limits and steps.

    Returns
    -------
    Refit
        The same for the same votes: draws are seeded.

    Raises
    ------
    SubjectsError
        There are too few votes (`too_few_votes`), the share has no lowest place (`no_optimum`), or that is outside what
        people have seen (`outside_range`).

    Notes
    -----
    logit(share) = a + b x + c x^2 + d s + e s^2, with x = ln(frame / size) and s = ln(size); maximum likelihood of
    binomial counts. The terms d and e keep apart what goes with size alone (small galaxies are vaguer in any frame,
    and large ones may be too), since at the rule's limits frame / size is a function of size: without e, a share that
    is lowest at a middle size reads as a best frame. Both are left out where size and frame / size cannot be told
    apart. Intervals are from 200 draws of the subjects with replacement, so that subjects that differ more than chance
    allows widen them; what subjects share does not: one person's habit over many of them, or a galaxy that is two
    subjects, leaves the interval narrower than it should be. Rounding up to steps widens frames on average: the
    constant is smaller than the best ratio by that. Frames that the floor decides are seen and expected as they are,
    but no constant changes them.
    """
    curve = _curve(votes)
    widened = _widening(votes, curve.ratio, options)
    low, high = curve.ratio_range
    factor = curve.ratio / widened
    return Refit(
        ratio=curve.ratio,
        ratio_range=curve.ratio_range,
        factor=factor,
        factor_range=(low / widened, high / widened),
        share_seen=float(votes.bad_zoom.sum() / votes.classifications.sum()),
        share_present=_expected(curve, votes, _frames(votes, options.fov_factor, options)),
        share_best=_expected(curve, votes, _frames(votes, factor, options)),
        floored_present=_floored(votes, options.fov_factor, options),
        floored_best=_floored(votes, factor, options),
        by_size=_by_size(votes),
        with_size=len(curve.beta) > _NO_SIZE,
    )


# ---------------------------------------------------------------- the curve


class _Curve(NamedTuple):
    """The fitted share of bad-zoom votes."""

    beta: Floats
    """Of 1, x, x^2 and, where they can be told apart, s and s^2."""
    centre: tuple[float, float]
    """Of ln(frame / size) and ln(size): x and s count from there."""
    seen: tuple[float, float]
    """Tightest and widest frame that people saw, in units of the size."""
    ratio: float
    ratio_range: tuple[float, float]


def _curve(votes: Votes) -> _Curve:
    _enough(votes)
    x, s = np.log(votes.fov_arcsec / votes.size_arcsec), np.log(votes.size_arcsec)
    centre = (float(x.mean()), float(s.mean()))
    places, of = _cells(x - centre[0], s - centre[1])
    design = _design(*places.T)
    low, high = _seen_range(x, votes.classifications)
    betas = _fitted(design, *np.array([_summed(votes, of, weights) for weights in _weights(len(x))]).swapaxes(0, 1))
    beta, (ratio, *drawn) = betas[0], (_lowest(betas) + centre[0]).tolist()
    ratios = np.array(drawn)
    _inside(ratio, ratios, low, high)
    first, last = (math.exp(v) for v in np.nanpercentile(ratios, [2.5, 97.5]))
    return _Curve(beta, centre, (math.exp(x.min()), math.exp(x.max())), math.exp(ratio), (first, last))


def _cells(x: Floats, s: Floats) -> tuple[Floats, NDArray[np.intp]]:
    """Put subjects into cells of 2 % in frame / size and 10 % in size: as good as single ones, and quick.

    Returns
    -------
    ndarray, ndarray
        (cells, 2) mean x and s, and (n,) the cell of each subject.
    """
    values = np.stack([x, s], axis=1)
    _, of = np.unique(np.rint(values / _CELL).astype(np.int64), axis=0, return_inverse=True)
    of = of.reshape(-1)
    return np.stack([np.bincount(of, column) for column in values.T], axis=1) / np.bincount(of)[:, None], of


def _design(x: Floats, s: Floats) -> Floats:
    """Columns of the fit, (cells, 3 or 5): limits of the rule may leave size and frame / size no freedom."""
    apart = s.std() > 0 and x.std() > 0 and abs(np.corrcoef(x, s)[0, 1]) < _COLLINEAR
    return _terms(x, s)[:, : None if apart else _NO_SIZE]


def _terms(x: Floats, s: Floats) -> Floats:
    return np.stack([np.ones_like(x), x, x**2, s, s**2], axis=1)


def _summed(votes: Votes, of: NDArray[np.intp], weights: Floats) -> tuple[Floats, Floats]:
    sums = [np.bincount(of, weights * values) for values in (votes.classifications, votes.bad_zoom)]
    return np.asarray(sums[0], dtype=np.float64), np.asarray(sums[1], dtype=np.float64)


def _weights(count: int) -> Iterator[Floats]:
    """Yield each subject once; then how often each is drawn, with replacement, the same every time."""
    yield np.ones(count)
    rng = np.random.default_rng(_SEED)
    for _ in range(_DRAWS):
        yield np.bincount(rng.integers(count, size=count), minlength=count).astype(np.float64)


def _fitted(design: Floats, seen: Floats, bad: Floats) -> Floats:
    """Fit logistic curves to binomial counts by Newton's method, many at once.

    Parameters
    ----------
    design
        (cells, terms).
    seen, bad
        (fits, cells) classifications and bad-zoom votes.

    Returns
    -------
    ndarray
        (fits, terms); NaN where a fit does not settle.
    """
    fits, terms = len(seen), design.shape[1]
    total = np.maximum(seen.sum(axis=1), 1.0)
    share = np.clip(bad.sum(axis=1) / total, 1e-6, 1 - 1e-6)
    betas = np.zeros((fits, terms))
    betas[:, 0] = np.log(share / (1 - share))
    products = (design[:, :, None] * design[:, None, :]).reshape(-1, terms**2)
    tiny = 1e-9 * total[:, None, None] * np.eye(terms)
    step = np.full_like(betas, np.inf)
    for _ in range(_NEWTON_STEPS):
        p = _share(betas @ design.T)
        curvature = ((seen * p * (1 - p)) @ products).reshape(-1, terms, terms) + tiny
        step = np.linalg.solve(curvature, ((bad - seen * p) @ design)[:, :, None])[:, :, 0]
        betas = betas + step / np.maximum(1.0, np.abs(step).max(axis=1, keepdims=True))  # far away Newton overshoots
        if np.abs(step).max() < 1e-7:
            break
    betas[np.abs(step).max(axis=1) > 1e-4] = np.nan
    return betas


def _share(logit: Floats) -> Floats:
    share: Floats = 1 / (1 + np.exp(-np.clip(logit, -30, 30)))
    return share


def _lowest(betas: Floats) -> Floats:
    """Find x of the lowest share of each fit, NaN where the curve is not open upwards."""
    slope, bend = betas[:, 1], betas[:, 2]
    lowest: Floats = np.full(len(betas), np.nan)
    np.divide(-slope, 2 * bend, out=lowest, where=bend > 0)
    return lowest


# ---------------------------------------------------------------- is it told


def _enough(votes: Votes) -> None:
    bad, subjects = int(votes.bad_zoom.sum()), len(votes.size_arcsec)
    if bad < _LEAST_VOTES or subjects < _LEAST_SUBJECTS:
        said = f"{bad} bad-zoom votes on {subjects} subjects with a known frame and size"
        least = f"at least {_LEAST_VOTES} votes and {_LEAST_SUBJECTS} subjects are needed"
        raise SubjectsError(f"too few votes: {said}; {least}", reason="too_few_votes")


def _seen_range(x: Floats, classifications: Floats) -> tuple[float, float]:
    """Return what people saw of ln(frame / size): between the 2 and 98 % quantiles of the classifications."""
    order = np.argsort(x)
    share = np.cumsum(classifications[order]) / classifications.sum()
    low, high = np.minimum(np.searchsorted(share, [0.02, 0.98]), len(x) - 1)
    return float(x[order][low]), float(x[order][high])


def _inside(ratio: float, ratios: Floats, low: float, high: float) -> None:
    """Refuse what the votes do not tell."""
    seen = f"people saw frames of {math.exp(low):.2f} to {math.exp(high):.2f} times the size"
    if not math.isfinite(ratio):
        said = f"no best field of view: the share of bad-zoom votes has no lowest place ({seen})"
        raise SubjectsError(said, reason="no_optimum")
    lost = float(np.mean(~((ratios > low) & (ratios < high))))
    if not low < ratio < high or lost > _MOST_LOST:
        where = "wider" if ratio > (low + high) / 2 else "tighter"
        said = f"no best field of view within what was seen: {seen}, and {lost:.0%} of the draws find the best outside"
        more = f"show some {where} ones (cutouts.fov_factor), and ask again"
        raise SubjectsError(f"{said}; {more}", reason="outside_range")


# ---------------------------------------------------------------- what it means for the rule


def _frames(votes: Votes, factor: float, options: CutoutOptions) -> Floats:
    wanted = np.maximum(factor * votes.size_arcsec, votes.floor_arcsec)
    return quantise(np.clip(wanted, options.fov_min_arcsec, options.fov_max_arcsec), options)


def _floored(votes: Votes, factor: float, options: CutoutOptions) -> float:
    """Share of frames that would be others without the floor."""
    without = votes._replace(floor_arcsec=np.zeros_like(votes.floor_arcsec))
    return float(np.mean(_frames(votes, factor, options) != _frames(without, factor, options)))


def _widening(votes: Votes, factor: float, options: CutoutOptions) -> float:
    """By how much rounding up to steps widens frames on average, between the rule's limits and above its floor."""
    wanted = factor * votes.size_arcsec
    least = np.maximum(votes.floor_arcsec, options.fov_min_arcsec)
    free = (wanted >= least) & (wanted <= options.fov_max_arcsec)
    if not free.any():
        return 1.0
    return math.exp(float(np.mean(np.log(_frames(votes, factor, options)[free] / wanted[free]))))


def _expected(curve: _Curve, votes: Votes, frames: Floats) -> float:
    """Share of bad-zoom votes that these frames would get; beyond what was seen as at its end."""
    x = np.log(np.clip(frames / votes.size_arcsec, *curve.seen)) - curve.centre[0]
    s = np.log(votes.size_arcsec) - curve.centre[1]
    share = _share(_terms(x, s)[:, : len(curve.beta)] @ curve.beta)
    return float(np.average(share, weights=votes.classifications))


def _by_size(votes: Votes) -> tuple[SizeBin, ...]:
    edges = np.quantile(votes.size_arcsec, np.linspace(0, 1, _BINS + 1))
    place = np.clip(np.searchsorted(edges, votes.size_arcsec, side="right") - 1, 0, _BINS - 1)
    return tuple(_size_bin(votes.take(place == n), edges[n], edges[n + 1]) for n in range(_BINS))


def _size_bin(votes: Votes, low: float, high: float) -> SizeBin:
    try:
        curve = _curve(votes)
    except SubjectsError:  # these votes alone do not tell
        return SizeBin(float(low), float(high), len(votes.size_arcsec), None, None)
    return SizeBin(float(low), float(high), len(votes.size_arcsec), curve.ratio, curve.ratio_range)
