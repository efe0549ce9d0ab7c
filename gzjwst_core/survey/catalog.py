"""Cataloguing and merging as stages of a run: plan the work, measure, write tables, leave receipts."""

import math
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from astropy.table import Column, Table

from gzjwst_core.catalog.columns import catalog_columns
from gzjwst_core.catalog.export import write_copies
from gzjwst_core.catalog.flag_texts import flag_notes
from gzjwst_core.catalog.reference_tables import read_earlier, read_reference
from gzjwst_core.catalog.select import select
from gzjwst_core.catalog.survey import Survey, build_survey
from gzjwst_core.catalog.target_list import read_targets
from gzjwst_core.detection.depth import depth_rows, depth_table
from gzjwst_core.errors import CatalogError, ProfileError
from gzjwst_core.models import Field, MosaicSource
from gzjwst_core.mosaics.depth_file import write_depth
from gzjwst_core.mosaics.shift import NO_SHIFT, SkyShift
from gzjwst_core.photometry.field_catalog import FieldCatalog, build_field_catalog
from gzjwst_core.photometry.source_table import with_mosaic_units
from gzjwst_core.photometry.target_catalog import catalog_of_targets
from gzjwst_core.psf.known import file_digests, with_folder
from gzjwst_core.runs.engine import cpu_map
from gzjwst_core.runs.receipts import Done, complete, retire, standing
from gzjwst_core.runs.stage import SURVEY_UNIT, Stage
from gzjwst_core.runs.tally import Tallies
from gzjwst_core.runs.wording import counted, total
from gzjwst_core.runs.work import Receipt, Work
from gzjwst_core.storage.folder import Folder
from gzjwst_core.storage.tables import COMMENTS, apply_columns, read_parquet, write_table
from gzjwst_core.survey.profile import SurveyProfile
from gzjwst_core.survey.query import (
    Listing,
    Prefetch,
    Transfers,
    check_room,
    inputs_of,
    reading,
    survey_fields,
    with_targets,
)
from gzjwst_core.survey.run import SurveyRun
from gzjwst_core.values import Output, digest_of

__all__ = [
    "ASTROMETRY",
    "CATALOG",
    "FIELD_CATALOG",
    "MERGE",
    "MOSAICS",
    "OVERLAP",
    "catalog_field",
    "depth_path",
    "field_table",
    "merge",
    "plan_field",
    "plan_merge",
    "plan_transfers",
    "removed_shift",
    "segmap_path",
    "with_targets",
]

_OUTSIDE = "outside:"
"""Before the name of an input that is no field; no field's name holds a colon."""


def _catalog_line(done: Sequence[Done]) -> str:
    """Tell how many sources."""
    saturated = sum(one.counts.get("saturated_tiles", 0) for one in done)
    said = (
        f"; nothing detected on {counted(saturated, 'tile')} above the threshold nearly everywhere" if saturated else ""
    )
    return f"{counted(total(done, 'sources'), 'source')} in {counted(len(done), 'field')}{said}"


def _merge_line(done: Sequence[Done]) -> str:
    """Tell what is left of the detections."""
    counts = done[0].counts
    found, objects = counted(counts["sources"], "detection"), counted(counts["primary"], "object")
    said = f"{found} → {objects} → {counts['selected']} selected"
    shifted = f"; positions of {counted(counts['shifted'], 'field')} corrected" if "shifted" in counts else ""
    named = [f"{counts[key]} {what}" for what in ("carried", "new", "gone") if (key := f"names:{what}") in counts]
    return said + shifted + (f"; names: {', '.join(named)}" if named else "")


def _names(run: SurveyRun, _: Tallies) -> dict[str, dict[str, int]]:
    """Of every name of this release and the earlier one: carried over, new, or of an object that is gone."""
    merged = MERGE.latest(run.folder)
    parts = {name: count for name, count in merged.counts.items() if name.startswith("names:")} if merged else {}
    named = {name.partition(":")[2]: count for name, count in parts.items()}
    return {"names": {"total": sum(named.values()), **named}} if named else {}


FIELD_CATALOG = Stage(
    "catalog",
    version="5",
    writes={"segmap": "segmaps/{unit}.fits", "table": "catalog/fields/{unit}.parquet", "depth": "depth/{unit}.fits"},
    reads=("locate.mosaics",),
    line=_catalog_line,
)
MERGE = Stage(
    "merge",
    version="5",
    writes={
        "catalog": "catalog/catalog.parquet",
        "mosaics": "catalog/mosaics.parquet",
        "depth": "catalog/depth.parquet",
        "astrometry": "catalog/astrometry.parquet",
        "overlap": "catalog/overlap.parquet",
        "copies": "catalog/*",
    },
    reads=("catalog.table",),
    line=_merge_line,
    sums=_names,
)
CATALOG, MOSAICS, ASTROMETRY, OVERLAP = (MERGE.path(name) for name in ("catalog", "mosaics", "astrometry", "overlap"))


def field_table(field: str) -> str:
    """Path of a field's catalog in the run folder."""
    return FIELD_CATALOG.path("table", field)


def segmap_path(field: str) -> str:
    """Path of a field's segmap in the run folder."""
    return FIELD_CATALOG.path("segmap", field)


def depth_path(field: str) -> str:
    """Path of a field's depth maps in the run folder."""
    return FIELD_CATALOG.path("depth", field)


def plan_field(run: SurveyRun, field: Field) -> Work:
    """Say what a field's catalog is made from: its mosaics, and the options of detection and photometry.

    Raises
    ------
    ProfileError
        The run folder holds a survey that was selected in the other way: targets of a table, or detected sources.
    """
    profile = run.profile
    before = FIELD_CATALOG.latest(run.folder, field.name)
    if before is not None and ("targets" in before.inputs) != bool(run.targets):
        held = "targets of a table" if "targets" in before.inputs else "detected sources"
        raise ProfileError(f"{run.folder.url} holds {held}: give this run a folder of its own with --out")
    sections = [profile.mosaics, profile.detect, profile.photometry]
    sections += [profile.targets] if run.targets else []
    sections += [profile.psf] if profile.psf.match != "none" else []
    return FIELD_CATALOG.work(
        unit=field.name,
        inputs=inputs_of(run, field) | _targets(run) | _psf_files(run),
        options=digest_of([profile.survey.bands, *(section.digest() for section in sections)]),
    )


def _targets(run: SurveyRun) -> dict[str, str]:
    return {"targets": run.targets_digest} if run.targets else {}


def _psf_files(run: SurveyRun) -> dict[str, str]:
    """Digests of the PSFs that the profile gives, where the catalog reads them."""
    options = run.profile.psf
    if options.match == "none":
        return {}
    return {f"psf:{band}": digest for band, digest in file_digests(_with_folder(run).psf).items()}


def _with_folder(run: SurveyRun) -> SurveyProfile:
    psf = with_folder(run.profile.psf, Path(run.profile_folder))
    return run.profile.model_copy(update={"psf": psf})


def plan_transfers(run: SurveyRun, fields: Sequence[Field]) -> Transfers:
    """Say what is to be moved for the catalogs that do not stand.

    Raises
    ------
    BudgetError
        The cache cannot hold the largest field; says how much is missing.
    """
    return check_room(run, [field for field in fields if standing(run.folder, plan_field(run, field)) is None])


def catalog_field(run: SurveyRun, work: Work, field: Field, _fetched: Sequence[Prefetch]) -> Done:
    """Write one field's catalog, segmap and depth maps.

    Parameters
    ----------
    run
        The run.
    work
        From `plan_field`.
    field
        The field, located.
    _fetched
        What was fetched ahead; what was not, or was removed since, is fetched now.

    Raises
    ------
    ArchiveError, MosaicError, CatalogError
        The mosaics cannot be had or used, or detection failed.
    """
    return complete(run.folder, work, partial(_make_field, run, work, field))


def _make_field(run: SurveyRun, work: Work, field: Field) -> Receipt:
    folder, profile = run.folder, run.profile
    with reading(run, field) as sources, folder.writing(segmap_path(field.name)) as segmap:
        made = _measure(run, sources, segmap)
    table = apply_columns(made.table, catalog_columns(profile.survey.bands, profile.photometry, profile.psf))
    with folder.writing(depth_path(field.name)) as path:
        write_depth(path, field.name, [(m.name, m.depth, m.wcs, m.lattice.side) for m in made.depth])
    outputs = {
        "segmap": folder.output(segmap_path(field.name)),
        "table": write_table(folder, field_table(field.name), table),
        "depth": folder.output(depth_path(field.name)),
    }
    return FIELD_CATALOG.receipt(
        work,
        outputs,
        counts={"sources": len(table), **made.counts},
        notes={
            "mosaics": _plain_rows(made.mosaics),
            "depth": [row for one in made.depth for row in depth_rows(field.name, one)],
            "reference_band": made.reference_band,
        },
    )


def _measure(run: SurveyRun, sources: Sequence[MosaicSource], segmap: Any) -> FieldCatalog:
    profile = _with_folder(run)
    bands = profile.survey.bands
    if run.targets:
        targets, moments = read_targets(run.targets, profile.targets), profile.targets.axes == "rms"
        return catalog_of_targets(targets, sources, profile, segmap, bands=bands, moments=moments, cpu_map=cpu_map)
    return build_field_catalog(sources, profile, segmap, bands=bands, cpu_map=cpu_map)


def _plain_rows(table: Table) -> list[dict[str, Any]]:
    return [{name: _plain(row[name]) for name in table.colnames} for row in table]


def _plain(value: Any) -> Any:
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def plan_merge(run: SurveyRun, listing: Listing) -> Work:
    """Say what the survey catalog is made from: the catalogs of every field of the survey that stand.

    Raises
    ------
    CatalogError
        No field has a catalog (reason `no_catalog`).
    """
    names, of_table = {field.name for field in listing.fields}, run.targets_digest
    made = [
        r for r in FIELD_CATALOG.all_latest(run.folder) if r.unit in names and r.inputs.get("targets", "") == of_table
    ]
    fields = {receipt.unit: _digest_of_field(receipt) for receipt in made}
    if not fields:
        said = "none of the targets lies in a field" if run.targets else "no field has a catalog: nothing to merge"
        raise CatalogError(f"{run.profile.name}: {said}", reason="no_catalog")
    sections = [run.profile.merge, run.profile.astrometry, *run.cuts]
    return MERGE.work(
        unit=SURVEY_UNIT,
        inputs=fields | {f"{_OUTSIDE}{what}": digest for what, digest in run.outside_digests.items()},
        options=digest_of([section.digest() for section in sections]),
    )


def _digest_of_field(receipt: Receipt) -> str:
    """Digest of a field's table, and of the notes that the survey's tables of mosaics and depths are made from."""
    return digest_of(
        [FIELD_CATALOG.digest(receipt, "table"), *(receipt.notes.get(name) for name in ("mosaics", "depth"))]
    )


def merge(run: SurveyRun, work: Work) -> Done:
    """Write the survey catalog (parquet and FITS), the tables of mosaics and depths; forgets fields that left."""
    fields = survey_fields(run)
    retire(run.folder, FIELD_CATALOG.name, lambda unit: unit not in fields)
    return complete(run.folder, work, partial(_make_merge, run, work))


def _make_merge(run: SurveyRun, work: Work) -> Receipt:
    folder = run.folder
    fields = sorted(name for name in work.inputs if not name.startswith(_OUTSIDE))
    made = build_survey(
        _tables(folder, fields),
        run.profile,
        reference=read_reference(run.reference) if run.reference else None,
        earlier=read_earlier(run.earlier) if run.earlier else None,
    )
    made.catalog.meta[COMMENTS] = flag_notes()
    mask, flow = select(made.catalog, run.cuts)
    tables = {
        "catalog": made.catalog,
        "mosaics": _with_shifts(_mosaic_table(folder, fields), made),
        "depth": depth_table(_noted(folder, "depth", fields)),
        "astrometry": made.astrometry,
        "overlap": made.overlap,
    }
    outputs: dict[str, Sequence[Output]] = {
        name: [write_table(folder, MERGE.path(name), table)] for name, table in tables.items()
    }
    outputs["copies"] = list(write_copies(folder, made.catalog))
    counts = {"sources": len(mask), "primary": int(made.catalog["is_primary"].sum()), "selected": int(mask.sum())}
    counts |= {"shifted": len(made.shifts)} if made.shifts else {}
    counts |= {} if made.names is None else {f"names:{what}": n for what, n in made.names._asdict().items()}
    notes = {"cut_flow": flow, "shifts": {field: list(shift) for field, shift in made.shifts.items()}}
    return MERGE.receipt(work, outputs, counts, notes)


def removed_shift(folder: Folder, field: str) -> SkyShift:
    """Return what merging added to a field's positions; its WCS is to be moved alike."""
    receipt = MERGE.latest(folder)
    shifts: Any = receipt.notes.get("shifts", {}) if receipt else {}
    return SkyShift(*shifts.get(field, NO_SHIFT))


def _with_shifts(mosaics: Table, made: Survey) -> Table:
    """Say in the table of mosaics what was added to the positions of each field."""
    shifts = [made.shifts.get(field, NO_SHIFT) for field in mosaics["field"].tolist()]
    for name, values, axis in zip(("dra", "ddec"), zip(*shifts, strict=True), ("ra cos(dec)", "dec"), strict=True):
        said = f"added to {axis} of the field's sources and to the cutouts' WCS; 0 = not corrected"
        mosaics[name] = Column(values, unit="mas", description=said)
    return mosaics


def _tables(folder: Folder, fields: Iterable[str]) -> dict[str, Table]:
    tables = {}
    for field in fields:
        with FIELD_CATALOG.reading(folder, "table", field) as path:
            tables[field] = read_parquet(path)
    return tables


def _mosaic_table(folder: Folder, fields: Iterable[str]) -> Table:
    rows = _noted(folder, "mosaics", fields)
    if not rows:
        raise CatalogError("none of the targets lies on a mosaic of the survey", reason="no_targets")
    names = list(rows[0])
    return with_mosaic_units(Table({name: [_missing_as_nan(row[name]) for row in rows] for name in names}))


def _noted(folder: Folder, name: str, fields: Iterable[str]) -> list[dict[str, Any]]:
    """Rows that the fields' receipts carry under a name."""
    receipts = [FIELD_CATALOG.latest(folder, field) for field in sorted(fields)]
    notes: list[Any] = [receipt.notes[name] for receipt in receipts if receipt]
    return [row for note in notes for row in note]


def _missing_as_nan(value: Any) -> Any:
    return math.nan if value is None else value
