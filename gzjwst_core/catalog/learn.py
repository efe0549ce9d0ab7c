"""Learn what a mosaic's background and noise are, in three passes over its tiles.

First the background of everything, then of what is left when sources are masked, then the noise of apertures on empty
sky. Each pass is a list of small work items for `cpu_map`; a worker opens the mosaic itself. The tiles are whole
meshes, so that what is learned does not depend on the tiles of detection. The arithmetic is in `background`, `noise`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gzjwst_core.catalog.background import Mesh, cells, fill_cells, mesh_of, mesh_statistics, source_mask
from gzjwst_core.catalog.frames import BandModel, band_frame, raw_error
from gzjwst_core.catalog.noise import NoiseLaw, empty_apertures, fit_noise_law, snr_scatter
from gzjwst_core.engine import CpuMap
from gzjwst_core.errors import NoValidPixelsError
from gzjwst_core.models import MosaicSource
from gzjwst_core.mosaics.geometry import Box, pixel_scale_arcsec, tiles
from gzjwst_core.mosaics.reader import open_mosaic
from gzjwst_core.options import MosaicOptions

__all__ = ["Grid", "Learned", "law_of", "learn_bands", "noise_radii_px", "source_scale", "spread"]

_TILE_PX = 1024
_MARGIN_PX = 32
_NOISE_RADII_ARCSEC = (0.1, 0.15, 0.25, 0.4, 0.6)
_NOISE_TILES = 12
_SMOOTH_ARCSEC = 0.06
_GROW_ARCSEC = 0.24


@dataclass(frozen=True, slots=True)
class Grid:
    """The pixel grid of a mosaic."""

    shape: tuple[int, int]
    scale_arcsec: float
    side: int
    """Side of a background mesh, pixels."""

    @property
    def tiles(self) -> list[Box]:
        """Tiles of whole meshes, about 1024 pixels a side."""
        return list(tiles(self.shape, max(_TILE_PX // self.side, 1) * self.side))


@dataclass(frozen=True)
class Learned:
    """One mosaic, its grid and its model; small enough to send to a worker."""

    source: MosaicSource
    grid: Grid
    model: BandModel
    ujy_per_unit: float
    valid_px: int


@dataclass(frozen=True, slots=True)
class _Item:
    source: MosaicSource
    options: MosaicOptions
    grid: Grid
    box: Box
    model: BandModel | None
    """None before anything is known."""

    @property
    def known(self) -> BandModel:
        """The model of the third pass, which always has one."""
        nothing = np.zeros((1, 1))
        return self.model or BandModel(Mesh(self.grid.side, nothing, nothing))


@dataclass(frozen=True, slots=True)
class _TileStatistics:
    """Cells of one tile: background, its rms, scatter of the noise map, median noise and weight; valid pixels."""

    cells: Mapping[str, NDArray[np.float64]]
    valid_px: int
    has_err: bool


def learn_bands(
    sources: Sequence[MosaicSource], options: MosaicOptions, mesh_arcsec: float, *, cpu_map: CpuMap
) -> dict[str, Learned]:
    """Learn the background, noise map and noise law of several mosaics of one field.

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
    return _with_laws(found, options, cpu_map)


def _first_look(source: MosaicSource, options: MosaicOptions, mesh_arcsec: float) -> Learned:
    with open_mosaic(source, options) as reader:
        scale = pixel_scale_arcsec(reader.wcs)
        grid = Grid(reader.shape, scale, mesh_of(scale, mesh_arcsec))
        nothing = np.zeros((1, 1))
        return Learned(source, grid, BandModel(Mesh(grid.side, nothing, nothing)), reader.ujy_per_unit, 0)


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
    found["err"] = _cell_medians(err, quiet, side)
    if window.wht is not None:
        found["wht"] = _cell_medians(window.wht[inner], good, side)
    return _TileStatistics(found, int(good.sum()), window.err is not None)


def _sources(sci: NDArray[np.float32], good: NDArray[np.bool_], mesh: Mesh, box: Box, grid: Grid) -> NDArray[np.bool_]:
    sub = np.where(good, sci - mesh.back_in(box), np.float32(0))
    smooth_px, grow_px = source_scale(grid.scale_arcsec)
    return source_mask(sub, good, mesh.rms_in(box), smooth_px=smooth_px, grow_px=grow_px)


def _cell_medians(values: NDArray[np.float32], good: NDArray[np.bool_], side: int) -> NDArray[np.float64]:
    shape = cells((values.shape[0], values.shape[1]), side)
    medians = np.full(shape, np.nan)
    for row, column in np.ndindex(shape):
        cell = np.s_[row * side : (row + 1) * side : 2, column * side : (column + 1) * side : 2]
        here = values[cell][good[cell]]
        if here.size:
            medians[row, column] = np.median(here)
    return medians


def _with_statistics(learned: Learned, parts: Sequence[_TileStatistics]) -> Learned:
    grid = learned.grid
    boxes = grid.tiles
    lattice = {name: _assemble([p.cells[name] for p in parts], boxes, grid) for name in parts[0].cells}
    scatter = _known_median(lattice["scatter"])
    if not scatter > 0:
        raise NoValidPixelsError(f"{learned.source.uri} has no noise that can be measured: it is constant or empty")
    mesh = Mesh(grid.side, fill_cells(lattice["back"]), fill_cells(lattice["rms"]))
    has_map = parts[0].has_err or "wht" in lattice
    factor = scatter if has_map else 1.0
    sigma = factor * _known_median(lattice["err"]) if has_map else _known_median(lattice["rms"])
    weight = _known_median(lattice["wht"]) if "wht" in lattice else float("nan")
    model = BandModel(mesh, factor, sigma, wht_median=weight, has_err=parts[0].has_err)
    return replace(learned, model=model, valid_px=sum(p.valid_px for p in parts))


def _assemble(parts: Sequence[NDArray[np.float64]], boxes: Sequence[Box], grid: Grid) -> NDArray[np.float64]:
    whole = np.full(cells(grid.shape, grid.side), np.nan)
    for part, box in zip(parts, boxes, strict=True):
        row, column = box.y0 // grid.side, box.x0 // grid.side
        whole[row : row + part.shape[0], column : column + part.shape[1]] = part
    return whole


def _known_median(values: NDArray[Any]) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else float("nan")


def _with_laws(found: Mapping[str, Learned], options: MosaicOptions, cpu_map: CpuMap) -> dict[str, Learned]:
    chosen = {band: spread(f.grid.tiles, _NOISE_TILES) for band, f in found.items()}
    items = [_Item(f.source, options, f.grid, box, f.model) for band, f in found.items() for box in chosen[band]]
    results = iter(list(cpu_map(_tile_apertures, items)))
    laws = {}
    for band, f in found.items():
        laws[band] = law_of([next(results) for _ in chosen[band]], f.grid.scale_arcsec)
    return {band: replace(f, model=replace(f.model, law=laws[band])) for band, f in found.items()}


def spread(boxes: Sequence[Box], most: int) -> list[Box]:
    """Pick at most so many tiles, evenly over the mosaic."""
    count = min(len(boxes), most)
    return [boxes[i * len(boxes) // count] for i in range(count)]


def law_of(samples: Iterable[Sequence[NDArray[np.float64]]], scale_arcsec: float) -> NoiseLaw:
    """Fit the noise law to the empty apertures of several tiles."""
    radii = noise_radii_px(scale_arcsec)
    together = [np.concatenate(of_radius) for of_radius in zip(*samples, strict=True)]
    return fit_noise_law(together, radii)


def source_scale(scale_arcsec: float) -> tuple[float, int]:
    """Return how far sources are smoothed (sigma) and grown when they are masked, pixels."""
    return max(_SMOOTH_ARCSEC / scale_arcsec, 1.0), max(round(_GROW_ARCSEC / scale_arcsec), 1)


def noise_radii_px(scale_arcsec: float) -> list[float]:
    """Return the radii of the empty apertures in pixels: 0.1 to 0.6 arcsec."""
    return [radius / scale_arcsec for radius in _NOISE_RADII_ARCSEC]


def _tile_apertures(item: _Item) -> list[NDArray[np.float64]]:
    with open_mosaic(item.source, item.options, check=False) as reader:
        window = reader.windows(item.box)
    frame = band_frame(window, item.known, item.box)
    smooth_px, grow_px = source_scale(item.grid.scale_arcsec)
    sources = source_mask(frame.sub, ~frame.bad, frame.err, smooth_px=smooth_px, grow_px=grow_px)
    return empty_apertures(frame.sub, frame.err, frame.bad | sources, noise_radii_px(item.grid.scale_arcsec))
