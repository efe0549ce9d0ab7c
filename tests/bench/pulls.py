"""Are the errors true? `python tests/bench/pulls.py [--size ARCSEC] [--even] [--own] [SEED ...]`.

Both fields of each seed's sky are catalogued, and every band is measured again in the same apertures with the same
neighbours masked, but without noise and without background. A pull is (measured - true) / error; its standard
deviation must be 1. `calibration`: true = the noise-free light in that very aperture. `user` (with --own): true = the
source's own light in the whole aperture, so that neighbours' wings are errors; `user-clean`: of these those without a
flag that are 1.5 arcsec from any other. `empty`: random circles off every segment, against zero and against the
noise-free light there. Unless --even, a part of every field has a quarter of the exposures.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table, vstack
from numpy.typing import NDArray
from scipy.spatial import cKDTree

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import sep  # noqa: E402

from gzjwst_core.catalog.columns import aperture_name  # noqa: E402
from gzjwst_core.detection.background import Mesh  # noqa: E402
from gzjwst_core.detection.calibrate import calibrate  # noqa: E402
from gzjwst_core.detection.calibrated_frame import band_frame  # noqa: E402
from gzjwst_core.detection.empty_apertures import measure_noise  # noqa: E402
from gzjwst_core.detection.noise_model import Learned, learn_bands  # noqa: E402
from gzjwst_core.detection.regrid import carry_labels  # noqa: E402
from gzjwst_core.detection.tiles import Detected, DetectionPlan, detect_field  # noqa: E402
from gzjwst_core.flag_bits import Flag  # noqa: E402
from gzjwst_core.models import MosaicSource  # noqa: E402
from gzjwst_core.mosaics.geometry import fit_affine, whole  # noqa: E402
from gzjwst_core.mosaics.reader import open_mosaic  # noqa: E402
from gzjwst_core.mosaics.segmap import open_segmap  # noqa: E402
from gzjwst_core.photometry.field_catalog import build_field_catalog  # noqa: E402
from gzjwst_core.photometry.forced import ForcedPlan, measure_field  # noqa: E402
from gzjwst_core.photometry.measure import Scene, aperture_fluxes  # noqa: E402
from gzjwst_core.sky.fields import SkyField, sky_fields  # noqa: E402
from gzjwst_core.sky.geometry import FieldGeometry  # noqa: E402
from gzjwst_core.sky.mosaics import mosaic_hdus  # noqa: E402
from gzjwst_core.sky.options import SkyOptions  # noqa: E402
from gzjwst_core.sky.render import render_band, render_light  # noqa: E402
from gzjwst_core.sky.scene import draw_scene  # noqa: E402
from gzjwst_core.survey.profile import SurveyProfile, load_profile  # noqa: E402

Floats = NDArray[np.float64]

_BINS = (0.0, 20.0, 22.0, 24.0, 25.0, 26.0, 27.0, 28.0, 29.0, 35.0)
_EMPTY = 4000
_STAMP_ARCSEC = 5.0
_MATCH_ARCSEC = 0.15
_ALONE_ARCSEC = 1.5
_TROUBLE = int(Flag.EDGE | Flag.BLENDED | Flag.SATURATED | Flag.BRIGHT_STAR | Flag.CROWDED)


@dataclass(frozen=True)
class Uneven(FieldGeometry):
    """A field of which two fifths saw the first exposure only."""

    def contribution_map(self) -> NDArray[np.int32]:
        """As the base class, less the exposures that part did not get."""
        con = super().contribution_map()
        con[:, : 2 * con.shape[1] // 5] &= (1 << self.tiles) - 1
        return con


@dataclass(frozen=True)
class Made:
    """One field: its catalog, and what is needed to measure it again."""

    plan: ForcedPlan
    detected: Detected
    measured: dict[str, Any]
    true: dict[str, Any]
    geometries: dict[str, FieldGeometry]
    clean: tuple[Learned, ...]
    """The bands without noise."""
    table: Table
    """As catalogued, in the order of the objects; rows without pixels are missing."""


def write_field(
    scene: Table, field: SkyField, seed: int, folder: Path, *, even: bool
) -> tuple[dict[str, MosaicSource], dict[str, MosaicSource], dict[str, FieldGeometry]]:
    """Write the field's mosaics with and without noise."""
    noisy: dict[str, MosaicSource] = {}
    clean: dict[str, MosaicSource] = {}
    geometries: dict[str, FieldGeometry] = {}
    for number, band in enumerate(field.bands):
        given = asdict(field.geometry(band))
        geometry = FieldGeometry(**given) if even else Uneven(**given)
        geometries[band] = geometry
        image = render_band(scene, geometry, band, seed=[seed, field.number, number])
        bare = image.light + (image.background if field.collection == "HLSP" else 0)
        bare = np.where(np.isfinite(image.sci), bare, np.nan).astype(np.float32)
        for name, made, where in (("noisy", image, noisy), ("clean", replace(image, sci=bare), clean)):
            path = folder / f"{field.key}_{band}_{name}.fits"
            mosaic_hdus(field, band, made).writeto(path)
            where[band] = MosaicSource(field=field.key, band=band, path=str(path), uri=f"local:{name}", identity="x")
    return noisy, clean, geometries


def catalogued(scene: Table, field: SkyField, seed: int, folder: Path, profile: SurveyProfile, *, even: bool) -> Made:
    """Catalogue a field, and measure it again without noise."""
    noisy, clean, geometries = write_field(scene, field, seed, folder, even=even)
    segmap = folder / f"{field.key}_seg.fits"
    table = build_field_catalog(list(noisy.values()), profile, segmap, bands=field.bands).table
    learned = learn_bands(list(noisy.values()), profile.mosaics, profile.detect.mesh_arcsec, cpu_map=map)
    chosen = tuple(learned[band] for band in profile.detect.bands if band in learned)
    plan = calibrate(DetectionPlan(chosen, profile.mosaics, profile.detect), cpu_map=map)
    detected = detect_field(plan, segmap, cpu_map=map)
    noise = measure_noise(plan, learned, segmap, cpu_map=map)
    bands = noise.bands
    silent = tuple(_silenced(one, clean[one.source.band]) for one in bands)
    forced = ForcedPlan(plan, bands, profile.photometry, str(segmap), plan.bands[0].source.band, noise.detection)
    measured = measure_field(forced, detected, cpu_map=map)
    true = measure_field(replace(forced, bands=silent), detected, cpu_map=map)
    return Made(forced, detected, measured, true, geometries, silent, table)


def _silenced(learned: Learned, source: MosaicSource) -> Learned:
    flat = Mesh(learned.grid.side, np.zeros((1, 1)), np.ones((1, 1)))
    return replace(learned, source=source, model=replace(learned.model, mesh=flat))


def calibration_rows(made: Made, seed: int) -> Iterator[dict[str, Any]]:
    """Pulls against the noise-free light in the very same aperture."""
    for band in (one.source.band for one in made.plan.bands):
        names = {"auto": (f"{band}_flux_auto", f"{band}_fluxerr_auto")}
        for diameter in made.plan.photometry.apertures_arcsec:
            names[f"{diameter:.1f}"] = (aperture_name(band, diameter), aperture_name(band, diameter, error=True))
        mag = _magnitude(made.measured[f"{band}_flux_auto"])
        for aperture, (flux, error) in names.items():
            pull = (made.measured[flux] - made.true[flux]) / made.measured[error]
            for row in np.flatnonzero(np.isfinite(pull)):
                yield _row((seed, made), ("calibration", band, aperture), mag[row], pull[row])


def user_rows(made: Made, scene: Table, seed: int) -> Iterator[dict[str, Any]]:
    """Pulls against the own light of the true source, one to one within 0.15 arcsec."""
    with open_segmap(Path(made.plan.segmap)) as segmap:
        wcs = segmap.wcs
    x, y = wcs.all_world2pix(scene["ra_deg"], scene["dec_deg"], 0)
    objects = made.detected.objects
    scale = made.plan.detection.scale_arcsec
    distance, nearest = cKDTree(np.column_stack([objects["x"], objects["y"]])).query(np.column_stack([x, y]))
    taken: set[int] = set()
    alone = (made.table["nn_dist"] > _ALONE_ARCSEC) & ((made.table["flags"] & _TROUBLE) == 0)
    rows = {segment: at for at, segment in enumerate(np.asarray(made.table["segment_id"]).tolist())}
    clean = np.isin(objects["id"], np.asarray(made.table["segment_id"])[np.asarray(alone)])
    for true in np.argsort(np.asarray(scene["mag_F277W"])):
        row = int(nearest[true])
        if distance[true] * scale > _MATCH_ARCSEC or row in taken or scene["saturated"][true]:
            continue
        taken.add(row)
        ra, dec = (float(v) for v in wcs.all_pix2world(objects["x"][row], objects["y"][row], 0))
        for band, geometry in made.geometries.items():
            mag = _magnitude(made.measured[f"{band}_flux_auto"][row : row + 1])[0]
            own = own_light(scene[true : true + 1], geometry, band, (ra, dec), made.plan.photometry.apertures_arcsec)
            named = "user-clean" if clean[row] else "user"
            for diameter, light in own.items():
                flux = made.measured[aperture_name(band, diameter)][row]
                if np.isfinite(flux) and objects["id"][row] in rows:
                    error = made.table[aperture_name(band, diameter, error=True)][rows[objects["id"][row]]]
                    yield _row((seed, made), (named, band, f"{diameter:.1f}"), mag, (flux - light) / error)


def own_light(
    one: Table, geometry: FieldGeometry, band: str, place: tuple[float, float], diameters: tuple[float, ...]
) -> dict[float, float]:
    """Light of one source alone in circles around a place, on a stamp of the same grid."""
    scale = geometry.pixel_scale_arcsec
    x, y = (float(v) for v in geometry.to_pixels(*place))
    side = round(_STAMP_ARCSEC / scale)
    middle = (side - 1) / 2
    stamp = FieldGeometry(
        *place,
        size_arcsec=_STAMP_ARCSEC,
        roll_deg=geometry.roll_deg,
        pixel_scale_arcsec=scale,
        offset_px=((x - middle) % 1.0, (y - middle) % 1.0),
        focal_roll_deg=geometry.focal_roll_deg,
    )
    light = np.ascontiguousarray(render_light(one, stamp, band))
    at = np.array([middle + stamp.offset_px[0]]), np.array([middle + stamp.offset_px[1]])
    return {d: float(sep.sum_circle(light, *at, d / 2 / scale, subpix=5)[0][0]) for d in diameters}


def empty_rows(made: Made, seed: int) -> Iterator[dict[str, Any]]:
    """Pulls of random circles off every segment: against zero, and against the noise-free light there."""
    rng = np.random.default_rng(seed)
    with open_segmap(Path(made.plan.segmap)) as segmap:
        box, wcs = whole(segmap.shape), segmap.wcs
        labels = segmap.window(box)
    for noisy, clean in zip(made.plan.bands, made.clean, strict=True):
        here = whole(noisy.grid.shape)
        x, y = (rng.uniform(0, n - 1, _EMPTY) for n in (here.x1, here.y1))
        scenes = []
        for learned in (noisy, clean):
            with open_mosaic(learned.source, made.plan.detection.mosaics) as reader:
                frame = band_frame(reader.windows(here), learned.model, here)
                there = carry_labels(labels, box, here, fit_affine(reader.wcs, wcs, here))
            one = np.zeros(_EMPTY, np.int32)
            scenes.append(Scene(frame, np.zeros_like(there), one, noisy.model.noise.law_at(y, x)))
        blocked = np.ascontiguousarray(((there > 0) | scenes[0].frame.bad).astype(np.float32))
        for diameter in made.plan.photometry.apertures_arcsec:
            radius = diameter / 2 / noisy.grid.scale_arcsec
            free = sep.sum_circle(blocked, x, y, radius + 0.7, subpix=1)[0] == 0
            (flux, error), (light, _) = (aperture_fluxes(scene, x, y, radius) for scene in scenes)
            for row in np.flatnonzero(free & np.isfinite(flux)):
                aperture = f"{diameter:.1f}"
                yield _row((seed, made), ("empty-zero", noisy.source.band, aperture), 99.0, flux[row] / error[row])
                pull = (flux[row] - light[row]) / error[row]
                yield _row((seed, made), ("empty-light", noisy.source.band, aperture), 99.0, pull)


def _row(of: tuple[int, Made], what: tuple[str, str, str], mag: float, pull: float) -> dict[str, Any]:
    (seed, made), (kind, band, aperture) = of, what
    field = made.plan.bands[0].source.field
    return {"kind": kind, "seed": seed, "field": field, "band": band, "aperture": aperture, "mag": mag, "pull": pull}


def _magnitude(flux: Floats) -> Floats:
    return np.where(flux > 0, 23.9 - 2.5 * np.log10(np.maximum(flux, 1e-9)), 34.0)


def summary(rows: Table) -> Table:
    """Count, mean, sd and MAD sd of the pulls by kind, band, aperture and bin of magnitude."""
    out = []
    rows["bin"] = np.digitize(rows["mag"], _BINS)
    for group in rows.group_by(["kind", "band", "aperture", "bin"]).groups:
        pull = np.asarray(group["pull"])
        robust = 1.4826 * float(np.median(np.abs(pull - np.median(pull))))
        low = int(group["bin"][0]) - 1
        said = f"{_BINS[low]:g}-{_BINS[low + 1]:g}" if low + 1 < len(_BINS) else "all"
        first = {name: group[name][0] for name in ("kind", "band", "aperture")}
        out.append({**first, "mag": said, "n": len(pull), "mean": pull.mean(), "sd": pull.std(), "mad": robust})
    return Table(rows=out)


def one_seed(seed: int, options: argparse.Namespace, profile: SurveyProfile, scratch: Path) -> Table:
    """Measure both fields of a sky."""
    given = SkyOptions(seed=seed, size_arcsec=options.size, bands=tuple(options.bands), missing=())
    scene = draw_scene(given)
    rows: list[dict[str, Any]] = []
    for field in sky_fields(given):
        made = catalogued(scene, field, seed, scratch, profile, even=options.even)
        rows += [*calibration_rows(made, seed), *empty_rows(made, seed)]
        if options.own:
            rows += user_rows(made, scene, seed)
        for learned in made.plan.bands:
            print(
                seed,
                field.key,
                learned.source.band,
                learned.model.err_factor,
                learned.model.noise.laws,
                file=sys.stderr,
            )
    return Table(rows=rows)


def main() -> None:
    """Measure every seed, print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seeds", nargs="*", type=int, default=[1])
    parser.add_argument("--size", type=float, default=60.0, help="side of a field, arcsec")
    parser.add_argument("--bands", nargs="+", default=["F115W", "F150W", "F277W", "F444W"])
    parser.add_argument("--even", action="store_true", help="the sky's own exposures only")
    parser.add_argument("--own", action="store_true", help="also against each source's own light")
    parser.add_argument("--set", action="append", default=[], help="KEY=VALUE of the profile")
    parser.add_argument("--rows", help="write every pull to this file")
    options = parser.parse_args()
    profile = load_profile("demo", overrides=options.set)
    tables = []
    for seed in options.seeds:
        with tempfile.TemporaryDirectory() as scratch:
            tables.append(one_seed(seed, options, profile, Path(scratch)))
    rows = vstack(tables)
    if options.rows:
        rows.write(options.rows, overwrite=True)
    table = summary(rows)
    for name in ("mean", "sd", "mad"):
        table[name].info.format = ".2f"
    print("\n".join(table.pformat(max_lines=-1, max_width=-1)))


if __name__ == "__main__":
    main()
