"""Query, locate and fetch as stages of a run: read the run's options, ask the archives, write the tables.

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
from gzjwst_core.runs.products import read_table_if_whole
from gzjwst_core.runs.stage import Stage
from gzjwst_core.runs.tally import Tallies
from gzjwst_core.runs.wording import counted
from gzjwst_core.survey.archive_registry import archives_of, local_of
from gzjwst_core.survey.mosaic_access import (
    Prefetch,
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
from gzjwst_core.survey.run import SurveyRun
from gzjwst_core.survey.target_regions import places_of
from gzjwst_core.values import Value

__all__ = [
    "LOCATE",
    "MARGIN_DEG",
    "MOSAICS",
    "PRODUCTS",
    "QUERY",
    "Listing",
    "Prefetch",
    "Transfers",
    "area_arcmin2",
    "capacity",
    "check_room",
    "fetch",
    "inputs_of",
    "is_cached",
    "list_products",
    "locate",
    "mosaic_rows",
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


def _query_line(listings: Sequence[Listing]) -> str:
    """Tell what MAST listed."""
    (listing,) = listings
    counts = f"{counted(listing.kept + listing.dropped, 'product')}: {listing.kept} kept, {listing.dropped} dropped"
    mosaics = counted(sum(len(f.mosaics) for f in listing.fields), "mosaic")
    return f"{counts} → {mosaics} in {counted(len(listing.fields), 'field')}"


def _locate_line(fields: Sequence[Field]) -> str:
    """Tell where the mosaics are."""
    mosaics = [mosaic for field in fields for mosaic in field.mosaics]
    places = Counter(mosaic.archive for mosaic in mosaics if mosaic.located)
    where = ", ".join(f"{count} {name}" for name, count in sorted(places.items()))
    away = sum(mosaic.located and mosaic.trail[-1].archive.endswith(" before") for mosaic in mosaics if mosaic.trail)
    kept = f"; {away} not found this time, kept where an earlier run found them" if away else ""
    lost = [f"{m.obs_id}{' (expected)' if m.expected else ''}" for m in mosaics if not m.located]
    missing = f"; in no archive: {', '.join(lost[:3])}{' …' if len(lost) > 3 else ''}" if lost else ""
    return f"{sum(places.values())} of {len(mosaics)} mosaics: {where or 'none'}{kept}{missing}"


def _products(run: SurveyRun, _: Tallies) -> dict[str, dict[str, int]]:
    table = read_table_if_whole(run.folder, PRODUCTS, stage="query")
    if table is None:
        return {}
    dropped = Counter(f"dropped:{row['reason'].partition(':')[0]}" for row in table if row["outcome"] == "dropped")
    return {"products": {"total": len(table), "kept": len(table) - dropped.total(), **dict(sorted(dropped.items()))}}


def _mosaics(run: SurveyRun, _: Tallies) -> dict[str, dict[str, int]]:
    table = read_table_if_whole(run.folder, MOSAICS, stage="locate")
    if table is None:
        return {}
    lost = Counter(f"missing:{row['reason']}" for row in table if row["outcome"] == "missing")
    return {"mosaics": {"total": len(table), "located": len(table) - lost.total(), **dict(sorted(lost.items()))}}


QUERY = Stage("query", writes={"products": PRODUCTS}, line=_query_line, sums=_products)
LOCATE = Stage("locate", writes={"mosaics": MOSAICS}, reads=("query.products",), line=_locate_line, sums=_mosaics)


def query(run: SurveyRun) -> Listing:
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


def list_products(run: SurveyRun) -> tuple[Product, ...]:
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


def listing_of(run: SurveyRun, products: Sequence[Product]) -> Listing:
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


def locate(run: SurveyRun, field: Field, *, cheap: bool = False) -> Field:
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


def record(run: SurveyRun, fields: Iterable[Field]) -> None:
    """Write mosaics.parquet: this run's fields, and what earlier runs said of the survey's others."""
    mine = list(fields)
    others = survey_fields(run) - {field.name for field in mine}
    earlier = [mosaic for mosaic in mosaics_of(run) if mosaic.field in others]
    mosaics = [*earlier, *(mosaic for field in mine for mosaic in field.mosaics)]
    bands = list(run.profile.survey.bands)
    mosaics.sort(key=lambda m: (m.field, bands.index(m.band) if m.band in bands else len(bands), m.product_uri))
    write_mosaics(run.folder, mosaics)


def with_targets(run: SurveyRun, fields: Sequence[Field]) -> list[Field]:
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


def survey_fields(run: SurveyRun) -> set[str]:
    """Names of the fields that the query formed, those of other runs included."""
    return {product.field for product in products_of(run) if product.outcome == "kept"}


def _goes_by_lists(run: SurveyRun) -> bool:
    """Whether the run folder's lists take the archives' place."""
    return run.offline and not run.profile.local


def _of_this_run(run: SurveyRun, products: Iterable[Product]) -> tuple[Product, ...]:
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


def _located_before(run: SurveyRun, field: Field) -> Field:
    before = {mosaic.product_uri: mosaic for mosaic in mosaics_of(run)}
    if missing := [m.obs_id for m in field.mosaics if m.product_uri not in before]:
        raise ProductNotFoundError(
            f"{missing[0]}: no earlier run located it, and this one is offline", reason="offline"
        )
    return field.replace(mosaics=tuple(before[mosaic.product_uri] for mosaic in field.mosaics))


def mosaic_rows(fields: Sequence[Field]) -> list[dict[str, str | int]]:
    """Rows of the UI's table: fields x bands, where found, bytes, outcome."""
    return [
        {
            "field": m.field,
            "band": m.band,
            "where": m.archive or "-",
            "bytes": m.size,
            "outcome": "located" if m.located else "missing (expected)" if m.expected else "missing",
            "asked": " > ".join(f"{a.archive}: {'found' if a.found else a.reason}" for a in m.trail),
        }
        for field in fields
        for m in field.mosaics
    ]
