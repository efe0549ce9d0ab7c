"""Query, locate and fetch as stages of a run: read the run's options, call the room, write its tables.

What the archives say is asked anew by every run, since a survey grows; a table is only written when it says something
else. Offline, the tables of an earlier run take the archives' place.
"""

import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from os import environ
from pathlib import Path

from astropy.table import Table

from gzjwst_core.archives.base import Archive
from gzjwst_core.archives.cache import MosaicCache
from gzjwst_core.archives.datalabs import DataLabs
from gzjwst_core.archives.fetch import fetch as fetch_planes
from gzjwst_core.archives.fetch import is_fetched
from gzjwst_core.archives.fields import fields_of
from gzjwst_core.archives.footprint import join_footprints, parse_footprint
from gzjwst_core.archives.local import Local
from gzjwst_core.archives.locate import locate as ask
from gzjwst_core.archives.locate import missing_reason
from gzjwst_core.archives.mast import query_products
from gzjwst_core.archives.mast_download import MastDownload
from gzjwst_core.archives.rules import choose_products
from gzjwst_core.archives.s3 import S3
from gzjwst_core.errors import ProductNotFoundError, QueryError
from gzjwst_core.models import Attempt, Field, Mosaic, MosaicSource, Product, Value, Work
from gzjwst_core.run import Run
from gzjwst_core.storage.folder import Folder
from gzjwst_core.storage.receipts import standing
from gzjwst_core.storage.tables import Column, apply_columns, read_parquet, write_parquet

__all__ = [
    "MOSAICS",
    "PRODUCTS",
    "Brought",
    "Listing",
    "archives_of",
    "area_arcmin2",
    "bytes_to_keep",
    "fetch",
    "free_bytes",
    "is_cached",
    "list_products",
    "locate",
    "products_of",
    "query",
    "record",
    "survey_fields",
]

_PLANES_SHARE = 0.45
"""Science, error and weight planes are three of an i2d's seven (four bytes a pixel each)."""
_UNPACKED = 3.1
"""A gzipped mosaic unpacks to about this many times its size (measured: 0.90 GB to 2.80 GB)."""

PRODUCTS = "products.parquet"
MOSAICS = "mosaics.parquet"
_UNWANTED = "band_not_wanted"

_PRODUCT_COLUMNS = (
    Column("uri", "str", "", "meta.ref.uri", "logical address of the product"),
    Column("filename", "str", "", "meta.file", "its file"),
    Column("obs_id", "str", "", "meta.id;obs", "observation"),
    Column("collection", "str", "", "meta.id", "JWST, HLSP or LOCAL"),
    Column("size", "int64", "byte", "meta.number", "bytes listed, 0 where none are"),
    Column("field", "str", "", "meta.id;obs.field", "field, where one was formed"),
    Column("band", "str", "", "instr.bandpass", "band, where the name tells"),
    Column("s_region", "str", "", "pos.outline;obs.field", "footprint"),
    Column("proposal", "str", "", "meta.id;obs.proposal", "programme"),
    Column("outcome", "str", "", "meta.code", "kept or dropped"),
    Column("reason", "str", "", "meta.note", "why it was dropped"),
)
_MOSAIC_COLUMNS = (
    Column("field", "str", "", "meta.id;obs.field", "field"),
    Column("band", "str", "", "instr.bandpass", "band"),
    Column("obs_id", "str", "", "meta.id;obs", "observation"),
    Column("product_uri", "str", "", "meta.ref.uri", "logical address of the product"),
    Column("filename", "str", "", "meta.file", "file as MAST names it"),
    Column("size", "int64", "byte", "meta.number", "bytes as located"),
    Column("archive", "str", "", "meta.id", "where it was located, empty = in no archive"),
    Column("uri", "str", "", "meta.ref.uri", "logical address there"),
    Column("identity", "str", "", "meta.id", "uri|size|ETag or digest"),
    Column("expected", "bool", "", "meta.code", "the profile knows that it is in no archive"),
    Column("outcome", "str", "", "meta.code", "located or missing"),
    Column("reason", "str", "", "meta.note", "why it is missing"),
    Column("trail", "str", "", "meta.note", "archives asked, in order, with what each said"),
)


class Listing(Value):
    """What the query says of a survey."""

    fields: tuple[Field, ...]
    kept: int
    dropped: int
    reasons: Mapping[str, int] = {}
    """Dropped rows by reason, `duplicate_of` without its URI."""


class Brought(Value):
    """A mosaic that can be read now, or none because nobody needs to read it."""

    source: MosaicSource | None = None
    bytes_moved: int = 0


def query(run: Run) -> Listing:
    """Ask which mosaics the survey has; writes products.parquet.

    Raises
    ------
    QueryError
        There are no products (reason `no_rows`), none is kept (`no_mosaics`), or MAST's answer cannot be used.
    ArchiveError
        MAST does not answer.
    """
    products = list_products(run)
    if not _by_heart(run):
        _write_if_new(run.folder, PRODUCTS, _table_of(products, _PRODUCT_COLUMNS))
    return listing_of(run, products)


def list_products(run: Run) -> tuple[Product, ...]:
    """Ask for products and judge each by the profile's rules; writes nothing. Offline, an earlier run's list counts.

    Raises
    ------
    QueryError
        No product at all (reason `no_rows`), or offline no list that has every band (`offline`).
    """
    profile = run.profile
    if _by_heart(run):
        return _of_bands(run, products_of(run))
    if profile.local:
        return _local(run).products(profile.query, profile.survey.bands)
    found = query_products(profile.query, profile.archives)
    if found.outcome.reason:
        raise QueryError(f"{profile.name}: {found.outcome.detail}", reason=found.outcome.reason)
    return choose_products(found.rows, profile.query, profile.survey.bands)


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
        raise QueryError(f"{run.profile.name}: none of {len(products)} products was kept ({why})", reason="no_mosaics")
    return Listing(fields=fields, kept=len(products) - dropped.total(), dropped=dropped.total(), reasons=dropped)


def area_arcmin2(products: Iterable[Product]) -> float:
    """Sky within the footprints of the kept products, overlaps counted once; 0 where no footprint is known."""
    footprints = [parse_footprint(p.s_region) for p in products if p.outcome == "kept"]
    joined = join_footprints([footprint for footprint in footprints if footprint is not None])
    return joined.area_deg2 * 3600 if joined else 0.0


def archives_of(run: Run) -> tuple[Archive, ...]:
    """Return the archives of a run, in the order to ask."""
    options = run.profile.archives
    if run.profile.local:
        return (_local(run),)
    root = Path(environ.get("GZJWST_DATALABS_ROOT", options.datalabs_root))
    known: dict[str, Archive] = {
        "datalabs": DataLabs(root, _cache(run).digests),
        "s3": S3(options),
        "mast": MastDownload(options),
    }
    return tuple(known[name] for name in options.order)


def locate(run: Run, field: Field, *, cheap: bool = False) -> Field:
    """Find each mosaic of a field where it is cheapest to read.

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
    if _by_heart(run):
        return _located_before(run, field)
    archives = archives_of(run)
    return field.replace(mosaics=tuple(ask(mosaic, archives, cheap=cheap) for mosaic in field.mosaics))


def record(run: Run, fields: Iterable[Field]) -> None:
    """Write mosaics.parquet: this run's fields, and what earlier runs said of the survey's others."""
    mine = list(fields)
    others = survey_fields(run) - {field.name for field in mine}
    earlier = [mosaic for mosaic in _read_mosaics(run) if mosaic.field in others]
    mosaics = [*earlier, *(mosaic for field in mine for mosaic in field.mosaics)]
    bands = list(run.profile.survey.bands)
    mosaics.sort(key=lambda m: (m.field, bands.index(m.band) if m.band in bands else len(bands), m.product_uri))
    table = apply_columns(Table(rows=[_row(mosaic) for mosaic in mosaics]), _MOSAIC_COLUMNS)
    _write_if_new(run.folder, MOSAICS, table)


def fetch(run: Run, mosaic: Mosaic, works: Sequence[Work]) -> Brought:
    """Make a mosaic readable, unless every work that would read it stands.

    Raises
    ------
    ArchiveError, CorruptMosaicError, MosaicLayoutError
        It cannot be had, or what came is not whole.
    ProductNotFoundError
        It is not in the cache, and the run is offline (reason `offline`).
    """
    if all(standing(run.folder, work) is not None for work in works):
        return Brought()
    archive = next(a for a in archives_of(run) if a.name == mosaic.archive)
    if _by_heart(run) and not is_fetched(mosaic, archive, _cache(run), run.profile.mosaics.sci_planes):
        raise ProductNotFoundError(f"{mosaic.filename}: not in the cache, and this run is offline", reason="offline")
    fetched = fetch_planes(mosaic, archive, _cache(run), run.profile.mosaics.sci_planes)
    return Brought(source=fetched.source, bytes_moved=fetched.bytes_moved)


def survey_fields(run: Run) -> set[str]:
    """Names of the fields that the query formed, those of other runs included."""
    return {product.field for product in products_of(run) if product.outcome == "kept"}


def _by_heart(run: Run) -> bool:
    """Whether the run folder's lists take the archives' place."""
    return run.offline and not run.profile.local


def _of_bands(run: Run, products: Iterable[Product]) -> tuple[Product, ...]:
    """Judge an earlier run's list by the bands of this one."""
    bands = run.profile.survey.bands
    judged = []
    for product in products:
        if product.reason == _UNWANTED and product.band in bands:
            raise QueryError(f"{run.folder.url}: {PRODUCTS} was made without {product.band}", reason="offline")
        unwanted = product.outcome == "kept" and product.band not in bands
        judged.append(product.replace(outcome="dropped", reason=_UNWANTED) if unwanted else product)
    return tuple(judged)


def is_cached(run: Run, mosaic: Mosaic, archives: Sequence[Archive]) -> bool:
    """Whether a mosaic can be read without fetching a byte."""
    if not mosaic.located:
        return False
    archive = next(a for a in archives if a.name == mosaic.archive)
    return is_fetched(mosaic, archive, _cache(run), run.profile.mosaics.sci_planes)


def bytes_to_keep(run: Run, fields: Iterable[Field]) -> int:
    """Estimate what fetching the fields' mosaics would add to the cache, bytes."""
    archives = archives_of(run)
    mosaics = [m for field in fields for m in field.mosaics if m.located and not is_cached(run, m, archives)]
    unpacked = (m.size * (_UNPACKED if m.uri.endswith(".gz") else 1.0) for m in mosaics)
    return round(sum(unpacked) * _PLANES_SHARE)


def free_bytes(run: Run) -> int:
    """Bytes free on the cache's disk."""
    folder = Path(run.cache)
    return shutil.disk_usage(next(path for path in (folder, *folder.parents) if path.exists())).free


def _cache(run: Run) -> MosaicCache:
    return MosaicCache(Path(run.cache))


def _local(run: Run) -> Local:
    return Local(run.profile.local, Path(run.profile_folder), Path(run.cache), _cache(run).digests)


def _table_of(values: Sequence[Value], columns: Sequence[Column]) -> Table:
    rows = [{column.name: getattr(value, column.name) for column in columns} for value in values]
    return apply_columns(Table(rows=rows, names=[column.name for column in columns]), columns)


def _row(mosaic: Mosaic) -> dict[str, str | int | bool]:
    plain = {c.name: getattr(mosaic, c.name) for c in _MOSAIC_COLUMNS if c.name in Mosaic.model_fields}
    trail = " > ".join(f"{a.archive}: {'found' if a.found else a.reason}" for a in mosaic.trail)
    reason = "" if mosaic.located else missing_reason(mosaic)
    return plain | {"outcome": "located" if mosaic.located else "missing", "reason": reason, "trail": trail}


def _write_if_new(folder: Folder, relative: str, table: Table) -> None:
    with folder.writing_if_new(relative) as path:
        write_parquet(table, path)


def products_of(run: Run) -> tuple[Product, ...]:
    """Read the products that an earlier query, or this run's own, listed.

    Raises
    ------
    QueryError
        There is no list (reason `offline`).
    """
    if not run.folder.exists(PRODUCTS):
        raise QueryError(f"{run.folder.url}: no {PRODUCTS} of an earlier run to go by offline", reason="offline")
    return tuple(Product.model_validate(row) for row in _rows(run.folder, PRODUCTS))


def _read_mosaics(run: Run) -> list[Mosaic]:
    if not run.folder.exists(MOSAICS):
        return []
    return [_mosaic_of(row) for row in _rows(run.folder, MOSAICS)]


def _mosaic_of(row: dict[str, object]) -> Mosaic:
    trail = tuple(_attempt(said) for said in str(row["trail"]).split(" > ") if said)
    return Mosaic.model_validate({k: v for k, v in row.items() if k not in ("outcome", "reason")} | {"trail": trail})


def _attempt(said: str) -> Attempt:
    archive, _, answer = said.partition(": ")
    return Attempt(archive=archive, found=answer == "found", reason="" if answer == "found" else answer)


def _rows(folder: Folder, relative: str) -> Iterator[dict[str, object]]:
    with folder.reading(relative) as path:
        table = read_parquet(path)
    for row in table:
        yield {name: row[name].item() if hasattr(row[name], "item") else row[name] for name in table.colnames}


def _located_before(run: Run, field: Field) -> Field:
    before = {mosaic.product_uri: mosaic for mosaic in _read_mosaics(run)}
    if missing := [m.obs_id for m in field.mosaics if m.product_uri not in before]:
        raise ProductNotFoundError(
            f"{missing[0]}: no earlier run located it, and this one is offline", reason="offline"
        )
    return field.replace(mosaics=tuple(before[mosaic.product_uri] for mosaic in field.mosaics))
