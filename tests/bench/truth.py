"""The catalog against the truth of synthetic skies: `python tests/bench/truth.py [--recipe R] [SEED ...]`.

For each seed a sky is made and both of its fields are catalogued. Columns: completeness of galaxies at least 1 mag
brighter than the 5 sigma depth (0.3 arcsec aperture, empty apertures) with r50 < 0.3 arcsec; detections on the negative
image over detections; median magnitude error at mag < 25 in each band; distance of matched centres from the truth.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import Table

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from gzjwst_core.catalog.columns import Flag  # noqa: E402
from gzjwst_core.catalog.field import build_field_catalog  # noqa: E402
from gzjwst_core.models import MosaicSource  # noqa: E402
from gzjwst_core.mosaics.planes import keep_planes  # noqa: E402
from gzjwst_core.profile import SurveyProfile, load_profile  # noqa: E402
from gzjwst_core.sky.build import Sky, build_sky  # noqa: E402

_DETECTION = ("F277W", "F444W")
_MATCH_ARCSEC = 0.2


def sources_of(sky: Sky, folder: Path, profile: SurveyProfile, field: str) -> list[MosaicSource]:
    """Planes of a field's mosaics as plain files."""
    sources = []
    for mosaic in [m for m in sky.mosaics if m.field == field]:
        path = folder / f"{field}-{mosaic.band}.fits"
        with (sky.folder / mosaic.path).open("rb") as stream, path.open("wb") as target:
            keep_planes(stream, target, profile.mosaics.sci_planes, mosaic.filename)
        sources.append(MosaicSource(field=field, band=mosaic.band, path=str(path), uri="", identity=mosaic.obs_id))
    return sources


def negative(source: MosaicSource) -> MosaicSource:
    """Turn the sign of the pixels about their median."""
    path = Path(source.path).with_suffix(".negative.fits")
    with fits.open(source.path) as hdus:
        name = "SCI_BKSUB" if "SCI_BKSUB" in hdus else "SCI"
        data, gap = hdus[name].data, np.asarray(hdus["WHT"].data) == 0
        hdus[name].data = np.where(gap, data, 2 * np.nanmedian(data[~gap]) - data).astype(np.float32)
        hdus.writeto(path)
    return source.replace(path=str(path))


def position(table: Table, ra: str, dec: str) -> SkyCoord:
    """Sky positions of a table."""
    return SkyCoord(np.asarray(table[ra]), np.asarray(table[dec]), unit="deg")


def measure(truth: Table, field: str, sources: list[MosaicSource], profile: SurveyProfile) -> dict[str, float]:
    """Measure one field."""
    folder = Path(sources[0].path).parent
    bands = tuple(source.band for source in sources)
    begun = time.process_time()
    made = build_field_catalog(sources, profile, folder / "seg.fits", bands=bands)
    seconds = time.process_time() - begun
    holes = [negative(source) for source in sources if source.band in _DETECTION]
    spurious = len(build_field_catalog(holes, profile, folder / "holes.fits", bands=bands).table)
    depth = float(np.min(made.mosaics["depth"][made.mosaics["is_detection"]]))
    galaxies = truth[np.asarray(truth[f"in_{field}"]) & (truth["kind"] == "galaxy")]
    found = {"sources": len(made.table), "depth": depth, "spurious": spurious / len(made.table), "cpu_s": seconds}
    wanted = galaxies[(galaxies["mag_F277W"] < depth - 1) & (galaxies["r50_arcsec"] < 0.3)]
    _, apart, _ = position(wanted, "ra_deg", "dec_deg").match_to_catalog_sky(position(made.table, "ra", "dec"))
    found |= {"wanted": len(wanted), "complete": float(np.mean(apart.arcsec < _MATCH_ARCSEC))}
    return found | dict(photometry(galaxies, made.table, bands))


def photometry(galaxies: Table, table: Table, bands: tuple[str, ...]) -> Iterator[tuple[str, float]]:
    """Magnitudes and centres of bright galaxies."""
    good = table[(table["flags"] & int(Flag.SATURATED | Flag.TRUNCATED)) == 0]
    bright = galaxies[galaxies["mag_F277W"] < 25]
    which, apart, _ = position(bright, "ra_deg", "dec_deg").match_to_catalog_sky(position(good, "ra", "dec"))
    near = apart.arcsec < _MATCH_ARCSEC
    yield "centre_p50_px", float(np.median(apart.arcsec[near])) / 0.06
    yield "centre_p95_px", float(np.quantile(apart.arcsec[near], 0.95)) / 0.06
    for band in bands:
        true = np.asarray(bright[f"mag_{band}"])[near]
        difference = (np.asarray(good[f"{band}_mag_tot"])[which[near]] - true)[true < 25]
        yield f"dmag_{band}", float(np.nanmedian(difference))


def main() -> None:
    """Measure every seed, print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seeds", nargs="*", type=int, default=[20260101, 7, 11])
    parser.add_argument("--set", action="append", default=[], help="KEY=VALUE of the profile")
    options = parser.parse_args()
    profile = load_profile("demo", overrides=options.set)
    if profile.sky is None:
        raise SystemExit("the demo's profile has no sky")
    rows = []
    for seed in options.seeds:
        with tempfile.TemporaryDirectory() as scratch:
            sky = build_sky(profile.sky.model_copy(update={"seed": seed}), Path(scratch) / "sky")
            truth = sky.truth()
            for field in sorted({mosaic.field for mosaic in sky.mosaics}):
                sources = sources_of(sky, Path(scratch), profile, field)
                rows.append({"seed": seed, "field": field, **measure(truth, field, sources, profile)})
    table = Table(rows=rows)
    for name in table.colnames[2:]:
        table[name].info.format = ".3f" if table[name].dtype.kind == "f" else "d"
    print("\n".join(table.pformat(max_lines=-1, max_width=-1)))


if __name__ == "__main__":
    main()
