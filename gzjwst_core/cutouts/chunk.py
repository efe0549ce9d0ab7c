"""All cutouts of one chunk: opens a field's mosaics once, and hands over each target's file or why it has none.

Nothing is written here: the caller puts the bytes where they belong.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
from astropy.table import Table

from gzjwst_core.cutouts.extract import Target
from gzjwst_core.cutouts.fits import Cutter, Provenance, make_cutout
from gzjwst_core.cutouts.fov import views_of
from gzjwst_core.cutouts.place import place
from gzjwst_core.errors import ImageError
from gzjwst_core.models import MosaicSource
from gzjwst_core.mosaics.reader import MosaicReader, open_mosaic
from gzjwst_core.mosaics.segmap import SegmapReader, open_segmap
from gzjwst_core.mosaics.shift import NO_SHIFT, SkyShift, shifted_wcs
from gzjwst_core.names import file_stem
from gzjwst_core.options import CutoutOptions, MosaicOptions
from gzjwst_core.values import Outcome

__all__ = ["Cut", "CutJob", "cut_chunk", "targets_of"]

_DONE = Outcome()
_MOST_SIDE_PX = 4096
Grid = TypeVar("Grid", MosaicReader, SegmapReader)


@dataclass(frozen=True, slots=True)
class CutJob:
    """What one chunk needs; plain values, so that it can be sent to a worker."""

    sources: Sequence[MosaicSource]
    """Mosaics of one field, in the order of the survey's bands."""
    reference: str
    """Band of the PRIMARY pixels; one of the sources'."""
    options: CutoutOptions
    mosaics: MosaicOptions
    provenance: Provenance
    segmap: Path | None = None
    shift: SkyShift = NO_SHIFT
    """What was added to the rows' positions: every WCS is moved alike."""
    sigma: Mapping[str, float] = field(default_factory=dict)
    """Sky sigma of each mosaic by band, uJy/arcsec2 in a pixel."""
    gain: Mapping[str, float] = field(default_factory=dict)
    """Pinned gain by band."""


@dataclass(frozen=True, slots=True)
class Cut:
    """How one target ended."""

    id_str: str
    name: str
    """File name, `<stem>.fits`."""
    data: bytes | None
    """The file; None unless the outcome is done."""
    outcome: Outcome = _DONE


def targets_of(rows: Table, options: CutoutOptions) -> list[Target]:
    """Turn rows of the survey catalog into targets, each with its field of view.

    Parameters
    ----------
    rows
        With id_str, field, ra, dec, segment_id and what the rule of the field of view reads.
    options
        The rule.
    """
    return [
        Target(
            id_str=str(row["id_str"]),
            field=str(row["field"]),
            ra_deg=float(row["ra"]),
            dec_deg=float(row["dec"]),
            fov_arcsec=float(fov),
            segment_id=int(row["segment_id"]),
            fov_rule=str(rule),
            size_arcsec=_digits(size),
            floor_arcsec=_digits(floor),
        )
        for row, fov, size, floor, rule in zip(rows, *views_of(rows, options), strict=True)
    ]


def _digits(size: float) -> float:
    """Keep what float32 columns have of digits: a card reads as the catalog does."""
    return float(f"{size:.7g}")


def cut_chunk(rows: Table, job: CutJob) -> Iterator[Cut]:
    """Cut out every row of a chunk.

    Parameters
    ----------
    rows
        Rows of the survey catalog, all of one field.
    job
        The field's mosaics and the options.

    Yields
    ------
    Cut
        One for each row, in order of the reference mosaic's rows (neighbours share pages of the file); targets off
        every mosaic are `skipped` with reason `off_footprint`, those whose field of view has more than 4096 pixels
        along a side with reason `too_large`.

    Raises
    ------
    MosaicError
        A mosaic or the segmap cannot be opened: the whole chunk fails.
    """
    with ExitStack() as stack:
        opened = {s.band: stack.enter_context(open_mosaic(s, job.mosaics)) for s in job.sources}
        readers = {band: _corrected(reader, job.shift) for band, reader in opened.items()}
        if job.reference not in readers:
            has = ", ".join(readers)
            raise ImageError(f"the reference band {job.reference} is none of the field's ({has})", reason="no_band")
        cutter = Cutter(
            readers=readers,
            reference=job.reference,
            options=job.options,
            provenance=job.provenance,
            segmap=None if job.segmap is None else _corrected(stack.enter_context(open_segmap(job.segmap)), job.shift),
            shift=job.shift,
            sigma=job.sigma,
            gain=job.gain,
        )
        for target in _by_row(targets_of(rows, job.options), cutter):
            yield _cut(target, cutter)


def _corrected(grid: Grid, shift: SkyShift) -> Grid:
    """Move a grid's WCS as the positions were moved; mosaic and segmap themselves stay in their own frame."""
    grid.wcs = shifted_wcs(grid.wcs, shift)
    return grid


def _cut(target: Target, cutter: Cutter) -> Cut:
    name = f"{file_stem(target.id_str)}.fits"
    side = target.fov_arcsec / min(reader.pixel_scale_arcsec for reader in cutter.readers.values())
    if side > _MOST_SIDE_PX:
        said = (
            f"{target.id_str}: {target.fov_arcsec:g} arcsec are {side:.0f} pixels, at most {_MOST_SIDE_PX} are cut out"
        )
        return Cut(target.id_str, name, None, Outcome(kind="skipped", reason="too_large", detail=said))
    data = make_cutout(target, cutter)
    if data is None:
        said = f"{target.id_str} lies on no mosaic of {target.field}"
        return Cut(target.id_str, name, None, Outcome(kind="skipped", reason="off_footprint", detail=said))
    return Cut(target.id_str, name, data)


def _by_row(targets: list[Target], cutter: Cutter) -> list[Target]:
    wcs = cutter.readers[cutter.reference].wcs
    at = [place(wcs, target.ra_deg, target.dec_deg) for target in targets]
    row = np.array([-1.0 if p is None else p.y for p in at])
    names = np.array([target.id_str for target in targets])
    return [targets[i] for i in np.lexsort((names, row))]
