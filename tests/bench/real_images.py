"""Figures of the catalog on real images: `python tests/bench/real_images.py [--set KEY=VALUE ...] [--picture FILE]`.

Two tables: our arithmetic beside SExtractor's own files (`shared/data/sep_reference`), and what several settings make
of the COSMOS-Web Ring (`shared/data/cosmos_web_ring`); each `--set` adds a row of its own. The folders are looked for
as the tests do.
"""

import argparse
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from gzjwst_core.detection.background import Mesh, fill_cells, mesh_statistics
from gzjwst_core.detection.detect import extract
from gzjwst_core.detection.noise import WHITE
from gzjwst_core.mosaics.geometry import whole
from gzjwst_core.photometry import measure
from gzjwst_core.photometry.field_catalog import build_field_catalog
from gzjwst_core.survey.profile import load_profile
from tests.catalog import test_ring as ring
from tests.catalog import test_sep_reference as sextractor
from tests.catalog.real_data import real_data

_CASES = (
    (),
    ("detect.passes=hot+cold",),
    ("detect.deblend_contrast=0.005",),
    ("detect.deblend_contrast=0.02",),
    ("detect.deblend_contrast=1.0",),
    ("detect.recipe=reference",),
)
_CROP_ARCSEC = 2.6


def beside_sextractor() -> Iterator[tuple[str, str]]:
    """Compare with SExtractor's files."""
    reference = sextractor.read_reference(real_data("sep_reference"))
    image, sigma = reference.image, reference.sigma
    cells = mesh_statistics(image, np.ones(image.shape, dtype=bool), sextractor.MESH)
    mesh = Mesh(sextractor.MESH, fill_cells(cells[0]), fill_cells(cells[1]))
    back = (mesh.back_in(whole(image.shape)) - reference.back) / sigma
    rms = mesh.rms_in(whole(image.shape)) / reference.rms - 1
    spread = f"{np.median(back):+.4f} / {back.std():.4f} / {np.abs(back).max():.4f}"
    yield "background - SExtractor's: median / sd / largest, of the noise", spread
    yield "rms / SExtractor's - 1: median / largest", f"{np.median(rms):+.5f} / {np.abs(rms).max():.5f}"
    yield from _fluxes(reference)


def _fluxes(reference: sextractor.Reference) -> Iterator[tuple[str, str]]:
    x, y = reference.place
    count, shape = len(reference.catalog), reference.image.shape
    nobody, nothing = np.zeros(count, dtype=np.int32), np.zeros(shape, dtype=np.int32)
    scene = measure.Scene(reference.frame(), nothing, nobody, WHITE, flat=True)
    flux, _, error = measure.aperture_sums(scene, x, y, sextractor.APERTURE_RADIUS)
    for name, ours, theirs in (("fluxes", flux, "FLUX_APER"), ("errors", error, "FLUXERR_APER")):
        largest = np.abs(ours / np.asarray(reference.catalog[theirs]) - 1).max()
        yield f"aperture {name}: largest relative difference", f"{largest:.1e}"
    found = extract(reference.frame(), sextractor.OPTIONS, 1.0, rms=reference.sigma)
    row, apart = sextractor.matched(reference, found)
    same, extra = int((apart < 1).sum()), len(found.objects) - np.unique(row[apart < 1]).size
    yield "detections of SExtractor's that are ours too, within 1 px", f"{same} of {count}; {extra} more are ours alone"


def ring_table(cases: Sequence[Sequence[str]], picture: Path | None) -> Iterator[list[str]]:
    """Catalog the ring with each case."""
    folder = real_data("cosmos_web_ring")
    light = {band: ring.circle(folder, band, ring.ALL_OF_IT_ARCSEC) for band in ring.BANDS}
    yield ["circle of 1.5 arcsec", "-", *(f"{mag:.2f}" for mag in light.values()), "-", "-", "-", "-"]
    shown = []
    for case in cases:
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "seg.fits"
            profile = load_profile("demo", overrides=case)
            made = build_field_catalog(ring.sources_of(folder), profile, path, bands=ring.BANDS)
            shown.append((" ".join(case) or "recommended", made.table, fits.getdata(path)))
        yield _ring_row(*shown[-1][:2])
    if picture:
        _draw(folder, shown, picture)


def _ring_row(name: str, table: Table) -> list[str]:
    around, row = ring.near(table, ring.ALL_OF_IT_ARCSEC), ring.lens(table)
    claimed = np.nansum(np.asarray(around["F444W_flux_tot"])) / 10 ** (0.4 * (23.9 - row["F444W_mag_tot"]))
    mags = [f"{row[f'{band}_mag_tot']:.2f}" for band in ring.BANDS]
    shape = [f"{row[column]:.2f}" for column in ("r50", "kron_a", "kron_b")]
    return [name, str(len(around)), *mags, *shape, f"{claimed:.2f}"]


def _draw(folder: Path, shown: Sequence[tuple[str, Table, NDArray[Any]]], picture: Path) -> None:
    from matplotlib.figure import Figure  # noqa: PLC0415 - only for who asks for a picture
    from matplotlib.patches import Ellipse  # noqa: PLC0415

    image = np.asarray(fits.getdata(folder / "F277W" / "data.fits"), dtype=float)
    half = image.shape[0] * 0.06 / 2
    figure = Figure(figsize=(4 * len(shown), 4.3), layout="constrained")
    for axes, (name, table, labels) in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown, strict=True):
        extent = (-half, half, -half, half)
        axes.imshow(np.arcsinh(image / 0.02), origin="lower", cmap="gray_r", extent=extent, vmax=5)
        colours = np.ma.masked_equal(np.where(labels > 0, labels % 19 + 1, 0), 0)
        axes.imshow(colours, origin="lower", cmap="tab20", alpha=0.45, extent=extent)
        for row in ring.near(table, ring.ALL_OF_IT_ARCSEC):
            place = ((row["x"] - 104) * 0.06, (row["y"] - 104) * 0.06)
            axes.add_patch(Ellipse(place, 2 * row["kron_a"], 2 * row["kron_b"], angle=row["theta_image"], fill=False))
        axes.set(xlim=(-_CROP_ARCSEC, _CROP_ARCSEC), ylim=(-_CROP_ARCSEC, _CROP_ARCSEC), title=name)
    figure.savefig(picture)


def main() -> None:
    """Print both tables, or say that the images are not there."""
    try:
        show(arguments())
    except pytest.skip.Exception as reason:
        print(reason)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--set", action="append", default=[], help="KEY=VALUE ... of the profile: one more row")
    parser.add_argument("--picture", type=Path, help="draw the ring's segments and Kron ellipses")
    return parser.parse_args()


def show(options: argparse.Namespace) -> None:
    """Print both tables."""
    warnings.simplefilter("ignore")  # cards of 1992
    print("| beside SExtractor | |\n| --- | --- |")
    for name, value in beside_sextractor():
        print(f"| {name} | {value} |")
    head = ["the ring", "sources within 1.5 arcsec", *ring.BANDS, "r50", "kron_a", "kron_b", "all parts / the centre's"]
    print("\n| " + " | ".join(head) + " |\n| --- |" + " ---: |" * (len(head) - 1))
    for row in ring_table([*_CASES, *(words.split() for words in options.set)], options.picture):
        print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
