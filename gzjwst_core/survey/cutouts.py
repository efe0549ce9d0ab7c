"""Cutting out as a stage of a run: select targets, share them out to chunks, cut each chunk, leave receipts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from astropy.table import Table
from pydantic import BaseModel, TypeAdapter

from gzjwst_core import __version__
from gzjwst_core.catalog.select import select
from gzjwst_core.cutouts.chunk import CutJob
from gzjwst_core.cutouts.chunk import cut_chunk as cut_rows
from gzjwst_core.cutouts.chunks import chunks, number_of_chunks
from gzjwst_core.cutouts.fits import Provenance, reference_band
from gzjwst_core.cutouts.fov import columns_of
from gzjwst_core.models import Field, MosaicSource
from gzjwst_core.mosaics.shift import NO_SHIFT
from gzjwst_core.runs.engine import cpu_map
from gzjwst_core.runs.receipts import Done, complete, retire, supersede
from gzjwst_core.runs.stage import Stage
from gzjwst_core.runs.wording import counted, reasons, total
from gzjwst_core.runs.work import Receipt, Work
from gzjwst_core.storage.folder import Folder
from gzjwst_core.storage.tables import read_parquet
from gzjwst_core.survey.catalog import FIELD_CATALOG, MERGE, removed_shift
from gzjwst_core.survey.query import Prefetch, inputs_of, reading, survey_fields
from gzjwst_core.survey.run import SurveyRun
from gzjwst_core.values import Outcome, Output, Value, counts_of, digest_of

__all__ = ["CUTOUTS", "Batch", "Plan", "cut_batch", "cut_chunk", "cut_columns", "cut_inputs", "cut_job", "plan", "tidy"]

_OF_CHUNKS = ("cutouts", "images", "training")
_BATCH = 100
_COLUMNS = ("id_str", "field", "ra", "dec", "segment_id")
"""All that a cutout takes from the catalog, but for what its field of view follows."""


def _line(done: Sequence[Done]) -> str:
    """Tell how many cutouts, and why some are not there."""
    return f"{counted(total(done, 'written'), 'cutout')} in {counted(len(done), 'chunk')}{reasons(done)}"


CUTOUTS = Stage(
    "cutouts",
    version="5",
    writes={"cutouts": "cutouts/*/*.fits"},
    reads=("locate.mosaics", "catalog.segmap", "merge.catalog"),
    line=_line,
)


class _Noise(BaseModel):
    """What is read of a catalog receipt's note of one mosaic."""

    band: str
    sigma: float | None


_NOISE = TypeAdapter(list[_Noise])


class Plan(Value):
    """Which targets are cut out, and in which chunks."""

    chunks: Mapping[str, tuple[Work, ...]]
    """By field of this run; none for a field without targets."""
    fields: tuple[str, ...]
    """Fields of the survey, those of other runs included."""
    selected: int
    """Targets of the whole survey."""

    def is_old(self, unit: str) -> bool:
        """Whether a unit is no chunk of the survey any more: its field left it, or is divided otherwise.

        Where nothing at all is selected, nothing is old: a mistyped cut does not remove a survey's images.
        """
        if self.selected == 0:
            return False
        field = unit.rpartition("-")[0]
        if field not in self.chunks:
            return field not in self.fields
        return unit not in {work.unit for work in self.chunks[field]}


def plan(run: SurveyRun, fields: Sequence[Field]) -> Plan:
    """Select targets from the survey catalog and share each field's out to chunks.

    Parameters
    ----------
    run
        The run, with its colour pinned.
    fields
        Fields of this run, located.

    Returns
    -------
    Plan
        A chunk's work knows its own rows and mosaics only, so that an addition elsewhere does not touch it. Chunks of
        another division no longer stand: their files are about to be shared out anew.
    """
    targets = _selected(run, _catalog(run))
    readable = [field for field in fields if field.bands]  # what was cut out of the others before stays
    works = {f.name: tuple(_works(run, f, targets[targets["field"] == f.name])) for f in readable}
    planned = Plan(chunks=works, fields=tuple(sorted(survey_fields(run))), selected=len(targets))
    for stage in _OF_CHUNKS:
        supersede(run.folder, stage, planned.is_old)
    return planned


def _catalog(run: SurveyRun, where: tuple[str, str] | None = None) -> Table:
    columns = dict.fromkeys([*cut_columns(run), *(cut.column for cut in run.cuts)])
    with MERGE.reading(run.folder, "catalog") as path:
        return read_parquet(path, columns, where=where)


def _selected(run: SurveyRun, catalog: Table) -> Table:
    mask, _ = select(catalog, run.cuts)
    return catalog[cut_columns(run)][mask]


def cut_columns(run: SurveyRun) -> list[str]:
    """Return the columns that a cutout takes from the catalog."""
    return [*_COLUMNS, *columns_of(run.profile.cutouts)]


def _works(run: SurveyRun, field: Field, targets: Table) -> Iterator[Work]:
    inputs = cut_inputs(run, field)
    count = number_of_chunks(len(targets), run.profile.cutouts.chunk_size)
    for chunk, rows in chunks(targets["id_str"], run.profile.cutouts.chunk_size).items():
        yield CUTOUTS.work(
            unit=f"{field.name}-{chunk}of{count}",
            inputs=inputs | {"rows": _digest_of_rows(targets[rows])},
            options=_options_digest(run),
        )


def cut_inputs(run: SurveyRun, field: Field) -> dict[str, str]:
    """Return what any cutout of a field depends on: its mosaics, its segmap, what was added to its positions."""
    segmap = {"segmap": _segmap_digest(run.folder, field.name)}
    return inputs_of(run, field) | segmap | _shift_input(run.folder, field.name)


def _shift_input(folder: Folder, field: str) -> dict[str, str]:
    """Say what was added to a field's positions; nothing where they are the mosaics' own."""
    shift = removed_shift(folder, field)
    return {} if shift == NO_SHIFT else {"shift": f"{shift.dra_mas!r} {shift.ddec_mas!r} mas"}


def _segmap_digest(folder: Folder, field: str) -> str:
    """Digest of a field's segmap, from the receipt of its catalog."""
    receipt = FIELD_CATALOG.latest(folder, field)
    return FIELD_CATALOG.digest(receipt, "segmap") if receipt else ""


def _digest_of_rows(rows: Table) -> str:
    return digest_of([[repr(value) for value in row] for row in rows])


def _options_digest(run: SurveyRun) -> str:
    profile = run.profile
    return digest_of([profile.cutouts.digest(), profile.mosaics.pixels_digest(), dict(profile.images.gain)])


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows that one worker cuts and writes."""

    rows: Table
    job: CutJob
    folder: str
    into: str
    """Where the files go in the run folder."""


def cut_chunk(run: SurveyRun, work: Work, field: Field, _fetched: Sequence[Prefetch]) -> Done:
    """Cut out one chunk; mosaics that were not fetched ahead, or were removed since, are fetched now.

    Raises
    ------
    ArchiveError, MosaicError
        A mosaic of the field cannot be had or read.
    """
    return complete(run.folder, work, partial(_make, run, work, field))


def _make(run: SurveyRun, work: Work, field: Field) -> Receipt:
    rows = _rows_of(run, work, field)
    of_catalog = FIELD_CATALOG.reading(run.folder, "segmap", field.name)
    with reading(run, field) as sources, of_catalog as segmap:
        job = cut_job(run, field, sources, segmap)
        starts = range(0, len(rows), _BATCH)
        into = f"{CUTOUTS.name}/{field.name}"
        batches = [Batch(rows[at : at + _BATCH], job, run.folder.url, into) for at in starts]
        ended = [one for batch in cpu_map(cut_batch, batches) for one in batch]
    written = sorted((output for output, _ in ended if output is not None), key=lambda output: output.path)
    return CUTOUTS.receipt(work, {"cutouts": written}, counts_of(outcome for _, outcome in ended))


def cut_job(run: SurveyRun, field: Field, sources: Sequence[MosaicSource], segmap: Path) -> CutJob:
    """Say how a field is cut out, once its mosaics can be read."""
    bands = tuple(source.band for source in sources)
    return CutJob(
        sources=sources,
        reference=reference_band(run.profile.cutouts, bands, run.profile.detect.bands),
        options=run.profile.cutouts,
        mosaics=run.profile.mosaics,
        provenance=Provenance(run.profile.name, __version__, _options_digest(run)),
        segmap=segmap,
        shift=removed_shift(run.folder, field.name),
        sigma=_sigma(run.folder, field.name),
        gain=dict(run.profile.images.gain),
    )


def _rows_of(run: SurveyRun, work: Work, field: Field) -> Table:
    targets = _selected(run, _catalog(run, ("field", field.name)))
    number = int(work.unit.rpartition("-")[2].partition("of")[0])
    return targets[chunks(targets["id_str"], run.profile.cutouts.chunk_size)[number]]


def _sigma(folder: Folder, field: str) -> dict[str, float]:
    receipt = FIELD_CATALOG.latest(folder, field)
    rows = _NOISE.validate_python(receipt.notes.get("mosaics", []) if receipt else [])
    return {row.band: row.sigma for row in rows if row.sigma is not None}


def cut_batch(batch: Batch) -> list[tuple[Output | None, Outcome]]:
    """Cut and write rows of one field; a file, or why there is none, for each."""
    folder = Folder(batch.folder)
    ended: list[tuple[Output | None, Outcome]] = []
    for cut in cut_rows(batch.rows, batch.job):
        path = f"{batch.into}/{cut.name}"
        ended.append((None if cut.data is None else folder.write(path, cut.data, sync=False), cut.outcome))
    folder.sync(output.path for output, _ in ended if output is not None)
    return ended


def tidy(run: SurveyRun, planned: Plan) -> int:
    """Remove cutouts of targets that are no longer selected and all that was made of them; returns how many files.

    Of the survey's fields, only those of this run are looked at; files that a current receipt claims stay.
    """
    return sum(retire(run.folder, stage, planned.is_old) for stage in _OF_CHUNKS)
