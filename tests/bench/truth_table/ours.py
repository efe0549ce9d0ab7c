"""Our own catalog of a field, by recipe, all bands measured; and of the negative of its detection bands."""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from astropy.io import fits

from gzjwst_core.catalog.columns import aperture_name
from gzjwst_core.models import MosaicSource
from gzjwst_core.photometry.field_catalog import FieldCatalog, build_field_catalog
from gzjwst_core.survey.profile import SurveyProfile, load_profile
from tests.bench.truth_table.found import Found
from tests.bench.truth_table.skies import APERTURES, DETECTION, TrueField

__all__ = ["ours"]


def ours(field: TrueField, recipe: str, overrides: Sequence[str] = ()) -> Found:
    """Catalog a field with one of our recipes; `overrides` are KEY=VALUE of the profile."""
    profile = load_profile("demo", overrides=[f"detect.recipe={recipe}", *overrides])
    with tempfile.TemporaryDirectory() as scratch:
        begun = time.process_time()
        made = _catalog(field.sources, profile, Path(scratch))
        seconds = time.process_time() - begun
        holes = [_negative(field.source(band), Path(scratch)) for band in DETECTION]
        negative = len(_catalog(holes, profile, Path(scratch)).table)
    return _found(field, made, seconds, negative)


def _catalog(sources: Sequence[MosaicSource], profile: SurveyProfile, folder: Path) -> FieldCatalog:
    return build_field_catalog(sources, profile, folder / "seg.fits", bands=tuple(s.band for s in sources))


def _found(field: TrueField, made: FieldCatalog, seconds: float, negative: int) -> Found:
    table = made.table
    columns = {name: np.asarray(table[name], dtype=float) for name in table.colnames if table[name].dtype.kind == "f"}
    x, y = field.long.to_pixels(columns["ra"], columns["dec"])
    aperture = {
        (band, d): (columns[aperture_name(band, d)], columns[aperture_name(band, d, error=True)])
        for band in field.bands
        for d in APERTURES
    }
    total = {band: columns[f"{band}_flux_tot"] for band in field.bands}
    detection = np.asarray(made.mosaics["is_detection"]).sum()
    r50_of = "r50_stack" if detection > 1 else f"r50_{made.reference_band}"
    return Found(x, y, total, aperture, columns["r50"], r50_of, seconds, negative, smooth=True)


def _negative(source: MosaicSource, folder: Path) -> MosaicSource:
    """Turn the sign of the pixels about their median."""
    path = folder / f"negative_{source.band}.fits"
    with fits.open(source.path) as hdus:
        name = "SCI_BKSUB" if "SCI_BKSUB" in hdus else "SCI"
        data, gap = hdus[name].data, np.asarray(hdus["WHT"].data) == 0
        hdus[name].data = np.where(gap, data, 2 * np.nanmedian(data[~gap]) - data).astype(np.float32)
        hdus.writeto(path)
    return source.replace(path=str(path))
