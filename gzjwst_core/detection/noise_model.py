"""Learn what a mosaic's background and noise are, in two passes over its tiles.

First the background of everything, then of what is left when sources are masked. Each pass is a list of small work
items for `cpu_map`; a worker opens the mosaic itself. The tiles are whole meshes, so that what is learned does not
depend on the tiles of detection. The arithmetic is in `background` and `noise`; the noise of sums of pixels is measured
once sources are known, in `empty`.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gzjwst_core.detection.background import Mesh, cells, fill_cells, mesh_of, mesh_statistics, source_mask
from gzjwst_core.detection.calibrated_frame import BandModel, raw_error
from gzjwst_core.detection.depth import BLOCKS_A_MESH, NOTHING, Lattice
from gzjwst_core.detection.noise import snr_scatter
from gzjwst_core.errors import NoValidPixelsError
from gzjwst_core.models import MosaicSource
from gzjwst_core.mosaics.geometry import Box, pixel_scale_arcsec, sky_axes, sky_jacobian, tiles
from gzjwst_core.mosaics.reader import MosaicReader, open_mosaic
from gzjwst_core.options import MosaicOptions
from gzjwst_core.runs.engine import CpuMap

__all__ = ["Grid", "Learned", "learn_bands", "source_scale", "spread"]

_TILE_PX = 1024
_log = logging.getLogger(__name__)

_MARGIN_PX = 32
_SMOOTH_ARCSEC = 0.06
_GROW_ARCSEC = 0.24
_SAMPLE_TILES, _LEAST_DATA = 12, 0.25
_SQUARE = 1.02
"""Pixels that are longer than wide by less count as square."""
_STEP_DOWN, _STEP_ALONG = 0.7548776662, 0.5698402910
"""Steps that put the first few of any number of tiles evenly over a plane (inverse powers of the plastic number)."""


@dataclass(frozen=True, slots=True)
class Grid:
    """The pixel grid of a mosaic."""

    shape: tuple[int, int]
    scale_arcsec: float
    side: int
    """Side of a background mesh, pixels."""
    stretch: tuple[tuple[float, float], tuple[float, float]] | None = None
    """Rows of the map from pixels to the sky at the grid's centre, of unit area; None where pixels are square."""

    @property
    def tiles(self) -> list[Box]:
        """Tiles of whole meshes, about 1024 pixels a side."""
        return list(tiles(self.shape, max(_TILE_PX // self.side, 1) * self.side))


@dataclass(frozen=True)
class Learned:
    """One mosaic, its grid and its model; without its lattice small enough to send to a worker."""

    source: MosaicSource
    grid: Grid
    model: BandModel
    ujy_per_unit: float
    valid_px: int
    lattice: Lattice = NOTHING
    """Noise of the sky in blocks of a quarter of a mesh."""
    sample: tuple[Box, ...] = ()
    """Tiles to measure empty sky on: 12 at most, with data, and the first few of them are as evenly spread."""

    def slim(self) -> "Learned":
        """Return it without its lattice, for workers."""
        return replace(self, lattice=NOTHING)


@dataclass(frozen=True, slots=True)
class _Item:
    source: MosaicSource
    options: MosaicOptions
    grid: Grid
    box: Box
    model: BandModel | None
    """None before anything is known."""


@dataclass(frozen=True, slots=True)
class _TileStatistics:
    """What one tile says.

    Cells of a mesh: background, its rms, scatter of the noise map, median weight. Blocks: median noise, part with data.
    """

    cells: Mapping[str, NDArray[np.float64]]
    blocks: Mapping[str, NDArray[np.float64]]
    valid_px: int
    has_err: bool


def learn_bands(
    sources: Sequence[MosaicSource], options: MosaicOptions, mesh_arcsec: float, *, cpu_map: CpuMap
) -> dict[str, Learned]:
    """Learn the background and noise map of several mosaics of one field.

    Parameters
    ----------
    sources
        One a band.
    options
        How mosaics are read.
    mesh_arcsec
        Side of a background mesh.
    cpu_map
        Where the work runs.

    Returns
    -------
    dict
        By band.

    Raises
    ------
    NoValidPixelsError
        A mosaic has no measurable noise.
    MosaicError
        A mosaic cannot be opened.
    """
    found = {s.band: _first_look(s, options, mesh_arcsec) for s in sources}
    for masked in (False, True):
        models = {band: learned.model if masked else None for band, learned in found.items()}
        items = [_Item(f.source, options, f.grid, box, models[b]) for b, f in found.items() for box in f.grid.tiles]
        results = iter(list(cpu_map(_tile_statistics, items)))
        found = {band: _with_statistics(f, [next(results) for _ in f.grid.tiles]) for band, f in found.items()}
    return found


def _first_look(source: MosaicSource, options: MosaicOptions, mesh_arcsec: float) -> Learned:
    with open_mosaic(source, options, check=False) as reader:
        scale = pixel_scale_arcsec(reader.wcs)
        grid = Grid(reader.shape, scale, mesh_of(scale, mesh_arcsec), _stretch(reader))
        nothing = np.zeros((1, 1))
        return Learned(source, grid, BandModel(Mesh(grid.side, nothing, nothing)), reader.ujy_per_unit, 0)


def _stretch(reader: MosaicReader) -> tuple[tuple[float, float], tuple[float, float]] | None:
    middle = np.array([[(side - 1) / 2] for side in reader.shape])
    linear = sky_jacobian(reader.wcs, middle[1], middle[0])
    long, short, _ = sky_axes(linear, *np.array([[1.0], [1.0], [0.0]]))
    if long[0] < _SQUARE * short[0]:
        return None
    said = (
        "lengths that are counted in pixels (radii of light, distances, boxes) are those of square ones of their area"
    )
    _log.warning("%s: pixels are %.2f times as long as wide: %s", reader.source.uri, long[0] / short[0], said)
    (a, b), (c, d) = linear[0] / np.sqrt(long[0] * short[0])
    return (float(a), float(b)), (float(c), float(d))


def _tile_statistics(item: _Item) -> _TileStatistics:
    box = item.box.grow(_MARGIN_PX)
    with open_mosaic(item.source, item.options, check=False) as reader:
        window = reader.windows(box)
    inner = np.s_[_MARGIN_PX : box.shape[0] - _MARGIN_PX, _MARGIN_PX : box.shape[1] - _MARGIN_PX]
    good = np.isfinite(window.sci)
    err = raw_error(window, None, box)
    quiet = good if item.model is None else good & ~_sources(window.sci, good, item.model.mesh, box, item.grid)
    good, quiet, sci, err = good[inner], quiet[inner], window.sci[inner], err[inner]
    side = item.grid.side
    back, rms = mesh_statistics(sci, quiet, side)
    found = {"back": back, "rms": rms, "scatter": snr_scatter(sci, err, quiet, side)}
    if window.wht is not None:
        found["wht"] = _block_medians(window.wht[inner], good, side)
    part = side // BLOCKS_A_MESH
    blocks = {"err": _block_medians(err, quiet, part), "share": _share(good, part)}
    return _TileStatistics(found, blocks, int(good.sum()), window.err is not None)


def _share(good: NDArray[np.bool_], side: int) -> NDArray[np.float64]:
    """Part of each block that has data; what lies beyond the mosaic has none."""
    share: NDArray[np.float64] = np.nan_to_num(_blocks(good.astype(np.float32), side)).mean(axis=2, dtype=np.float64)
    return share


def _sources(sci: NDArray[np.float32], good: NDArray[np.bool_], mesh: Mesh, box: Box, grid: Grid) -> NDArray[np.bool_]:
    sub = np.where(good, sci - mesh.back_in(box), np.float32(0))
    smooth_px, grow_px = source_scale(grid.scale_arcsec)
    return source_mask(sub, good, mesh.rms_in(box), smooth_px=smooth_px, grow_px=grow_px)


def _block_medians(values: NDArray[np.float32], good: NDArray[np.bool_], side: int) -> NDArray[np.float64]:
    """Median of the good ones among every other pixel of each block; NaN without any."""
    groups = np.sort(_blocks(np.where(good, values, np.float32(np.nan)), side, step=2), axis=2)
    middle = np.maximum(np.isfinite(groups).sum(axis=2) - 1, 0) // 2
    medians: NDArray[np.float64] = np.take_along_axis(groups, middle[..., None], axis=2)[..., 0].astype(np.float64)
    return medians


def _blocks(values: NDArray[np.float32], side: int, step: int = 1) -> NDArray[np.float32]:
    """Rearrange a window into (rows, columns, pixels) of blocks; NaN beyond its edges."""
    rows, columns = cells((values.shape[0], values.shape[1]), side)
    padded = np.full((rows * side, columns * side), np.nan, dtype=np.float32)
    padded[: values.shape[0], : values.shape[1]] = values
    blocks = padded.reshape(rows, side, columns, side)[:, ::step, :, ::step]
    return blocks.swapaxes(1, 2).reshape(rows, columns, -1)


def _with_statistics(learned: Learned, parts: Sequence[_TileStatistics]) -> Learned:
    grid = learned.grid
    boxes = grid.tiles
    lattice = {name: _assemble([p.cells[name] for p in parts], boxes, grid.shape, grid.side) for name in parts[0].cells}
    scatter = _known_median(lattice["scatter"])
    if not scatter > 0:
        said = "has no noise that can be measured: it is empty, or half of it is one value"
        raise NoValidPixelsError(f"{learned.source.uri} {said}")
    mesh = Mesh(grid.side, fill_cells(lattice["back"]), fill_cells(lattice["rms"]))
    has_map = parts[0].has_err or "wht" in lattice
    factor = scatter if has_map else 1.0
    part = grid.side // BLOCKS_A_MESH
    blocks = {name: _assemble([p.blocks[name] for p in parts], boxes, grid.shape, part) for name in parts[0].blocks}
    sigmas = factor * blocks["err"] if has_map else _spread_out(mesh.rms, blocks["share"].shape)
    noise = Lattice.of(part, sigmas, blocks["share"])
    weight = _known_median(lattice["wht"]) if "wht" in lattice else float("nan")
    model = BandModel(mesh, factor, noise.median, noise.coarse(), weight, parts[0].has_err)
    data = [p.valid_px for p in parts]
    return replace(learned, model=model, valid_px=sum(data), lattice=noise, sample=spread(boxes, data, _SAMPLE_TILES))


def _spread_out(values: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Give each block the value of its cell."""
    wide: NDArray[np.float64] = np.repeat(np.repeat(values, BLOCKS_A_MESH, axis=0), BLOCKS_A_MESH, axis=1)
    return wide[: shape[0], : shape[1]]


def _assemble(
    parts: Sequence[NDArray[np.float64]], boxes: Sequence[Box], shape: tuple[int, int], side: int
) -> NDArray[np.float64]:
    whole = np.full(cells(shape, side), np.nan)
    for part, box in zip(parts, boxes, strict=True):
        row, column = box.y0 // side, box.x0 // side
        whole[row : row + part.shape[0], column : column + part.shape[1]] = part
    return whole


def _known_median(values: NDArray[Any]) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else float("nan")


def spread(boxes: Sequence[Box], data: Sequence[int], most: int) -> tuple[Box, ...]:
    """Pick tiles evenly over a mosaic, rows and columns alike, among those that have data.

    Parameters
    ----------
    boxes
        Tiles of a grid.
    data
        Pixels with data in each; one with less than a quarter of the fullest one's is not taken.
    most
        At most so many.

    Returns
    -------
    tuple of Box
        The first few of them are evenly spread too.

    Notes
    -----
    The tiles whose `frac(row x 0.755 + column x 0.570)` is least: Roberts (2018), the R2 sequence as a dither.
    """
    rows, columns = (
        np.unique(starts, return_inverse=True)[1] for starts in zip(*((b.y0, b.x0) for b in boxes), strict=True)
    )
    order = np.argsort((rows * _STEP_DOWN + columns * _STEP_ALONG) % 1, kind="stable")
    return tuple(boxes[i] for i in order if data[i] > 0 and data[i] >= _LEAST_DATA * max(data))[:most]


def source_scale(scale_arcsec: float) -> tuple[float, int]:
    """Return how far sources are smoothed (sigma) and grown when they are masked, pixels."""
    return max(_SMOOTH_ARCSEC / scale_arcsec, 1.0), max(round(_GROW_ARCSEC / scale_arcsec), 1)
