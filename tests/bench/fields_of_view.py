"""Every rule of the field of view on synthetic skies: `python tests/bench/fields_of_view.py [--seeds N ...]`.

For each seed a scene is rendered in F277W and F444W with the survey's noise, with twice and with half of it, and
catalogued; the galaxies that the default cuts select are sized by each rule, and by squares of 50 and 200 pixels of
0.03 arcsec. What is to be seen of a galaxy is known: the box, north up, around its own noiseless light that is above 1
sigma of a pixel of either band in that survey; noisier surveys show less of it. Columns:

fill        longer side of that box over the field of view, at 5, 50 and 95 % of the galaxies
tight, tiny fill above 0.7, below 0.2
clipped     the box reaches beyond the central 1 / 1.4 of the frame, of which the catalog's position is the middle
cut         the same of the galaxy's own segment; both only in frames below the largest
step x k    galaxies whose field of view is another one with k times the noise, of those selected both times

The last table compares sizes with k times the noise, pixel by pixel of 0.06 arcsec.
"""

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Row, Table
from numpy.typing import NDArray
from scipy.signal import fftconvolve
from scipy.spatial import cKDTree

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from gzjwst_core.catalog.select import select  # noqa: E402
from gzjwst_core.cutouts.fov import RULES, fov_arcsec  # noqa: E402
from gzjwst_core.models import MosaicSource  # noqa: E402
from gzjwst_core.options import CutoutOptions  # noqa: E402
from gzjwst_core.photometry.field_catalog import FieldCatalog, build_field_catalog  # noqa: E402
from gzjwst_core.psf.sersic import sersic_stamp  # noqa: E402
from gzjwst_core.runs.engine import cpu_map, use_processes  # noqa: E402
from gzjwst_core.sky.bands import BANDS  # noqa: E402
from gzjwst_core.sky.fields import sky_fields  # noqa: E402
from gzjwst_core.sky.mosaics import mosaic_hdus  # noqa: E402
from gzjwst_core.sky.options import SkyOptions  # noqa: E402
from gzjwst_core.sky.psf import psf_stamp  # noqa: E402
from gzjwst_core.sky.render import render_band  # noqa: E402
from gzjwst_core.sky.scene import draw_scene  # noqa: E402
from gzjwst_core.survey.profile import SurveyProfile, load_profile  # noqa: E402

Floats = NDArray[np.float64]

_BANDS, _SCALE, _FINE, _MATCH_ARCSEC = ("F277W", "F444W"), 0.06, 2, 0.2
_NOISES = (1.0, 2.0, 0.5)
_TIGHT, _TINY, _ZOOM = 0.7, 0.2, 1.4
_SIZES = ("isophote_diagonal", "bbox_diagonal", "segment_reach", "kron_a", "r50")


@dataclass(frozen=True)
class Seen:
    """Selected galaxies of one scene at one noise."""

    table: Table
    true: NDArray[np.int64]
    """Row of the truth, each."""
    boxes: Floats
    """(n, 4) left, right, bottom, top of what is visible around the catalog's position, arcsec."""


def rules() -> dict[str, CutoutOptions]:
    """Name what is compared."""
    made = {rule: CutoutOptions.model_validate({"fov_rule": rule}) for rule in RULES if rule != "fixed"}
    made["isophote, fill_max 1, zoom 1"] = CutoutOptions(fov_fill_max=1.0, fov_zoom=1.0)
    for pixels in (50, 200):
        side = pixels * 0.03
        made[f"{pixels} px of 0.03"] = CutoutOptions(fov_rule="fixed", fov_fixed_arcsec=side, fov_min_arcsec=side)
    return made


def catalogued(options: SkyOptions, truth: Table, profile: SurveyProfile, noise: float) -> FieldCatalog:
    """Render the first field of a sky with so many times the noise, and catalog it."""
    field, sources = sky_fields(options)[0], []
    with tempfile.TemporaryDirectory() as folder:
        for number, band in enumerate(_BANDS):
            image = render_band(
                truth,
                field.geometry(band),
                band,
                seed=[options.seed, number, round(100 * noise)],
                depth_offset_mag=-2.5 * float(np.log10(noise)),
            )
            hdus, path = mosaic_hdus(field, band, image), Path(folder) / f"{band}.fits"
            type(hdus)([hdu for hdu in hdus if hdu.name in {"PRIMARY", "SCI", "ERR", "WHT"}]).writeto(path)
            sources.append(MosaicSource(field=field.key, band=band, path=str(path), uri=band, identity=band))
        return build_field_catalog(sources, profile, Path(folder) / "seg.fits", bands=_BANDS, cpu_map=cpu_map)


def look(truth: Table, made: FieldCatalog, profile: SurveyProfile) -> Seen:
    """Take the selected sources that are a true galaxy, and what is visible of each."""
    table = made.table
    table["is_primary"] = True
    table = table[select(table, profile.select.cuts)[0]]
    here, there = _flat(truth, "_deg", truth), _flat(table, "", truth)
    mag, levels = np.asarray(truth["mag_F277W"]), dict(zip(made.mosaics["band"], made.mosaics["sigma"], strict=True))
    found: list[tuple[int, int, Floats]] = []
    for row, near in enumerate(cKDTree(here).query_ball_point(there, _MATCH_ARCSEC)):
        brightest = min(near, key=lambda i: mag[i], default=None)
        if brightest is None or truth["kind"][brightest] != "galaxy":
            continue
        east, north = here[brightest] - there[row]
        box = visible(truth[brightest], levels) + np.array([-east, -east, north, north])
        if np.isfinite(box).all():
            found.append((row, brightest, box))
    rows, true, boxes = zip(*found, strict=True)
    return Seen(table[list(rows)], np.array(true), np.array(boxes))


def _flat(table: Table, ending: str, around: Table) -> Floats:
    """East and north of the scene's middle, arcsec, (n, 2)."""
    ra0, dec0 = (float(np.mean(around[f"{name}_deg"])) for name in ("ra", "dec"))
    ra, dec = (np.asarray(table[f"{name}{ending}"], dtype=float) for name in ("ra", "dec"))
    return np.column_stack([(ra - ra0) * np.cos(np.radians(dec0)), dec - dec0]) * 3600


def visible(galaxy: Row, levels: Mapping[str, float]) -> Floats:
    """Edges of the box (x to the west, y to the north) around light above a level in any band; NaN without any."""
    found = [_box(_light(galaxy, band), level) for band, level in levels.items()]
    if np.isnan(found).all():
        return np.full(4, np.nan)
    low, high = np.nanmin(found, axis=0), np.nanmax(found, axis=0)
    return np.array([low[0], high[1], low[2], high[3]])


def _box(light: Floats, level: float) -> list[float]:
    rows, columns = np.nonzero(light >= level)
    if rows.size == 0:
        return [np.nan] * 4
    half = light.shape[0] / 2
    edges = columns.min() - half, columns.max() + 1 - half, rows.min() - half, rows.max() + 1 - half
    return [float(edge) * _SCALE for edge in edges]


def _light(galaxy: Row, band: str) -> Floats:
    """Noiseless light, uJy per square arcsec on pixels of 0.06 arcsec, north up and east left."""
    angle, fine = np.radians(float(galaxy["pa_deg"])), _SCALE / _FINE
    stamp = sersic_stamp(
        n=float(galaxy["sersic_n"]),
        r50_px=float(galaxy["r50_arcsec"]) / fine,
        axis_ratio=float(galaxy["axis_ratio"]),
        major=(-float(np.sin(angle)), float(np.cos(angle))),
        centre=(-0.5, -0.5),  # between the middle pixels, once the last row and column are cut off
    )
    psf = _psf(band)
    wide = fftconvolve(np.pad(stamp, len(psf) // 2), psf, mode="same")
    side = len(wide) // (2 * _FINE) * 2 * _FINE
    first = (len(wide) - 1 - side) // 2
    even = wide[first : first + side, first : first + side]
    summed = even.reshape(side // _FINE, _FINE, side // _FINE, _FINE).sum(axis=(1, 3))
    return np.asarray(summed * float(galaxy[f"flux_{band}_ujy"]) / _SCALE**2, dtype=float)


@lru_cache(maxsize=4)
def _psf(band: str) -> NDArray[np.float32]:
    return psf_stamp(BANDS[band], scale_arcsec=_SCALE / _FINE, radius_arcsec=3.0)


def scores(seen: Sequence[Seen], options: CutoutOptions) -> str:
    """Write the cells of one rule at one noise."""
    fov = np.concatenate([fov_arcsec(one.table, options) for one in seen])
    boxes = np.concatenate([one.boxes for one in seen])
    fill = np.maximum(boxes[:, 1] - boxes[:, 0], boxes[:, 3] - boxes[:, 2]) / fov
    reach = np.concatenate([np.asarray(one.table["segment_reach"], dtype=float) for one in seen])
    left = np.where(fov < options.fov_max_arcsec, fov / 2 / _ZOOM * (1 + 1e-6), np.inf)
    clipped = np.abs(boxes).max(axis=1) > left
    parts = [(fill >= _TINY) & (fill <= _TIGHT), fill > _TIGHT, fill < _TINY, clipped, reach > left]
    low, middle, high = np.percentile(fill, [5, 50, 95])
    return " | ".join([f"{low:.2f} {middle:.2f} {high:.2f}", *(f"{100 * part.mean():.1f} %" for part in parts)])


def pairs(one: Seen, other: Seen) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of galaxies that are selected both times."""
    _, first, second = np.intersect1d(one.true, other.true, return_indices=True)
    return first, second


def changed(one: Sequence[Seen], other: Sequence[Seen], options: CutoutOptions) -> str:
    """Write the share of fields of view that differ."""
    differ: list[Any] = []
    for a, b in zip(one, other, strict=True):
        first, second = pairs(a, b)
        differ += (fov_arcsec(a.table, options)[first] != fov_arcsec(b.table, options)[second]).tolist()
    return f"{100 * np.mean(differ):.0f} %"


def size_changes(one: Sequence[Seen], other: Sequence[Seen], name: str) -> str:
    """Write the median change of a size, and what 90 % of them stay below, pixels; and in per cent."""
    change, relative = [], []
    for a, b in zip(one, other, strict=True):
        first, second = pairs(a, b)
        before, after = np.asarray(a.table[name], dtype=float)[first], np.asarray(b.table[name], dtype=float)[second]
        change.append((after - before) / _SCALE)
        relative.append(100 * (after / before - 1))
    pixels, share = np.concatenate(change), np.concatenate(relative)
    pixels, share = pixels[np.isfinite(pixels)], share[np.isfinite(share)]
    return f"{np.median(pixels):+.1f} | {np.percentile(np.abs(pixels), 90):.1f} | {np.median(share):+.0f} %"


def tables(seen: Mapping[float, Sequence[Seen]]) -> str:
    """Write every table."""
    lines = []
    for noise, ones in seen.items():
        lines += ["", f"{sum(len(one.table) for one in ones)} galaxies, noise x {noise:g}:", ""]
        steps = [other for other in seen if other != 1.0] if noise == 1.0 else []
        heads = [
            "rule",
            "fill 5/50/95 %",
            "0.2-0.7",
            "tight",
            "tiny",
            "clipped",
            "cut",
            *(f"step x {k:g}" for k in steps),
        ]
        lines += [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
        for name, options in rules().items():
            cells = [name, scores(ones, options), *(changed(ones, seen[k], options) for k in steps)]
            lines.append(f"| {' | '.join(cells)} |")
    heads = [f"{what}, noise x {k:g}" for k in seen if k != 1.0 for what in ("median px", "90 % below", "median")]
    lines += ["", f"| size | {' | '.join(heads)} |", f"|---|{'---|' * len(heads)}"]
    for name in _SIZES:
        cells = [size_changes(seen[1.0], seen[k], name) for k in seen if k != 1.0]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure every seed at every noise, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--size", type=float, default=120.0, help="side of a field, arcsec")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--set", action="append", default=[], help="KEY=VALUE of the profile")
    given = parser.parse_args()
    profile = load_profile("demo", overrides=given.set)
    seen: dict[float, list[Seen]] = {noise: [] for noise in _NOISES}
    with use_processes(given.workers):
        for seed in given.seeds:
            options = SkyOptions(bands=_BANDS, missing=(), size_arcsec=given.size, seed=seed)
            truth = draw_scene(options)
            for noise in _NOISES:
                seen[noise].append(look(truth, catalogued(options, truth, profile, noise), profile))
                print(f"seed {seed}, noise x {noise:g}: {len(seen[noise][-1].table)}", file=sys.stderr, flush=True)
    print(tables(seen))


if __name__ == "__main__":
    main()
