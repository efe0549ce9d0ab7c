"""What a run would read and write, asked of the archives without fetching: the dry run.

Nothing is written: no table, no digest, no cache entry.
"""

from collections.abc import Sequence

from gzjwst_core.archives.locate import missing_reason
from gzjwst_core.archives.stages import (
    archives_of,
    area_arcmin2,
    bytes_to_keep,
    free_bytes,
    is_cached,
    list_products,
    listing_of,
    locate,
)
from gzjwst_core.catalog.target_list import read_targets
from gzjwst_core.models import Mosaic, Product, Value
from gzjwst_core.run import Run
from gzjwst_core.storage.receipts import latest

__all__ = ["Estimate", "EstimateRow", "estimate"]

_TARGETS_PER_ARCMIN2 = 25.0
"""Galaxies with AB < 25 per square arcmin, number counts of deep JWST fields."""
_CUTOUT_BYTES_PER_BAND = 60_000
"""Mean cutout of the default rule: 4 arcsec at 0.03 arcsec a pixel, float32; long-wave grids are a quarter."""
_IMAGE_BYTES = 50_000


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
    cutout_bytes: int
    """To fetch again for the cutouts: only where the disk cannot hold every mosaic until then."""
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
    second_visit: int
    targets: int
    basis: str
    """What the number of targets was taken from."""
    output: int
    needed: int
    """Bytes of the cache's disk that the run would take."""
    free: int

    @property
    def fits(self) -> bool:
        """Whether the disk holds what the run needs."""
        return self.needed <= self.free


def estimate(run: Run) -> Estimate:
    """Ask the archives what a run would read.

    Raises
    ------
    QueryError, ArchiveError
        As the query and locate stages.
    """
    products = list_products(run)
    listing = listing_of(run, products)
    archives = archives_of(run)
    fields = [locate(run, field, cheap=True) for field in run.chosen(listing.fields)]
    mosaics = [mosaic for field in fields for mosaic in field.mosaics]
    cached = [is_cached(run, mosaic, archives) for mosaic in mosaics]
    free, kept = free_bytes(run), bytes_to_keep(run, fields)
    rows = tuple(_row(m, there, again=kept > free) for m, there in zip(mosaics, cached, strict=True))
    targets, basis = _targets(run, [p for p in products if p.field in {field.name for field in fields}])
    output = targets * (_CUTOUT_BYTES_PER_BAND * len(run.profile.survey.bands) + _IMAGE_BYTES)
    return Estimate(
        survey=run.profile.name,
        rows=rows,
        products=len(products),
        kept=listing.kept,
        located=sum(mosaic.located for mosaic in mosaics),
        missing=sum(not mosaic.located for mosaic in mosaics),
        first_visit=sum(row.catalog_bytes for row in rows),
        second_visit=sum(row.cutout_bytes for row in rows),
        targets=targets,
        basis=basis,
        output=output,
        needed=kept + (output if run.folder.local() is not None else 0),
        free=free,
    )


def _row(mosaic: Mosaic, cached: bool, *, again: bool) -> EstimateRow:
    moved = 0 if cached or not mosaic.located else mosaic.size
    reason = missing_reason(mosaic) + (" (expected)" if mosaic.expected else "")
    return EstimateRow(
        field=mosaic.field,
        band=mosaic.band,
        where=mosaic.archive or "-",
        address=mosaic.uri if mosaic.located else f"{mosaic.obs_id}: {reason}",
        size=mosaic.size,
        catalog_bytes=moved,
        cutout_bytes=moved if again else 0,
        cached=cached,
    )


def _targets(run: Run, products: Sequence[Product]) -> tuple[int, str]:
    if run.targets:
        return len(read_targets(run.targets)), "the table of targets"
    merged = latest(run.folder, "merge", "survey")
    if merged is not None:
        return merged.counts["selected"], "the survey catalog that stands"
    area = area_arcmin2(products)
    return round(area * _TARGETS_PER_ARCMIN2), f"{_TARGETS_PER_ARCMIN2:g} a square arcmin over {area:.1f}"
