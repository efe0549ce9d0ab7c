"""Completeness and purity of one field, by the very same code that made its catalog: the order of the work.

Batches of galaxies are added to the mosaics as light that the reader adds to every window, and `build_field_catalog`
runs on what it reads: background, noise, detection, measurement, all of it. Then it runs on sky without sources whose
sign is turned. No mosaic is copied but for those of the detection bands, for the second. The parts are in `injected`,
`light`, `recovery` and `negative`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
from astropy.table import Table, vstack
from numpy.random import Generator
from numpy.typing import NDArray

from gzjwst_core.completeness.galaxy_light import add_galaxies
from gzjwst_core.completeness.injected import (
    batch_sizes,
    colours_of,
    draw_galaxies,
    far_apart,
    generator,
    with_fluxes,
)
from gzjwst_core.completeness.negative import write_negative
from gzjwst_core.completeness.recovery import match, recovered_table
from gzjwst_core.errors import NoValidPixelsError
from gzjwst_core.models import MosaicSource
from gzjwst_core.mosaics.geometry import Box, pixel_scale_arcsec
from gzjwst_core.mosaics.pixels import PixelFile
from gzjwst_core.mosaics.reader import MosaicReader, open_mosaic
from gzjwst_core.options import CompletenessOptions, MosaicOptions, PsfOptions
from gzjwst_core.photometry.field_catalog import Sections, build_field_catalog
from gzjwst_core.psf.known import psf_of
from gzjwst_core.psf.stamp import Psf
from gzjwst_core.runs.engine import CpuMap

__all__ = [
    "FieldBefore",
    "Injected",
    "InjectionSections",
    "detect_negative",
    "inject",
    "inject_batch",
    "place_galaxies",
]

Scratch = Callable[[str], Path]
Floats = NDArray[np.float64]

_LEAST_TRIES, _MOST_TRIES = 64, 1 << 20


class InjectionSections(Sections, Protocol):
    """The sections of a profile that injection reads."""

    @property
    def psf(self) -> PsfOptions:
        """Where point-spread functions come from; paths made whole."""
        ...

    @property
    def completeness(self) -> CompletenessOptions:
        """What is injected."""
        ...


@dataclass(frozen=True)
class FieldBefore:
    """What is known of a field before anything is injected."""

    name: str
    catalog: Table
    """Its catalog."""
    reference_band: str
    detection_bands: tuple[str, ...]
    area_arcmin2: float
    """With data in the reference band."""


@dataclass(frozen=True)
class Injected:
    """What was injected into a field, and what of it was found."""

    galaxies: Table
    """One row a galaxy; columns of `recovery.injected_columns`."""
    detections: Table
    """Those of the recovered galaxies, in their order; columns of a field's catalog."""


@dataclass(frozen=True, slots=True)
class _Item:
    """The light of one batch in one band."""

    source: MosaicSource
    options: MosaicOptions
    galaxies: Table
    psf: Psf
    target: Path


def inject(
    sources: Sequence[MosaicSource],
    profile: InjectionSections,
    before: FieldBefore,
    *,
    bands: tuple[str, ...],
    scratch: Scratch,
    cpu_map: CpuMap = map,
) -> Injected:
    """Inject galaxies into one field, batch after batch, and look for them.

    Parameters
    ----------
    sources
        The field's mosaics, as its catalog was made from.
    profile
        Sections `mosaics`, `detect`, `photometry`, `psf` and `completeness`.
    before
        The field as it is.
    bands
        Of the survey.
    scratch
        Makes paths for local files; see `storage.scratch`.
    cpu_map
        Where the work runs; the result does not depend on it.

    Raises
    ------
    CatalogError, MosaicError
        As `build_field_catalog`.
    """
    options, here = profile.completeness, [source.band for source in sources]
    psfs = {s.band: psf_of(s, profile.psf, profile.mosaics, before.catalog) for s in sources}
    colours = colours_of(before.catalog, here, before.reference_band)
    reference = next(source for source in sources if source.band == before.reference_band)
    parts, detections = [], []
    for batch, count in enumerate(batch_sizes(options, before.area_arcmin2)):
        rng = generator(options, before.name, batch)
        galaxies = with_fluxes(rng, draw_galaxies(rng, count, options), colours, here)
        galaxies = place_galaxies(rng, galaxies, reference, profile.mosaics, options.apart_arcsec)
        galaxies["field"], galaxies["batch"] = before.name, batch
        found = inject_batch(sources, profile, galaxies, psfs, bands=bands, scratch=scratch, cpu_map=cpu_map)
        matched = match(galaxies, found, before.catalog, options.match_arcsec)
        parts.append(recovered_table(galaxies, found, matched, bands))
        detections.append(found[matched.row[matched.recovered]])
    return Injected(*(vstack(tables, metadata_conflicts="silent") for tables in (parts, detections)))


def inject_batch(
    sources: Sequence[MosaicSource],
    profile: Sections,
    galaxies: Table,
    psfs: dict[str, Psf],
    *,
    bands: tuple[str, ...],
    scratch: Scratch,
    cpu_map: CpuMap = map,
) -> Table:
    """Return the catalog of a field with galaxies in its mosaics.

    Parameters
    ----------
    sources, profile, bands, scratch, cpu_map
        As for `inject`.
    galaxies
        From `place_galaxies`.
    psfs
        By band.
    """
    light = {source.band: scratch(source.band) for source in sources}
    items = [_Item(s, profile.mosaics, galaxies, psfs[s.band], light[s.band]) for s in sources]
    segmap = scratch("segmap")
    try:
        list(cpu_map(_write_light, items))
        lit = [source.replace(light=str(light[source.band])) for source in sources]
        return build_field_catalog(lit, profile, segmap, bands=bands, cpu_map=cpu_map).table
    finally:
        for path in (*light.values(), segmap):
            path.unlink(missing_ok=True)


def _write_light(item: _Item) -> None:
    """Write a plane of light: what no galaxy reaches is a hole in the file, and takes no room."""
    with open_mosaic(item.source, item.options, check=False) as reader:
        shape, wcs = reader.shape, reader.wcs
    plane = PixelFile(item.target, np.float32, shape, writable=True)
    add_galaxies(plane, item.galaxies, wcs, item.source.band, item.psf)
    plane.close()


def place_galaxies(
    rng: Generator, galaxies: Table, reference: MosaicSource, options: MosaicOptions, apart_arcsec: float
) -> Table:
    """Give galaxies places, even over the pixels that have data in the reference band, real sources or not.

    Parameters
    ----------
    rng
        Of the batch.
    galaxies
        To be placed.
    reference
        The reference band's mosaic.
    options
        How it is read.
    apart_arcsec
        Least distance between two of them.

    Returns
    -------
    Table
        With `ra` and `dec`, deg. Fewer rows than given where the field is too small for so many at this distance.

    Raises
    ------
    NoValidPixelsError
        The mosaic has no data anywhere.
    """
    with open_mosaic(reference, options, check=False) as reader:
        points = _points(rng, reader, len(galaxies), apart_arcsec / pixel_scale_arcsec(reader.wcs))
        ra, dec = reader.wcs.all_pix2world(points[:, 0], points[:, 1], 0)
    placed = galaxies[: len(points)]
    placed["ra"], placed["dec"] = np.asarray(ra), np.asarray(dec)
    return placed


def _points(rng: Generator, reader: MosaicReader, count: int, apart_px: float) -> Floats:
    """Draw points (x, y) until there are enough, or ever more tries bring no more."""
    height, width = reader.shape
    tries, points = max(2 * count, _LEAST_TRIES), np.zeros((0, 2))
    while len(points) < count and tries <= _MOST_TRIES:
        drawn = np.column_stack([rng.uniform(-0.5, width - 0.5, tries), rng.uniform(-0.5, height - 0.5, tries)])
        points = np.vstack([points, drawn[_have_data(reader, drawn)]])
        points = points[far_apart(points[:, 0], points[:, 1], apart_px)][:count]
        tries *= 4
    if len(points) == 0:
        raise NoValidPixelsError(f"{reader.source.uri}: no pixel was found that has data")
    return points


def _have_data(reader: MosaicReader, points: Floats) -> list[bool]:
    boxes = [Box(y, y + 1, x, x + 1) for x, y in np.rint(points).astype(int).tolist()]
    return [bool(np.isfinite(reader.windows(box).sci).all()) for box in boxes]


def detect_negative(
    sources: Sequence[MosaicSource],
    profile: Sections,
    before: FieldBefore,
    segmap: Path,
    *,
    bands: tuple[str, ...],
    scratch: Scratch,
    cpu_map: CpuMap = map,
) -> Table:
    """Return the catalog of a field's sky without sources and with its sign turned: all of it is noise.

    Parameters
    ----------
    sources, profile, before, bands, scratch, cpu_map
        As for `inject`; only the detection bands are read.
    segmap
        Of the field.
    """
    chosen = [source for source in sources if source.band in before.detection_bands]
    write = partial(_write_negative, profile.mosaics, segmap)
    turned = list(cpu_map(write, [(source, scratch(source.band)) for source in chosen]))
    try:
        return build_field_catalog(turned, profile, scratch("segmap"), bands=bands, cpu_map=cpu_map).table
    finally:
        for source in turned:
            Path(source.path).unlink(missing_ok=True)


def _write_negative(options: MosaicOptions, segmap: Path, item: tuple[MosaicSource, Path]) -> MosaicSource:
    return write_negative(item[0], options, segmap, item[1])
