"""Cutting controls as a stage of a run: one unit a field, beside its cutouts, while its mosaics are there.

Controls are FITS cutouts in a tree of their own, `controls/<field>/<view>/`. They are no targets: no manifest, no
Zoobot catalog, no sum of targets knows them. They are coloured from these files, so that another recipe or other pins
need no mosaic. No mosaic is fetched for them alone: a field whose cutouts stand keeps the controls that it has.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import cast

from astropy.table import Table
from pydantic import JsonValue, TypeAdapter

from gzjwst_core import __version__
from gzjwst_core.catalog.select import select
from gzjwst_core.cutouts.fits import Provenance
from gzjwst_core.models import Field
from gzjwst_core.names import file_stem
from gzjwst_core.quality.choose import OF_CATALOG, PAIRS, STARS, choose_controls
from gzjwst_core.runs.engine import cpu_map
from gzjwst_core.runs.receipts import Done, complete, retire, standing
from gzjwst_core.runs.stage import Stage
from gzjwst_core.runs.wording import counted, total
from gzjwst_core.runs.work import Receipt, Work
from gzjwst_core.storage.tables import read_parquet
from gzjwst_core.survey.catalog import FIELD_CATALOG, MERGE
from gzjwst_core.survey.cutouts import Batch, Plan, cut_batch, cut_columns, cut_inputs, cut_job
from gzjwst_core.survey.query import Prefetch, is_cached, reading, survey_fields
from gzjwst_core.survey.run import SurveyRun
from gzjwst_core.values import Value, digest_of

__all__ = ["CONTROLS", "Control", "ControlPlan", "FieldControls", "controls_of", "cut_controls", "plan_controls"]


def _line(done: Sequence[Done]) -> str:
    """Tell what was cut for the survey's own checks."""
    stars, pairs = counted(total(done, "stars"), "star"), counted(total(done, "pairs"), "galaxy")
    return f"{stars} and {pairs} of other fields, for the checks alone"


CONTROLS = Stage(
    "controls",
    version="2",
    writes={"cutouts": "controls/*/*"},
    reads=("locate.mosaics", "catalog.segmap", "merge.catalog"),
    line=_line,
    optional=True,
)
_ROWS = "rows"


class Control(Value):
    """One control."""

    field: str
    """That it is cut from."""
    view: str
    id_str: str
    """Name of its primary: views of one star share it."""
    ra_deg: float
    dec_deg: float
    segment_id: int
    """Its own in this field's segmap."""
    fov_arcsec: float

    @property
    def folder(self) -> str:
        """Folder of its cutout, relative to the run folder."""
        return f"{CONTROLS.name}/{self.field}/{self.view}"

    @property
    def path(self) -> str:
        """Its cutout, relative to the run folder."""
        return f"{self.folder}/{file_stem(self.id_str)}.fits"


class FieldControls(Value):
    """What is cut out of one field for the checks alone."""

    work: Work
    controls: tuple[Control, ...]


ControlPlan = dict[str, FieldControls]
"""By field; none where there is neither a star to look at nor a galaxy that two fields show, or where they cannot be
cut without fetching a mosaic for them alone."""
_NOTES = TypeAdapter(tuple[Control, ...])


def plan_controls(run: SurveyRun, fields: Sequence[Field], cutouts: Plan) -> ControlPlan:
    """Say which of a run's fields have controls to cut, and what those are made from; forgets what is no control now.

    Parameters
    ----------
    run
        The run.
    fields
        Its fields, located.
    cutouts
        Chunks of those fields: where none is to be cut, and the field's mosaics cannot be read without fetching a byte,
        the controls that were cut from the same mosaics stay as they are.

    Notes
    -----
    Where a table of targets takes the place of detection only rows around targets are read: no star is looked at.
    """
    chosen = _chosen(run)
    plan: ControlPlan = {}
    for field in (one for one in fields if one.bands):
        wanted = _wanted(run, field, chosen.get(field.name, {}))
        found = wanted if _is_free(run, field, [wanted.work, *cutouts.chunks.get(field.name, ())]) else None
        found = found or _as_before(run, wanted)
        if wanted.controls and found is not None:
            plan[field.name] = found
    known, mine = survey_fields(run), {field.name for field in fields if field.bands}
    if cutouts.selected:  # a mistyped cut removes nothing
        retire(run.folder, CONTROLS.name, lambda unit: unit not in known or (unit in mine and unit not in plan))
    return plan


def _chosen(run: SurveyRun) -> dict[str, dict[str, Table]]:
    columns = dict.fromkeys([*cut_columns(run), *OF_CATALOG, *(cut.column for cut in run.cuts)])
    with MERGE.reading(run.folder, "catalog") as path:
        catalog = read_parquet(path, columns)
    options = run.profile.quality
    options = options.model_copy(update={"control_stars": 0}) if run.targets else options
    return choose_controls(catalog, select(catalog, run.cuts)[0], run.profile.cutouts, options)


def _wanted(run: SurveyRun, field: Field, rows: Mapping[str, Table]) -> FieldControls:
    profile = run.profile
    controls = tuple(_control(field.name, view, row) for view, of in rows.items() for row in of)
    pixels = [profile.cutouts.reference, profile.cutouts.planes, profile.mosaics.pixels_digest()]
    work = CONTROLS.work(
        unit=field.name,
        inputs=cut_inputs(run, field) | {_ROWS: digest_of([one.model_dump() for one in controls])},
        options=digest_of(pixels),  # each control states its field of view: no rule of theirs reaches it
    )
    return FieldControls(work=work, controls=controls)


def _control(field: str, view: str, row: Table.Row) -> Control:
    return Control(
        field=field,
        view=view,
        id_str=str(row["id_str"]),
        ra_deg=float(row["ra"]),
        dec_deg=float(row["dec"]),
        segment_id=int(row["segment_id"]),
        fov_arcsec=float(row["ext_fov"]),
    )


def _is_free(run: SurveyRun, field: Field, works: Sequence[Work]) -> bool:
    """Whether controls cost no fetch: they stand, or chunks are cut anyway, or every mosaic is at hand."""
    own, *chunks = (standing(run.folder, work) is not None for work in works)
    return own or not all(chunks) or all(is_cached(run, mosaic) for mosaic in field.mosaics if mosaic.located)


def _as_before(run: SurveyRun, wanted: FieldControls) -> FieldControls | None:
    """Return the controls that were cut from the same mosaics in the same way; None if there are none."""
    made = CONTROLS.latest(run.folder, wanted.work.unit)
    if made is None:
        return None
    before = Work(**{name: getattr(made, name) for name in Work.model_fields})
    now = wanted.work.replace(inputs={**wanted.work.inputs, _ROWS: before.inputs.get(_ROWS, "")})
    return FieldControls(work=before, controls=tuple(controls_of([made]))) if now == before else None


def cut_controls(
    run: SurveyRun, work: Work, controls: Sequence[Control], field: Field, _fetched: Sequence[Prefetch]
) -> Done:
    """Cut a field's controls; mosaics that were not fetched ahead, or were removed since, are fetched now.

    Raises
    ------
    ArchiveError, MosaicError
        A mosaic of the field cannot be had or read.
    """
    return complete(run.folder, work, partial(_make, run, work, controls, field))


def _make(run: SurveyRun, work: Work, controls: Sequence[Control], field: Field) -> Receipt:
    of_catalog = FIELD_CATALOG.reading(run.folder, "segmap", field.name)
    with reading(run, field) as sources, of_catalog as segmap:
        job = replace(cut_job(run, field, sources, segmap), gain={}, provenance=_provenance(run, work))
        batches = [Batch(rows, job, run.folder.url, into) for into, rows in _tables(controls).items()]
        ended = [one for batch in cpu_map(cut_batch, batches) for one in batch]
    files = sorted((output for output, _ in ended if output is not None), key=lambda output: output.path)
    written = {output.path for output in files}
    made = [control for control in controls if control.path in written]
    counts = {"stars": sum(one.view == STARS for one in made), "pairs": sum(one.view == PAIRS for one in made)}
    notes = {"controls": cast("JsonValue", [one.model_dump(mode="json") for one in made])}
    return CONTROLS.receipt(work, {"cutouts": files}, counts, notes)


def _provenance(run: SurveyRun, work: Work) -> Provenance:
    """Name just the options of the controls: pins of the colour do not reach them."""
    return Provenance(run.profile.name, __version__, work.options)


def _tables(controls: Iterable[Control]) -> dict[str, Table]:
    """Rows to cut, as a catalog has them, by the folder that they go to."""
    rows: dict[str, list[dict[str, object]]] = {}
    for one in controls:
        named = {"id_str": one.id_str, "field": one.field, "ra": one.ra_deg, "dec": one.dec_deg}
        rows.setdefault(one.folder, []).append(named | {"segment_id": one.segment_id, "ext_fov": one.fov_arcsec})
    return {folder: Table(rows=of) for folder, of in rows.items()}


def controls_of(receipts: Iterable[Receipt]) -> Iterator[Control]:
    """Yield the controls that stand, receipt by receipt; those of another version are none."""
    for receipt in receipts:
        if receipt.version == CONTROLS.version:
            yield from _NOTES.validate_python(receipt.notes.get("controls", []))
