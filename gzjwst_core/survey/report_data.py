"""What the report shows, gathered from the tables, receipts and images of the run folder."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from astropy.io import fits
from astropy.table import Table

from gzjwst_core.catalog.select import select
from gzjwst_core.errors import ImageError, StorageError
from gzjwst_core.report.explorer import embedded_names
from gzjwst_core.report.facts import DepthMap, FailedImage, FileNote, Galaxies, MosaicCell, ReportFacts
from gzjwst_core.report.galaxies import DETAILS, band_details, listed, measure_names
from gzjwst_core.report.panel_boxes import rgb_box
from gzjwst_core.report.selection_facts import completeness_of, residuals
from gzjwst_core.report.sheets import thumbnail
from gzjwst_core.report.shown import limits_of
from gzjwst_core.runs.products import read_table, reading_made
from gzjwst_core.runs.record import Missing, RunRecord
from gzjwst_core.storage.folder import Folder
from gzjwst_core.storage.kept import KEPT
from gzjwst_core.storage.tables import parquet_columns, read_parquet
from gzjwst_core.survey.catalog import ASTROMETRY, CATALOG, OVERLAP
from gzjwst_core.survey.catalog import MOSAICS as MEASURED_MOSAICS
from gzjwst_core.survey.completeness import COMPLETENESS, FIELDS, PURITY, standing_survey
from gzjwst_core.survey.crossmatch import CROSSMATCH
from gzjwst_core.survey.images import IMAGES, STRIPS, measures_of, notes_of
from gzjwst_core.survey.quality import CHECKS, QUALITY, judged_images
from gzjwst_core.survey.query import MOSAICS, PRODUCTS, area_arcmin2, products_of
from gzjwst_core.survey.run import FROZEN_PROFILE, SurveyRun
from gzjwst_core.zoobot.rows import FROM_CATALOG, join_rows, with_verdicts

__all__ = ["facts_of", "shown_rows"]

_MOST_DEPTH_MAPS = 24

_DEPTH_SHOWN = (
    "field",
    "band",
    "depth",
    "area",
    "verified",
    "sigma",
    "zero_point",
    "pixel_scale",
    "err_factor",
    "noise_beta",
)
_FILES = (
    (
        CATALOG,
        "the survey catalog: every detection, duplicates marked; pandas and polars read it",
    ),
    ("catalog/catalog.fits", "the same for TOPCAT, with units and UCDs"),
    ("catalog/catalog.ecsv", "the same as text, where the catalog is small"),
    ("catalog/regions/", "Kron ellipses of each field for DS9"),
    (MEASURED_MOSAICS, "noise, depth and area of every mosaic"),
    ("catalog/depth.parquet", "area and noise law of each depth, band by band"),
    ("depth/", "depth maps: 5 sigma in 0.3 arcsec, AB, every band and the detection image"),
    (ASTROMETRY, "offsets between fields and against the reference, and what was made of them"),
    (COMPLETENESS, "share of injected galaxies that come back, by field, magnitude and size"),
    (PURITY, "detections on the negative image, by field and magnitude"),
    (FIELDS, "magnitudes of 50, 80 and 90 % completeness of each field"),
    ("catalog/injected/", "every injected galaxy of a field and what became of it; the detections of those found"),
    ("catalog/negative/", "detections on a field's sky without sources, with the sign turned: noise"),
    (OVERLAP, "how many sources of one field another finds again, by magnitude"),
    (CROSSMATCH, "comparison with catalogs of others: matched, offsets, magnitudes, by magnitude"),
    ("catalog/matches/", "matches with each of them"),
    ("catalog/fields/", "detections of each field before merging"),
    ("segmaps/", "segmentation maps, on the detection grid"),
    ("cutouts/", "FITS cutouts: every band, segment and mask"),
    (QUALITY, "the verdict on every image (pass, warn, fail), its reasons and measures"),
    (CHECKS, "how the images fare by each measure, and checks of the survey as a whole"),
    ("controls/", "cutouts of stars and of galaxies of other fields for those checks; not to be shown or used"),
    (f"{IMAGES}/", "colour images for volunteers"),
    (f"{STRIPS}/", "each image's bands side by side in grey, as this page shows them"),
    ("zooniverse/", "manifests, and what is new since an upload: python -m gzjwst_core zooniverse check tells how"),
    ("zoobot/catalog.parquet", "id_str, file_loc, split: what Zoobot reads"),
    ("zoobot/sides.parquet", "the split's memory: which side everyone who was ever handed over is on; keep it"),
    ("zoobot/", "single bands as FITS for Zoobot"),
    (PRODUCTS, "every product MAST listed, kept or dropped with the reason"),
    (MOSAICS, "where each mosaic was found, and what each archive said"),
    (FROZEN_PROFILE, "the profile as it was run, colour pinned"),
    (KEPT, "second copies of what nothing can make anew: the pinned colour, the split's memory, the uploads"),
    ("run.json", "every run of this survey"),
)


def facts_of(run: SurveyRun, record: RunRecord) -> ReportFacts:
    """Gather the report's facts.

    Parameters
    ----------
    run
        The run; its catalog must be there.
    record
        The run's record.
    """
    folder, profile = run.folder, run.profile
    catalog = _catalog(run)
    depth, measured = read_table(folder, MEASURED_MOSAICS, stage="merge"), standing_survey(run) is not None
    injected = read_table(folder, COMPLETENESS, stage="completeness") if measured else None
    judged = judged_images(run)
    quality = measures_of(IMAGES.all_latest(folder)) if judged is None else judged
    checks = None if judged is None else read_table(folder, CHECKS, stage="quality")
    galaxies, unread = (None, ()) if catalog is None else _galaxies(run, catalog, quality, judged, checks)
    return ReportFacts(
        record=record,
        title=profile.survey.title,
        bands=profile.survey.bands,
        mosaics=tuple(_cells(folder)),
        catalog=catalog,
        selected=None if catalog is None else select(catalog, run.cuts)[0],
        area_arcmin2=_searched_arcmin2(run, depth),
        depth=None if depth is None else depth[[name for name in _DEPTH_SHOWN if name in depth.colnames]],
        depth_maps=tuple(_depth_maps(folder)),
        completeness=injected,
        catalog_completeness=None if catalog is None or injected is None else completeness_of(catalog, injected),
        purity=read_table(folder, PURITY, stage="completeness") if measured else None,
        limits=read_table(folder, FIELDS, stage="completeness") if measured else None,
        overlap=read_table(folder, OVERLAP, stage="merge"),
        residuals=() if catalog is None else tuple(residuals(catalog)),
        astrometry=read_table(folder, ASTROMETRY, stage="merge"),
        crossmatch=read_table(folder, CROSSMATCH, stage="crossmatch") if profile.compare else None,
        image_measures=quality,
        image_checks=checks,
        failed_images=tuple(_failed(judged)),
        galaxies=galaxies,
        unread=tuple(unread),
        files=tuple(_files(folder)),
        cite=profile.survey.cite,
    )


def _catalog(run: SurveyRun) -> Table | None:
    """Read those columns of the survey catalog that the report shows: a fifth of them; None without a catalog."""
    if not run.folder.exists(CATALOG):
        return None
    details = (one.name for one in (*DETAILS, *band_details(run.profile.survey.bands)))
    wanted = {*FROM_CATALOG, "is_primary", "is_star", *details, *(cut.column for cut in run.cuts)}
    with reading_made(run.folder, "merge", "survey", CATALOG) as path:
        return read_parquet(path, [name for name in parquet_columns(path) if name in wanted])


def shown_rows(run: SurveyRun) -> Table:
    """Return the rows that are shown to people: images that stand, of targets that are selected now.

    An image of a field that this run was not asked for may be of a target that is not selected any more.
    """
    columns = dict.fromkeys([*FROM_CATALOG, *(cut.column for cut in run.cuts)])
    with reading_made(run.folder, "merge", "survey", CATALOG) as path:
        return _shown(run, read_parquet(path, columns), judged_images(run, ("id_str", "verdict", "reasons")))


def _shown(run: SurveyRun, catalog: Table, judged: Table | None) -> Table:
    selected = catalog[list(FROM_CATALOG)][select(catalog, run.cuts)[0]]
    names = set(selected["id_str"].tolist())
    notes = notes_of(IMAGES.all_latest(run.folder))
    rows = join_rows(selected, (note.record for note in notes if note.record.id_str in names))
    return with_verdicts(rows, judged)


def _searched_arcmin2(run: SurveyRun, depth: Table | None) -> float | None:
    """Sky with data in a detection band; what footprints of fields share is counted once."""
    if depth is None:
        return None
    searched = depth[np.asarray(depth["is_detection"], dtype=bool)]
    fields = sorted(set(searched["field"].tolist()))
    with_data = sum(float(np.max(searched["area"][searched["field"] == field])) for field in fields)
    products = {field: [p for p in products_of(run) if p.field == field] for field in fields}
    apart = sum(area_arcmin2(of) for of in products.values())
    together = area_arcmin2([product for of in products.values() for product in of])
    return with_data * (together / apart if apart else 1.0) or None


def _cells(folder: Folder) -> Iterator[MosaicCell]:
    for row in read_table(folder, MOSAICS, stage="locate") or ():
        lost: Literal["expected", "missing"] = "expected" if row["expected"] else "missing"
        yield MosaicCell(
            field=str(row["field"]),
            band=str(row["band"]),
            outcome="located" if row["outcome"] == "located" else lost,
            archive=str(row["archive"]),
            size=int(row["size"]),
            obs_id=str(row["obs_id"]),
            reason=str(row["reason"]),
            detail=f"asked {row['trail']}",
        )


def _galaxies(
    run: SurveyRun, catalog: Table, quality: Table | None, judged: Table | None, checks: Table | None
) -> tuple[Galaxies | None, Sequence[Missing]]:
    """Gather everything that has an image, or a random part of it, with small copies; and images that have none."""
    rows, options, bands = _shown(run, catalog, judged), run.profile.publish, run.profile.survey.bands
    if len(rows) == 0 or options.report_galaxies == 0:
        return None, ()
    table = listed(rows, catalog, quality, bands, options.report_galaxies)
    measures = tuple(measure_names(quality, table))
    made = Galaxies(
        rows=table,
        total=len(rows),
        measures=measures,
        limits=limits_of(checks),
        bands=bands,
        link=options.link,
        sheet=options.contact_sheet,
    )
    wanted = np.isin(table["id_str"], embedded_names(made))
    small, unread = _small_copies(run.folder, table[wanted])
    return replace(made, small=small), unread


def _small_copies(folder: Folder, rows: Table) -> tuple[dict[str, str], list[Missing]]:
    """Make small copies by id_str; one image that cannot be read costs its own copy, not the report."""
    small: dict[str, str] = {}
    unread: list[Missing] = []
    for name, path, panels in rows["id_str", "image", "panels"]:
        try:
            small[str(name)] = thumbnail(folder.read(str(path)), box=rgb_box(str(panels)))
        except (ImageError, StorageError) as error:
            said = f"no small copy for the report: {error}; remove the file to have it made anew"
            unread.append(Missing(what=str(path), reason=error.reason, detail=said))
    return small, unread


def _failed(judged: Table | None) -> Iterator[FailedImage]:
    if judged is None:
        return
    for name, path, reasons in judged["id_str", "image", "reasons"][np.asarray(judged["verdict"]) == "fail"]:
        yield FailedImage(str(name), str(path), str(reasons))


def _files(folder: Folder) -> Iterator[FileNote]:
    counts: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for name, size in folder.files():
        path = next((path for path, _ in _FILES if name.startswith(path)), "")
        counts[path] += 1
        sizes[path] += size
    for path, what in _FILES:
        if counts[path]:
            yield FileNote(path, what, counts[path] if path.endswith("/") else None, sizes[path])


def _depth_maps(folder: Folder) -> Iterator[DepthMap]:
    """Read the detection image's depth over each field, from `depth/<field>.fits`; the first 24 fields by name."""
    names = sorted(name for name, _ in folder.files() if name.startswith("depth/") and name.endswith(".fits"))
    for name in names[:_MOST_DEPTH_MAPS]:
        field = name.removeprefix("depth/").removesuffix(".fits")
        with reading_made(folder, "catalog", field, name) as path, fits.open(path, memmap=False) as hdus:
            if "DETECTION" not in hdus:  # a field without any target was not looked at
                continue
            values = np.asarray(hdus["DETECTION"].data, dtype=np.float32)
        yield DepthMap(field, values)
