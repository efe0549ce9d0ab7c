"""SExtractor itself, as Debian packages it: `source-extractor` as a subprocess, dual-image mode.

Same detection image, filter, threshold, area, levels, contrast and mesh as ours; weight maps are 1 / err^2 (the stack's
calibrated one, the bands' own ERR planes), which SExtractor scales to the noise it sees. `default.sex` otherwise:
PHOT_AUTOPARAMS 2.5, 3.5, MASK_TYPE CORRECT, CLEAN 1; but INTERP_TYPE NONE, since by default it fills gaps of 16 px from
their edge and detects in them. One run on the stack for detection and radii, one for each band.
"""

import resource
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from tests.bench.truth_table.found import Found, Shared, write_image
from tests.bench.truth_table.skies import APERTURES

__all__ = ["PROGRAM", "sextractor"]

PROGRAM = next((name for name in ("source-extractor", "sex", "sextractor") if shutil.which(name)), "")
"""Empty where it is not installed."""

_WANTED = ("NUMBER", "X_IMAGE", "Y_IMAGE", "FLUX_AUTO", "FLUX_RADIUS", "FLUX_APER(2)", "FLUXERR_APER(2)")


def sextractor(shared: Shared) -> Found:
    """Detect on the shared stack, measure on each band."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        _write_inputs(folder, shared)
        begun = _children_seconds()
        found = _run(folder, shared, "stack")
        bands = {name: _run(folder, shared, "stack", name) for name in shared.bands}
        seconds = _children_seconds() - begun
        negative = len(_run(folder, shared, "negative"))
    x, y = (np.asarray(found[name], dtype=float) - 1 for name in ("X_IMAGE", "Y_IMAGE"))
    total = {name: np.asarray(table["FLUX_AUTO"]) for name, table in bands.items()}
    aperture = {(name, d): _aperture(table, i) for name, table in bands.items() for i, d in enumerate(APERTURES)}
    radius = np.asarray(found["FLUX_RADIUS"]) * shared.scale
    return Found(x, y, total, aperture, radius, "r50_stack", seconds, negative)


def _aperture(table: Table, index: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    end = "" if index == 0 else f"_{index}"
    return np.asarray(table[f"FLUX_APER{end}"]), np.asarray(table[f"FLUXERR_APER{end}"])


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _write_inputs(folder: Path, shared: Shared) -> None:
    weight = _weight(shared.err, shared.bad)
    for name, image in (("stack", shared.sub), ("negative", -shared.sub)):
        write_image(folder / f"{name}.fits", image)
        write_image(folder / f"{name}.weight.fits", weight)
    for name, band in shared.bands.items():
        write_image(folder / f"{name}.fits", band.sci)
        write_image(folder / f"{name}.weight.fits", _weight(band.err, band.bad))
    rows = "\n".join(" ".join(f"{v:.8f}" for v in row) for row in shared.kernel)
    (folder / "filter.conv").write_text(f"CONV NORM\n{rows}\n")
    (folder / "wanted.param").write_text("\n".join(_WANTED) + "\n")


def _weight(err: NDArray[np.float32], bad: NDArray[np.bool_]) -> NDArray[np.float32]:
    return np.divide(1, err**2, out=np.zeros_like(err), where=~bad)


def _run(folder: Path, shared: Shared, *images: str) -> Table:
    options = shared.options
    given = {
        "CATALOG_NAME": "out.cat",
        "CATALOG_TYPE": "ASCII_HEAD",
        "PARAMETERS_NAME": "wanted.param",
        "FILTER_NAME": "filter.conv",
        "DETECT_THRESH": shared.threshold,
        "ANALYSIS_THRESH": shared.threshold,
        "DETECT_MINAREA": shared.area,
        "DEBLEND_NTHRESH": options.deblend_levels,
        "DEBLEND_MINCONT": options.deblend_contrast,
        "BACK_SIZE": shared.mesh_px(),
        "WEIGHT_TYPE": ",".join(["MAP_WEIGHT"] * len(images)),
        "WEIGHT_IMAGE": ",".join(f"{name}.weight.fits" for name in images),
        "PHOT_APERTURES": ",".join(f"{d / shared.scale:.6f}" for d in APERTURES),
        "PHOT_AUTOPARAMS": "2.5,3.5",
        "PHOT_FLUXFRAC": 0.5,
        "GAIN": 0.0,
        "INTERP_TYPE": "NONE",
        "SATUR_LEVEL": 1e9,
        "MEMORY_PIXSTACK": 10_000_000,
        "MEMORY_OBJSTACK": 20_000,
        "CHECKIMAGE_TYPE": "NONE",
        "VERBOSE_TYPE": "QUIET",
        "NTHREADS": 1,
    }
    (folder / "empty.sex").write_text("")
    words = [word for key, value in given.items() for word in (f"-{key}", str(value))]
    files = ",".join(f"{name}.fits" for name in images)
    subprocess.run([PROGRAM, files, "-c", "empty.sex", *words], cwd=folder, check=True, capture_output=True)
    return Table.read(folder / "out.cat", format="ascii.sextractor")
