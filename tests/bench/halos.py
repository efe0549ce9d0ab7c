"""Halos and spikes of bright stars against the truth: `python tests/bench/halos.py [--stars N] [SEED ...]`.

Skies with saturated stars are catalogued with the telescope's angle in their headers and without it. Counted within
12 arcsec of a saturated star, its own detection left out:

spurious    detections that are no source of the truth (0.25 arcsec), and how many of them carry BRIGHT_STAR
real        detections that are one, and how many of them carry it all the same
area        part of the circle of 12 arcsec that the zones cover

The first row is the rule before: a circle of 0.6 times the diagonal of the star's segment.
"""

import argparse
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.table import Table
from numpy.typing import NDArray
from scipy.spatial import cKDTree

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from gzjwst_core.flag_bits import Flag  # noqa: E402
from gzjwst_core.models import MosaicSource  # noqa: E402
from gzjwst_core.photometry import star_masks as halos  # noqa: E402
from gzjwst_core.photometry.field_catalog import build_field_catalog  # noqa: E402
from gzjwst_core.sky.fields import SkyField, sky_fields  # noqa: E402
from gzjwst_core.sky.options import SkyOptions  # noqa: E402
from gzjwst_core.sky.scene import draw_scene  # noqa: E402
from gzjwst_core.survey.profile import load_profile  # noqa: E402
from tests.bench.deblend import BANDS, write_field  # noqa: E402

_NEAR_ARCSEC, _OWN_ARCSEC, _MATCH_ARCSEC, _SCALE = 12.0, 0.3, 0.25, 0.06
_ANGLES = ("ROLL_REF", "PA_V3", "PA_APER")


def without_angle(source: MosaicSource) -> MosaicSource:
    """Take what states the telescope's angle out of a file."""
    with fits.open(source.path, mode="update") as hdus:
        for hdu in hdus:
            for key in _ANGLES:
                hdu.header.remove(key, ignore_missing=True)
    return source


def old_zones(table: Table, stars: NDArray[np.int64]) -> halos.Zones:
    """Lay out the circles of the rule before."""
    mag, diagonal = (np.asarray(table[name], dtype=float)[stars] for name in ("mag_ref", "bbox_diagonal"))
    radius = np.clip(np.fmax(1.5 * 10 ** (0.16 * (20 - mag)), 0.6 * diagonal), 1.0, 20.0) / _SCALE
    return halos.Zones(stars, radius, radius, np.full(stars.size, np.nan), False, _SCALE)


def new_zones(table: Table, stars: NDArray[np.int64], field: SkyField) -> halos.Zones:
    """Lay out the zones as the catalog does."""
    columns = {name: np.asarray(table[name], dtype=float) for name in ("x", "y", "mag_ref", "npix", "bbox_diagonal")}
    return halos.zones_of(columns, stars, field.long.wcs, field.long.focal_roll_deg, _SCALE)


def count(
    table: Table, scene: Table, field: SkyField, flagged: NDArray[np.bool_], zones: halos.Zones | None
) -> NDArray[np.float64]:
    """Count spurious, those flagged, real, those flagged, area covered, area."""
    x, y = field.long.to_pixels(scene["ra_deg"], scene["dec_deg"])
    saturated = np.asarray(scene["saturated"]) & np.asarray(scene[f"in_{field.key}"])
    found = np.column_stack([table["x"], table["y"]])
    centres = cKDTree(np.column_stack([x, y])[saturated])
    apart = centres.query(found)[0] * _SCALE
    near = (apart < _NEAR_ARCSEC) & (apart > _OWN_ARCSEC)
    true = cKDTree(np.column_stack([x, y])[~saturated]).query(found)[0] * _SCALE < _MATCH_ARCSEC
    counts = [near & ~true, near & ~true & flagged, near & true, near & true & flagged]
    covered = (np.nan, np.nan)
    if zones is not None:
        points = np.random.default_rng(1).uniform(0, field.long.shape[0], (20_000, 2))
        points = points[centres.query(points)[0] * _SCALE < _NEAR_ARCSEC]
        both = np.concatenate([found, points])
        faint = np.concatenate([np.asarray(table["mag_ref"], dtype=float), np.full(len(points), np.nan)])
        inside = halos.in_zones(zones, both[:, 0], both[:, 1], faint)[len(found) :]
        covered = (float(inside.sum()), float(inside.size))
    return np.array([*(c.sum() for c in counts), *covered], dtype=float)


def measure(scene: Table, field: SkyField, seed: int, folder: Path) -> Mapping[str, NDArray[np.float64]]:
    """Count all rules on one field."""
    profile = load_profile("demo")
    sources = write_field(scene, field, seed, folder / field.key)
    table = build_field_catalog(sources, profile, folder / "seg.fits", bands=BANDS).table
    blind = build_field_catalog([without_angle(s) for s in sources], profile, folder / "seg.fits", bands=BANDS).table
    hollow = (np.asarray(table["flags"]) & int(Flag.SATURATED)) > 0
    stars = np.flatnonzero(np.asarray(table["is_star"]) & ((np.asarray(table["mag_ref"]) < 21) | hollow))
    before = old_zones(table, stars)
    x, y, mag = (np.asarray(table[name], dtype=float) for name in ("x", "y", "mag_ref"))
    bit = int(Flag.BRIGHT_STAR)
    return {
        "circle (before)": count(table, scene, field, halos.in_zones(before, x, y, mag), before),
        "halo and spikes, header": count(
            table, scene, field, (np.asarray(table["flags"]) & bit) > 0, new_zones(table, stars, field)
        ),
        "halo and spikes, from segments": count(blind, scene, field, (np.asarray(blind["flags"]) & bit) > 0, None),
    }


def main() -> None:
    """Count on every seed, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seeds", nargs="*", type=int, default=[1, 2])
    parser.add_argument("--stars", type=int, default=5, help="saturated stars a field")
    given = parser.parse_args()
    totals: dict[str, NDArray[np.float64]] = {}
    for seed in given.seeds:
        options = SkyOptions(seed=seed, size_arcsec=75.0, bands=BANDS, missing=(), bright_stars=given.stars)
        with tempfile.TemporaryDirectory() as scratch:
            for field in sky_fields(options):
                for rule, counts in measure(draw_scene(options), field, seed, Path(scratch)).items():
                    totals[rule] = totals.get(rule, np.zeros(6)) + counts
    print("| rule | spurious flagged | real flagged | area |\n|---|---|---|---|")
    for rule, (spurious, caught, real, lost, covered, area) in totals.items():
        share = f"{covered / area:.2f}" if area > 0 else "-"
        print(f"| {rule} | {caught:.0f} of {spurious:.0f} | {lost:.0f} of {real:.0f} | {share} |")


if __name__ == "__main__":
    main()
