"""Completeness and purity as stages of a run: a field's injection, and the survey's tables made from all of them.

A field's work depends on its catalog's: what was detected anew is measured anew. Adding a field touches only the new
one and the survey's tables; bins and the sample's cuts touch only those. The science is in `injection`, `recovery`,
`completeness` and `selection`.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table

from gzjwst_core.catalog.columns import catalog_columns
from gzjwst_core.completeness.counts import completeness_table, count_magnitudes, purity_table
from gzjwst_core.completeness.injection import FieldBefore, detect_negative, inject
from gzjwst_core.completeness.recovery import passing
from gzjwst_core.completeness.selection import COMPLETENESS, SelectionFunction, magnitude_limits
from gzjwst_core.errors import CatalogError
from gzjwst_core.models import Field
from gzjwst_core.options import PsfOptions
from gzjwst_core.psf.known import file_digests, with_folder
from gzjwst_core.runs.engine import cpu_map
from gzjwst_core.runs.receipts import Done, complete, retire, standing
from gzjwst_core.runs.stage import SURVEY_UNIT, Stage
from gzjwst_core.runs.tally import Tallies
from gzjwst_core.runs.wording import counted, total
from gzjwst_core.runs.work import Receipt, Work
from gzjwst_core.storage.scratch import scratch
from gzjwst_core.storage.tables import Column, apply_columns, read_parquet, write_table
from gzjwst_core.survey.catalog import FIELD_CATALOG, plan_field
from gzjwst_core.survey.query import PRODUCTS, Prefetch, check_room, reading, scratch_bytes, survey_fields
from gzjwst_core.survey.run import SurveyRun
from gzjwst_core.values import digest_of

__all__ = [
    "COMPLETENESS",
    "FIELDS",
    "INJECTION",
    "PURITY",
    "SELECTION_FUNCTION",
    "inject_field",
    "measure",
    "plan_fields",
    "plan_survey",
    "standing_survey",
]


def _injection_line(done: Sequence[Done]) -> str:
    """Tell how many galaxies were injected, and how many detections are noise."""
    into = f"{counted(total(done, 'injected'), 'galaxy')} into {counted(len(done), 'field')}"
    return f"{into}; {counted(total(done, 'negative'), 'false detection')}"


def _line(done: Sequence[Done]) -> str:
    """Tell how many injected galaxies came back."""
    injected, found, blended = (total(done, name) for name in ("injected", "found", "blended"))
    return f"{found} of {injected} injected galaxies found, {blended} lost to brighter sources"


def _sums(run: SurveyRun, _: Tallies) -> dict[str, dict[str, int]]:
    """Of the galaxies that were injected: found again, lost to brighter sources, or not detected."""
    made = standing_survey(run)
    if made is None:
        return {}
    ended = {name: made.counts[name] for name in ("found", "blended")}
    lost = made.counts["injected"] - sum(ended.values())
    return {"injected": {"total": made.counts["injected"], **ended, "not_detected": lost}}


INJECTION = Stage(
    "injection",
    version="3",
    writes={
        "galaxies": "catalog/injected/{unit}.parquet",
        "detections": "catalog/injected/detections/{unit}.parquet",
        "negative": "catalog/negative/{unit}.parquet",
    },
    reads=("locate.mosaics", "catalog.segmap", "catalog.table"),
    line=_injection_line,
)
SELECTION_FUNCTION = Stage(
    "completeness",
    version="2",
    writes={"completeness": COMPLETENESS, "purity": "catalog/purity.parquet", "fields": "catalog/fields.parquet"},
    reads=("catalog.table", "injection.galaxies", "injection.detections", "injection.negative"),
    line=_line,
    sums=_sums,
)
PURITY, FIELDS = SELECTION_FUNCTION.path("purity"), SELECTION_FUNCTION.path("fields")
_LIMITS = {"mag_50": 0.5, "mag_80": 0.8, "mag_90": 0.9}


def plan_fields(run: SurveyRun, fields: Sequence[Field]) -> dict[str, Work]:
    """Say what each field's injection is made from: its catalog's work, the PSFs, and the options of injection.

    Returns
    -------
    dict
        By field; only fields whose catalog stands. None at all where the profile asks for no completeness, or the run
        has targets instead of detections.

    Raises
    ------
    BudgetError
        The cache cannot hold the largest field and its scratch files; says how much is missing.
    """
    if run.targets or run.profile.completeness.sources == 0:
        return {}
    catalogs = {field.name: plan_field(run, field) for field in fields if field.bands}
    psfs = file_digests(_psf(run))
    more = {f"psf:{band}": digest for band, digest in psfs.items()}
    works = {
        name: INJECTION.work(
            unit=name,
            inputs={"catalog": work.key} | more,
            options=_field_options(run),
        )
        for name, work in catalogs.items()
        if standing(run.folder, work) is not None
    }
    to_do = {name for name, work in works.items() if standing(run.folder, work) is None}
    check_room(run, [field for field in fields if field.name in to_do])
    return works


def _field_options(run: SurveyRun) -> str:
    profile = run.profile
    return digest_of([profile.survey.bands, profile.completeness.digest_of_injection(), _psf(run).digest()])


def _psf(run: SurveyRun) -> PsfOptions:
    """Bands are matched anew only where a cut asks for the fluxes that this gives: nobody else would read them."""
    psf = with_folder(run.profile.psf, Path(run.profile_folder))
    asked = any(cut.column.endswith("_matched") for cut in run.cuts)
    return psf if asked else psf.model_copy(update={"match": "none"})


def inject_field(run: SurveyRun, work: Work, field: Field, _fetched: Sequence[Prefetch]) -> Done:
    """Inject galaxies into one field and look for them, and for noise that is taken for sources.

    Parameters
    ----------
    run
        The run.
    work
        From `plan_fields`.
    field
        The field, located; its catalog stands.
    _fetched
        What was fetched ahead; what was not, or was removed since, is fetched now.

    Raises
    ------
    ArchiveError, MosaicError, CatalogError, StorageError
        The mosaics cannot be had or used, detection failed, or the cache's disk has no room for scratch files.
    """
    return complete(run.folder, work, partial(_make_field, run, work, field))


def _make_field(run: SurveyRun, work: Work, field: Field) -> Receipt:
    folder, profile, bands = run.folder, run.profile, run.profile.survey.bands
    before = _before(run, field)
    sections = profile.model_copy(update={"psf": _psf(run)})
    with (
        scratch(Path(run.cache) / "scratch") as place,
        reading(run, field, scratch_bytes(run, field)) as sources,
        FIELD_CATALOG.reading(folder, "segmap", field.name) as segmap,
    ):
        more: dict[str, Any] = {"bands": bands, "scratch": place, "cpu_map": cpu_map}
        injected = inject(sources, sections, before, **more)
        negative = detect_negative(sources, sections, before, segmap, **more)
    columns = catalog_columns(bands, profile.photometry, sections.psf)
    tables = {
        "galaxies": injected.galaxies,
        "detections": apply_columns(injected.detections, columns),
        "negative": apply_columns(negative, columns),
    }
    outputs = {name: write_table(folder, INJECTION.path(name, field.name), table) for name, table in tables.items()}
    counts = {"injected": len(injected.galaxies), "negative": len(negative), "detected": len(before.catalog)}
    counts |= {name: int(np.sum(injected.galaxies[column])) for name, column in _COUNTED.items()}
    notes = {"reference_band": before.reference_band, "area": before.area_arcmin2}
    return INJECTION.receipt(work, outputs, counts, notes)


_COUNTED = {"found": "recovered", "blended": "blended"}


def _before(run: SurveyRun, field: Field) -> FieldBefore:
    receipt = FIELD_CATALOG.latest(run.folder, field.name)
    if receipt is None:
        raise CatalogError(f"{field.name}: its catalog is gone", reason="no_catalog")
    catalog = _read(run, FIELD_CATALOG, "table", field.name)
    rows: Any = receipt.notes["mosaics"]
    reference = str(receipt.notes["reference_band"])
    area = next(row["area"] for row in rows if row["band"] == reference)
    searched = tuple(str(row["band"]) for row in rows if row["is_detection"])
    return FieldBefore(field.name, catalog, reference, searched, float(area))


def _by_magnitude(run: SurveyRun, field: str) -> dict[str, list[int]]:
    catalog = _read(run, FIELD_CATALOG, "table", field)
    negative = _read(run, INJECTION, "negative", field)
    tables = {"n_detected": catalog, "n_negative": negative}
    tables["n_selected"] = catalog[passing(catalog, run.cuts)]
    tables["n_negative_selected"] = negative[passing(negative, run.cuts)]
    options = run.profile.completeness
    return {name: count_magnitudes(np.asarray(table["mag_ref"]), options) for name, table in tables.items()}


def plan_survey(run: SurveyRun) -> Work | None:
    """Say what the survey's tables are made from: every field's injection that stands and fits its catalog and options.

    Returns
    -------
    Work or None
        None where no field has one.
    """
    if run.targets or run.profile.completeness.sources == 0:
        return None
    fields, wanted = survey_fields(run), (INJECTION.version, _field_options(run))
    catalogs = {receipt.unit: receipt.key for receipt in FIELD_CATALOG.all_latest(run.folder)}
    made = [r for r in INJECTION.all_latest(run.folder) if r.unit in fields and (r.version, r.options) == wanted]
    fitting = [r for r in made if r.inputs["catalog"] == catalogs.get(r.unit)]
    if not fitting:
        return None
    cuts, completeness = [cut.digest() for cut in run.cuts], run.profile.completeness.digest()
    return SELECTION_FUNCTION.work(
        unit=SURVEY_UNIT,
        inputs={r.unit: f"{r.key}|{digest_of([output.digest for output in r.files])}" for r in fitting},
        options=digest_of([run.profile.survey.bands, completeness, cuts]),
    )


def standing_survey(run: SurveyRun) -> Receipt | None:
    """Return the receipt of the survey's tables, if they tell of the catalogs as they are and of this profile."""
    if not run.folder.exists(PRODUCTS) or SELECTION_FUNCTION.latest(run.folder) is None:
        return None
    work = plan_survey(run)
    return standing(run.folder, work) if work is not None else None


def measure(run: SurveyRun, work: Work) -> Done:
    """Write the survey's tables of completeness, purity and magnitude limits; forgets fields that left the survey."""
    fields = survey_fields(run)
    retire(run.folder, INJECTION.name, lambda unit: unit not in fields)
    return complete(run.folder, work, partial(_make_survey, run, work))


def _make_survey(run: SurveyRun, work: Work) -> Receipt:
    options = run.profile.completeness
    injected = {field: _injected(run, field) for field in sorted(work.inputs)}
    receipts = {field: _receipt(run, field) for field in sorted(work.inputs)}
    table = completeness_table(injected, options, run.profile.survey.bands)
    noise = {field: _by_magnitude(run, field) for field in receipts}
    tables = {"completeness": table, "purity": purity_table(noise, options), "fields": _limits(run, table, receipts)}
    outputs = {name: write_table(run.folder, SELECTION_FUNCTION.path(name), of) for name, of in tables.items()}
    names = ("injected", "detected", "negative", *_COUNTED)
    counts = {name: sum(receipt.counts[name] for receipt in receipts.values()) for name in names}
    counts["selected"] = int(np.sum(table["n_selected"]))
    return SELECTION_FUNCTION.receipt(work, outputs, counts)


def _injected(run: SurveyRun, field: str) -> Table:
    galaxies, detections = (_read(run, INJECTION, name, field) for name in ("galaxies", "detections"))
    galaxies["selected"] = False
    galaxies["selected"][galaxies["recovered"]] = passing(detections, run.cuts)
    return galaxies


def _read(run: SurveyRun, stage: Stage, name: str, field: str) -> Table:
    with stage.reading(run.folder, name, field) as path:
        return read_parquet(path)


def _receipt(run: SurveyRun, field: str) -> Receipt:
    receipt = INJECTION.latest(run.folder, field)
    if receipt is None:
        raise CatalogError(f"{field}: its injection is gone", reason="no_catalog")
    return receipt


def _limits(run: SurveyRun, completeness: Table, receipts: Mapping[str, Receipt]) -> Table:
    selection, r50 = SelectionFunction(completeness), run.profile.completeness.limit_r50
    rows = []
    for field, receipt in receipts.items():
        known = {"field": field, "reference_band": receipt.notes["reference_band"], "area": receipt.notes["area"]}
        counted = {"n_in": receipt.counts["injected"], "limit_r50": r50}
        rows.append(known | counted | magnitude_limits(selection, field, r50, _LIMITS))
    return apply_columns(Table(rows=rows), _FIELD_COLUMNS)


_FIELD_COLUMNS = (
    Column("field", "str", "", "meta.id;obs.field", "field"),
    Column("reference_band", "str", "", "instr.bandpass", "band of the magnitudes"),
    Column("area", "float64", "arcmin2", "phys.angArea", "sky with data in that band"),
    Column("n_in", "int64", "", "meta.number", "galaxies injected"),
    Column(
        "limit_r50", "float64", "arcsec", "phys.angSize", "half-light radius that the limits are for, before the PSF"
    ),
    *(
        Column(name, "float64", "mag", "phot.mag", f"faintest magnitude with a completeness of {share:.0%}, NaN = none")
        for name, share in _LIMITS.items()
    ),
)
