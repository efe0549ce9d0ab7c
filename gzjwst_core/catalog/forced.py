"""Forced photometry over a field: work items, windows of every band, columns of every source.

The sources of a tile are measured in one window of the detection image and one of each band, on that band's own grid;
a source too large for the tile's margin gets a window of its own. Opening and reading is done here, arithmetic in
`measure` and `carry`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.wcs import WCS
from numpy.typing import NDArray

from gzjwst_core.catalog import measure
from gzjwst_core.catalog.carry import Ellipses, aligned_shift, box_on, carry_ellipses, carry_labels
from gzjwst_core.catalog.columns import aperture_name
from gzjwst_core.catalog.frames import band_frame
from gzjwst_core.catalog.given_shapes import given_apertures
from gzjwst_core.catalog.learn import Learned
from gzjwst_core.catalog.measure import Kron, Scene
from gzjwst_core.catalog.noise import WHITE, NoiseLaw
from gzjwst_core.catalog.tiles import Detected, DetectionPlan, detection_frame
from gzjwst_core.engine import CpuMap
from gzjwst_core.mosaics.geometry import Box, fit_affine
from gzjwst_core.mosaics.reader import MosaicReader, open_mosaic
from gzjwst_core.mosaics.segmap import open_segmap
from gzjwst_core.options import PhotometryOptions

__all__ = ["ForcedPlan", "measure_field"]

Columns = dict[str, NDArray[Any]]

_REACH, _PAD_PX = 15.0, 8
_WIDEST_WINDOW_PX = 2048


@dataclass(frozen=True)
class ForcedPlan:
    """What a worker needs to measure any group of sources."""

    detection: DetectionPlan
    bands: tuple[Learned, ...]
    photometry: PhotometryOptions
    segmap: str
    """Path of the segmap."""
    reference_band: str
    law: NoiseLaw = WHITE
    """Noise of sums on the detection image."""
    given: bool = False
    """The objects' ellipses are given: no Kron radius is measured."""


@dataclass(frozen=True, slots=True)
class _Group:
    plan: ForcedPlan
    box: Box
    objects: NDArray[Any]


def measure_field(plan: ForcedPlan, detected: Detected, *, cpu_map: CpuMap) -> Columns:
    """Measure every source of a field.

    Parameters
    ----------
    plan
        Bands, options, segmap.
    detected
        From `tiles.detect_field`.
    cpu_map
        Where the work runs.

    Returns
    -------
    dict
        Columns in the order of `detected.objects`: lengths and positions in pixels of the detection grid, fluxes in
        uJy; band columns as they will be named in the catalog.
    """
    groups = list(_groups(plan, detected))
    parts = list(cpu_map(_measure_group, groups))
    order = np.argsort(np.concatenate([g.objects["id"] for g in groups]), kind="stable")
    return {name: np.concatenate([part[name] for part in parts])[order] for name in parts[0]}


def _groups(plan: ForcedPlan, detected: Detected) -> Iterator[_Group]:
    halo = plan.detection.options.halo_px
    reach = np.ceil(_REACH * detected.objects["a"]).astype(int) + _PAD_PX
    for number in np.unique(detected.objects["tile"]):
        here = detected.objects["tile"] == number
        small = here & (reach <= halo)
        if small.any():
            yield _Group(plan, detected.tiles[number].grow(halo), detected.objects[small])
        for row in np.flatnonzero(here & (reach > halo)):
            one = detected.objects[row : row + 1]
            yield _Group(plan, _around(one, int(min(reach[row], _WIDEST_WINDOW_PX))), one)


def _around(one: NDArray[Any], reach: int) -> Box:
    x, y = round(float(one["x"][0])), round(float(one["y"][0]))
    return Box(y, y + 1, x, x + 1).grow(reach)


def _measure_group(group: _Group) -> Columns:
    plan, box, objects = group.plan, group.box, group.objects
    with open_segmap(Path(plan.segmap)) as segmap:
        labels, wcs = segmap.window(box), segmap.wcs
    ids = np.ascontiguousarray(objects["id"])
    scene = Scene(detection_frame(plan.detection, box), labels, ids, plan.law)
    moments = Ellipses(*(objects[name] for name in ("x", "y", "a", "b", "theta"))).shift(-box.y0, -box.x0)
    kron, columns = _measure_detection(plan, scene, moments, box)
    place = _Place(wcs, box, labels, kron.ellipses.shift(box.y0, box.x0), ids)
    for learned in plan.bands:
        with open_mosaic(learned.source, plan.detection.mosaics, check=False) as reader:
            there, ellipses = _band_scene(learned, reader, place)
        columns |= _measure_band(plan, learned, there, ellipses)
    return columns


def _measure_detection(plan: ForcedPlan, scene: Scene, moments: Ellipses, box: Box) -> tuple[Kron, Columns]:
    scale = plan.detection.scale_arcsec
    given = given_apertures(moments) if plan.given else None
    kron = given or measure.kron_ellipses(scene, moments, plan.photometry, scale)
    flux, error = measure.ellipse_fluxes(scene, kron.ellipses)
    wide, wide_error = measure.ellipse_fluxes(scene, kron.ellipses.scaled(plan.photometry.total_growth))
    radii = measure.light_radii(scene, kron, flux)
    segment = measure.segment_sums(scene)
    columns: Columns = {
        "kron_factor": kron.factor,
        "kron_a": kron.ellipses.a,
        "kron_b": kron.ellipses.b,
        "kron_circle": kron.circle,
        "flux": flux,
        "error": error,
        "wide_flux": wide,
        "wide_error": wide_error,
        "r20": radii[:, 0],
        "r50": radii[:, 1],
        "r90": radii[:, 2],
        "snr_det": segment["flux"] / segment["error"],
        "npix": segment["npix"].astype(np.int64),
        "valid_frac": measure.valid_share(scene, kron.ellipses),
        "crowded": measure.crowded_share(scene, kron.ellipses),
        "edge_dist": measure.edge_distance(scene, moments.x, moments.y),
        "hollow": measure.hollow(scene, scale),
        "empty_centre": measure.empty_centre(scene, moments.x, moments.y),
    }
    limits = measure.segment_boxes(scene)
    for name, values in limits.items():
        columns[name] = np.where(values >= 0, values + (box.x0 if name.startswith("x") else box.y0), -1)
    return kron, columns


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a group is on the detection grid, and what is to be carried from there."""

    wcs: WCS
    box: Box
    labels: NDArray[np.int32]
    kron: Ellipses
    """On the whole grid."""
    ids: NDArray[np.int32]


def _band_scene(learned: Learned, reader: MosaicReader, place: _Place) -> tuple[Scene, Ellipses]:
    """Prepare a band's window, with ellipses and labels carried to its grid."""
    affine = fit_affine(place.wcs, reader.wcs, place.box)
    shift = aligned_shift(affine)
    target = place.box.shift(*shift) if shift is not None else box_on(affine, place.box)
    frame = band_frame(reader.windows(target), learned.model, target)
    if shift is not None:
        labels, ellipses = place.labels, place.kron.shift(*shift)
    else:
        labels = carry_labels(place.labels, place.box, target, fit_affine(reader.wcs, place.wcs, target))
        sky = place.wcs.all_pix2world(place.kron.x, place.kron.y, 0)
        x, y = (np.asarray(v) for v in reader.wcs.all_world2pix(*sky, 0))
        ellipses = carry_ellipses(place.kron, affine, x, y)
    return Scene(frame, labels, place.ids, learned.model.law), ellipses.shift(-target.y0, -target.x0)


def _measure_band(plan: ForcedPlan, learned: Learned, scene: Scene, kron: Ellipses) -> Columns:
    band = learned.source.band
    flux, error = measure.ellipse_fluxes(scene, kron)
    segment = measure.segment_sums(scene)
    columns: Columns = {
        f"{band}_flux_auto": flux,
        f"{band}_fluxerr_auto": error,
        f"{band}_flux_iso": segment["flux"],
        f"{band}_valid_frac": measure.valid_share(scene, kron),
        f"{band}_wht_med": measure.median_weight(scene, kron),
        f"{band}_hollow": measure.hollow(scene, learned.grid.scale_arcsec),
        f"{band}_empty_centre": measure.empty_centre(scene, kron.x, kron.y),
    }
    for diameter in plan.photometry.apertures_arcsec:
        radius = diameter / 2 / learned.grid.scale_arcsec
        flux, error = measure.aperture_fluxes(scene, kron.x, kron.y, radius)
        columns[aperture_name(band, diameter)] = flux
        columns[aperture_name(band, diameter, error=True)] = error
    if band == plan.reference_band:
        columns["peak"] = segment["peak"]
    return columns
