"""Cutting controls as a stage of a run: one unit a field, beside its cutouts, while its mosaics are there.

Controls are FITS cutouts in a tree of their own, `controls/<field>/<view>/`. They are no targets: no manifest, no
Zoobot catalog, no sum of targets knows them. They are coloured from these files, so that another recipe or other pins
need no mosaic.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import cast

from astropy.table import Table
from pydantic import JsonValue, TypeAdapter

from gzjwst_core import __version__
from gzjwst_core.archives.stages import Brought, reading, survey_fields
from gzjwst_core.catalog.select import select
from gzjwst_core.catalog.stages import CATALOG, segmap_path
from gzjwst_core.cutouts.fits import Provenance
from gzjwst_core.cutouts.stages import Batch, cut_batch, cut_columns, cut_inputs, cut_job
from gzjwst_core.engine import cpu_map
from gzjwst_core.models import Field, Receipt, Value, Work, digest_of
from gzjwst_core.names import file_stem
from gzjwst_core.quality.choose import OF_CATALOG, PAIRS, SMALL, choose_controls
from gzjwst_core.run import Run
from gzjwst_core.storage.receipts import Done, complete, retire
from gzjwst_core.storage.tables import read_parquet

__all__ = ["CONTROLS", "Control", "ControlPlan", "controls_of", "cut_controls", "plan_controls"]

CONTROLS, _VERSION = "controls", "1"
_TOLD = ("id_str", "group_id", "ra", "dec", "segment_id", "ext_fov")


class Control(Value):
    """One control that was cut."""

    view: str
    group: int
    """The catalog's group_id: views of one star share it."""
    id_str: str
    """Name of its primary."""
    path: str
    """Its cutout, relative to the run folder."""
    fov_arcsec: float


ControlPlan = dict[str, Work]
"""By field; none where there is neither a star to look at nor a galaxy that two fields show."""
_NOTES = TypeAdapter(list[Control])


def plan_controls(run: Run, fields: Sequence[Field]) -> ControlPlan:
    """Say which of a run's fields have controls to cut, and what those are made from; forgets what is no control now.

    Notes
    -----
    Where a table of targets takes the place of detection only rows around targets are read: no star is looked at.
    """
    readable = [field for field in fields if field.bands]
    chosen = _chosen(run)
    works = {field.name: _work(run, field, chosen[field.name]) for field in readable if field.name in chosen}
    known, mine = survey_fields(run), {field.name for field in readable}
    retire(run.folder, CONTROLS, lambda unit: unit not in known or (unit in mine and unit not in works))
    return works


def _chosen(run: Run) -> dict[str, dict[str, Table]]:
    columns = dict.fromkeys([*cut_columns(run), *OF_CATALOG, *(cut.column for cut in run.cuts)])
    with run.folder.reading(CATALOG) as path:
        catalog = read_parquet(path, columns)
    options = run.profile.quality
    options = options.model_copy(update={"control_stars": 0}) if run.targets else options
    return choose_controls(catalog, select(catalog, run.cuts)[0], run.profile.cutouts, options)


def _work(run: Run, field: Field, rows: Mapping[str, Table]) -> Work:
    profile = run.profile
    told = {view: [[repr(value) for value in row] for row in of[list(_TOLD)]] for view, of in rows.items()}
    return Work(
        stage=CONTROLS,
        version=_VERSION,
        unit=field.name,
        inputs=cut_inputs(run, field) | {"rows": digest_of(told)},
        options=digest_of([profile.cutouts.digest(), profile.mosaics.pixels_digest()]),
    )


def cut_controls(run: Run, work: Work, field: Field, _fetched: Sequence[Brought]) -> Done:
    """Cut a field's controls; mosaics that were not brought ahead, or were evicted since, are brought now.

    Raises
    ------
    ArchiveError, MosaicError
        A mosaic of the field cannot be had or read.
    """
    return complete(run.folder, work, partial(_make, run, work, field))


def _make(run: Run, work: Work, field: Field) -> Receipt:
    views = _chosen(run)[field.name]
    with reading(run, field) as sources, run.folder.reading(segmap_path(field.name)) as segmap:
        job = replace(cut_job(run, field, sources, segmap), gain={}, provenance=_provenance(run, work))
        batches = [Batch(rows, job, run.folder.url, _folder(field.name, view)) for view, rows in views.items()]
        ended = [one for batch in cpu_map(cut_batch, batches) for one in batch]
    outputs = tuple(sorted((output for output, _ in ended if output is not None), key=lambda output: output.path))
    written = {output.path for output in outputs}
    controls = [one for view, rows in views.items() for one in _controls(field.name, view, rows) if one.path in written]
    counts = {"stars": sum(one.view == SMALL for one in controls), "pairs": sum(one.view == PAIRS for one in controls)}
    notes = {"controls": cast("JsonValue", [one.model_dump(mode="json") for one in controls])}
    return Receipt(**work.model_dump(), key=work.key, outputs=outputs, counts=counts, notes=notes)


def _provenance(run: Run, work: Work) -> Provenance:
    """Name just the options of the controls: pins of the colour do not reach them."""
    return Provenance(run.profile.name, __version__, work.options)


def _folder(field: str, view: str) -> str:
    return f"{CONTROLS}/{field}/{view}"


def _controls(field: str, view: str, rows: Table) -> Iterator[Control]:
    for row in rows:
        name, fov = str(row["id_str"]), float(row["ext_fov"])
        path = f"{_folder(field, view)}/{file_stem(name)}.fits"
        yield Control(view=view, group=int(row["group_id"]), id_str=name, path=path, fov_arcsec=fov)


def controls_of(receipts: Iterable[Receipt]) -> Iterator[Control]:
    """Yield the controls that stand, receipt by receipt."""
    for receipt in receipts:
        yield from _NOTES.validate_python(receipt.notes.get("controls", []))
