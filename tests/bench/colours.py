"""Colours with and without PSF matching, against the truth: `python tests/bench/colours.py [SEED ...]`.

A sky of 60 arcsec fields with 25 stars per square arcmin. Median and scatter (1.4826 x median absolute deviation) of
measured minus true colour against F444W, mag, of unflagged sources at F277W < 25.5: in flux_auto, in a circle of 0.3
arcsec, and matched with PSFs from the field's own stars or from files that hold the true PSFs.
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import Table, vstack
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from gzjwst_core.options import PsfOptions  # noqa: E402
from tests.catalog.tiny_sky import Profile, TinySky, catalog_of, render_sky  # noqa: E402
from tests.psf.star_field import true_psf  # noqa: E402

BANDS = ("F115W", "F150W", "F277W", "F444W")
_SPOILT = 1 | 4 | 8 | 16 | 1024


def psf_files(folder: Path, turn_deg: float) -> dict[str, str]:
    """Write the true PSFs of one field."""
    files = {}
    for band in BANDS:
        psf, path = true_psf(band, turn_deg=turn_deg), folder / f"psf_{band}_{turn_deg}.fits"
        fits.PrimaryHDU(psf.pixels, fits.Header({"PIXELSCL": psf.scale_arcsec})).writeto(path, overwrite=True)
        files[band] = str(path)
    return files


def matched(sky: TinySky, name: str, table: Table) -> tuple[Table, Table]:
    """Sources with a true counterpart, row by row."""
    truth = sky.truth[np.asarray(sky.truth[f"in_{name}"]) & ~np.asarray(sky.truth["saturated"])]
    there = SkyCoord(truth["ra_deg"], truth["dec_deg"], unit="deg")
    row, apart, _ = there.match_to_catalog_sky(SkyCoord(table["ra"], table["dec"], unit="deg"))
    good = (apart.arcsec < 0.15) & (truth["mag_F277W"] < 25.5) & ((table["flags"][row] & _SPOILT) == 0)
    return table[row[good]], truth[good]


def measure(sky: TinySky, folder: Path, given: dict[str, PsfOptions]) -> tuple[Table, Table]:
    """Catalogue both fields."""
    parts = []
    for name in sky.fields:
        begun = time.process_time()
        made = catalog_of(sky, name, folder / "seg.fits", Profile(psf=given[name]))
        print(f"# {name}: {time.process_time() - begun:.1f} s CPU, {dict(made.counts)}")
        parts.append(matched(sky, name, made.table))
    return tuple(vstack([part[i] for part in parts], metadata_conflicts="silent") for i in (0, 1))


def colour_error(table: Table, truth: Table, band: str, column: str) -> NDArray[np.float64]:
    """Measured minus true colour, mag."""
    with np.errstate(invalid="ignore"):
        found = np.asarray(table[f"{band}_{column}"]) / np.asarray(table[f"F444W_{column}"])
        true = np.asarray(truth[f"flux_{band}_ujy"]) / np.asarray(truth["flux_F444W_ujy"])
        return np.asarray(-2.5 * np.log10(found / true))


def report(table: Table, truth: Table, columns: tuple[str, ...], label: str) -> None:
    """Print one table."""
    star, size = np.asarray(truth["kind"]) == "star", np.asarray(truth["r50_arcsec"])
    kinds = {"stars": star, "r50 < 0.2": ~star & (size < 0.2), "r50 > 0.3": ~star & (size > 0.3)}
    for kind, some in kinds.items():
        for band in BANDS[:-1]:
            for column in columns:
                error = colour_error(table, truth, band, column)[some]
                error = error[np.isfinite(error)]
                middle = np.median(error)
                scatter = 1.4826 * np.median(np.abs(error - middle))
                print(f"{label:9} {kind:9} {error.size:4d} {band}-F444W {column:13} {middle:+.3f} ± {scatter:.3f}")


def main() -> None:
    """Measure every seed."""
    for seed in [int(text) for text in sys.argv[1:]] or [3]:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            sky = render_sky(folder, BANDS, seed=seed, size_arcsec=60.0, stars_per_arcmin2=25.0)
            names = list(sky.fields)
            report(
                *measure(sky, folder, dict.fromkeys(names, PsfOptions(match="reddest"))),
                ("flux_auto", "flux_aper030", "flux_matched"),
                "stars",
            )
            turns = dict(zip(names, (2.5, -3.5), strict=True))
            given = {name: PsfOptions(match="reddest", files=psf_files(folder, turns[name])) for name in names}
            report(*measure(sky, folder, given), ("flux_matched",), "files")


if __name__ == "__main__":
    main()
