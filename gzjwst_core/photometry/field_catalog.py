"""The catalog of one field, from its mosaics to one table: the order of the work.

Learn every band's background and noise, calibrate the detection image, detect tile by tile, measure every source in
every band, put the table together. The parts are in the modules beside this one.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from astropy.table import Table

from gzjwst_core.bands import wavelength_um
from gzjwst_core.catalog.columns import MATCHED_COLUMNS, catalog_columns
from gzjwst_core.detection.calibrate import calibrate
from gzjwst_core.detection.depth import DepthMap
from gzjwst_core.detection.empty_apertures import FieldNoise, measure_noise
from gzjwst_core.detection.noise_model import Learned, learn_bands
from gzjwst_core.detection.regrid import Ellipses
from gzjwst_core.detection.tiles import Detected, DetectionPlan, detect_field
from gzjwst_core.errors import CatalogError, NoValidPixelsError
from gzjwst_core.flag_bits import Flag
from gzjwst_core.models import MosaicSource
from gzjwst_core.mosaics.reader import open_mosaic
from gzjwst_core.mosaics.segmap import open_segmap
from gzjwst_core.options import DetectOptions, MosaicOptions, PhotometryOptions, PsfOptions
from gzjwst_core.photometry.forced import Columns, ForcedPlan, measure_field
from gzjwst_core.photometry.psf_matched import add_wings, measure_matched
from gzjwst_core.photometry.source_table import mosaic_table, source_table
from gzjwst_core.photometry.star_masks import v3_angle
from gzjwst_core.runs.engine import CpuMap
from gzjwst_core.storage.tables import apply_columns, empty_table

__all__ = ["FieldCatalog", "Sections", "build_field_catalog"]

_log = logging.getLogger(__name__)

Find = Callable[[DetectionPlan, Path], Detected]


class Sections(Protocol):
    """The sections of a profile that a field's catalog reads."""

    @property
    def mosaics(self) -> MosaicOptions:
        """How mosaics are read."""
        ...

    @property
    def detect(self) -> DetectOptions:
        """How sources are detected."""
        ...

    @property
    def photometry(self) -> PhotometryOptions:
        """What is measured."""
        ...

    @property
    def psf(self) -> PsfOptions:
        """Whether bands are matched, and to what."""
        ...


@dataclass(frozen=True)
class FieldCatalog:
    """What was found in one field."""

    table: Table
    """One row a source; columns of `columns.columns_for`."""
    mosaics: Table
    """One row a mosaic: zero point, scale, noise, noise law, depth, area."""
    reference_band: str
    """First detection band: its grid is the detection grid, `mag_ref` is measured in it."""
    counts: Mapping[str, int]
    """`stars`, `hollow` sources, `tiles`, `saturated_tiles` where there are any, and `skipped:<reason>` mosaics."""
    depth: tuple[DepthMap, ...] = ()
    """Of every band, then of the detection image."""


def build_field_catalog(
    sources: Sequence[MosaicSource],
    profile: Sections,
    segmap_path: Path,
    *,
    bands: tuple[str, ...],
    cpu_map: CpuMap = map,
    find: Find | None = None,
) -> FieldCatalog:
    """Detect and measure the sources of one field.

    Parameters
    ----------
    sources
        The field's mosaics, at most one a band.
    profile
        Sections `mosaics`, `detect`, `photometry` and `psf`.
    segmap_path
        Where the segmap is written; a temporary path, complete when this returns.
    bands
        Bands of the survey: the table has columns for all of them, NaN where the field has no mosaic.
    cpu_map
        Where the work runs; the result does not depend on it.
    find
        Called in place of detection, with the plan and the segmap's path: writes the segmap and returns the objects,
        whose ellipses are apertures / `given_shapes.GIVEN_FACTOR`.

    Returns
    -------
    FieldCatalog
        Also for a field without any source (an empty table).

    Raises
    ------
    CatalogError
        No mosaics, or two of one band; SEP failed.
    NoValidPixelsError
        No mosaic can be measured. (One that cannot, beside others that can, is left out and counted.)
    MosaicError
        A mosaic is damaged or its layout is not understood.
    """
    usable, counts = _usable(_in_order(sources, bands), profile.mosaics)
    learned = learn_bands(usable, profile.mosaics, profile.detect.mesh_arcsec, cpu_map=cpu_map)
    plan = DetectionPlan(_detection_bands(learned, profile.detect), profile.mosaics, profile.detect)
    reference = plan.bands[0].source.band
    with open_mosaic(plan.bands[0].source, profile.mosaics, check=False) as reader:
        plan = replace(plan, v3_deg=v3_angle(reader.header, reader.primary))
    plan = calibrate(plan, cpu_map=cpu_map)
    detected, noise = _found(plan, learned, segmap_path, find, cpu_map)
    forced = ForcedPlan(plan, noise.bands, profile.photometry, str(segmap_path), reference, noise.detection)
    forced = replace(forced, given=find is not None)
    table, stars = _measured(forced, detected, bands, profile.psf, cpu_map)
    counts |= stars | {
        "tiles": len(detected.tiles),
        "stars": int(np.sum(table["is_star"])),
        "hollow": int(np.sum((table["flags"] & int(Flag.SATURATED)) > 0)),
    }
    counts |= {"saturated_tiles": detected.saturated} if detected.saturated else {}
    _log.info("%s: %s sources in %s", usable[0].field, len(table), ", ".join(learned))
    return FieldCatalog(table, mosaic_table(forced), reference, counts, noise.maps)


def _found(
    plan: DetectionPlan, learned: Mapping[str, Learned], segmap: Path, find: Find | None, cpu_map: CpuMap
) -> tuple[Detected, FieldNoise]:
    """Detect and measure the noise off what was found, or off all that is bright where places are stated."""
    if find is None:
        detected = detect_field(plan, segmap, cpu_map=cpu_map)
        return detected, measure_noise(plan, learned, segmap, cpu_map=cpu_map)
    return find(plan, segmap), measure_noise(plan, learned, None, cpu_map=cpu_map)


def _measured(
    plan: ForcedPlan, detected: Detected, bands: tuple[str, ...], psf: PsfOptions, cpu_map: CpuMap
) -> tuple[Table, dict[str, int]]:
    names = catalog_columns(bands, plan.photometry, psf)
    if len(detected.objects) == 0:
        return empty_table(names), {}
    columns = measure_field(plan, detected, cpu_map=cpu_map)
    with open_segmap(Path(plan.segmap)) as segmap:
        table = source_table(plan, detected, columns, segmap.wcs, bands)
    if psf.match == "none":
        return table, {}
    kron = _kron_of(detected, columns)
    stars = table[:0] if plan.given else table  # no target is taken for a star
    found, counts = measure_matched(plan, detected, kron, stars, psf, cpu_map=cpu_map)
    for band in bands:
        for name in (c.name.format(band=band) for c in MATCHED_COLUMNS):
            table[name] = found[name][columns["npix"] > 0] if name in found else np.nan
        add_wings(table, band)
    return apply_columns(table[[c.name for c in names]], names), counts


def _kron_of(detected: Detected, columns: Columns) -> Ellipses:
    at = detected.objects
    theta = np.where(columns["kron_circle"], 0.0, at["theta"])
    return Ellipses(at["x"], at["y"], columns["kron_a"], columns["kron_b"], theta)


def _in_order(sources: Sequence[MosaicSource], bands: tuple[str, ...]) -> list[MosaicSource]:
    by_band = {s.band: s for s in sources}
    if len(by_band) != len(sources):
        raise CatalogError(f"{sources[0].field}: two mosaics of one band", reason="ambiguous")
    wanted = [by_band[band] for band in bands if band in by_band]
    if not wanted:
        raise CatalogError("a field without mosaics has no catalog", reason="no_mosaics")
    return wanted


def _usable(sources: Sequence[MosaicSource], options: MosaicOptions) -> tuple[list[MosaicSource], dict[str, int]]:
    """Leave out mosaics without valid pixels, unless all are."""
    usable: list[MosaicSource] = []
    errors: list[NoValidPixelsError] = []
    for source in sources:
        try:
            open_mosaic(source, options).close()
        except NoValidPixelsError as error:
            _log.warning("left out: %s", error)
            errors.append(error)
        else:
            usable.append(source)
    if not usable:
        raise errors[0]
    return usable, {f"skipped:{errors[0].reason}": len(errors)} if errors else {}


def _detection_bands(learned: Mapping[str, Learned], options: DetectOptions) -> tuple[Learned, ...]:
    """Take the detection bands that the field has, or its reddest; the first alone where one is asked for."""
    chosen = [learned[band] for band in options.bands if band in learned]
    if not chosen:
        chosen = [learned[max(learned, key=wavelength_um)]]
    return tuple(one.slim() for one in (chosen[:1] if options.combine == "single" else chosen))
