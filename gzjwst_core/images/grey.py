"""A cutout band by band in grey: the panels beside a colour picture, and the small strip that a click shows.

Every band in its own sigma under the curve of `asinh`, so that the sky of all bands and fields looks alike. Nothing is
written into the pixels: which band is where is told beside them.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from gzjwst_core.cutouts.read import Cutout
from gzjwst_core.images.compose import Picture, bytes_of
from gzjwst_core.images.layers import band_sigma, layer_of
from gzjwst_core.images.planes import carried_validity
from gzjwst_core.images.stretch import asinh_levels
from gzjwst_core.images.warp import picture_grid, resampled
from gzjwst_core.options import ImageOptions

__all__ = ["WIDEST_PX", "Grid", "Strip", "band_in_grey", "grid_of", "strip_of"]

WIDEST_PX = 1500
"""No grid of panels is wider, unless a single panel is."""


@dataclass(frozen=True, slots=True)
class Grid:
    """A colour picture and its bands in rows and columns."""

    rgb: NDArray[np.uint8]
    """(ny, nx, 3)."""
    panels: str
    """Boxes of the panels that hold data, as `ImageRecord.panels` tells them; empty for a single picture."""


@dataclass(frozen=True, slots=True)
class Strip:
    """All bands side by side."""

    grey: NDArray[np.uint8]
    """(side, bands x side); between two bands one column of `gap_level`."""
    bands: tuple[str, ...]
    """From left to right."""


def band_in_grey(cutout: Cutout, band: str, options: ImageOptions, size_px: int) -> NDArray[np.uint8] | None:
    """Show one band, north up and east left.

    Parameters
    ----------
    cutout, band
        The band may be absent.
    options
        The curve, and the survey's sigma of the band; where none is pinned the cutout's own is used.
    size_px
        Side of the result.

    Returns
    -------
    ndarray of uint8 or None
        (size, size), gaps at `gap_level`; None where the cutout lacks the band, or its sigma is not known.

    Raises
    ------
    ImageError
        The band's WCS does not reach the target.
    """
    sigma = band_sigma(band, cutout, options)
    if band not in cutout.bands or sigma is None:
        return None
    layer = layer_of(cutout, band, options, sigma, partial(asinh_levels, options=options))
    to, shape = picture_grid(cutout.fov_arcsec, size_px), (size_px, size_px)
    grey = bytes_of(resampled(asinh_levels(layer.signal, options), layer.at, to, shape))
    grey[~carried_validity(layer.valid, layer.at, to, shape)] = options.gap_level
    return grey


def grid_of(cutout: Cutout, picture: Picture, options: ImageOptions) -> Grid:
    """Lay a picture out as the options say: by itself, or with its bands.

    Parameters
    ----------
    cutout
        What the picture was made from.
    picture
        The colour picture; it is the first panel, row by row.
    options
        `layout`, `panel_bands`, `panel_gap_px`.

    Notes
    -----
    As many columns as make the grid nearly square, fewer where it would be wider than 1500 pixels. A band that the
    profile names and the cutout lacks keeps its place, in flat grey without a box, so that one survey has one grid.
    """
    if options.layout == "single":
        return Grid(picture.rgb, "")
    names = options.panel_bands or tuple(cutout.bands)
    size, step = options.size_px, options.size_px + options.panel_gap_px
    columns, rows = _layout(1 + len(names), options)
    sheet = np.full((rows * step - options.panel_gap_px, columns * step - options.panel_gap_px, 3), options.gap_level)
    boxes = []
    for number, (name, pixels) in enumerate(_panels(names, cutout, picture, options)):
        y, x = step * (number // columns), step * (number % columns)
        if pixels is not None:
            sheet[y : y + size, x : x + size] = pixels
            boxes.append(f"{name}={x},{y},{x + size},{y + size}")
    return Grid(sheet.astype(np.uint8), " ".join(boxes))


def _layout(count: int, options: ImageOptions) -> tuple[int, int]:
    fitting = (WIDEST_PX + options.panel_gap_px) // (options.size_px + options.panel_gap_px)
    columns = max(1, min(math.ceil(math.sqrt(count)), fitting))
    return columns, math.ceil(count / columns)


def _panels(
    names: Iterable[str], cutout: Cutout, picture: Picture, options: ImageOptions
) -> Iterator[tuple[str, NDArray[np.uint8] | None]]:
    yield "rgb", picture.rgb
    for name in names:
        grey = band_in_grey(cutout, name, options, options.size_px)
        yield name, None if grey is None else grey[..., None]


def strip_of(cutout: Cutout, options: ImageOptions) -> Strip | None:
    """Show all bands of a cutout side by side, in order of wavelength.

    Returns
    -------
    Strip or None
        None where strips are not wanted, or there is nothing to show.

    Raises
    ------
    ImageError
        A band's WCS does not reach the target.
    """
    if options.strip_px == 0:
        return None
    tiles = [(band, band_in_grey(cutout, band, options, options.strip_px)) for band in cutout.bands]
    shown = [(band, tile) for band, tile in tiles if tile is not None]
    if not shown:
        return None
    grey = np.concatenate([tile for _, tile in shown], axis=1)
    grey[:, options.strip_px :: options.strip_px] = options.gap_level
    return Strip(grey, tuple(band for band, _ in shown))
