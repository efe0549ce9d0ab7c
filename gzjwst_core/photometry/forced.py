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

from gzjwst_core.catalog.columns import aperture_name, naive_name
from gzjwst_core.detection.calibrated_frame import band_frame
from gzjwst_core.detection.depth import SkyNoise
from gzjwst_core.detection.noise_model import Learned
from gzjwst_core.detection.regrid import (
    Ellipses,
    Owners,
    aligned_shift,
    box_on,
    carry_ellipses,
    carry_labels,
    half_turn,
)
from gzjwst_core.detection.tiles import Detected, DetectionPlan, detection_frame
from gzjwst_core.mosaics.geometry import Box, fit_affine, grid_axes, sky_axes, sky_jacobian
from gzjwst_core.mosaics.reader import MosaicReader, open_mosaic
from gzjwst_core.mosaics.segmap import open_segmap
from gzjwst_core.options import PhotometryOptions
from gzjwst_core.photometry import measure
from gzjwst_core.photometry.centroids import windowed_centres
from gzjwst_core.photometry.curve_of_growth import FRACTIONS, light_radii
from gzjwst_core.photometry.isophote import isophote_diagonals
from gzjwst_core.photometry.measure import Kron, Scene
from gzjwst_core.photometry.moments import segment_shapes
from gzjwst_core.photometry.segment_extent import segment_reaches
from gzjwst_core.photometry.star_masks import sixfold_moments
from gzjwst_core.photometry.target_apertures import given_apertures
from gzjwst_core.runs.engine import CpuMap

__all__ = ["BandScene", "ForcedPlan", "Group", "Place", "band_scene", "groups_of", "measure_field"]

Columns = dict[str, NDArray[Any]]

_REACH, _PAD_PX = 15.0, 8
_REACH_OF_KRON = 1.5
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
    noise: SkyNoise
    """Of the detection image."""
    given: bool = False
    """The objects' ellipses are given: no Kron radius is measured."""


@dataclass(frozen=True, slots=True)
class Group:
    """Sources that are measured in one window."""

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
    groups = list(groups_of(plan, detected))
    parts = list(cpu_map(_measure_group, groups))
    order = np.argsort(np.concatenate([g.objects["id"] for g in groups]), kind="stable")
    return {name: np.concatenate([part[name] for part in parts])[order] for name in parts[0]}


def groups_of(plan: ForcedPlan, detected: Detected) -> Iterator[Group]:
    """Group a field's sources by tile; one too large for the tile's margin is a group of its own."""
    halo = plan.detection.options.halo_px
    reach = np.ceil(_REACH * detected.objects["a"]).astype(int) + _PAD_PX
    for number in np.unique(detected.objects["tile"]):
        here = detected.objects["tile"] == number
        small = here & (reach <= halo)
        if small.any():
            yield Group(plan, detected.tiles[number].grow(halo), detected.objects[small])
        for row in np.flatnonzero(here & (reach > halo)):
            one = detected.objects[row : row + 1]
            yield Group(plan, _around(one, int(min(reach[row], _WIDEST_WINDOW_PX))), one)


def _around(one: NDArray[Any], reach: int) -> Box:
    x, y = round(float(one["x"][0])), round(float(one["y"][0]))
    return Box(y, y + 1, x, x + 1).grow(reach)


def _measure_group(group: Group) -> Columns:
    plan, box, objects = group.plan, group.box, group.objects
    with open_segmap(Path(plan.segmap)) as segmap:
        labels, wcs = segmap.window(box), segmap.wcs
    ids = np.ascontiguousarray(objects["id"])
    law = plan.noise.law_at(objects["y"], objects["x"])
    flat = plan.photometry.pixels == "flat"
    scene = Scene(detection_frame(plan.detection, box), labels, ids, law, flat=flat)
    moments = Ellipses(*(objects[name] for name in ("x", "y", "a", "b", "theta"))).shift(-box.y0, -box.x0)
    kron, columns = _measure_detection(plan, scene, moments, box)
    columns |= _measure_light(scene, kron, columns["flux"], stated=plan.given)
    columns |= {"x": columns["x"] + box.x0, "y": columns["y"] + box.y0}
    place = Place(wcs, box, labels, kron.ellipses.shift(box.y0, box.x0), (columns["x"], columns["y"]), ids, flat)
    for learned in plan.bands:
        with open_mosaic(learned.source, plan.detection.mosaics, check=False) as reader:
            there = band_scene(learned, reader, place)
        columns |= _measure_band(plan, learned, there)
    return columns


def _measure_detection(plan: ForcedPlan, scene: Scene, moments: Ellipses, box: Box) -> tuple[Kron, Columns]:
    scale = plan.detection.scale_arcsec
    given = given_apertures(moments) if plan.given else None
    kron = given or measure.kron_ellipses(scene, moments, plan.photometry, scale)
    flux, _ = measure.ellipse_fluxes(scene, kron.ellipses)
    ring = measure.ring_sums(scene, kron.ellipses, plan.photometry.total_growth)
    segment = measure.segment_sums(scene)
    columns: Columns = {
        "kron_factor": kron.factor,
        "kron_a": kron.ellipses.a,
        "kron_b": kron.ellipses.b,
        "kron_circle": kron.circle,
        "flux": flux,
        "ring_flux": ring.flux,
        "ring_error": ring.error,
        "ring_share": ring.share,
        "snr_det": segment["flux"] / segment["error"],
        "npix": segment["npix"].astype(np.int64),
        "valid_frac": measure.valid_share(scene, kron.ellipses),
        "crowded": measure.crowded_share(scene, kron.ellipses),
        "hollow": measure.hollow(scene, scale),
        "empty_centre": measure.empty_centre(scene, moments.x, moments.y),
    }
    columns["sixfold_re"], columns["sixfold_im"] = sixfold_moments(scene, moments.x, moments.y)
    columns["isophote_diagonal"] = _isophote(plan, scene)
    limits = measure.segment_boxes(scene)
    for name, values in limits.items():
        columns[name] = np.where(values >= 0, values + (box.x0 if name.startswith("x") else box.y0), -1)
    return kron, columns


def _isophote(plan: ForcedPlan, scene: Scene) -> NDArray[np.float64]:
    """Measure above the isophote; given ellipses are no segments of the sources' own."""
    if plan.given:
        return np.full(scene.ids.size, np.nan)
    return isophote_diagonals(scene, plan.photometry.isophote_mag, plan.detection.scale_arcsec)


def _measure_light(scene: Scene, kron: Kron, flux: NDArray[np.float64], *, stated: bool) -> Columns:
    """Find the centres, where they were not stated, and measure what counts from there."""
    e, reach = kron.ellipses, _REACH_OF_KRON * kron.ellipses.a
    r50 = light_radii(scene, e.x, e.y, reach, flux)[:, 1]
    x, y = (e.x, e.y) if stated else windowed_centres(scene, e.x, e.y, r50)
    centre: Columns = {"x": x, "y": y, "edge_dist": measure.edge_distance(scene, x, y)}
    # given ellipses are no segments of the sources' own
    centre["segment_reach"] = np.full(x.size, np.nan) if stated else segment_reaches(scene, x, y)
    return centre | _named("", light_radii(scene, x, y, reach, flux))


def _named(prefix: str, radii: NDArray[np.float64], scale: float = 1.0) -> Columns:
    return {f"{prefix}r{round(100 * part)}": radii[:, i] * scale for i, part in enumerate(FRACTIONS)}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a group is on the detection grid, and what is to be carried from there."""

    wcs: WCS
    box: Box
    labels: NDArray[np.int32]
    kron: Ellipses
    """On the whole grid."""
    centre: tuple[NDArray[np.float64], NDArray[np.float64]]
    """Windowed centres x, y on the whole grid."""
    ids: NDArray[np.int32]
    flat: bool
    """Pixels are even inside."""


@dataclass(frozen=True, slots=True)
class BandScene:
    """A group on a band's own grid; places in pixels of the window."""

    scene: Scene
    kron: Ellipses
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    wcs: WCS
    box: Box

    @property
    def jacobian(self) -> NDArray[np.float64]:
        """How the sky runs along the pixels at each source, (n, 2, 2) arcsec per pixel."""
        return sky_jacobian(self.wcs, self.x + self.box.x0, self.y + self.box.y0)


def band_scene(learned: Learned, reader: MosaicReader, place: Place) -> BandScene:
    """Prepare a band's window, with ellipses, centres and labels carried to its grid."""
    affine = fit_affine(place.wcs, reader.wcs, place.box)
    shift = aligned_shift(affine)
    target = place.box.shift(*shift) if shift is not None else box_on(affine, place.box)
    frame = band_frame(reader.windows(target), learned.model, target)
    if shift is not None:
        labels, ellipses, fine = place.labels, place.kron.shift(*shift), None
        at = place.centre[0] + shift[1], place.centre[1] + shift[0]
    else:
        back = fit_affine(reader.wcs, place.wcs, target)
        labels = carry_labels(place.labels, place.box, target, back)
        fine = Owners.carried(place.labels, place.box, target, back)
        ellipses = carry_ellipses(place.kron, affine, *_carried(place.wcs, reader.wcs, place.kron.x, place.kron.y))
        at = _carried(place.wcs, reader.wcs, *place.centre)
    law = learned.model.noise.law_at(ellipses.y, ellipses.x)
    scene, ellipses = Scene(frame, labels, place.ids, law, fine, place.flat), ellipses.shift(-target.y0, -target.x0)
    return BandScene(scene, ellipses, at[0] - target.x0, at[1] - target.y0, reader.wcs, target)


def _carried(
    here: WCS, there: WCS, x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    x, y = there.all_world2pix(*here.all_pix2world(x, y, 0), 0, quiet=True)
    return np.asarray(x), np.asarray(y)


def _measure_band(plan: ForcedPlan, learned: Learned, view: BandScene) -> Columns:
    band, scene, kron = learned.source.band, view.scene, view.kron
    auto = measure.ellipse_sums(scene, kron)
    segment = measure.segment_sums(scene)
    columns: Columns = {
        f"{band}_flux_auto": auto.flux,
        f"{band}_fluxerr_auto": auto.error,
        naive_name(f"{band}_fluxerr_auto"): auto.naive,
        f"{band}_flux_iso": segment["flux"],
        f"{band}_valid_frac": measure.valid_share(scene, kron),
        f"{band}_wht_med": measure.median_weight(scene, kron),
        f"{band}_hollow": measure.hollow(scene, learned.grid.scale_arcsec),
        f"{band}_empty_centre": measure.empty_centre(scene, kron.x, kron.y),
    }
    columns |= _band_light(learned, view, columns[f"{band}_flux_auto"], segment["flux"] / segment["error"])
    for diameter in plan.photometry.apertures_arcsec:
        circle = _circle(learned, view, diameter / 2)
        error = aperture_name(band, diameter, error=True)
        columns |= {aperture_name(band, diameter): circle.flux, error: circle.error, naive_name(error): circle.naive}
    if band == plan.reference_band:
        columns["peak"] = segment["peak"]
    return columns


def _circle(learned: Learned, view: BandScene, radius_arcsec: float) -> measure.Sums:
    """Sum the light of circles on the sky, which are ellipses on a grid whose pixels are not square."""
    if learned.grid.stretch is None:
        return measure.aperture_sums(view.scene, view.x, view.y, radius_arcsec / learned.grid.scale_arcsec)
    radius = np.full(view.x.shape, radius_arcsec)
    a, b, theta = grid_axes(view.jacobian, radius, radius, np.zeros_like(radius))
    return measure.ellipse_sums(view.scene, Ellipses(view.x, view.y, a, b, half_turn(theta)))


def _band_light(learned: Learned, view: BandScene, flux: NDArray[np.float64], snr: NDArray[np.float64]) -> Columns:
    band, scene = learned.source.band, view.scene
    radii = light_radii(scene, view.x, view.y, _REACH_OF_KRON * view.kron.a, flux)
    ellipticity, theta = segment_shapes(scene, view.x, view.y, snr)
    a, b, angle = sky_axes(view.jacobian, np.ones_like(theta), 1 - ellipticity, theta)
    shape: Columns = {f"{band}_ellipticity": 1 - b / a, f"{band}_theta_sky": angle}
    return shape | _named(f"{band}_", radii, learned.grid.scale_arcsec)
