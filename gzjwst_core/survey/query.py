"""Query, locate and fetch as stages of a run: read the run's options, call the room, write its tables.

What the archives say is asked anew by every run, since a survey grows; a table is only written when it says something
else. Offline, the tables of an earlier run take the archives' place.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from gzjwst_core.archives.base import Archive
from gzjwst_core.archives.fields import fields_of
from gzjwst_core.archives.footprint import Footprint, join_footprints, parse_footprint
from gzjwst_core.archives.locate import locate as ask
from gzjwst_core.archives.mast import query_products
from gzjwst_core.archives.rules import INSTRUMENT_NOT_WANTED, choose_products
from gzjwst_core.errors import ArchiveUnavailableError, ProductNotFoundError, QueryError
from gzjwst_core.instruments import names_another
from gzjwst_core.models import Attempt, Field, Mosaic, Product
from gzjwst_core.survey.archive_registry import archives_of, local_of
from gzjwst_core.survey.mosaic_access import (
    Brought,
    Transfers,
    capacity,
    check_room,
    fetch,
    inputs_of,
    is_cached,
    reading,
    scratch_bytes,
    transfers,
)
from gzjwst_core.survey.mosaic_tables import MOSAICS, PRODUCTS, mosaics_of, products_of, write_mosaics, write_products
from gzjwst_core.survey.run import Run
from gzjwst_core.survey.target_regions import places_of
from gzjwst_core.values import Value

__all__ = [
    "MARGIN_DEG",
    "MOSAICS",
    "PRODUCTS",
    "Brought",
    "Listing",
    "Transfers",
    "area_arcmin2",
    "capacity",
    "check_room",
    "fetch",
    "inputs_of",
    "is_cached",
    "list_products",
    "locate",
    "products_of",
    "query",
    "reading",
    "record",
    "scratch_bytes",
    "survey_fields",
    "transfers",
    "with_targets",
]

_UNWANTED = "band_not_wanted"
MARGIN_DEG = 30 / 3600
"""A footprint may be a little beside its mosaic."""


class Listing(Value):
    """What the query says of a survey."""

    fields: tuple[Field, ...]
    kept: int
    dropped: int
    reasons: Mapping[str, int] = {}
    """Dropped rows by reason, `duplicate_of` without its URI."""


def query(run: Run) -> Listing:
    """Ask which mosaics the survey has; writes products.parquet, unless what an earlier run wrote would go for nothing.

    Raises
    ------
    QueryError
        There are no products (reason `no_rows`), none is kept (`no_mosaics`), or MAST's answer cannot be used.
    ArchiveError
        MAST does not answer.
    """
    products = list_products(run)
    if not run.folder.exists(PRODUCTS):
        write_products(run.folder, products)  # it says why nothing is kept
    listing = listing_of(run, products)
    if not _goes_by_lists(run) and set(run.fields) <= {field.name for field in listing.fields}:
        write_products(run.folder, products)  # a field that is none is refused as soon as the fields are chosen
    return listing


def list_products(run: Run) -> tuple[Product, ...]:
    """Ask for products and judge each by the profile's rules; writes nothing. Offline, an earlier run's list counts.

    Raises
    ------
    QueryError
        No product at all (reason `no_rows`), or offline no list that has every band (`offline`).
    """
    profile = run.profile
    if _goes_by_lists(run):
        return _of_this_run(run, products_of(run))
    if profile.local:
        return local_of(run).products(profile.query, profile.survey.bands)
    found = query_products(profile.query, profile.archives)
    if found.outcome.reason:
        raise QueryError(f"{profile.name}: {found.outcome.detail}", reason=found.outcome.reason)
    return choose_products(found.rows, profile.query, profile.survey.bands, profile.survey.instrument)


def listing_of(run: Run, products: Sequence[Product]) -> Listing:
    """Form the survey's fields.

    Raises
    ------
    QueryError
        No product was kept (reason `no_mosaics`).
    """
    dropped = Counter(p.reason.partition(":")[0] for p in products if p.outcome == "dropped")
    fields = fields_of(products, expected_missing=run.profile.query.expected_missing)
    if not fields:
        why = ", ".join(f"{count} {reason}" for reason, count in sorted(dropped.items()))
        asked = f"{run.profile.survey.instrument}, {', '.join(run.profile.survey.bands)}"
        said = f"none of {len(products)} products was kept ({why}); asked for: {asked}"
        raise QueryError(f"{run.profile.name}: {said}", reason="no_mosaics")
    return Listing(fields=fields, kept=len(products) - dropped.total(), dropped=dropped.total(), reasons=dropped)


def area_arcmin2(products: Iterable[Product]) -> float:
    """Sky within the footprints of the kept products, overlaps counted once; 0 where no footprint is known."""
    footprints = [parse_footprint(p.s_region) for p in products if p.outcome == "kept"]
    joined = join_footprints([footprint for footprint in footprints if footprint is not None])
    return joined.area_deg2 * 3600 if joined else 0.0


def locate(run: Run, field: Field, *, cheap: bool = False) -> Field:
    """Find each mosaic of a field where it is cheapest to read.

    One that is in no archive this time (its volume is not mounted now) keeps the place where an earlier run found it:
    what was made from it stands, and if it must be read, that says why it cannot be.

    Parameters
    ----------
    run
        The run.
    field
        As the query formed it.
    cheap
        Read no body and write nothing (`--dry-run`).

    Raises
    ------
    ArchiveUnavailableError
        A mosaic was not found, and an archive could not say: try again.
    """
    if _goes_by_lists(run):
        return _located_before(run, field)
    archives = archives_of(run)
    names = {archive.name for archive in archives}
    before = {mosaic.product_uri: mosaic for mosaic in mosaics_of(run) if mosaic.archive in names}
    asked = [_ask(mosaic, archives, cheap=cheap) for mosaic in field.mosaics]
    return field.replace(mosaics=tuple(_or_as_before(mosaic, before.get(mosaic.product_uri)) for mosaic in asked))


def _ask(mosaic: Mosaic, archives: Sequence[Archive], *, cheap: bool) -> Mosaic:
    try:
        return ask(mosaic, archives, cheap=cheap)
    except ArchiveUnavailableError as error:
        if not mosaic.expected:
            raise
        # nobody waits for one that is known to be nowhere
        return mosaic.replace(trail=(Attempt(archive="all", found=False, reason=error.reason, detail=str(error)),))


def _or_as_before(mosaic: Mosaic, before: Mosaic | None) -> Mosaic:
    if mosaic.located or before is None:
        return mosaic
    trail = (*mosaic.trail, Attempt(archive=f"{before.archive} before", found=True))
    return before.replace(expected=mosaic.expected, trail=trail)


def record(run: Run, fields: Iterable[Field]) -> None:
    """Write mosaics.parquet: this run's fields, and what earlier runs said of the survey's others."""
    mine = list(fields)
    others = survey_fields(run) - {field.name for field in mine}
    earlier = [mosaic for mosaic in mosaics_of(run) if mosaic.field in others]
    mosaics = [*earlier, *(mosaic for field in mine for mosaic in field.mosaics)]
    bands = list(run.profile.survey.bands)
    mosaics.sort(key=lambda m: (m.field, bands.index(m.band) if m.band in bands else len(bands), m.product_uri))
    write_mosaics(run.folder, mosaics)


def with_targets(run: Run, fields: Sequence[Field]) -> list[Field]:
    """Leave out fields in which none of the run's targets can lie; all fields where there is no table of targets."""
    if not run.targets:
        return list(fields)
    places = places_of(run)
    regions: dict[str, list[Footprint | None]] = {}
    for product in products_of(run):
        if product.outcome == "kept":
            regions.setdefault(product.field, []).append(parse_footprint(product.s_region))

    def may_hold(region: Footprint | None) -> bool:
        return region is None or region.holds_any(places.ra_deg, places.dec_deg, margin_deg=MARGIN_DEG)

    return [field for field in fields if any(may_hold(region) for region in regions.get(field.name, [None]))]


def survey_fields(run: Run) -> set[str]:
    """Names of the fields that the query formed, those of other runs included."""
    return {product.field for product in products_of(run) if product.outcome == "kept"}


def _goes_by_lists(run: Run) -> bool:
    """Whether the run folder's lists take the archives' place."""
    return run.offline and not run.profile.local


def _of_this_run(run: Run, products: Iterable[Product]) -> tuple[Product, ...]:
    """Judge an earlier run's list by the instrument and the bands of this one."""
    bands, instrument = run.profile.survey.bands, run.profile.survey.instrument
    judged = []
    for product in products:
        another = names_another(product.instrument, instrument)
        if product.reason == INSTRUMENT_NOT_WANTED and not another:
            raise QueryError(f"{run.folder.url}: {PRODUCTS} was made without {instrument}", reason="offline")
        if product.outcome == "kept" and another:
            judged.append(product.replace(outcome="dropped", reason=INSTRUMENT_NOT_WANTED))
            continue
        if product.reason == _UNWANTED and product.band in bands:
            raise QueryError(f"{run.folder.url}: {PRODUCTS} was made without {product.band}", reason="offline")
        unwanted = product.outcome == "kept" and product.band not in bands
        judged.append(product.replace(outcome="dropped", reason=_UNWANTED) if unwanted else product)
    return tuple(judged)


def _located_before(run: Run, field: Field) -> Field:
    before = {mosaic.product_uri: mosaic for mosaic in mosaics_of(run)}
    if missing := [m.obs_id for m in field.mosaics if m.product_uri not in before]:
        raise ProductNotFoundError(
            f"{missing[0]}: no earlier run located it, and this one is offline", reason="offline"
        )
    return field.replace(mosaics=tuple(before[mosaic.product_uri] for mosaic in field.mosaics))
