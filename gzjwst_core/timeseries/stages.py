"""The stages of a time series: list the segments, clean each series; and what its record and report tell."""

from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np
from astropy.io import fits

from gzjwst_core.errors import GzJwstError, MosaicError
from gzjwst_core.runs.receipts import Done, complete
from gzjwst_core.runs.record import Missing, RunFacts, RunLog, RunRecord
from gzjwst_core.runs.stage import Stage
from gzjwst_core.runs.tally import Tallies
from gzjwst_core.runs.wording import counted, total
from gzjwst_core.runs.work import Receipt, Work
from gzjwst_core.storage.file_digests import digest_of_files, existing_files
from gzjwst_core.storage.tables import Column, apply_columns, read_parquet, write_table
from gzjwst_core.timeseries.clean_series import Cleaned, clean_series
from gzjwst_core.timeseries.report import SeriesFacts, report_html
from gzjwst_core.timeseries.request import TimeSeriesRun
from gzjwst_core.timeseries.segments import Segment, Series, read_segment, series_of
from gzjwst_core.values import Output, Value

__all__ = [
    "CLEAN",
    "SEGMENTS",
    "STAGES",
    "Listing",
    "clean",
    "facts_of_run",
    "list_segments",
    "plan_clean",
    "write_report",
]

_COLUMNS = (
    Column("segment", "str", "", "meta.file", "file that holds the integration"),
    Column("time", "float64", "d", "time.epoch", "mid-time, MJD in the system of INT_TIMES"),
    Column("integration", "int64", "", "meta.number", "number within the exposure, from 1"),
    Column("white_light_before", "float64", "", "phot.flux", "sum of all pixels as given"),
    Column("white_light_after", "float64", "", "phot.flux", "sum of all pixels as cleaned"),
    Column("n_outliers", "int64", "", "meta.number", "values too far from their pixel's running median"),
    Column("outcome", "str", "", "meta.code", "usual, or of many outliers: kept or reset"),
)


class Listing(Value):
    """The segments that were found."""

    series: tuple[Series, ...]
    digests: Mapping[str, str]
    """SHA-256 by file name."""
    faults: tuple[Missing, ...] = ()
    """Files that cannot be used."""


def _segments_line(listings: list[Listing]) -> str:
    (listing,) = listings
    found = counted(sum(len(one.segments) for one in listing.series), "segment")
    bad = f"; {len(listing.faults)} cannot be used: {listing.faults[0].detail}" if listing.faults else ""
    integrations = sum(one.shape[0] for one in listing.series)
    return f"{found} of {len(listing.series)} series with {counted(integrations, 'integration')}{bad}"


def _clean_line(done: list[Done]) -> str:
    replaced, pixels = total(done, "replaced"), total(done, "bad_pixels") + total(done, "telegraph_pixels")
    vetted = "".join(f", {total(done, name)} {name}" for name in ("kept", "reset") if total(done, name))
    integrations = counted(total(done, "integrations"), "integration")
    return f"{replaced} outliers replaced in {integrations}{vetted}; {pixels} pixels marked"


def _integrations(_: TimeSeriesRun, tallies: Tallies) -> dict[str, dict[str, int]]:
    counts = tallies.of("clean").counts
    if not counts["integrations"]:
        return {}
    usual = counts["integrations"] - counts["kept"] - counts["reset"]
    parts = {"usual": usual, "kept": counts["kept"], "reset": counts["reset"]}
    return {"integrations": {"total": counts["integrations"], **parts}}


SEGMENTS = Stage("segments", line=_segments_line)
CLEAN = Stage(
    "clean",
    writes={
        "cleaned": "cosmic_cleaned_fits/*.fits",
        "mask": "masks/{unit}.fits",
        "table": "integrations/{unit}.parquet",
    },
    line=_clean_line,
    sums=_integrations,
)
STAGES = (SEGMENTS, CLEAN)


def list_segments(run: TimeSeriesRun) -> Listing:
    """Read the headers of every file; those that cannot be used are named, and the others go on.

    Raises
    ------
    MosaicError
        None can be used (reason `no_segments`).
    """
    found: list[Segment] = []
    faults: list[Missing] = []
    digests: dict[str, str] = {}
    for file in dict.fromkeys(file for given in run.files for file in existing_files(given)):
        try:
            if file.name in digests:
                raise MosaicError(f"{file}: another file has the same name", reason="ambiguous")
            found.append(read_segment(file))
            digests[file.name] = digest_of_files(file)
        except GzJwstError as error:
            faults.append(Missing(what=file.name, reason=error.reason, detail=str(error)))
    series: list[Series] = []
    for exposure in sorted({segment.exposure for segment in found}):
        try:
            series += series_of(segment for segment in found if segment.exposure == exposure)
        except MosaicError as error:
            faults.append(Missing(what=exposure, reason=error.reason, detail=str(error)))
    if not series:
        first = faults[0].detail if faults else "no files"
        raise MosaicError(f"no segment of a time series can be used: {first}", reason="no_segments")
    return Listing(series=tuple(series), digests=digests, faults=tuple(faults))


def plan_clean(run: TimeSeriesRun, listing: Listing) -> dict[str, tuple[Work, Series]]:
    """Say what each cleaned series is made from: its files, and the options.

    Returns
    -------
    dict
        Work and series by the name of the series.
    """
    works = {}
    for one in listing.series:
        inputs = {segment.filename: listing.digests[segment.filename] for segment in one.segments}
        works[one.name] = CLEAN.work(one.name, inputs, run.profile.clean.digest()), one
    return works


def clean(run: TimeSeriesRun, work: Work, series: Series) -> Done:
    """Write the cleaned segments, the mask and the table of one series.

    Raises
    ------
    StorageError
        A segment cannot be read, or nothing can be written.
    """
    return complete(run.folder, work, partial(_make, run, work, series))


def _make(run: TimeSeriesRun, work: Work, series: Series) -> Receipt:
    folder = run.folder
    paths = [f"cosmic_cleaned_fits/{segment.filename}" for segment in series.segments]
    with ExitStack() as writing:  # the files have their names once all of them are complete
        copies = [writing.enter_context(folder.writing(path)) for path in paths]
        made = clean_series(series, run.profile.clean, copies)
    with folder.writing(CLEAN.path("mask", series.name)) as path:
        _write_mask(path, made)
    table = apply_columns(made.table, _COLUMNS)
    outputs: dict[str, Output | list[Output]] = {
        "cleaned": [folder.output(path) for path in paths],
        "mask": folder.output(CLEAN.path("mask", series.name)),
        "table": write_table(folder, CLEAN.path("table", series.name), table),
    }
    return CLEAN.receipt(work, outputs, made.counts)


def _write_mask(path: Path, made: Cleaned) -> None:
    header = fits.Header()
    header["COMMENT"] = "bit 1: bad pixel; bit 2: telegraph pixel; times 4: outliers in time"
    fits.PrimaryHDU(made.mask, header=header).writeto(path, overwrite=True)


def facts_of_run(run: TimeSeriesRun, log: RunLog, _tallies: Tallies) -> RunFacts:
    """Say which files could not be used.

    Parameters
    ----------
    run
        The run.
    log
        What happened: the stages' notes.
    """
    told = log.facts.get("faults", {})
    faults = [
        Missing(what=what, reason=why.partition("|")[0], detail=why.partition("|")[2]) for what, why in told.items()
    ]
    return RunFacts(missing=tuple(faults), made={"series": len(run.folder.names("receipts/clean"))})


def write_report(run: TimeSeriesRun, _log: RunLog, record: RunRecord, _previous: bytes | None) -> RunRecord:
    """Write report.html of every series that stands; returns the record as it is.

    Parameters
    ----------
    run
        The run.
    record
        Of the run.
    """
    series = {}
    for receipt in CLEAN.all_latest(run.folder):
        with CLEAN.reading(run.folder, "table", receipt.unit) as path:
            table = read_parquet(path)
        with CLEAN.reading(run.folder, "mask", receipt.unit) as path:
            series[receipt.unit] = SeriesFacts(table, np.asarray(fits.getdata(path)))
    if series:
        run.folder.write("report.html", report_html(record, series).encode())
    return record
