"""Detection and deblending against synthetic skies: `python tests/bench/deblend.py [--discs K] [--size A] [SEED ...]`.

For each seed both fields of a sky are detected with every recipe. Some of its galaxies are made large discs (F277W AB
20.5-23, half-light radius 0.4-0.9 arcsec) where they stand, among their neighbours; they, the grey galaxies and all
others as bright and large are clumpy spirals. `--clumps 0` makes them smooth. Columns:

split       bright discs with a further detection within 2 half-light radii that is no other source of the truth
kept        other sources of AB 24-26.5 that lie 0.6-3 arcsec from a bright disc's centre and outside its half-light
            ellipse, and are found
25-26 ...   completeness by F277W magnitude, all galaxies with a half-light radius below 0.3 arcsec, away from discs
negative    detections on the negative sky over detections; means nothing for chi-mean, whose squares have no sign
noise       detections per square arcmin on the same sky without any source: a fair count for every recipe
"""

import argparse
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray
from scipy.spatial import cKDTree

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from gzjwst_core.detection.calibrate import calibrate  # noqa: E402
from gzjwst_core.detection.noise_model import Learned, learn_bands  # noqa: E402
from gzjwst_core.detection.tiles import DetectionPlan, detect_field  # noqa: E402
from gzjwst_core.models import MosaicSource  # noqa: E402
from gzjwst_core.options import DetectOptions, MosaicOptions  # noqa: E402
from gzjwst_core.sky.clumps import large_discs, with_clumps  # noqa: E402
from gzjwst_core.sky.fields import SkyField, sky_fields  # noqa: E402
from gzjwst_core.sky.mosaics import mosaic_hdus  # noqa: E402
from gzjwst_core.sky.options import SkyOptions  # noqa: E402
from gzjwst_core.sky.render import render_band  # noqa: E402
from gzjwst_core.sky.scene import draw_scene  # noqa: E402

BANDS = ("F277W", "F356W", "F444W")
RECIPES: Mapping[str, Mapping[str, Any]] = {
    "ivw, contrast 1e-4": {"deblend_contrast": 1e-4},
    "ivw, contrast 1e-3 (default)": {},
    "ivw, contrast 5e-3": {"deblend_contrast": 5e-3},
    "ivw, contrast 2e-2": {"deblend_contrast": 2e-2},
    "ivw, hot+cold": {"passes": "hot+cold"},
    "single (F277W)": {"combine": "single"},
    "chi-mean": {"combine": "chi-mean"},
    "chi-mean, hot+cold": {"combine": "chi-mean", "passes": "hot+cold"},
}
_MATCH_ARCSEC, _TRUE_MATCH_ARCSEC = 0.2, 0.25
_NEIGHBOURS, _RING_ARCSEC, _MAG_BINS = (24.0, 26.5), (0.6, 3.0), (25, 26, 27, 28)


class Detector:
    """Detects on one version of a field with any recipe; what recipes share is calibrated once."""

    def __init__(self, learned: Mapping[str, Learned], folder: Path) -> None:
        self._bands = tuple(learned[band] for band in BANDS)
        self._folder = folder
        self._plans: dict[tuple[str, float, float], DetectionPlan] = {}

    def positions(self, options: DetectOptions) -> NDArray[np.float64]:
        """Detect; positions (n, 2) on the detection grid."""
        objects = detect_field(self._plan(options), self._folder / "seg.fits", cpu_map=map).objects
        return np.column_stack([objects["x"], objects["y"]])

    def _plan(self, options: DetectOptions) -> DetectionPlan:
        key = options.combine, options.kernel_arcsec, options.cold_kernel_arcsec
        if key not in self._plans:
            both = options.model_copy(update={"passes": "hot+cold"})
            bands = self._bands[:1] if options.combine == "single" else self._bands
            self._plans[key] = calibrate(DetectionPlan(bands, MosaicOptions(), both), cpu_map=map)
        return replace(self._plans[key], options=options)


@dataclass(frozen=True)
class Tested:
    """One field: its three versions, and its truth in pixels of the detection grid."""

    detectors: Mapping[str, Detector]
    scene: Table
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    covered: NDArray[np.bool_]
    arcmin2: float
    roll_deg: float


def with_discs(scene: Table, per_field: int, seed: int) -> Table:
    """Make some galaxies of AB 24-27 bright large discs, without moving any."""
    rng = np.random.default_rng([seed, 1])
    mag = np.asarray(scene["mag_F277W"])
    free = np.flatnonzero((np.asarray(scene["kind"]) == "galaxy") & (mag > 24) & (mag < 27))
    rows = rng.choice(free, min(2 * per_field, free.size), replace=False)
    brighter = mag[rows] - rng.uniform(20.5, 23, rows.size)
    for band in BANDS:
        scene[f"mag_{band}"][rows] -= brighter
        scene[f"flux_{band}_ujy"][rows] *= 10 ** (0.4 * brighter)
    scene["r50_arcsec"][rows], scene["sersic_n"][rows] = rng.uniform(0.4, 0.9, rows.size), 1.0
    scene["axis_ratio"][rows] = rng.uniform(0.3, 0.95, rows.size)
    return scene


def write_field(scene: Table, field: SkyField, seed: int, folder: Path, *, sign: int = 1) -> list[MosaicSource]:
    """Render a field in every band as plain files."""
    folder.mkdir()
    made = []
    for number, band in enumerate(BANDS):
        image = render_band(scene, field.geometry(band), band, seed=[seed, field.number, number])
        hdus = mosaic_hdus(field, band, image)
        if sign < 0:
            name = "SCI_BKSUB" if "SCI_BKSUB" in hdus else "SCI"
            hdus[name].data = -hdus[name].data
        path = folder / f"{band}.fits"
        hdus.writeto(path)
        made.append(MosaicSource(field=field.key, band=band, path=str(path), uri=band, identity=""))
    return made


def tested(scene: Table, field: SkyField, seed: int, folder: Path) -> Tested:
    """Render and learn the three versions of a field."""
    mesh = DetectOptions().mesh_arcsec
    versions = {
        "sky": partial(write_field, scene),
        "negative": partial(write_field, scene, sign=-1),
        "noise": partial(write_field, scene[:0]),
    }
    learned = {
        name: learn_bands(write(field, seed, folder / f"{field.key}-{name}"), MosaicOptions(), mesh, cpu_map=map)
        for name, write in versions.items()
    }
    detectors = {name: Detector(bands, folder) for name, bands in learned.items()}
    x, y = field.long.to_pixels(scene["ra_deg"], scene["dec_deg"])
    covered = np.asarray(scene[f"in_{field.key}"])
    px = learned["sky"][BANDS[0]].valid_px
    return Tested(detectors, scene, x, y, covered, px * 0.06**2 / 3600, field.long.roll_deg)


def measure(field: Tested, options: DetectOptions) -> dict[str, NDArray[np.float64]]:
    """Count one recipe on one field: for each column hits and tries, so that fields can be added."""
    found, upside_down, noise = (field.detectors[name].positions(options) for name in ("sky", "negative", "noise"))
    counts = {
        "split": splits(field, found),
        "kept": neighbours(field, found),
        "negative": np.array([len(upside_down), len(found)], dtype=float),
        "noise": np.array([len(noise), field.arcmin2]),
    }
    return counts | completeness(field, found)


def discs(field: Tested) -> NDArray[np.int64]:
    """Rows of the bright discs that the field covers; knots dimmed them, so the limit is that of the parents."""
    parents = np.unique(np.asarray(field.scene["parent_id"]))
    dimmed = large_discs(field.scene, faintest_mag=23.0)
    rows = np.isin(np.asarray(field.scene["true_id"]), parents) & (np.asarray(field.scene["parent_id"]) == 0)
    return np.flatnonzero((rows | dimmed) & field.covered)


def others(field: Tested) -> NDArray[np.int64]:
    """Rows that are sources of their own: no knots."""
    return np.flatnonzero((np.asarray(field.scene["parent_id"]) == 0) & field.covered)


def radius_of(field: Tested, row: int, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Elliptical radius of points about a galaxy, in units of its half-light radius."""
    dx, dy = (points - [field.x[row], field.y[row]]).T * 0.06
    angle = np.deg2rad(float(field.scene["pa_deg"][row]) - field.roll_deg)
    along = -dx * np.sin(angle) + dy * np.cos(angle)
    across = dx * np.cos(angle) + dy * np.sin(angle)
    r50 = float(field.scene["r50_arcsec"][row])
    return np.asarray(np.hypot(along, across / max(float(field.scene["axis_ratio"][row]), 0.3)) / r50)


def splits(field: Tested, found: NDArray[np.float64]) -> NDArray[np.float64]:
    """Count the discs with a further detection that is no other true source."""
    rows = others(field)
    truth = np.column_stack([field.x, field.y])
    split = 0
    chosen = discs(field)
    for row in chosen:
        inside = found[radius_of(field, int(row), found) < 2]
        strangers = rows[rows != row]
        apart, _ = cKDTree(truth[strangers]).query(inside)
        alien = apart * 0.06 > _TRUE_MATCH_ARCSEC
        split += int(alien.sum() > 1)
    return np.array([split, len(chosen)], dtype=float)


def neighbours(field: Tested, found: NDArray[np.float64]) -> NDArray[np.float64]:
    """Count faint sources around discs that are found."""
    rows, truth = others(field), np.column_stack([field.x, field.y])
    mag = np.asarray(field.scene["mag_F277W"])[rows]
    near = np.zeros(rows.size, dtype=bool)
    for row in discs(field):
        arcsec = np.hypot(*(truth[rows] - truth[row]).T) * 0.06
        ring = (arcsec > _RING_ARCSEC[0]) & (arcsec < _RING_ARCSEC[1])
        near |= ring & (radius_of(field, int(row), truth[rows]) > 1)
    near &= (mag > _NEIGHBOURS[0]) & (mag < _NEIGHBOURS[1])
    apart, _ = cKDTree(found).query(truth[rows[near]])
    return np.array([np.sum(apart * 0.06 < _MATCH_ARCSEC), near.sum()], dtype=float)


def completeness(field: Tested, found: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Count the small galaxies that are found, by magnitude."""
    rows, truth = others(field), np.column_stack([field.x, field.y])
    small = np.asarray(field.scene["r50_arcsec"])[rows] < 0.3
    rows = rows[small & (np.asarray(field.scene["kind"])[rows] == "galaxy")]
    apart, _ = cKDTree(found).query(truth[rows])
    mag = np.asarray(field.scene["mag_F277W"])[rows]
    counts = {}
    for low in _MAG_BINS:
        here = (mag >= low) & (mag < low + 1)
        counts[f"{low}-{low + 1}"] = np.array([np.sum(apart[here] * 0.06 < _MATCH_ARCSEC), here.sum()], dtype=float)
    return counts


def table_of(totals: Mapping[str, Mapping[str, NDArray[np.float64]]]) -> Iterable[str]:
    """Write the counts as a Markdown table."""
    names = list(next(iter(totals.values())))
    yield "| recipe | " + " | ".join(names) + " |"
    yield "|---" * (len(names) + 1) + "|"
    for recipe, counts in totals.items():
        cells = []
        for name in names:
            hits, tries = counts[name]
            if name == "negative" and recipe.startswith("chi"):
                cells.append("-")
            else:
                cells.append(f"{hits / tries:.2f}" if name == "noise" else f"{hits / max(tries, 1):.3f} of {tries:.0f}")
        yield f"| {recipe} | " + " | ".join(cells) + " |"


def noise_table(seed: int, size_arcsec: float, folder: Path) -> Iterable[str]:
    """Write how many detections pure noise makes per square arcmin, by threshold and image."""
    options = SkyOptions(seed=seed, size_arcsec=size_arcsec, bands=BANDS, missing=())
    nothing, mesh = draw_scene(options)[:0], DetectOptions().mesh_arcsec
    counts: dict[tuple[float, str], int] = {}
    arcmin2 = 0.0
    for field in sky_fields(options):
        learned = learn_bands(write_field(nothing, field, seed, folder / field.key), MosaicOptions(), mesh, cpu_map=map)
        arcmin2 += learned[BANDS[0]].valid_px * 0.06**2 / 3600
        detector = Detector(learned, folder)
        for threshold in (3.0, 3.4, 3.8):
            for image in ("ivw", "single", "chi-mean"):
                recipe = DetectOptions.model_validate({"combine": image, "threshold": threshold})
                found = len(detector.positions(recipe))
                counts[threshold, image] = counts.get((threshold, image), 0) + found
    yield "| threshold | ivw | single | chi-mean |"
    yield "|---|---|---|---|"
    for threshold in (3.0, 3.4, 3.8):
        cells = (f"{counts[threshold, image] / arcmin2:.1f}" for image in ("ivw", "single", "chi-mean"))
        yield f"| {threshold} | " + " | ".join(cells) + " |"


def main() -> None:
    """Measure every recipe on every seed, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seeds", nargs="*", type=int, default=[1, 2])
    parser.add_argument("--clumps", type=float, default=0.25, help="share of a large disc's light in knots")
    parser.add_argument("--size", type=float, default=60.0, help="side of a field, arcsec")
    parser.add_argument("--discs", type=int, default=20, help="galaxies a field made large discs")
    parser.add_argument("--try", dest="tries", action="append", default=[], help="NAME:KEY=VALUE,... instead")
    parser.add_argument("--noise", action="store_true", help="count detections on noise by threshold, and nothing else")
    given = parser.parse_args()
    if given.noise:
        with tempfile.TemporaryDirectory() as scratch:
            print(*noise_table(given.seeds[0], given.size, Path(scratch)), sep="\n")
        return
    recipes = {name: dict(pair.split("=") for pair in keys.split(",") if pair) for name, keys in
               (text.split(":") for text in given.tries)} if given.tries else RECIPES  # fmt: skip
    totals: dict[str, dict[str, NDArray[np.float64]]] = {name: {} for name in recipes}
    for seed in given.seeds:
        options = SkyOptions(seed=seed, size_arcsec=given.size, bands=BANDS, missing=())
        scene = with_clumps(with_discs(draw_scene(options), given.discs, seed), given.clumps, seed)
        with tempfile.TemporaryDirectory() as scratch:
            for pointing in sky_fields(options):
                field = tested(scene, pointing, seed, Path(scratch))
                for name, keys in recipes.items():
                    detect = DetectOptions.model_validate(keys, strict=False)
                    for column, counts in measure(field, detect).items():
                        totals[name][column] = totals[name].get(column, 0) + counts
        print(f"up to seed {seed}", *table_of(totals), sep="\n", flush=True)


if __name__ == "__main__":
    main()
