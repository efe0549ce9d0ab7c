"""The field of view of a cutout: how much sky a volunteer sees around a galaxy.

Arrays of sizes in, arrays of fields of view out; a rule is a row of `RULES`. Where a cutout lies on a mosaic is
`place`, how large a source is above an isophote is `catalog.isophote`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gzjwst_core.errors import CatalogError
from gzjwst_core.options import CutoutOptions

__all__ = ["RULES", "STATED", "FovRule", "Views", "columns_of", "fov_arcsec", "fov_steps", "quantise", "views_of"]

STATED = "stated"
"""In place of a rule's name where a table of targets states the field of view."""

Floats = NDArray[np.float64]
Columns = Mapping[str, Any]


class Views(NamedTuple):
    """What is seen of each source, (n,) each."""

    fov_arcsec: Floats
    """Side of the square, arcsec."""
    size_arcsec: Floats
    """What the rule measured and multiplied with `fov_factor`, arcsec; NaN where nothing was, or a stated one won."""
    floor_arcsec: Floats
    """Least that shows the whole segment, arcsec, which may win over the size; NaN where the rule has none."""
    rule: NDArray[np.str_]
    """Name of the rule, or `stated`."""


@dataclass(frozen=True, slots=True)
class FovRule:
    """One way to size a field of view."""

    columns: tuple[str, ...]
    """Columns of the catalog that it reads."""
    size: Callable[[Columns, int], Floats]
    """Size of each of n sources, arcsec; NaN = not measured."""
    floor: Callable[[Columns, CutoutOptions], Floats] | None = None
    """Least field of view that shows the whole of each source, arcsec; NaN = not known."""


def _isophote(columns: Columns, _count: int) -> Floats:
    """Take the diagonal above the isophote, the whole segment's where the source is fainter than that."""
    diagonal, segment = _floats(columns, "isophote_diagonal"), _floats(columns, "bbox_diagonal")
    return np.where(np.isfinite(diagonal), diagonal, segment)


def _whole_segment(columns: Columns, options: CutoutOptions) -> Floats:
    """Let a segment fill not too much of the frame, and end within what a zoom leaves, however far off the middle."""
    reach = _floats(columns, "segment_reach")
    return np.fmax(_longest_of_segment(columns) / options.fov_fill_max, 2 * options.fov_zoom * reach)


def _longest_of_segment(columns: Columns) -> Floats:
    """Bound a segment's extent along any direction: the long axis of the ellipse whose box has that diagonal.

    The box of an ellipse of semi-axes a and b has the diagonal `2 sqrt(a^2 + b^2)` however it is turned. Without an
    ellipticity the source counts as a line.
    """
    ratio = np.nan_to_num(1 - _floats(columns, "ellipticity"), nan=0.0)
    return _floats(columns, "bbox_diagonal") / np.hypot(1, ratio)


def _multiple(column: str, factor: float) -> Callable[[Columns, int], Floats]:
    return lambda columns, _count: factor * _floats(columns, column)


RULES: Mapping[str, FovRule] = {
    "isophote": FovRule(
        ("isophote_diagonal", "bbox_diagonal", "ellipticity", "segment_reach"), _isophote, _whole_segment
    ),
    "bbox": FovRule(("bbox_diagonal",), _multiple("bbox_diagonal", 1.0)),
    "kron": FovRule(("kron_a",), _multiple("kron_a", 2.0)),
    "r50": FovRule(("r50",), _multiple("r50", 8.0)),
    "fixed": FovRule((), lambda _columns, count: np.full(count, np.nan)),
}
"""By the names that `cutouts.fov_rule` may have; each size is such that 1.5 times it is a good field of view."""


def columns_of(options: CutoutOptions) -> tuple[str, ...]:
    """Name the columns of the catalog that a field of view is made of."""
    return (*RULES[options.fov_rule].columns, "ext_fov")


def fov_arcsec(columns: Columns, options: CutoutOptions) -> Floats:
    """Return the field of view of each source, arcsec: that of `views_of`."""
    return views_of(columns, options).fov_arcsec


def views_of(columns: Columns, options: CutoutOptions) -> Views:
    """Find what is seen of each source.

    Parameters
    ----------
    columns
        A catalog (astropy Table, dict of arrays) with the columns the rule reads, arcsec; and perhaps `ext_fov`, which
        takes the rule's place where it is finite.
    options
        Rule, factor, limits and steps.

    Returns
    -------
    Views
        Fields of view, sizes, floors and rules, float64 and str, (n,). A size that is not finite (a target without a
        segment) counts as the smallest; with `fixed` every one is the constant.

    Raises
    ------
    CatalogError
        With reason `no_column`: the catalog has not what the rule reads, as one of an older version.

    Notes
    -----
    The field of view is `fov_factor` x a size, clipped to the limits and rounded up to one of `fov_steps` sizes, so
    that images are comparable. Sizes are: `isophote` the diagonal of the box above a fixed surface brightness, which
    does not grow with a survey's depth as a segment does; `bbox` that of the segment's box; `kron` twice the Kron
    ellipse's semi-major axis; `r50` eight half-light radii.

    Of a galaxy of which only the core is above the isophote the rest must be seen too: the target may neither fill more
    than 0.7 of a frame nor lose its ends where Zoobot's zoom leaves the central 1 / 1.4. Under `isophote` a field of
    view is therefore at least so large that the longest side of the whole segment, however it is turned, is
    `fov_fill_max` of it (below 0.7, as sources end a little beyond their segments), and that the end of the segment
    that is farthest from the position, which is seldom quite its middle, is within the central 1 / `fov_zoom`. To that
    extent frames grow with depth, as segments do; only `fov_max_arcsec` may still cut.
    """
    stated = _stated(columns)
    if stated is not None and np.isfinite(stated).all():
        wanted, (size, floor) = stated, np.full((2, *stated.shape), np.nan)
    else:
        wanted, size, floor = _by_rule(columns, options)
    given = np.zeros(wanted.shape, dtype=bool) if stated is None else np.isfinite(stated)
    wanted = wanted if stated is None else np.where(given, stated, wanted)
    seen = quantise(np.clip(wanted, options.fov_min_arcsec, options.fov_max_arcsec), options)
    size, floor = (np.where(given, np.nan, values) for values in (size, floor))
    return Views(seen, size, floor, np.where(given, STATED, options.fov_rule))


def _stated(columns: Columns) -> Floats | None:
    return _floats(columns, "ext_fov") if "ext_fov" in _names(columns) else None


def _by_rule(columns: Columns, options: CutoutOptions) -> tuple[Floats, Floats, Floats]:
    """Return fields of view before clipping, sizes and floors of all sources."""
    rule, names = RULES[options.fov_rule], _names(columns)
    missing = [name for name in rule.columns if name not in names]
    if missing:
        said = f"fov_rule = {options.fov_rule!r} reads {', '.join(missing)}, which the catalog does not have"
        raise CatalogError(f"{said}: catalogue anew, or choose another of {', '.join(RULES)}", reason="no_column")
    size = rule.size(columns, len(columns[next(iter(names))]) if names else 0)
    floor = np.full(size.shape, np.nan) if rule.floor is None else rule.floor(columns, options)
    wanted = np.fmax(options.fov_factor * size, floor)
    unmeasured = options.fov_fixed_arcsec if options.fov_rule == "fixed" else options.fov_min_arcsec
    return np.where(np.isfinite(wanted), wanted, unmeasured), size, floor


def _names(columns: Columns) -> list[str]:
    return list(getattr(columns, "colnames", columns))


def _floats(columns: Columns, name: str) -> Floats:
    return np.asarray(columns[name], dtype=np.float64)


def fov_steps(options: CutoutOptions) -> Floats:
    """Sizes that are used, ascending, arcsec; empty when nothing is rounded.

    Notes
    -----
    Evenly spaced in the logarithm, both limits included, and given to 0.01 arcsec so that they read well; one step
    means the upper limit alone. The constant of `fixed` is one of them where that is the rule.
    """
    if options.fov_steps == 0:
        return np.empty(0)
    steps = np.round(np.geomspace(options.fov_min_arcsec, options.fov_max_arcsec, options.fov_steps), 2)
    steps[0], steps[-1] = options.fov_min_arcsec, options.fov_max_arcsec
    return np.union1d(steps, [options.fov_fixed_arcsec]) if options.fov_rule == "fixed" else steps


def quantise(sizes_arcsec: ArrayLike, options: CutoutOptions) -> Floats:
    """Round sizes within the limits up to the next step."""
    sizes = np.asarray(sizes_arcsec, dtype=np.float64)
    steps = fov_steps(options)
    if steps.size == 0:
        return sizes
    # a size that equals a step but for the last bits stays on it
    above = np.searchsorted(steps, sizes * (1 - 1e-9), side="left")
    return steps[np.minimum(above, steps.size - 1)]
