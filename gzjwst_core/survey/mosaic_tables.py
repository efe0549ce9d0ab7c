"""The two tables about mosaics: what MAST listed (products.parquet), where it is (mosaics.parquet).

A table is only written when it says something else: nothing is rewritten by a run that learned nothing.
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from astropy.table import Table
from pydantic import ValidationError

from gzjwst_core.archives.locate import missing_reason
from gzjwst_core.errors import CatalogError, QueryError, StorageError
from gzjwst_core.models import Attempt, Mosaic, Product
from gzjwst_core.runs.products import DAMAGED, keep, reading_made
from gzjwst_core.storage.folder import Folder
from gzjwst_core.storage.tables import Column, apply_columns, empty_table, read_parquet, write_parquet
from gzjwst_core.survey.run import SurveyRun
from gzjwst_core.values import Value

__all__ = ["MOSAICS", "PRODUCTS", "mosaics_of", "products_of", "write_mosaics", "write_products"]

_log = logging.getLogger(__name__)

PRODUCTS = "products.parquet"
MOSAICS = "mosaics.parquet"
_QUERY, _LOCATE = "query", "locate"
"""Names that their receipts go by."""

_PRODUCT_COLUMNS = (
    Column("uri", "str", "", "meta.ref.uri", "logical address of the product"),
    Column("filename", "str", "", "meta.file", "its file"),
    Column("obs_id", "str", "", "meta.id;obs", "observation"),
    Column("collection", "str", "", "meta.id", "JWST, HLSP or LOCAL"),
    Column("size", "int64", "byte", "meta.number", "bytes listed, 0 where none are"),
    Column("field", "str", "", "meta.id;obs.field", "field, where one was formed"),
    Column("band", "str", "", "instr.bandpass", "band, where the name tells"),
    Column("instrument", "str", "", "instr", "instrument as MAST, the file's header or its name states it"),
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


def write_products(folder: Folder, products: Sequence[Product]) -> None:
    """Write what MAST listed."""
    _keep(folder, _QUERY, PRODUCTS, _table_of(products, _PRODUCT_COLUMNS))


def write_mosaics(folder: Folder, mosaics: Iterable[Mosaic]) -> None:
    """Write where the mosaics are."""
    rows = [_row(mosaic) for mosaic in mosaics]
    table = apply_columns(Table(rows=rows), _MOSAIC_COLUMNS) if rows else empty_table(_MOSAIC_COLUMNS)
    _keep(folder, _LOCATE, MOSAICS, table)


def products_of(run: SurveyRun) -> tuple[Product, ...]:
    """Read the products that an earlier query, or this run's own, listed.

    Raises
    ------
    QueryError
        There is no list (reason `offline`), or it is damaged.
    """
    if not run.folder.exists(PRODUCTS):
        raise QueryError(f"{run.folder.url}: no {PRODUCTS} of an earlier run to go by offline", reason="offline")
    try:
        return tuple(Product.model_validate(row) for row in _rows(run.folder, _QUERY, PRODUCTS))
    except (CatalogError, StorageError, ValidationError) as error:
        if isinstance(error, StorageError) and error.reason != DAMAGED:
            raise
        raise QueryError(_damaged(run, PRODUCTS, error)) from None


def mosaics_of(run: SurveyRun) -> list[Mosaic]:
    """Read where earlier runs found the mosaics; empty before the first.

    A damaged list is told of and taken as none: the run asks the archives anyway, and writes it anew.

    Raises
    ------
    QueryError
        It is damaged, and no archive is to be asked.
    """
    if not run.folder.exists(MOSAICS):
        return []
    try:
        return [_mosaic_of(row) for row in _rows(run.folder, _LOCATE, MOSAICS)]
    except (CatalogError, StorageError, ValidationError) as error:
        if isinstance(error, StorageError) and error.reason != DAMAGED:
            raise
        if run.offline:
            raise QueryError(_damaged(run, MOSAICS, error)) from None
        _tell(f"{run.folder.url}/{MOSAICS} is damaged: it is made anew")
        return []


def _damaged(run: SurveyRun, relative: str, error: Exception) -> str:
    said = str(error).partition("\n")[0]
    return f"{run.folder.url}/{relative} is damaged ({said}): run once without --offline to have it made anew"


@cache
def _tell(said: str) -> None:
    """Warn once: every field's task reads the list."""
    _log.warning("%s", said)


def _table_of(values: Sequence[Value], columns: Sequence[Column]) -> Table:
    rows = [{column.name: getattr(value, column.name) for column in columns} for value in values]
    return apply_columns(Table(rows=rows, names=[column.name for column in columns]), columns)


def _row(mosaic: Mosaic) -> dict[str, str | int | bool]:
    plain = {c.name: getattr(mosaic, c.name) for c in _MOSAIC_COLUMNS if c.name in Mosaic.model_fields}
    trail = " > ".join(f"{a.archive}: {'found' if a.found else a.reason}" for a in mosaic.trail)
    reason = "" if mosaic.located else missing_reason(mosaic)
    return plain | {"outcome": "located" if mosaic.located else "missing", "reason": reason, "trail": trail}


def _keep(folder: Folder, stage: str, relative: str, table: Table) -> None:
    with TemporaryDirectory(prefix="gzjwst-") as scratch:
        path = Path(scratch) / "table"
        write_parquet(table, path)
        keep(folder, stage, relative, path.read_bytes())


def _mosaic_of(row: dict[str, object]) -> Mosaic:
    trail = tuple(_attempt(said) for said in str(row.get("trail", "")).split(" > ") if said)
    return Mosaic.model_validate({k: v for k, v in row.items() if k not in ("outcome", "reason")} | {"trail": trail})


def _attempt(said: str) -> Attempt:
    archive, _, answer = said.partition(": ")
    return Attempt(archive=archive, found=answer == "found", reason="" if answer == "found" else answer)


def _rows(folder: Folder, stage: str, relative: str) -> Iterator[dict[str, object]]:
    with reading_made(folder, stage, "survey", relative) as path:
        table = read_parquet(path)
    for row in table:
        yield {name: row[name].item() if hasattr(row[name], "item") else row[name] for name in table.colnames}
