"""What a run would read and write, asked of the archives without fetching: the dry run.

Nothing is written: no table, no digest, no cache entry.
"""

import shutil
from collections.abc import Sequence

from gzjwst_core.archives.locate import missing_reason
from gzjwst_core.catalog.target_list import read_targets
from gzjwst_core.models import Field, Mosaic, Product
from gzjwst_core.runs.dry_run import DryRun
from gzjwst_core.runs.wording import megabytes
from gzjwst_core.survey.catalog import MERGE
from gzjwst_core.survey.query import area_arcmin2, capacity, is_cached, list_products, listing_of, locate, transfers
from gzjwst_core.survey.run import SurveyRun
from gzjwst_core.values import Value

__all__ = ["Estimate", "EstimateRow", "dry_run", "estimate"]

_TARGETS_PER_ARCMIN2 = 25.0
"""Galaxies with AB < 25 per square arcmin, number counts of deep JWST fields."""
_CUTOUT_BYTES_PER_BAND = 60_000
"""Mean cutout of the default rule: 4 arcsec at 0.03 arcsec a pixel, float32; long-wave grids are a quarter."""
_IMAGE_BYTES = 50_000
_SIZES = ("bytes", "catalog", "injection", "cutouts")


class EstimateRow(Value):
    """One mosaic."""

    field: str
    band: str
    where: str
    address: str
    """Logical address, or why it is nowhere."""
    size: int
    catalog_bytes: int
    """To fetch for the catalog."""
    injection_bytes: int
    """To fetch again for completeness and purity: only where the cache cannot hold every mosaic until then."""
    cutout_bytes: int
    """To fetch again for the cutouts: likewise."""
    cached: bool


class Estimate(Value):
    """The whole run."""

    survey: str
    rows: tuple[EstimateRow, ...]
    products: int
    kept: int
    located: int
    missing: int
    first_visit: int
    """For the catalogs."""
    injection_visit: int
    """For completeness and purity."""
    second_visit: int
    """For the cutouts."""
    targets: int
    basis: str
    """What the number of targets was taken from."""
    output: int
    needed: int
    """Bytes that the cache must have room for: those of the largest field, while it is fetched and read, and of its
    scratch files."""
    cached: int
    """Bytes that the cache would hold, were it large enough for every mosaic."""
    capacity: int
    """Bytes that the cache may hold."""
    free: int
    """Bytes free where the output goes; -1 where that is no disk of this machine."""

    @property
    def fits(self) -> bool:
        """Whether the disks hold what the run needs."""
        return self.needed <= self.capacity and (self.free < 0 or self.output <= self.free)


def dry_run(run: SurveyRun) -> DryRun:
    """Say what a run would read and write, as a table and in sums.

    Raises
    ------
    QueryError, ArchiveError
        As the query and locate stages.
    """
    found = estimate(run)
    return DryRun(
        title=f"{found.survey}: {len(found.rows)} mosaics",
        columns=("field", "band", "where", "file, or why it is nowhere", *_SIZES, "cached"),
        rows=tuple(_shown(row) for row in found.rows),
        notes=tuple(_sums(found)),
        refusal="" if found.fits else _too_much(found),
        record=found.model_dump(mode="json"),
    )


def _shown(row: EstimateRow) -> tuple[str, ...]:
    sizes = [megabytes(size) for size in (row.size, row.catalog_bytes, row.injection_bytes, row.cutout_bytes)]
    return (row.field, row.band, row.where, row.address.rpartition("/")[2], *sizes, "yes" if row.cached else "no")


def _sums(found: Estimate) -> list[str]:
    every = f"{megabytes(found.cached)} for every mosaic at once"
    disk = f"{megabytes(found.free)} free where the output goes" if found.free >= 0 else "the output goes elsewhere"
    visits = f"{megabytes(found.first_visit)} for the catalogs, again {megabytes(found.injection_visit)} for injection"
    visits += f" and {megabytes(found.second_visit)} for the cutouts"
    return [
        f"products  {found.products} listed, {found.kept} kept",
        f"mosaics   {found.located} located, {found.missing} missing",
        f"to fetch  {visits}",
        f"output    about {megabytes(found.output)} for {found.targets} targets ({found.basis})",
        f"cache     {megabytes(found.capacity)} allowed, {megabytes(found.needed)} needed at once, {every}",
        f"disk      {disk}",
    ]


def _too_much(found: Estimate) -> str:
    if found.needed > found.capacity:
        return f"a field needs {megabytes(found.needed)} of the cache, which may hold {megabytes(found.capacity)}"
    return f"the output needs {megabytes(found.output)}, its disk has {megabytes(found.free)} free"


def estimate(run: SurveyRun) -> Estimate:
    """Ask the archives what a run would read.

    Raises
    ------
    QueryError, ArchiveError
        As the query and locate stages.
    """
    products = list_products(run)
    listing = listing_of(run, products)
    fields = [locate(run, field, cheap=True) for field in run.chosen(listing.fields)]
    mosaics = [mosaic for field in fields for mosaic in field.mosaics]
    moves, room = transfers(run, fields), capacity(run)
    rows = tuple(_row(run, field, mosaic, again=moves.kept > room) for field in fields for mosaic in field.mosaics)
    targets, basis = _targets(run, [p for p in products if p.field in {field.name for field in fields}])
    return Estimate(
        survey=run.profile.name,
        rows=rows,
        products=len(products),
        kept=listing.kept,
        located=sum(mosaic.located for mosaic in mosaics),
        missing=sum(not mosaic.located for mosaic in mosaics),
        first_visit=sum(row.catalog_bytes for row in rows),
        injection_visit=sum(row.injection_bytes for row in rows),
        second_visit=sum(row.cutout_bytes for row in rows),
        targets=targets,
        basis=basis,
        output=targets * (_CUTOUT_BYTES_PER_BAND * _planes(run) + _IMAGE_BYTES),
        needed=moves.largest,
        cached=moves.kept,
        capacity=room,
        free=_free(run),
    )


def _planes(run: SurveyRun) -> int:
    """Bands that are written for each target: in its cutout, and alone for Zoobot."""
    return len(run.profile.survey.bands) + len(run.profile.publish.zoobot_fits)


def _row(run: SurveyRun, field: Field, mosaic: Mosaic, *, again: bool) -> EstimateRow:
    moved = transfers(run, [field.replace(mosaics=(mosaic,))]).bytes
    reason = missing_reason(mosaic) + (" (expected)" if mosaic.expected else "")
    return EstimateRow(
        field=mosaic.field,
        band=mosaic.band,
        where=mosaic.archive or "-",
        address=mosaic.uri if mosaic.located else f"{mosaic.obs_id}: {reason}",
        size=mosaic.size,
        catalog_bytes=moved,
        injection_bytes=moved if again and _injects(run) else 0,
        cutout_bytes=moved if again else 0,
        cached=is_cached(run, mosaic),
    )


def _injects(run: SurveyRun) -> bool:
    return run.profile.completeness.sources > 0 and not run.targets


def _free(run: SurveyRun) -> int:
    folder = run.folder.local()
    if folder is None:
        return -1
    return shutil.disk_usage(next(path for path in (folder, *folder.parents) if path.exists())).free


def _targets(run: SurveyRun, products: Sequence[Product]) -> tuple[int, str]:
    if run.targets:
        return len(read_targets(run.targets, run.profile.targets)), "the table of targets"
    merged = MERGE.latest(run.folder)
    if merged is not None:
        return merged.counts["selected"], "the survey catalog that stands"
    area = area_arcmin2(products)
    return round(area * _TARGETS_PER_ARCMIN2), f"{_TARGETS_PER_ARCMIN2:g} a square arcmin over {area:.1f}"
