"""Put a field's table together: everything that needs all of its sources at once, units and names.

Sky positions and angles, total fluxes, stars, neighbours, edges, flags; and the table of mosaics. Arrays in, tables
out; measuring pixels is in `measure`.
"""

import math
import re
from typing import Any

import numpy as np
from astropy.table import Table
from astropy.wcs import WCS
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from scipy.spatial import cKDTree

from gzjwst_core.catalog.columns import aperture_name, columns_for, naive_name
from gzjwst_core.detection.noise_model import Learned
from gzjwst_core.detection.outline import missing_kind
from gzjwst_core.detection.tiles import BLOCK_PX, Detected
from gzjwst_core.mosaics.geometry import sky_axes, sky_jacobian
from gzjwst_core.mosaics.units import ab_magnitude, magnitude_error, zero_point_ab
from gzjwst_core.photometry import star_locus as stars
from gzjwst_core.photometry import star_masks as halos
from gzjwst_core.photometry.curve_of_growth import concentration, mean_brightness
from gzjwst_core.photometry.flags import flags_of
from gzjwst_core.photometry.forced import Columns, ForcedPlan
from gzjwst_core.photometry.neighbour_light import Wings
from gzjwst_core.photometry.total_flux import Growth, total_factors
from gzjwst_core.storage.tables import apply_columns

__all__ = ["mosaic_table", "source_table", "with_mosaic_units"]

Floats = NDArray[np.float64]

_HALF_COVERED = 0.5
_STAR_SCORE, _STAR_ELLIPTICITY, _STAR_SNR, _HOLLOW_STAR_SNR = 0.5, 0.3, 20.0, 100.0
_BRIGHT_STAR_MAG = 21.0


def source_table(plan: ForcedPlan, detected: Detected, measured: Columns, wcs: WCS, bands: tuple[str, ...]) -> Table:
    """Build the table of sources.

    Parameters
    ----------
    plan
        What was measured, how, and in which bands.
    detected
        Objects on the detection grid.
    measured
        From `forced.measure_field`, in the order of the objects.
    wcs
        Of the detection grid.
    bands
        Bands of the survey.

    Returns
    -------
    Table
        Exactly `columns_for(bands, apertures)`, ordered by segment id; objects without pixels are left out.
    """
    kept = measured["npix"] > 0
    columns = {name: values[kept] for name, values in measured.items()}
    objects = detected.objects[kept]
    objects["x"], objects["y"] = columns["x"], columns["y"]
    names = columns_for(bands, plan.photometry.apertures_arcsec)
    scale = plan.detection.scale_arcsec
    rows: dict[str, Any] = _identity(plan, objects)
    rows |= _shape(objects, columns, wcs, scale)
    rows |= _light(columns, scale)
    total = rows["total_factor"], rows["total_factor_err"]
    rows |= _bands(_with_wings(columns, objects, rows, plan), total, plan, bands)
    rows["mag_ref"] = rows[f"{plan.reference_band}_mag_tot"]
    rows["n_bands"] = _band_count(columns, plan)
    rows["edge_dist"] = _edge_distance(columns, objects, detected, plan)
    rows["nn_dist"] = _nearest(objects, scale)
    rows["valid_frac"] = columns["valid_frac"]
    rows["valid_frac_min"] = _least_share(columns, plan)
    hollow, star = _star_columns(rows, columns, plan)
    rows |= star
    rows["flags"] = flags_of(
        _flag_columns(rows, columns, objects, plan, hollow)
        | _missing(rows, objects, detected, scale)
        | {"in_zone": _in_star_zone(rows, columns, hollow, wcs, plan)},
        weight_ratio=_weight_ratio(columns, plan),
        no_error_map=not _reference(plan).model.has_err,
    )
    return apply_columns(Table({c.name: rows[c.name] for c in names}), names)


def _identity(plan: ForcedPlan, objects: NDArray[Any]) -> dict[str, Any]:
    count = len(objects)
    return {
        "field": np.full(count, plan.detection.bands[0].source.field),
        "source_id": np.arange(1, count + 1),
        "segment_id": objects["id"],
        "ext_id": np.full(count, ""),
        "which_catalogue": np.full(count, ""),
        "ext_fov": np.full(count, np.nan),
    }


def _shape(objects: NDArray[Any], columns: Columns, wcs: WCS, scale: float) -> dict[str, Any]:
    x, y, theta = objects["x"], objects["y"], objects["theta"]
    ra, dec = (np.asarray(v, dtype=float) for v in wcs.all_pix2world(x, y, 0))
    width, height = columns["xmax"] - columns["xmin"] + 1, columns["ymax"] - columns["ymin"] + 1
    jacobian = sky_jacobian(wcs, x, y)
    a, b, angle = sky_axes(jacobian, objects["a"], objects["b"], theta)
    kron_a, kron_b, _ = sky_axes(jacobian, columns["kron_a"], columns["kron_b"], theta)
    shape = {name: columns[name] for name in ("npix", "xmin", "xmax", "ymin", "ymax", "kron_factor")}
    return shape | {
        "x": x,
        "y": y,
        "ra": ra,
        "dec": dec,
        "a": a,
        "b": b,
        "theta_image": np.degrees(theta),
        "theta_sky": angle,
        "ellipticity": 1 - b / np.maximum(a, 1e-12),
        "bbox_diagonal": np.hypot(width, height) * scale,
        "isophote_diagonal": columns["isophote_diagonal"] * scale,
        "segment_reach": columns["segment_reach"] * scale,
        "kron_a": kron_a,
        "kron_b": kron_b,
    }


def _light(columns: Columns, scale: float) -> dict[str, Any]:
    whole = (columns["valid_frac"] == 1) & ~columns["hollow"]
    growth = Growth(columns["flux"], columns["ring_flux"], columns["ring_error"], columns["ring_share"])
    factor, factor_error = total_factors(growth, columns["crowded"], whole)
    light = {name: columns[name] * scale for name in ("r20", "r50", "r90")}
    return light | {
        "concentration": concentration(columns["r20"], columns["r80"]),
        "mu_max": ab_magnitude(columns["peak"] / scale**2),
        "snr_det": columns["snr_det"],
        "total_factor": factor.astype(np.float32).astype(float),  # as stored, so that products of columns agree
        "total_factor_err": factor_error,
    }


def _with_wings(columns: Columns, objects: NDArray[Any], rows: dict[str, Any], plan: ForcedPlan) -> Columns:
    """Add what neighbours' wings put into every aperture to its error."""
    places = np.column_stack([objects["x"], objects["y"]]) * plan.detection.scale_arcsec
    wings = Wings.between(places, rows["r50"], rows["r90"], rows["total_factor"])
    made = dict(columns)
    for band in (learned.source.band for learned in plan.bands):
        light = wings.brightness(columns[f"{band}_flux_auto"] * rows["total_factor"])
        made[f"{band}_sb_wings"] = light
        of = {f"{band}_fluxerr_auto": np.pi * rows["kron_a"] * rows["kron_b"]}
        of |= {aperture_name(band, d, error=True): np.pi * d**2 / 4 for d in plan.photometry.apertures_arcsec}
        made |= {name: np.hypot(columns[name], light * area) for name, area in of.items()}
    return made


def _bands(columns: Columns, total: tuple[Floats, Floats], plan: ForcedPlan, bands: tuple[str, ...]) -> dict[str, Any]:
    factor, factor_error = total
    here = {learned.source.band for learned in plan.bands}
    made: dict[str, Any] = {}
    for band in bands:
        flux, error = (_column(columns, f"{band}_{n}", band in here, factor) for n in ("flux_auto", "fluxerr_auto"))
        made |= {f"{band}_flux_auto": flux, f"{band}_fluxerr_auto": error}
        made |= _spread(columns, band, band in here, flux, error)
        flux, error = flux * factor, np.hypot(error * factor, flux * factor_error)
        made |= {f"{band}_flux_tot": flux, f"{band}_fluxerr_tot": error}
        made |= {f"{band}_mag_tot": ab_magnitude(flux), f"{band}_mag_tot_err": magnitude_error(flux, error)}
        plain = ("fluxerr_auto_naive", "flux_iso", "sb_wings", "valid_frac", "wht_med", "ellipticity", "theta_sky")
        names = [f"{band}_{name}" for name in plain]
        for diameter in plan.photometry.apertures_arcsec:
            of_circle = aperture_name(band, diameter, error=True)
            names += [aperture_name(band, diameter), of_circle, naive_name(of_circle)]
        made |= {name: _column(columns, name, band in here, factor) for name in names}
    return made


def _spread(columns: Columns, band: str, measured: bool, flux: Floats, error: Floats) -> dict[str, Floats]:
    """Sizes in one band, and how well they fit a point source of that band."""
    names = ("r20", "r50", "r80", "r90", "ellipticity")
    r20, r50, r80, r90, ellipticity = (_column(columns, f"{band}_{n}", measured, flux) for n in names)
    snr = np.divide(flux, error, out=np.zeros_like(flux), where=error > 0)
    locus = stars.point_source_r50(r50, snr, ellipticity, stars.expected_r50([band]))
    made = {"r20": r20, "r50": r50, "r90": r90, "mu_50": mean_brightness(flux, r50)}
    made |= {"concentration": concentration(r20, r80), "star_score": stars.star_scores(r50, snr, locus)}
    return {f"{band}_{name}": values for name, values in made.items()}


def _column(columns: Columns, name: str, measured: bool, like: Floats) -> Floats:
    if not measured:
        return np.full(like.shape, 0.0 if name.endswith("valid_frac") else np.nan)
    return np.asarray(columns[name], dtype=float)


def _band_shares(plan: ForcedPlan, columns: Columns) -> list[Floats]:
    return [columns[f"{learned.source.band}_valid_frac"] for learned in plan.bands]


def _band_count(columns: Columns, plan: ForcedPlan) -> NDArray[np.int64]:
    return np.asarray(np.sum([share >= _HALF_COVERED for share in _band_shares(plan, columns)], axis=0))


def _least_share(columns: Columns, plan: ForcedPlan) -> Floats:
    """Least part with data of the bands that reach the source; a band that is not there at all cuts nothing off."""
    shares = [np.where(share > 0, share, 1.0) for share in _band_shares(plan, columns)]
    return np.asarray(np.min([columns["valid_frac"], *shares], axis=0), dtype=float)


def _edge_distance(columns: Columns, objects: NDArray[Any], detected: Detected, plan: ForcedPlan) -> Floats:
    """Arcsec: exact within a tile's margin, beyond it from blocks of 16 pixels (good to about a block)."""
    halo = float(plan.detection.options.halo_px)
    empty = np.pad(detected.empty_blocks, 1, constant_values=True)  # beyond the mosaic there is nothing either
    coarse = distance_transform_edt(~empty) * BLOCK_PX
    rows = np.clip(np.rint(objects["y"]).astype(int) // BLOCK_PX + 1, 0, empty.shape[0] - 1)
    cols = np.clip(np.rint(objects["x"]).astype(int) // BLOCK_PX + 1, 0, empty.shape[1] - 1)
    exact = columns["edge_dist"]
    distance = np.where(exact <= halo, exact, np.maximum(coarse[rows, cols], halo))
    return np.asarray(distance * plan.detection.scale_arcsec, dtype=float)


def _nearest(objects: NDArray[Any], scale: float) -> Floats:
    if len(objects) < 2:
        return np.full(len(objects), np.nan)
    points = np.column_stack([objects["x"], objects["y"]])
    distance, _ = cKDTree(points).query(points, k=2)
    return np.asarray(distance[:, 1] * scale, dtype=float)


def _star_columns(rows: dict[str, Any], columns: Columns, plan: ForcedPlan) -> tuple[NDArray[np.bool_], dict[str, Any]]:
    """Classify by size where the size says something; a source that is saturated at its own centre is a star too."""
    names = [learned.source.band for learned in plan.bands]
    hollow = columns["hollow"] | np.any([columns[f"{band}_hollow"] for band in names], axis=0)
    empty = columns["empty_centre"] | np.any([columns[f"{band}_empty_centre"] for band in names], axis=0)
    expected = stars.expected_r50([learned.source.band for learned in plan.detection.bands])
    locus = stars.point_source_r50(rows["r50"], rows["snr_det"], rows["ellipticity"], expected)
    score = stars.star_scores(rows["r50"], rows["snr_det"], locus)
    saturated = hollow & empty & (rows["snr_det"] > _HOLLOW_STAR_SNR)
    compact = (score > _STAR_SCORE) & (rows["ellipticity"] < _STAR_ELLIPTICITY) & (rows["snr_det"] > _STAR_SNR)
    is_star = saturated | compact
    return hollow, {"star_score": np.where(saturated, 1.0, score), "is_star": is_star}


def _flag_columns(
    rows: dict[str, Any], columns: Columns, objects: NDArray[Any], plan: ForcedPlan, hollow: NDArray[np.bool_]
) -> dict[str, NDArray[Any]]:
    return {
        "sep_flag": objects["flag"],
        "hollow": hollow,
        "n_bands": rows["n_bands"],
        "kron_circle": columns["kron_circle"],
        "crowded": columns["crowded"],
        "persistence": _persistent(columns, plan),
    }


def _missing(rows: dict[str, Any], objects: NDArray[Any], detected: Detected, scale: float) -> dict[str, Any]:
    """Tell whose Kron ellipse lacks data because of the mosaic's edge, and whose because of a gap."""
    lacks = (rows["valid_frac"] < 1) | (rows["edge_dist"] < rows["kron_b"])
    block = BLOCK_PX * scale
    place = objects["y"] / BLOCK_PX, objects["x"] / BLOCK_PX
    kind = missing_kind(detected.empty_blocks, block, place, rows["kron_b"] / block, lacks)
    return {"at_edge": kind.edge, "at_gap": kind.gap}


def _in_star_zone(
    rows: dict[str, Any], columns: Columns, hollow: NDArray[np.bool_], wcs: WCS, plan: ForcedPlan
) -> NDArray[np.bool_]:
    known = rows | {name: columns[name] for name in ("sixfold_re", "sixfold_im")}
    bright = np.flatnonzero(rows["is_star"] & ((rows["mag_ref"] < _BRIGHT_STAR_MAG) | hollow))
    zones = halos.zones_of(known, bright, wcs, plan.detection.v3_deg, plan.detection.scale_arcsec)
    return halos.in_zones(zones, rows["x"], rows["y"], rows["mag_ref"])


def _persistent(columns: Columns, plan: ForcedPlan) -> NDArray[np.bool_]:
    """Tell which sources have data in a mosaic that is known for persistence."""
    found = np.zeros(columns["npix"].size, dtype=bool)
    for learned in plan.bands:
        if any(re.fullmatch(known, learned.source.obs_id) for known in plan.detection.mosaics.persistence):
            found |= columns[f"{learned.source.band}_valid_frac"] > 0
    return found


def _weight_ratio(columns: Columns, plan: ForcedPlan) -> Floats:
    return np.asarray(columns[f"{plan.reference_band}_wht_med"] / _reference(plan).model.wht_median, dtype=float)


def _reference(plan: ForcedPlan) -> Learned:
    return next(learned for learned in plan.bands if learned.source.band == plan.reference_band)


def mosaic_table(plan: ForcedPlan) -> Table:
    """Build the table of mosaics: one row a band.

    Returns
    -------
    Table
        `sigma` is the median calibrated noise of a pixel as surface brightness; the noise of the sum of N pixels is
        `sigma_pixel x noise_alpha x N^noise_beta`; `depth` is 5 sigma in an aperture of 0.3 arcsec diameter.
    """
    detection = {learned.source.band for learned in plan.detection.bands}
    rows = []
    for learned in plan.bands:
        model, scale, law = learned.model, learned.grid.scale_arcsec, learned.model.noise.laws.whole
        rows.append(
            {
                "field": learned.source.field,
                "band": learned.source.band,
                "obs_id": learned.source.obs_id,
                "uri": learned.source.uri,
                "width": learned.grid.shape[1],
                "height": learned.grid.shape[0],
                "pixel_scale": scale,
                "zero_point": zero_point_ab(learned.ujy_per_unit),
                "sigma": model.sigma / scale**2,
                "sigma_pixel": model.sigma,
                "err_factor": model.err_factor if model.has_noise_map else math.nan,
                "noise_alpha": law.alpha,
                "noise_beta": law.beta,
                "depth": law.depth_ab(model.sigma, scale),
                "background": float(np.median(model.mesh.back)) / scale**2,
                "area": learned.valid_px * scale**2 / 3600.0,
                "is_detection": learned.source.band in detection,
                "verified": learned.source.verified,
            }
        )
    table = Table(rows)
    return with_mosaic_units(table)


def with_mosaic_units(table: Table) -> Table:
    """Give a table of mosaics the units and descriptions of its columns, in place."""
    for name, (unit, meaning) in _MOSAIC_UNITS.items():
        table[name].unit, table[name].description = unit, meaning
    return table


_MOSAIC_UNITS = {
    "width": ("pix", "columns"),
    "height": ("pix", "rows"),
    "pixel_scale": ("arcsec", "side of a pixel"),
    "zero_point": ("mag", "AB magnitude of one unit of the science plane in one pixel"),
    "sigma": ("uJy/arcsec2", "median calibrated noise of a pixel, as surface brightness"),
    "sigma_pixel": ("uJy", "median calibrated noise of a pixel"),
    "err_factor": (None, "calibrated noise / error plane, or root of 1 / weights; NaN without either"),
    "noise_alpha": (None, "noise of the sum of N pixels = sigma_pixel x noise_alpha x N^noise_beta"),
    "noise_beta": (None, "see noise_alpha; 0.5 = uncorrelated"),
    "depth": ("mag", "5 sigma in an aperture of 0.3 arcsec diameter, AB, from empty apertures"),
    "background": ("uJy/arcsec2", "median background that was taken off"),
    "area": ("arcmin2", "sky with data"),
    "is_detection": (None, "part of the detection image"),
    "verified": (None, "the mosaic's whole body was seen and checked; if not, only rows around targets were read"),
}
