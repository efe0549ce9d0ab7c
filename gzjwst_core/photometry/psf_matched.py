"""Fluxes for colours: every band with the PSF of the reddest one, in the same Kron ellipse.

A second pass over the field, after its catalog has told which sources are stars: PSFs, kernels, noise of the
convolved frames, fluxes. The ellipse is flux_auto's: with one PSF for all it holds the same part of a galaxy in each
band, as no small circle does of a galaxy whose colour changes with radius.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from gzjwst_core.bands import wavelength_um
from gzjwst_core.detection.calibrated_frame import Frame
from gzjwst_core.detection.empty_apertures import SkyTile, circles, sky_window, with_laws
from gzjwst_core.detection.noise import Apertures
from gzjwst_core.detection.noise_model import Learned
from gzjwst_core.detection.regrid import Ellipses
from gzjwst_core.detection.tiles import Detected
from gzjwst_core.errors import ProfileError
from gzjwst_core.mosaics.geometry import fit_affine, whole
from gzjwst_core.mosaics.reader import open_mosaic
from gzjwst_core.mosaics.segmap import open_segmap
from gzjwst_core.options import PsfOptions
from gzjwst_core.photometry.forced import Columns, ForcedPlan, Group, Place, band_scene, groups_of
from gzjwst_core.photometry.measure import ellipse_fluxes
from gzjwst_core.psf.known import psf_of
from gzjwst_core.psf.matching import convolved, matching_kernel
from gzjwst_core.psf.stamp import Psf
from gzjwst_core.runs.engine import CpuMap

__all__ = ["add_wings", "measure_matched"]

_NOISE_TILES, _REACH_ARCSEC = 6, 1.5


@dataclass(frozen=True, slots=True)
class _Matched:
    """One band and what brings it to the reddest band's PSF; no kernel for that one itself."""

    learned: Learned
    """With the noise laws of its convolved frames."""
    kernel: NDArray[np.float32] | None


@dataclass(frozen=True, slots=True)
class _NoiseItem:
    tile: SkyTile
    kernel: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _FluxItem:
    group: Group
    kron: Ellipses
    """On the whole detection grid, in the order of the group's objects."""
    bands: tuple[_Matched, ...]


def measure_matched(
    plan: ForcedPlan, detected: Detected, kron: Ellipses, table: Table, options: PsfOptions, *, cpu_map: CpuMap
) -> tuple[Columns, dict[str, int]]:
    """Measure `{band}_flux_matched` and `{band}_fluxerr_matched` of every source of a field.

    Parameters
    ----------
    plan
        Of the forced photometry.
    detected
        Objects on the detection grid.
    kron
        Their Kron ellipses there, pixels, in the order of the objects.
    table
        The field's catalog: its stars make the PSFs.
    options
        Where PSFs come from.
    cpu_map
        Where the work runs.

    Returns
    -------
    columns, counts
        uJy, in the order of the objects; `psf:<band>:<origin>` is the number of stars behind each PSF.

    Raises
    ------
    ProfileError
        A PSF's file cannot be used, photutils is not installed, or a mosaic's pixels are not square.

    Notes
    -----
    Errors are those of apertures on the empty sky of the convolved frames, off segments, by depth: convolving
    correlates the noise. Neighbours' wings are not in them: `add_wings`.
    """
    if long := [one.source.uri for one in plan.bands if one.grid.stretch is not None]:
        raise ProfileError(f"psf.match: the pixels of {', '.join(long)} are not square: set it to none")
    psfs = _psfs(plan, table, options)
    bands = _with_laws(plan, _kernels(plan, psfs), cpu_map)
    items = []
    for group in groups_of(plan, detected):
        rows = np.searchsorted(detected.objects["id"], group.objects["id"])
        items.append(_FluxItem(group, kron.take(rows), bands))
    parts = list(cpu_map(_measure_group, items))
    order = np.argsort(np.concatenate([item.group.objects["id"] for item in items]), kind="stable")
    columns = {name: np.concatenate([part[name] for part in parts])[order] for name in parts[0]}
    return columns, {f"psf:{band}:{psf.origin}": psf.stars for band, psf in psfs.items()}


def add_wings(table: Table, band: str) -> None:
    """Add what neighbours' wings put into the ellipse to `{band}_fluxerr_matched`, as `{band}_fluxerr_auto` has it.

    Parameters
    ----------
    table
        Of a field, with `{band}_sb_wings`, `kron_a` and `kron_b`; changed in place.
    band
        Which; without a mosaic its columns are NaN and stay so.
    """
    kron_a, kron_b, wings = (np.asarray(table[n], dtype=float) for n in ("kron_a", "kron_b", f"{band}_sb_wings"))
    name = f"{band}_fluxerr_matched"
    table[name] = np.hypot(np.asarray(table[name], dtype=float), wings * np.pi * kron_a * kron_b)


def _psfs(plan: ForcedPlan, table: Table, options: PsfOptions) -> dict[str, Psf]:
    """Find every band's PSF; where one has too few stars all take the formula: a kernel wants two of one kind."""
    psfs = {b.source.band: psf_of(b.source, options, plan.detection.mosaics, table) for b in plan.bands}
    if any(psf.origin == "model" for psf in psfs.values()):
        return {b.source.band: psf_of(b.source, options, plan.detection.mosaics, table[:0]) for b in plan.bands}
    return psfs


def _kernels(plan: ForcedPlan, psfs: Mapping[str, Psf]) -> dict[str, NDArray[np.float32] | None]:
    reddest = max(plan.bands, key=lambda b: wavelength_um(b.source.band))
    target = psfs[reddest.source.band]
    kernels: dict[str, NDArray[np.float32] | None] = {}
    for learned in plan.bands:
        band = learned.source.band
        turn = _turn(plan, reddest, learned)
        kernels[band] = None if learned is reddest else matching_kernel(psfs[band], target, turn_deg=turn)
    return kernels


def _turn(plan: ForcedPlan, one: Learned, other: Learned) -> float:
    """Angle from one band's grid to another's, deg."""
    options = plan.detection.mosaics
    with open_mosaic(one.source, options, check=False) as a, open_mosaic(other.source, options, check=False) as b:
        matrix = fit_affine(a.wcs, b.wcs, whole(a.shape)).matrix
    return float(np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0])))


def _with_laws(
    plan: ForcedPlan, kernels: Mapping[str, NDArray[np.float32] | None], cpu_map: CpuMap
) -> tuple[_Matched, ...]:
    made = []
    for learned in plan.bands:
        kernel = kernels[learned.source.band]
        if kernel is None:
            made.append(_Matched(learned, None))
            continue
        segmap = "" if plan.given else plan.segmap
        tiles = [SkyTile(plan.detection, learned, segmap, box) for box in learned.sample[:_NOISE_TILES]]
        parts = list(cpu_map(_tile_apertures, [_NoiseItem(tile, kernel) for tile in tiles]))
        model = learned.model
        noise = with_laws(model.noise, model.sigma, parts, learned.grid.scale_arcsec)
        made.append(_Matched(replace(learned, model=replace(model, noise=noise)), kernel))
    return tuple(made)


def _tile_apertures(item: _NoiseItem) -> list[Apertures]:
    """Measure the convolved frame off segments; what is bright without one is told on the frame as it is."""
    tile = item.tile
    box = tile.box.grow(round(_REACH_ARCSEC / tile.scale_arcsec))
    frame, taken = sky_window(replace(tile, box=box))
    smooth = _smoothed(frame, item.kernel)
    inner = tile.box.shift(-box.y0, -box.x0).slices
    sub, err = np.ascontiguousarray(smooth.sub[inner]), np.ascontiguousarray(smooth.err[inner])
    return circles(Frame(sub, err, smooth.bad[inner]), taken[inner], tile)


def _smoothed(frame: Frame, kernel: NDArray[np.float32] | None) -> Frame:
    """Return the frame with the other PSF; the noise map stays the unconvolved one, which the law counts from."""
    if kernel is None:
        return frame
    sub, bad = convolved(frame.sub, frame.bad, kernel)
    return Frame(sub, np.where(bad, np.float32(0), frame.err), bad, frame.wht)


def _measure_group(item: _FluxItem) -> Columns:
    plan, box = item.group.plan, item.group.box
    with open_segmap(Path(plan.segmap)) as segmap:
        labels, wcs = segmap.window(box), segmap.wcs
    ids = np.ascontiguousarray(item.group.objects["id"])
    flat = plan.photometry.pixels == "flat"
    place = Place(wcs, box, labels, item.kron, (item.kron.x, item.kron.y), ids, flat)
    columns: Columns = {}
    for matched in item.bands:
        with open_mosaic(matched.learned.source, plan.detection.mosaics, check=False) as reader:
            there = band_scene(matched.learned, reader, place)
        scene = replace(there.scene, frame=_smoothed(there.scene.frame, matched.kernel))
        flux, error = ellipse_fluxes(scene, there.kron)
        band = matched.learned.source.band
        columns |= {f"{band}_flux_matched": flux, f"{band}_fluxerr_matched": error}
    return columns
