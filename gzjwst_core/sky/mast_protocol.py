"""What MAST's portal answers, as values: filters, pages, counts, product lists and cloud paths.

Pure: a listing and a request in, a JSON-ready answer out. The shapes are those the real astroquery client sends and
reads. No sockets here (`server`), no rows made up here (`listing`).
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from gzjwst_core.sky.listing import Listing
from gzjwst_core.sky.mast_columns import OBSERVATION_COLUMNS, PRODUCT_COLUMNS, Cell, Column, Row

__all__ = ["SHAPES", "answer_query", "cloud_paths", "error_answer", "executing_answer", "misshapen"]

Answer = dict[str, Any]
_COLUMNS = {column.name.lower(): column for column in OBSERVATION_COLUMNS}


def answer_query(listing: Listing, request: Mapping[str, Any]) -> Answer:
    """Answer one request of the `invoke` service.

    Parameters
    ----------
    listing
        All rows.
    request
        The decoded request: `service`, `params`, `page`, `pagesize`.

    Returns
    -------
    dict
        `status`, `msg`, `data`, `fields`, `paging`; status `ERROR` for a service, filter or shape that is not known.
    """
    service = _SERVICES.get(str(request.get("service")))
    if service is None:
        return error_answer(f"Unknown service {request.get('service')!r}; allowed: {', '.join(_SERVICES)}")
    try:
        return service(listing, request)
    except (KeyError, TypeError, ValueError) as error:
        return error_answer(f"The request cannot be read: {type(error).__name__}: {error}")


def error_answer(message: str) -> Answer:
    """Say that a query failed, the portal's way: HTTP 200, status `ERROR`."""
    return {"status": "ERROR", "msg": message, "data": None, "fields": None, "paging": None}


def executing_answer() -> Answer:
    """Say that a query is still running; the client posts the same request again."""
    return {"status": "EXECUTING", "msg": "", "data": None, "fields": None, "paging": None}


def cloud_paths(listing: Listing, uris: Iterable[str]) -> dict[str, dict[str, int | str | None]]:
    """Answer `path_lookup`: where the public bucket would keep each URI.

    Parameters
    ----------
    listing
        All rows.
    uris
        Data URIs.

    Returns
    -------
    dict
        URI -> `status_code` 200 with a `path`, or 404 with None. A path says where the file belongs, not that it is
        there.
    """
    found = {uri: _cloud_path(listing.by_uri.get(uri)) for uri in uris}
    return {uri: {"status_code": 200 if path else 404, "path": path} for uri, path in found.items()}


def misshapen(answer: Answer, shape: str, column: str, value: Cell) -> Answer:
    """Give a right answer another shape, as a broken portal would.

    Parameters
    ----------
    answer
        Of `answer_query`, or of `cloud_paths` (whose values are its rows).
    shape
        One of `SHAPES`.
    column
        The column, or the part of the answer, that some shapes are about.
    value
        What `cell` puts in the column's place; None = masked.
    """
    return SHAPES[shape](answer, column, value)


def _with_rows(answer: Answer, rows: list[Any]) -> Answer:
    """Put other rows in an answer, which states their number."""
    number = len(rows)
    paging = {**answer["paging"], "rows": number, "rowsFiltered": number, "rowsTotal": number}
    return {**answer, "data": rows, "paging": paging}


def _without_column(answer: Answer, column: str, _: Cell) -> Answer:
    rows = [{name: cell for name, cell in row.items() if name != column} for row in answer["data"]]
    return {**answer, "data": rows, "fields": [field for field in answer["fields"] if field["name"] != column]}


def _with_cell(answer: Answer, column: str, value: Cell) -> Answer:
    if "data" not in answer:
        return {name: {**row, column: value} for name, row in answer.items()}
    return {**answer, "data": [{**row, column: value} for row in answer["data"]]}


SHAPES: dict[str, Callable[[Answer, str, Cell], Answer]] = {
    "no_rows": lambda answer, *_: _with_rows(answer, []),
    "partial_page": lambda answer, *_: {**answer, "data": answer["data"][: len(answer["data"]) // 2]},
    "duplicate_rows": lambda answer, *_: _with_rows(answer, [row for row in answer["data"] for _ in range(2)]),
    "reordered": lambda answer, *_: {**answer, "data": answer["data"][::-1]},
    "missing_column": _without_column,
    "missing_part": lambda answer, part, _: {name: value for name, value in answer.items() if name != part},
    "cell": _with_cell,
}
"""Ways in which an answer can be out of shape."""


def _cloud_path(row: Row | None) -> str | None:
    if row is None:
        return None
    name, uri = str(row["productFilename"]), str(row["dataURI"])
    if row["obs_collection"] == "HLSP":
        return "/hlsp_local/public/hlsp/" + uri.removeprefix("mast:HLSP/")
    level3 = re.match(r"(jw\d{5})-([oca]\d+)_", name)
    if level3:
        return f"/jwst/public/{level3[1]}/L3/t/{level3[2]}/{name}"
    return f"/jwst/public/{name[:7]}/{name[:13]}/{name}"


def _filtered(listing: Listing, request: Mapping[str, Any]) -> Answer:
    params = request["params"]
    rows = [
        row
        for row in listing.observations
        if all(_matches(row, entry) for entry in params["filters"]) and _is_near(row, params.get("position"))
    ]
    if params.get("columns") == "COUNT_BIG(*)":
        return _page([{"Column1": len(rows)}], (Column("Column1", "int"),), request)
    return _page(rows, OBSERVATION_COLUMNS, request)


def _products(listing: Listing, request: Mapping[str, Any]) -> Answer:
    obsids = str(request["params"]["obsid"]).split(",")
    rows = [row for obsid in obsids for row in listing.by_parent.get(obsid.strip(), ())]
    return _page(rows, PRODUCT_COLUMNS, request)


_SERVICES: dict[str, Callable[[Listing, Mapping[str, Any]], Answer]] = {
    "Mast.Caom.Filtered": _filtered,
    "Mast.Caom.Filtered.Position": _filtered,
    "Mast.Caom.Products": _products,
}


def _page(rows: Sequence[Row], columns: Sequence[Column], request: Mapping[str, Any]) -> Answer:
    """Cut out the page that was asked for; a table without rows still has one, empty, page."""
    page, size = int(request.get("page", 1)), max(1, int(request.get("pagesize", 50_000)))
    part = rows[(page - 1) * size : page * size]
    paging = {"page": page, "pageSize": size, "pagesFiltered": max(1, math.ceil(len(rows) / size))}
    paging |= {"rows": len(part), "rowsFiltered": len(rows), "rowsTotal": len(rows)}
    fields = [{"name": column.name, "type": column.type} for column in columns]
    return {
        "status": "COMPLETE",
        "msg": "",
        "data": [{**row, "_selected_": None} for row in part],
        "fields": [*fields, {"name": "_selected_", "type": "boolean"}],
        "paging": paging,
    }


def _matches(row: Row, entry: Mapping[str, Any]) -> bool:
    """Whether a row passes one filter: any of its values or its wildcard, whatever the case."""
    column = _COLUMNS[str(entry["paramName"]).lower()]
    cell, wanted = row[column.name], entry.get("values") or []
    if any(isinstance(value, Mapping) for value in wanted):
        return cell is not None and any(float(v["min"]) <= float(cell) <= float(v["max"]) for v in wanted)
    parts = _parts(cell, entry.get("separator"))
    return any(str(v).lower() in parts for v in wanted) or _like(parts, entry.get("freeText"))


def _parts(cell: object, separator: str | None) -> set[str]:
    """Return the whole cell and, for a column that holds lists, each of its members; lower case."""
    text = "" if cell is None else str(cell).lower()
    return {text, *(part.strip() for part in text.split(separator))} if separator else {text}


def _like(parts: Iterable[str], wildcard: str | None) -> bool:
    """Match SQL's LIKE, of which the client uses `%` only."""
    if not wildcard:
        return False
    pattern = re.compile(".*".join(re.escape(piece) for piece in wildcard.lower().split("%")), re.DOTALL)
    return any(pattern.fullmatch(part) for part in parts)


def _is_near(row: Row, position: str | None) -> bool:
    """Whether a row's centre lies in `"ra, dec, radius"` (degrees); haversine, so small radii stay exact."""
    if position is None:
        return True
    ra, dec, radius = (math.radians(float(word)) for word in position.split(","))
    row_ra, row_dec = math.radians(float(row["s_ra"] or 0)), math.radians(float(row["s_dec"] or 0))
    across = math.cos(dec) * math.cos(row_dec) * math.sin((row_ra - ra) / 2) ** 2
    return 2 * math.asin(math.sqrt(math.sin((row_dec - dec) / 2) ** 2 + across)) <= radius
