"""Completeness by injection against the truth's own: `python tests/bench/completeness.py [--seeds N ...]`.

For each seed one field of a synthetic sky is made and catalogued. Its own galaxies are looked up in the catalog by the
rule of `recovery` (other *true* sources within the radius of a detection take the place of detections that were there
before: none may be brighter than the galaxy, and the detection must hold at least half of the galaxy's flux beside that
of the brightest). Then galaxies are injected by the code of a run, PSF from the field's stars or the formula. So that
both sides mean the same galaxies, the injected ones are drawn with replacement from the field's true ones: magnitude,
size, index, axis ratio and all fluxes together; places and position angles are new. The grey galaxies, which stand
alone by construction, count on neither side.

Tables: each bin of magnitude and half-light radius over all fields; the part of the bins with at least 50 true galaxies
in which the injected share lies within the true one's 95 % interval (Jeffreys), and in which the two shares differ by
less than the 95 % interval of their difference (Newcombe 1998, Stat. Med. 17, 873, from both Jeffreys intervals); chi
square over all bins, with the binomial noise of both sides: (p - q)^2 / [r (1 - r) (1/n + 1/m)], r the share of both
together; bins in which all or none are found on both sides have none to give and do not count.
"""

import argparse
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
from astropy.table import Table, vstack
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.stats import chi2

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from gzjwst_core.catalog.astrometry import unit_vectors  # noqa: E402
from gzjwst_core.completeness.counts import jeffreys  # noqa: E402
from gzjwst_core.completeness.injected import batch_sizes, generator  # noqa: E402
from gzjwst_core.completeness.injection import inject_batch, place_galaxies  # noqa: E402
from gzjwst_core.completeness.recovery import match, nearest  # noqa: E402
from gzjwst_core.models import MosaicSource  # noqa: E402
from gzjwst_core.mosaics.geometry import Box  # noqa: E402
from gzjwst_core.mosaics.reader import open_mosaic  # noqa: E402
from gzjwst_core.photometry.field_catalog import FieldCatalog, build_field_catalog  # noqa: E402
from gzjwst_core.psf.known import psf_of  # noqa: E402
from gzjwst_core.runs.engine import cpu_map, use_processes  # noqa: E402
from gzjwst_core.sky.fields import sky_fields  # noqa: E402
from gzjwst_core.sky.mosaics import mosaic_hdus  # noqa: E402
from gzjwst_core.sky.options import SkyOptions  # noqa: E402
from gzjwst_core.sky.render import render_band  # noqa: E402
from gzjwst_core.sky.scene import draw_scene  # noqa: E402
from gzjwst_core.storage.scratch import scratch  # noqa: E402
from gzjwst_core.survey.profile import SurveyProfile, load_profile  # noqa: E402

Floats = NDArray[np.float64]

_LEAST = 50
_REFERENCE = "F277W"


def make_field(options: SkyOptions, folder: Path) -> tuple[Table, list[MosaicSource]]:
    """Render the first field of a sky as plain files; returns the truth and the mosaics."""
    scene, field, sources = draw_scene(options), sky_fields(options)[0], []
    for number, band in enumerate(options.bands):
        image = render_band(scene, field.geometry(band), band, seed=[options.seed, field.number, number])
        path = folder / f"{band}.fits"
        hdus = mosaic_hdus(field, band, image)
        type(hdus)([hdu for hdu in hdus if hdu.name in {"PRIMARY", "SCI", "ERR", "WHT"}]).writeto(path)
        sources.append(MosaicSource(field=field.key, band=band, path=str(path), uri=band, identity=band))
    return scene, sources


def has_data(truth: Table, source: MosaicSource, profile: SurveyProfile) -> NDArray[np.bool_]:
    """Whether the pixel of each true source has data."""
    with open_mosaic(source, profile.mosaics) as reader:
        x, y = reader.wcs.all_world2pix(truth["ra"], truth["dec"], 0)
        boxes = [Box(j, j + 1, i, i + 1) for i, j in np.rint(np.column_stack([x, y])).astype(int).tolist()]
        return np.array([bool(np.isfinite(reader.windows(box).sci).all()) for box in boxes])


def look_up(galaxies: Table, truth: Table, found: Table, radius: float) -> NDArray[np.bool_]:
    """Tell which true galaxies the catalog has, by the rule of injection."""
    places = [np.asarray(table[name], dtype=float) for table in (galaxies, found) for name in ("ra", "dec")]
    row, apart = nearest(*places)
    near = apart <= np.maximum(radius, np.asarray(galaxies["r50"]) / 2)
    others = cKDTree(unit_vectors(np.asarray(truth["ra"], dtype=float), np.asarray(truth["dec"], dtype=float)))
    spots = unit_vectors(places[2][row], places[3][row])
    around = others.query_ball_point(spots, 2 * np.sin(np.radians(radius / 3600) / 2))
    mag, all_mags = np.asarray(galaxies["mag"], dtype=float), np.asarray(truth["mag"], dtype=float)
    others_mags = [all_mags[group][all_mags[group] != own] for group, own in zip(around, mag, strict=True)]
    brightest = np.array([np.min(group, initial=np.inf) for group in others_mags])
    measured = np.asarray(found["mag_ref"], dtype=float)[row]
    flux, beside, of_found = (np.nan_to_num(10 ** (-0.4 * values)) for values in (mag, brightest, measured))
    gained = np.isinf(brightest) | (of_found - beside >= 0.5 * flux)
    return np.asarray(near & (beside <= flux) & gained)


def inject(
    sources: list[MosaicSource], profile: SurveyProfile, pool: Table, made: FieldCatalog, folder: Path
) -> tuple[Table, str]:
    """Inject galaxies that are drawn from a pool; returns them with `recovered`, and where PSFs came from."""
    options, bands = profile.completeness, tuple(source.band for source in sources)
    psfs = {s.band: psf_of(s, profile.psf, profile.mosaics, made.table) for s in sources}
    reference = next(source for source in sources if source.band == _REFERENCE)
    area = float(made.mosaics["area"][made.mosaics["band"] == _REFERENCE][0])
    parts = []
    for batch, count in enumerate(batch_sizes(options, area)):
        rng = generator(options, Path(sources[0].path).parent.name[:8], batch)
        galaxies = pool[rng.integers(0, len(pool), count)]
        galaxies["pa"] = rng.uniform(0, 180, count)
        galaxies = place_galaxies(rng, galaxies, reference, profile.mosaics, options.apart_arcsec)
        with scratch(folder) as place:
            found = inject_batch(sources, profile, galaxies, psfs, bands=bands, scratch=place, cpu_map=cpu_map)
        galaxies["recovered"] = match(galaxies, found, made.table, options.match_arcsec).recovered
        parts.append(galaxies)
    return vstack(parts), ", ".join(f"{band} {psf.origin} {psf.stars}" for band, psf in psfs.items())


def one_seed(seed: int, options: SkyOptions, profile: SurveyProfile) -> tuple[Table, Table]:
    """True and injected galaxies of one field: `mag`, `r50`, `recovered`."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix=f"s{seed:07d}-") as scratch_folder:
        folder = Path(scratch_folder)
        truth, sources = make_field(options.model_copy(update={"seed": seed}), folder)
        truth.rename_columns(["ra_deg", "dec_deg", "r50_arcsec", "pa_deg"], ["ra", "dec", "r50", "pa"])
        truth["mag"] = np.asarray(truth[f"mag_{_REFERENCE}"])
        for band in options.bands:
            truth[f"{band}_flux_in"] = np.asarray(truth[f"flux_{band}_ujy"])
        for name in ("ra", "dec", "r50", "pa"):
            truth[name] = np.asarray(truth[name])
        reference = next(source for source in sources if source.band == _REFERENCE)
        galaxies = truth[(truth["kind"] == "galaxy") & ~truth["grey"] & has_data(truth, reference, profile)]
        made = build_field_catalog(sources, profile, folder / "seg.fits", bands=options.bands, cpu_map=cpu_map)
        galaxies["recovered"] = look_up(galaxies, truth, made.table, profile.completeness.match_arcsec)
        injected, origin = inject(sources, profile, galaxies, made, folder)
    said = f"{len(made.table)} detections, {len(galaxies)} galaxies, {len(injected)} injected, PSF {origin}"
    print(f"seed {seed}: {said}, {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
    return galaxies["mag", "r50", "recovered"], injected["mag", "r50", "recovered"]


def counts(galaxies: Table, mag: Floats, r50: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Count galaxies, and those recovered, in bins."""
    found = galaxies[galaxies["recovered"]]
    every, kept = (np.histogram2d(t["mag"], t["r50"], [mag, r50])[0].astype(int) for t in (galaxies, found))
    return every.ravel(), kept.ravel()


def compare(truth: Table, injected: Table, mag: Floats, r50: Floats) -> str:
    """Write the table and what follows from it."""
    n, k = counts(truth, mag, r50)
    m, j = counts(injected, mag, r50)
    with np.errstate(invalid="ignore", divide="ignore"):
        p, q, both = k / n, j / m, (k + j) / (n + m)
        part = (p - q) ** 2 / (both * (1 - both) * (1 / n + 1 / m))
    low, high = jeffreys(k, n)
    q_low, q_high = jeffreys(j, m)
    widths = np.hypot(p - low, q_high - q), np.hypot(high - p, q - q_low)
    inside = (q >= low) & (q <= high)
    agree = (p - q - widths[0] <= 0) & (p - q + widths[1] >= 0)
    lines = [
        "| mag | r50 | true n | injected n | true | 95 % | injected | inside |",
        "|---|---|---:|---:|---:|---|---:|---|",
    ]
    bins = [(a, b) for a in pairwise(mag) for b in pairwise(r50)]
    for i in np.flatnonzero(n >= _LEAST):
        (bright, faint), (small, large) = bins[i]
        where = f"| {bright:.1f}-{faint:.1f} | {small:.2f}-{large:.2f} | {n[i]} | {m[i]} "
        lines.append(
            f"{where}| {p[i]:.3f} | {low[i]:.3f}-{high[i]:.3f} | {q[i]:.3f} | {'yes' if inside[i] else 'no'} |"
        )
    many, usable = n >= _LEAST, np.isfinite(part) & (n > 0) & (m > 0)
    total, freedom = float(part[usable].sum()), int(usable.sum())
    lines += ["", f"bins with at least {_LEAST} true galaxies: {many.sum()}"]
    if many.any():
        lines.append(f"injected share inside the true one's 95 % interval: {inside[many].mean():.1%} of these")
        lines.append(f"shares agree within the 95 % interval of their difference: {agree[many].mean():.1%} of these")
    lines.append(f"chi square over all bins: {total:.1f} for {freedom} bins, p = {chi2.sf(total, freedom):.3f}")
    lines.append(
        f"all together: true {k.sum() / n.sum():.4f} of {n.sum()}, injected {j.sum() / m.sum():.4f} of {m.sum()}"
    )
    return "\n".join(lines)


def main() -> None:
    """Measure every seed, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--size", type=float, default=120.0, help="side of a field, arcsec")
    parser.add_argument("--bands", nargs="+", default=["F115W", "F150W", "F277W", "F444W"])
    parser.add_argument("--sources", type=int, default=1500, help="injected into each field")
    parser.add_argument("--density", type=float, default=60.0, help="injected at once, per square arcmin")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--set", action="append", default=[], help="KEY=VALUE of the profile")
    given = parser.parse_args()
    more = [
        f"completeness.sources={given.sources}",
        f"completeness.density={given.density}",
        "completeness.batches=999",
    ]
    profile = load_profile("demo", overrides=[*more, *given.set])
    options = SkyOptions(bands=tuple(given.bands), missing=(), size_arcsec=given.size)
    edges = np.arange(22, 29.01, 0.5), np.array([0.03, 0.1, 0.16, 0.25, 0.4, 1.5])
    fields: list[tuple[Table, Table]] = []
    with use_processes(given.workers):
        for seed in given.seeds:
            fields.append(one_seed(seed, options, profile))
            truth, injected = (vstack([field[side] for field in fields]) for side in (0, 1))
            told = compare(truth, injected, *edges)
            print("\n".join(told.splitlines()[-4:]), file=sys.stderr, flush=True)
    print(told)


if __name__ == "__main__":
    main()
