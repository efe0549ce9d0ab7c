"""N12, N13: MAST's listing, through astroquery: what the portal answers, and what must come of it."""

from collections.abc import Iterator, Mapping
from typing import Any

from tests.soak.cases.case import EVER, Case

__all__ = ["QUERIES"]

_BUSY = "ArchiveUnavailableError/archive_unavailable"
_BAD = "QueryError"
_FORM = "ArchiveUnavailableError|QueryError"
_PART = "ArchiveUnavailableError/partial_answer"


def _case(what: str, fault: Mapping[str, Any], ends: str, *, fault_id: str = "N12", most: int = 12) -> Case:
    first = {"route": "invoke", **fault}
    return Case(fault=fault_id, what=what, where="query", faults=(first,), ends=ends, most=most)


def _lines() -> Iterator[Case]:
    """The line, as for files."""
    rows: tuple[tuple[str, dict[str, Any]], ...] = (
        ("HTTP 500", {"do": "status", "status": 500}),
        ("HTTP 502", {"do": "status", "status": 502}),
        ("HTTP 503", {"do": "status", "status": 503}),
        ("HTTP 504", {"do": "status", "status": 504}),
        ("HTTP 429", {"do": "status", "status": 429}),
        ("no answer", {"do": "drop"}),
        ("reset", {"do": "reset", "at_byte": 200}),
        ("closed in the middle", {"do": "truncate", "at_byte": 200}),
        ("silent", {"do": "stall", "seconds": 1.5}),
        ("silent in the middle", {"do": "stall", "at_byte": 200, "seconds": 1.5}),
        ("no HTTP", {"do": "garbage"}),
        ("HTML", {"do": "html"}),
        ("MAST says error", {"do": "error"}),
    )
    for what, fault in rows:
        yield _case(f"{what}, once", fault, "right")
        if what not in {"silent", "silent in the middle"}:
            yield _case(f"{what}, ever", {**fault, "times": EVER}, _BUSY)
    yield _case("silent, ever", {"do": "stall", "seconds": 1.5, "times": EVER}, _BUSY)
    yield _case("a byte now and then", {"do": "drip", "seconds": 0.3, "times": EVER}, "ArchiveUnavailableError")
    for status in (401, 403):
        yield _case(
            f"HTTP {status}", {"do": "status", "status": status, "times": EVER}, "ArchiveRefusedError/not_public"
        )
    yield _case("HTTP 404", {"do": "status", "status": 404, "times": EVER}, "ProductNotFoundError|ArchiveRefusedError")
    yield _case("still running, three times", {"do": "executing", "times": 3}, "right")


def _shapes() -> Iterator[Case]:
    """The answer's shape, of the first or the second question (observations, products)."""

    def shape(says: str, **more: Any) -> dict[str, Any]:
        return {"do": "json", "says": says, "times": EVER, **more}

    for skip, of in ((0, "observations"), (1, "products")):
        for says in ("empty_body", "bad_json", "not_object", "number", "deep", "digits", "bytes"):
            yield _case(f"{of}: {says}", shape(says, skip=skip), _FORM)
        yield _case(f"{of}: no rows", shape("no_rows", skip=skip), "skipped/no_rows")
        yield _case(f"{of}: part of a page", shape("partial_page", skip=skip), _PART)
        yield _case(f"{of}: rows twice", shape("duplicate_rows", skip=skip), "right")
        yield _case(f"{of}: in another order", shape("reordered", skip=skip), "right")
        for part in ("data", "fields", "paging", "status"):
            lost = shape("missing_part", column=part, skip=skip)
            yield _case(f"{of}: no {part}", lost, f"right|{_FORM}" if part in {"paging", "status"} else _FORM)
        yield _case(f"{of}: bad JSON, once", {**shape("bad_json", skip=skip), "times": 1}, "right")
    for column in ("obsid", "s_region"):
        yield _case(f"observations: no {column}", shape("missing_column", column=column), f"{_BAD}/bad_answer")
    for column in ("dataURI", "productFilename", "size", "obs_id", "parent_obsid"):
        yield _case(f"products: no {column}", shape("missing_column", column=column, skip=1), f"{_BAD}/bad_answer")
    yield _case("observations: obsid masked", shape("cell", column="obsid"), f"skipped/no_rows|{_FORM}")
    yield _case("products: sizes masked", shape("cell", column="size", skip=1), "other rows")
    yield _case("products: sizes are text", shape("cell", column="size", value="big", skip=1), f"other rows|{_FORM}")
    yield _case("products: a size of 1e400", shape("cell", column="size", value=10**30, skip=1), f"other rows|{_FORM}")
    yield _case("a column more", shape("cell", column="new_column", value="x", skip=1), "right|other rows")
    yield _case("300 MB", {"do": "json", "says": "huge", "by": 300 << 20, "times": EVER}, _FORM)


QUERIES: tuple[Case, ...] = (*_lines(), *_shapes())
