"""A tool's catalog against the truth of one field: who is whom, and what every comparison needs of each pair.

Arrays only. `Score` holds the pieces of one field; pieces of several fields are joined before a figure is made of them,
in `figures`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import sep
from astropy.table import Table
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from gzjwst_core.detection.calibrated_frame import Frame
from gzjwst_core.detection.noise import WHITE
from gzjwst_core.photometry.measure import Scene, aperture_sums
from tests.bench.truth_table.found import Found
from tests.bench.truth_table.skies import APERTURES, TrueField

__all__ = ["MATCH_ARCSEC", "Score", "joined", "score"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

MATCH_ARCSEC = 0.2
_STAR_ARCSEC = 5.0
_ALONE_ARCSEC, _ALONE_MAG = 1.0, 2.0
_OWN_MAGS = (24.0, 26.5)
_DISC_MAG, _DISC_N, _DISC_R50, _DISC_REACH = 23.0, 2.5, 0.3, 2.0


@dataclass(frozen=True)
class Score:
    """Pieces of a comparison; one row a true source, a detection, a pair or an aperture.

    Attributes
    ----------
    mag, size, recovered
        True galaxies that were exposed: F277W magnitude, intrinsic r50 (arcsec), whether detected.
    spurious
        Detections: no true source within 0.2 arcsec.
    disc_split
        Bright discs: whether a detection lies on the disc that is no other true source's.
    pair_mag, pair_dmag, pair_size
        Pairs with galaxies away from saturated stars: true magnitude by band, measured - true total magnitude by band,
        measured over true half-light radius.
    pulls
        Lonely sources, by band and diameter: true magnitude, (measured - true light in the aperture) / error.
    own_pulls
        Every pair of AB 24-26.5, crowded or not, by band and diameter: (measured - own light) / error.
    negative, seconds, area_arcmin2
        As one-element arrays, so that joining is the same everywhere.
    """

    mag: Floats
    size: Floats
    recovered: Bools
    spurious: Bools
    disc_split: Bools
    pair_mag: Mapping[str, Floats]
    pair_dmag: Mapping[str, Floats]
    pair_size: Floats
    pulls: Mapping[tuple[str, float], NDArray[np.float64]]
    own_pulls: Mapping[tuple[str, float], Floats]
    negative: Floats
    seconds: Floats
    area_arcmin2: Floats


@dataclass(frozen=True)
class _Match:
    """Truth in pixels of the long-wave grid, and for each true source the row of its detection (-1: none)."""

    truth: Table
    x: Floats
    y: Floats
    row: NDArray[np.int64]
    quiet: Bools
    """True sources away from saturated stars."""


def score(field: TrueField, found: Found) -> Score:
    """Compare a tool's catalog of a field with the truth."""
    match = _matched(field, found)
    truth = match.truth
    scale = field.long.pixel_scale_arcsec
    galaxy = np.asarray(truth["kind"] == "galaxy") & np.asarray(truth[f"in_{field.field.key}"])
    pair = galaxy & (match.row >= 0) & match.quiet
    row = match.row[pair]
    mags = {band: np.asarray(truth[f"mag_{band}"])[pair] for band in found.total}
    tree = cKDTree(np.column_stack([match.x, match.y]))
    apart, _ = tree.query(np.column_stack([found.x, found.y]))
    con = field.field.long.contribution_map() > 0
    return Score(
        mag=np.asarray(truth["mag_F277W"])[galaxy],
        size=np.asarray(truth["r50_arcsec"])[galaxy],
        recovered=(match.row >= 0)[galaxy],
        spurious=apart * scale > MATCH_ARCSEC,
        disc_split=_split_discs(match, found, galaxy, scale),
        pair_mag=mags,
        pair_dmag={band: _magnitude(found.total[band][row]) - mags[band] for band in mags},
        pair_size=found.r50[row] / np.asarray(truth[found.r50_of])[pair],
        pulls=_all_pulls(field, found, match),
        own_pulls=dict(_own_pulls(found, truth[pair], row)),
        negative=np.array([float(found.negative)]),
        seconds=np.array([found.seconds]),
        area_arcmin2=np.array([con.sum() * scale**2 / 3600]),
    )


def _matched(field: TrueField, found: Found) -> _Match:
    """Let each true source, the brightest first, take the nearest detection within 0.2 arcsec that is left."""
    truth = field.truth()
    x, y = field.long.to_pixels(truth["ra_deg"], truth["dec_deg"])
    inside = (x > -9) & (y > -9) & (x < field.long.shape[1] + 8) & (y < field.long.shape[0] + 8)
    truth, x, y = truth[inside], x[inside], y[inside]
    scale = field.long.pixel_scale_arcsec
    places = np.column_stack([found.x, found.y])
    near = cKDTree(places).query_ball_point(np.column_stack([x, y]), MATCH_ARCSEC / scale)
    row = np.full(len(truth), -1)
    taken: set[int] = set()
    for index in np.argsort(np.asarray(truth["mag_F277W"]), kind="stable"):
        free = [i for i in near[index] if i not in taken]
        if free:
            row[index] = min(free, key=lambda i: np.hypot(*(places[i] - (x[index], y[index]))))
            taken.add(int(row[index]))
    stars = np.asarray(truth["saturated"])
    apart, _ = cKDTree(np.column_stack([x[stars], y[stars]])).query(np.column_stack([x, y]))
    return _Match(truth, x, y, row, apart * scale > _STAR_ARCSEC)


def _split_discs(match: _Match, found: Found, galaxy: Bools, scale: float) -> Bools:
    """Tell which bright discs carry a second detection within 2 r50 that is not at any other true source."""
    truth = match.truth
    disc = galaxy & match.quiet & (match.row >= 0) & (np.asarray(truth["mag_F277W"]) < _DISC_MAG)
    disc &= (np.asarray(truth["sersic_n"]) < _DISC_N) & (np.asarray(truth["r50_arcsec"]) > _DISC_R50)
    tree = cKDTree(np.column_stack([match.x, match.y]))
    apart, nearest = tree.query(np.column_stack([found.x, found.y]))
    own = np.where(apart * scale < MATCH_ARCSEC, nearest, -1)
    split = []
    for index in np.flatnonzero(disc):
        reach = _DISC_REACH * float(truth["r50_arcsec"][index]) / scale
        inside = np.hypot(found.x - match.x[index], found.y - match.y[index]) < reach
        inside[match.row[index]] = False
        split.append(bool((inside & ((own == -1) | (own == index))).any()))
    return np.array(split, dtype=bool)


def _all_pulls(field: TrueField, found: Found, match: _Match) -> dict[tuple[str, float], NDArray[np.float64]]:
    chosen = _lonely(match, found, field.long.pixel_scale_arcsec)
    at = match.row[chosen]
    ra, dec = field.long.wcs.all_pix2world(found.x[at], found.y[at], 0)
    pulls = {}
    for band in found.total:
        grid = field.field.geometry(band)
        place = grid.to_pixels(ra, dec)
        mag = np.asarray(match.truth[f"mag_{band}"])[chosen]
        light, bad = field.light(band), (grid.contribution_map() == 0).astype(np.float32)
        for diameter in APERTURES:
            size = diameter / 2 / grid.pixel_scale_arcsec
            flux, error = (values[at] for values in found.aperture[band, diameter])
            gaps, _, _ = sep.sum_circle(bad, *place, size + 1)
            true = _light_in(light, place, size, smooth=found.smooth)
            good = (gaps == 0) & np.isfinite(flux) & (error > 0)
            pulls[band, diameter] = np.array([mag[good], (flux[good] - true[good]) / error[good]])
    return pulls


def _light_in(light: NDArray[np.float32], place: tuple[Floats, Floats], radius_px: float, *, smooth: bool) -> Floats:
    """Sum noise-free light in circles: pixels even inside, or as our catalog takes them."""
    if not smooth:
        even: Floats = sep.sum_circle(light, *place, radius_px, subpix=10)[0]
        return even
    frame = Frame(np.ascontiguousarray(light), np.ones_like(light), np.zeros(light.shape, dtype=bool))
    nobody = np.zeros(place[0].size, dtype=np.int32)
    scene = Scene(frame, np.zeros(light.shape, dtype=np.int32), nobody, WHITE)
    return aperture_sums(scene, np.asarray(place[0]), np.asarray(place[1]), radius_px).flux


def _own_pulls(found: Found, truth: Table, row: NDArray[np.int64]) -> Iterator[tuple[tuple[str, float], Floats]]:
    for band, diameter in found.aperture:
        if f"own_{band}_{diameter}" in truth.colnames:
            flux, error = (values[row] for values in found.aperture[band, diameter])
            mag, own = np.asarray(truth[f"mag_{band}"]), np.asarray(truth[f"own_{band}_{diameter}"])
            good = np.isfinite(flux) & (error > 0) & np.isfinite(own) & (mag > _OWN_MAGS[0]) & (mag < _OWN_MAGS[1])
            yield (band, diameter), (flux[good] - own[good]) / error[good]


def _lonely(match: _Match, found: Found, scale: float) -> NDArray[np.int64]:
    """Choose true sources with no other detection, and no true one up to 2 mag fainter, within 1 arcsec."""
    mag = np.asarray(match.truth["mag_F277W"])
    places = np.column_stack([found.x, found.y])
    truth = np.column_stack([match.x, match.y])
    detections, sources = cKDTree(places), cKDTree(truth)
    chosen = []
    for index in np.flatnonzero((match.row >= 0) & match.quiet):
        if len(detections.query_ball_point(places[match.row[index]], _ALONE_ARCSEC / scale)) > 1:
            continue
        around = [i for i in sources.query_ball_point(truth[index], _ALONE_ARCSEC / scale) if i != index]
        if not (mag[around] < mag[index] + _ALONE_MAG).any():
            chosen.append(index)
    return np.array(chosen, dtype=int)


def _magnitude(flux: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(23.9 - 2.5 * np.log10(flux), dtype=float)


def joined(scores: Sequence[Score]) -> Score:
    """Put the pieces of several fields together."""
    made: dict[str, Any] = {}
    for item in fields(Score):
        values = [getattr(s, item.name) for s in scores]
        if isinstance(values[0], Mapping):
            made[item.name] = {key: np.concatenate([v[key] for v in values], axis=-1) for key in values[0]}
        else:
            made[item.name] = np.concatenate(values)
    return Score(**made)
