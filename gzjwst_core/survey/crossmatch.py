"""Comparisons with catalogs of others as a stage of a run: read them, compare, write tables, leave a receipt.

A catalog that is missing or cannot be read fails for itself: the others are compared, the survey goes on, and the run
says so. The receipt holds digests of the files, never where they lie. A file that was there when the stage was planned
and cannot be read now is a fault of the moment: the stage fails, and is tried again by the next run.
"""

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from gzjwst_core.catalog.crossmatch import Comparison, Sources, compare, near_any, summary_of
from gzjwst_core.catalog.external_tables import read_outside
from gzjwst_core.errors import CatalogError, StorageError
from gzjwst_core.options import CompareOptions
from gzjwst_core.runs.receipts import Done, complete
from gzjwst_core.runs.stage import SURVEY_UNIT, Stage
from gzjwst_core.runs.tally import Tallies
from gzjwst_core.runs.wording import counted, reasons, total
from gzjwst_core.runs.work import Receipt, Work
from gzjwst_core.storage.file_digests import digest_of_files
from gzjwst_core.storage.tables import read_parquet, write_table
from gzjwst_core.survey.catalog import MERGE
from gzjwst_core.survey.field_coverage import on_data
from gzjwst_core.survey.run import SurveyRun
from gzjwst_core.values import digest_of

__all__ = ["COMPARISON", "CROSSMATCH", "crossmatch", "matches_path", "plan_crossmatch"]

_log = logging.getLogger(__name__)

_INPUT, _UNREADABLE = "compare:", "unreadable:"
_REACH_ARCSEC = 10.0
"""A source of ours is in their area if one of theirs is this near; likewise theirs, where no depth map says more."""


def _line(done: Sequence[Done]) -> str:
    """Tell how many catalogs were compared with, and why some were not."""
    return (
        f"{counted(total(done, 'matches'), 'match')} with {counted(total(done, 'compared'), 'catalog')}{reasons(done)}"
    )


def _sums(run: SurveyRun, _: Tallies) -> dict[str, dict[str, int]]:
    receipt = COMPARISON.latest(run.folder) if run.profile.compare else None
    parts = {name: count for name, count in receipt.counts.items() if name != "matches"} if receipt else {}
    return {"comparisons": {"total": sum(parts.values()), **parts}} if parts else {}


COMPARISON = Stage(
    "crossmatch",
    version="3",
    writes={"summary": "catalog/crossmatch.parquet", "matches": "catalog/matches/*.parquet"},
    reads=("merge.catalog", "catalog.depth", "catalog.segmap"),
    line=_line,
    sums=_sums,
)
CROSSMATCH = COMPARISON.path("summary")


def matches_path(name: str) -> str:
    """Path of a comparison's matches in the run folder."""
    return f"catalog/matches/{name}.parquet"


def plan_crossmatch(run: SurveyRun) -> Work:
    """Say what the comparisons are made from: the survey catalog, and the files as they are now.

    Raises
    ------
    CatalogError
        There is no survey catalog (reason `no_catalog`).
    """
    merged = MERGE.latest(run.folder)
    if merged is None:
        raise CatalogError(f"{run.profile.name}: there is no survey catalog to compare", reason="no_catalog")
    given = {_INPUT + one.name: _digest(run, one) for one in run.profile.compare}
    return COMPARISON.work(
        unit=SURVEY_UNIT,
        inputs={"catalog": MERGE.digest(merged, "catalog"), **given},
        options=digest_of([one.digest() for one in run.profile.compare]),
    )


def crossmatch(run: SurveyRun, work: Work) -> Done:
    """Compare the survey catalog with every catalog that the profile names."""
    return complete(run.folder, work, partial(_make, run, work))


def _make(run: SurveyRun, work: Work) -> Receipt:
    made: dict[str, Comparison] = {}
    failed: dict[str, list[str]] = {}
    for options in run.profile.compare:
        try:
            made[options.name] = _compare(run, options)
        except (CatalogError, StorageError) as error:
            if isinstance(error, StorageError) and not work.inputs[_INPUT + options.name].startswith(_UNREADABLE):
                raise  # the file was there when this was planned: nothing that a receipt could hold for good
            _log.warning("compare %s: %s", options.name, error)
            failed[options.name] = [error.reason, _without_folder(run, options, str(error))]
    outputs = {
        "summary": (write_table(run.folder, CROSSMATCH, summary_of(made.values())),),
        "matches": tuple(write_table(run.folder, matches_path(name), one.matches) for name, one in made.items()),
    }
    reasons = [reason for reason, _ in failed.values()]
    counts = {"compared": len(made), **{f"failed:{reason}": reasons.count(reason) for reason in sorted(set(reasons))}}
    notes = {"failed": {name: list(told) for name, told in failed.items()}}
    counts |= {"matches": sum(len(one.matches) for one in made.values())}
    return COMPARISON.receipt(work, outputs, counts, notes)


def _compare(run: SurveyRun, options: CompareOptions) -> Comparison:
    theirs = _theirs(run, options)
    ours, fields = _ours(run, options)
    covered, exact = on_data(run.folder, fields, theirs.ra, theirs.dec)
    if not exact:
        covered &= near_any(theirs.ra, theirs.dec, ours.ra, ours.dec, _REACH_ARCSEC)
    inside = near_any(ours.ra, ours.dec, theirs.ra, theirs.dec, _REACH_ARCSEC)
    return compare(
        ours.take(inside),
        theirs.take(covered),
        (options.name, options.band),
        radius_arcsec=options.radius_arcsec,
        offset_radius_arcsec=options.offset_radius_arcsec,
    )


def _ours(run: SurveyRun, options: CompareOptions) -> tuple[Sources, list[str]]:
    mag = f"{options.band}_mag_tot"
    with MERGE.reading(run.folder, "catalog") as path:
        rows = read_parquet(path, ["id_str", "ra", "dec", "field", "is_primary", mag])
    fields = np.unique(rows["field"]).tolist()
    rows = rows[np.asarray(rows["is_primary"])]
    names, ra, dec, magnitudes = (np.asarray(rows[name]) for name in ("id_str", "ra", "dec", mag))
    return Sources(names, ra, dec, magnitudes.astype(np.float64)), fields


def _theirs(run: SurveyRun, options: CompareOptions) -> Sources:
    """Read their rows with a position; magnitudes from magnitudes, else from fluxes."""
    magnitude, flux = options.of_band(options.magnitude), options.of_band(options.flux)
    found, ra, dec = read_outside(_path(run, options), options, (magnitude, flux))
    mag = np.full(len(found), np.nan)
    if magnitude:
        mag = found.magnitudes(magnitude)
    elif flux:
        values = found.fluxes(flux, options.flux_unit)
        mag = 23.9 - 2.5 * np.log10(np.where(values > 0, values, np.nan))
    good = (np.abs(ra) <= 360) & (np.abs(dec) <= 90)  # NaN is not good
    ra = np.mod(ra, 360.0, out=ra.copy(), where=good)
    return Sources(found.identifiers(options.id)[0], ra, dec, mag).take(good)


def _path(run: SurveyRun, options: CompareOptions) -> str:
    return run.beside_profile(options.path, f"compare {options.name}: path")


def _digest(run: SurveyRun, options: CompareOptions) -> str:
    """Digest of the files; the reason where they cannot be read, so that they are looked at anew once they can."""
    try:
        return digest_of_files(_path(run, options))
    except StorageError as error:
        return f"{_UNREADABLE}{error.reason}"


def _without_folder(run: SurveyRun, options: CompareOptions, said: str) -> str:
    """Leave this machine's folders out of what a receipt says."""
    return said.replace(f"{Path(_path(run, options)).parent}/", "")
