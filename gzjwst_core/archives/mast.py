"""MAST's listing: a survey's observations and their products, asked with astroquery.

Only the question and its plain answer: which rows are mosaics is decided in `rules`. astroquery is imported inside the
functions, because few runs ask. Its session is given time limits, no retries and a watch over long polling (`polling`);
its warnings never pass as success. `GZJWST_MAST_URL` replaces the server.
"""

import itertools
import logging
import os
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import requests
from astropy.table import Table
from astropy.utils.exceptions import AstropyDeprecationWarning, AstropyWarning

from gzjwst_core.archives.mast_download import mast_server
from gzjwst_core.archives.rules import PRODUCT_COLUMNS, Row
from gzjwst_core.errors import ArchiveUnavailableError, GzJwstError, QueryError
from gzjwst_core.options import ArchiveOptions, QueryOptions
from gzjwst_core.transport.http import check_status, mount, network_error
from gzjwst_core.transport.polling import PollingAdapter
from gzjwst_core.transport.redact import redact
from gzjwst_core.values import Outcome

__all__ = ["ProductList", "query_products"]

_log = logging.getLogger(__name__)
_OBSERVATION_COLUMNS = ("obsid", "s_region")
_PRODUCT_COLUMNS = (*PRODUCT_COLUMNS, "obsID", "parent_obsid")
_FROM_OBSERVATION = ("s_region", "instrument_name", "provenance_name", "target_name")
_one_at_a_time = threading.Lock()  # warnings' filters belong to the whole process

Progress = Callable[[int, int], None]
"""Is told how many observations' products came, of how many."""


class ProductList(NamedTuple):
    """What MAST listed."""

    rows: tuple[Row, ...]
    """One row a URI, ordered by URI: the product's columns as text (masked as empty text; `size` as int, or as text
    where it is no whole number), with
    `s_region`, `instrument_name`, `provenance_name` and `target_name` of its observation."""
    observations: int
    """Observations found."""
    listed: int
    """Product rows before those of other parents were left out."""
    outcome: Outcome
    """Done, or skipped with `no_rows`."""


def query_products(
    query: QueryOptions, archives: ArchiveOptions | None = None, *, progress: Progress | None = None
) -> ProductList:
    """Ask MAST for every product of a survey's observations.

    Parameters
    ----------
    query
        Criteria of the observations, and how many observations' products to ask for in one request.
    archives
        Time limits.
    progress
        Called after each request of products.

    Raises
    ------
    ArchiveUnavailableError
        MAST is busy, slow or broken, or answered in part (`partial_answer`).
    ArchiveRefusedError
        MAST does not allow it.
    QueryError
        MAST does not know a criterion, a column is missing, or astroquery warned.
    """
    limits = archives or ArchiveOptions()
    with _one_at_a_time, _mast(limits) as (client, adapter):
        observations = _observations(client, adapter, query.observations)
        rows = _products(client, adapter, sorted(observations), query.observations_per_request, progress)
    unique = tuple(_unique(_with_observation(row, observations) for row in rows))
    _log.info("MAST: %d observations, %d products, %d URIs", len(observations), len(rows), len(unique))
    return ProductList(unique, len(observations), len(rows), _outcome(len(observations), len(unique)))


def _outcome(observations: int, products: int) -> Outcome:
    if products:
        return Outcome()
    said = f"{observations} observations, none with a product" if observations else "no observation fits the criteria"
    return Outcome(kind="skipped", reason="no_rows", detail=f"MAST: {said}")


@contextmanager
def _mast(limits: ArchiveOptions) -> Iterator[tuple[Any, PollingAdapter]]:
    """Yield a client of its own (its state is not shared) and turn its warnings and errors into ours."""
    from astroquery.exceptions import InvalidQueryError, RemoteServiceError  # noqa: PLC0415 - see the module's docstring
    from astroquery.exceptions import TimeoutError as ClientTimeoutError  # noqa: PLC0415
    from astroquery.mast import ObservationsClass  # noqa: PLC0415

    adapter = PollingAdapter(limits.connect_timeout_s, limits.read_timeout_s, slowest_kb_s=limits.slowest_kb_s)
    client = ObservationsClass()
    _point_at(client._portal_api_connection, mast_server(os.environ))  # noqa: SLF001 - its one way in a running process
    mount(client._session, adapter)  # noqa: SLF001 - astroquery has no other way to limit its waits
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", AstropyWarning)
            warnings.simplefilter("default", AstropyDeprecationWarning)  # of the code, not of the answer
            yield client, adapter
    except AstropyWarning as warning:
        raise QueryError(f"MAST: {warning}", reason="warning") from None
    except InvalidQueryError as error:
        raise QueryError(f"MAST does not know this criterion: {error}", reason="bad_criterion") from None
    except requests.HTTPError as error:
        check_status(error.response, "MAST query")
        raise network_error(error, "MAST query") from None
    except RemoteServiceError as error:
        raise ArchiveUnavailableError(f"MAST query: MAST says {redact(str(error))[:200]!r}") from None
    except (requests.RequestException, TimeoutError, ClientTimeoutError) as error:
        raise network_error(error, "MAST query") from None
    finally:
        client._session.close()  # noqa: SLF001


def _point_at(portal: Any, server: str) -> None:
    """Give astroquery a server; its own configuration counts only before its import."""
    for name in ("MAST_REQUEST_URL", "COLUMNS_CONFIG_URL"):
        path = urlsplit(getattr(portal, name)).path
        setattr(portal, name, server + path)


def _observations(
    client: Any, adapter: PollingAdapter, sets: Iterable[Mapping[str, Sequence[str]]]
) -> dict[str, dict[str, str | int]]:
    """Return the union of all sets of criteria, by obsid."""
    found: dict[str, dict[str, str | int]] = {}
    for criteria in itertools.chain.from_iterable(map(_one_wildcard_each, sets)):
        values = {name: [_number(value) for value in given] for name, given in criteria.items()}
        rows = _ask(adapter, partial(client.query_criteria, **values), _OBSERVATION_COLUMNS)
        found.update({str(row["obsid"]): row for row in rows if row["obsid"]})
    return found


def _products(
    client: Any, adapter: PollingAdapter, obsids: Sequence[str], at_once: int, progress: Progress | None
) -> list[dict[str, str | int]]:
    rows: list[dict[str, str | int]] = []
    for start in range(0, len(obsids), at_once):
        part = list(obsids[start : start + at_once])
        rows += _ask(adapter, partial(client.get_product_list, part), _PRODUCT_COLUMNS)
        if progress:
            progress(start + len(part), len(obsids))
    return rows


def _ask(adapter: PollingAdapter, call: Callable[[], Table], needed: Sequence[str]) -> list[dict[str, str | int]]:
    """Ask one question; its rows as plain values, all of them or an error."""
    from astroquery.exceptions import NoResultsWarning  # noqa: PLC0415

    adapter.forget()
    try:
        table = call()
    except NoResultsWarning:
        adapter.check_complete(0)
        return []
    except (GzJwstError, requests.RequestException):
        raise  # ValueErrors too, but ours, or of the network (JSON)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        raise QueryError(f"MAST's answer is not of the form we know: {type(error).__name__}: {error}") from None
    adapter.check_complete(len(table))
    return _plain(table, needed)


def _plain(table: Table, needed: Sequence[str]) -> list[dict[str, str | int]]:
    if missing := sorted(set(needed).difference(table.colnames)):
        raise QueryError(f"MAST's table has no column {', '.join(missing)} (it has {', '.join(table.colnames)})")
    columns = {name: [_cell(name, value) for value in table[name].tolist()] for name in table.colnames}
    return [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]


def _cell(column: str, value: object) -> str | int:
    if column == "size" and (value is None or type(value) is int or (type(value) is float and value.is_integer())):
        return int(value or 0)
    return "" if value is None else str(value)


def _with_observation(row: Mapping[str, str | int], observations: Mapping[str, Mapping[str, str | int]]) -> Row:
    observation = observations.get(str(row["parent_obsid"]), {})
    return {**{name: observation.get(name, "") for name in _FROM_OBSERVATION}, **row}


def _unique(rows: Iterable[Row]) -> list[Row]:
    """Keep one row a URI: that of the product's own observation, else of the parent that comes first."""

    def order(row: Row) -> tuple[str, bool, str, str]:
        return str(row["dataURI"]), row["obsID"] != row["parent_obsid"], str(row["parent_obsid"]), repr(row)

    by_uri = itertools.groupby(sorted(rows, key=order), key=lambda row: row["dataURI"])
    return [next(same) for _, same in by_uri]


def _one_wildcard_each(criteria: Mapping[str, Sequence[str]]) -> Iterator[dict[str, list[str]]]:
    """Split a set of criteria until each has one wildcard a name at most: astroquery would skip the others."""
    split = [[(name, part) for part in _parts(values)] for name, values in sorted(criteria.items())]
    return (dict(choice) for choice in itertools.product(*split))


def _parts(values: Sequence[str]) -> list[list[str]]:
    wild = [[value] for value in values if "*" in value or "%" in value]
    exact = [value for value in values if [value] not in wild]
    return [*([exact] if exact else []), *wild]


def _number(value: str) -> str | int | float:
    """Give numbers as numbers, which ranges need, where that changes nothing in how they are written."""
    for kind in (int, float):
        try:
            number = kind(value)
        except ValueError:
            continue
        if str(number) == value:
            return number
    return value
