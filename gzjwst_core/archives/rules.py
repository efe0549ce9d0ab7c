"""Which rows of MAST's product list are the survey's mosaics: rules as data, applied to plain rows.

Pure. Every row becomes one `Product`, kept or dropped with a reason, so that kept + dropped = all rows, whatever the
order they came in. The rules themselves are in the profile; how kept rows form fields is in `fields`.
"""

import re
from collections.abc import Mapping, Sequence

from gzjwst_core.archives.fields import Candidate, settle_fields
from gzjwst_core.errors import NameRefusedError, QueryError
from gzjwst_core.instruments import instrument_in, names_another
from gzjwst_core.models import Product
from gzjwst_core.names import ObsId, parse_obs_id, parse_with_pattern, safe_name
from gzjwst_core.options import ProductRule, QueryOptions

__all__ = ["INSTRUMENT_NOT_WANTED", "PRODUCT_COLUMNS", "Row", "broken_rule", "choose_products"]

Row = Mapping[str, str | int]
"""One product with its observation's `s_region`; masked values are empty text."""

PRODUCT_COLUMNS = ("dataURI", "productFilename", "obs_id", "obs_collection", "size", "dataRights")
"""Columns that a row must have; rules may read further ones."""

INSTRUMENT_NOT_WANTED = "instrument_not_wanted"
_LARGEST_BYTES = 10**15
"""A petabyte: no product has so much."""
_KINDS = {"JWST": "LE3", "HLSP": "HLSP"}


def choose_products(
    rows: Sequence[Row], query: QueryOptions, bands: Sequence[str], instrument: str = "NIRCAM"
) -> tuple[Product, ...]:
    """Judge every row of a product list.

    Parameters
    ----------
    rows
        Product rows; `PRODUCT_COLUMNS` must be there, `s_region`, `proposal_id` and `instrument_name` may be.
    query
        The profile's rules.
    bands
        Bands of the survey.
    instrument
        Instrument of the survey.

    Returns
    -------
    tuple of Product
        One for each row, ordered by URI. Reasons of ours, after the profile's own: `bad_name`, `bad_size`,
        `not_public`, `instrument_not_wanted`, `no_field_or_band`, `band_not_wanted`, `duplicate_of:<uri>`.

    Raises
    ------
    QueryError
        A column that a rule or we need is not in the rows.
    """
    _check_columns(rows)
    judged = [_judge(row, query, bands, instrument) for row in sorted(rows, key=_row_order)]
    candidates = [entry for entry in judged if isinstance(entry, Candidate)]
    dropped = [entry for entry in judged if isinstance(entry, Product)]
    settled = settle_fields(candidates, prefer=query.prefer, overlap=query.same_field_overlap)
    return tuple(sorted([*dropped, *settled], key=_product_order))


def _row_order(row: Row) -> tuple[str, ...]:
    return str(row["dataURI"]), *(f"{name}={row[name]}" for name in sorted(row))


def _product_order(product: Product) -> tuple[str, ...]:
    return product.uri, product.reason, product.model_dump_json()


def _check_columns(rows: Sequence[Row]) -> None:
    for row in rows:
        if missing := sorted(set(PRODUCT_COLUMNS).difference(row)):
            raise QueryError(f"the product list has no column {', '.join(missing)} (it has {', '.join(sorted(row))})")


def _judge(row: Row, query: QueryOptions, bands: Sequence[str], instrument: str) -> Product | Candidate:
    product = _product(row)
    reason = broken_rule(row, query) or _bad_name(product) or _bad_size(row) or _not_public(row)
    if reason:
        return _dropped(product, reason)
    another = next((stated for stated in _instruments(row) if names_another(stated, instrument)), "")
    if another:
        return _dropped(product.replace(instrument=another), INSTRUMENT_NOT_WANTED)
    name = _parse(product, query.field_pattern)
    if name is None or not name.band or not _usable(name.field):
        return _dropped(product, "no_field_or_band")
    product = product.replace(field=name.field, band=name.band, proposal=name.program or product.proposal)
    if name.band not in bands:
        return _dropped(product, "band_not_wanted")
    return Candidate(product, kind=_KINDS.get(product.collection, name.kind), subarray=bool(name.subarray))


def _product(row: Row) -> Product:
    size = row["size"]
    return Product(
        uri=str(row["dataURI"]),
        filename=str(row["productFilename"]),
        obs_id=str(row["obs_id"]),
        collection=str(row["obs_collection"]),
        size=0 if _bad_size(row) else int(size),
        instrument=next(filter(None, _instruments(row)), ""),
        s_region=str(row.get("s_region", "")),
        proposal=str(row.get("proposal_id", "")),
    )


def _dropped(product: Product, reason: str) -> Product:
    return product.replace(outcome="dropped", reason=reason)


def broken_rule(row: Row, query: QueryOptions) -> str:
    """Return the reason of the first rule of the profile that a row breaks, empty if none.

    Raises
    ------
    QueryError
        A rule names a column that the row does not have.
    """
    failed = [rule.reason for rule in query.keep if not _fits(row, rule)]
    return next(iter([*failed, *(rule.reason for rule in query.drop if _fits(row, rule))]), "")


def _fits(row: Row, rule: ProductRule) -> bool:
    if rule.column not in row:
        raise QueryError(f"a rule names the column {rule.column!r}; there are {', '.join(sorted(row))}")
    return re.fullmatch(rule.matches, str(row[rule.column])) is not None


def _not_public(row: Row) -> str:
    return "" if str(row["dataRights"]).upper() in {"PUBLIC", ""} else "not_public"


def _instruments(row: Row) -> tuple[str, str]:
    """Return the instrument that MAST states, and that which the product's name tells."""
    named = instrument_in(str(row["obs_id"])) or instrument_in(str(row["productFilename"]))
    return str(row.get("instrument_name", "")).upper(), named


def _bad_size(row: Row) -> str:
    size = row["size"]
    return "" if isinstance(size, int) and 0 <= size <= _LARGEST_BYTES else "bad_size"


def _bad_name(product: Product) -> str:
    scheme, _, path = product.uri.partition(":")
    good = scheme == "mast" and all(map(_usable, [product.filename, *path.split("/")]))
    return "" if good else "bad_name"


def _usable(name: str) -> bool:
    try:
        safe_name(name)
    except NameRefusedError:
        return False
    return True


def _parse(product: Product, pattern: str) -> ObsId | None:
    """Read field and band: the profile's own pattern first, then the archives' rules; obs_id first, then file name."""
    stem = re.sub(r"\.fits(\.gz)?\Z", "", product.filename)
    texts = (product.obs_id, stem)
    own = [parse_with_pattern(text, pattern) for text in texts] if pattern else []
    return next((name for name in (*own, *map(parse_obs_id, texts)) if name is not None), None)
