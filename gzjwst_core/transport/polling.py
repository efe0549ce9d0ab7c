"""The transport under astroquery's MAST client: it slows long polling, bounds answers and counts their rows.

The client posts a query that is still EXECUTING again at once, without a pause and without an end; and it does not
look whether all pages came. Both are seen here, on the wire. An answer is held in memory, so it has a limit; it is
counted as it is decoded, and what is beyond is never read.
"""

import json
import time
from collections.abc import Callable
from typing import Any

import requests
import urllib3

from gzjwst_core.errors import ArchiveUnavailableError, QueryError
from gzjwst_core.transport.http import PatientAdapter, network_error
from gzjwst_core.transport.minimum_rate import Pace, Paced

__all__ = ["PollingAdapter"]

_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 5.0
_GROWTH = 1.6
_EXECUTING_S = 300.0
_MAX_ANSWER = 64 << 20
_CHUNK = 256 << 10


class PollingAdapter(PatientAdapter):
    """Transport of one client's queries.

    Parameters
    ----------
    connect_s, read_s
        Limits in seconds.
    executing_s
        How long a query may keep executing.
    slowest_kb_s
        An answer that comes more slowly than this over `read_s` is broken off.
    sleep
        Waits that many seconds.
    """

    def __init__(
        self,
        connect_s: float,
        read_s: float,
        *,
        executing_s: float = _EXECUTING_S,
        slowest_kb_s: float = 0.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(connect_s, read_s)
        self._slowest_kb_s = slowest_kb_s
        self._executing_s = executing_s
        self._sleep = sleep
        self.forget()

    def forget(self) -> None:
        """Begin a new question."""
        self._waited_s = 0.0
        self._pause_s = _FIRST_PAUSE_S
        self._stated_rows: int | None = None

    def check_complete(self, rows: int) -> None:
        """Compare the rows that were read with those that MAST stated.

        Raises
        ------
        ArchiveUnavailableError
            Rows are missing (`partial_answer`).
        """
        if self._stated_rows is not None and self._stated_rows != rows:
            raise ArchiveUnavailableError(
                f"MAST query: {rows} rows came of {self._stated_rows} stated", reason="partial_answer"
            )

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        """Send, read the whole answer within its limit, and hold it back while the query is executing.

        Raises
        ------
        QueryError
            The answer is beyond the limit (`answer_too_large`).
        """
        response = super().send(request, *args, **{**options, "stream": True})
        _read(response, self._slowest_kb_s, self._limits[1])
        answer = _decoded(response)
        if answer.get("status") == "EXECUTING":
            self._wait()
        paging = answer.get("paging")
        if isinstance(paging, dict) and isinstance(paging.get("rowsFiltered"), int):
            self._stated_rows = paging["rowsFiltered"]
        return response

    def _wait(self) -> None:
        if self._waited_s >= self._executing_s:
            raise requests.ReadTimeout(f"still executing after {self._waited_s:.0f} s")
        self._sleep(self._pause_s)
        self._waited_s += self._pause_s
        self._pause_s = min(self._pause_s * _GROWTH, _LONGEST_PAUSE_S)


def _read(response: requests.Response, slowest_kb_s: float, window_s: float) -> None:
    """Read the body into the response, as requests does, but neither without end nor at any pace."""
    body = bytearray()
    stream = Paced(_Decoded(response), Pace(slowest_kb_s, window_s, what="MAST query"))
    while block := stream.read(_CHUNK):
        body += block
        if len(body) > _MAX_ANSWER:
            response.close()
            said = f"MAST query: an answer of more than {_MAX_ANSWER / 2**20:.3g} MiB"
            raise QueryError(
                f"{said}: ask for less at once, with a lower query.observations_per_request or narrower criteria",
                reason="answer_too_large",
            )
    response._content = bytes(body)  # noqa: SLF001 - where requests keeps a body that was read


class _Decoded:
    """The body of an answer, decoded, as it comes."""

    def __init__(self, response: requests.Response) -> None:
        self._raw = response.raw

    def read(self, size: int, /) -> bytes:
        try:
            return bytes(self._raw.read1(size, decode_content=True))
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise network_error(error, "MAST query") from None


def _decoded(response: requests.Response) -> dict[str, Any]:
    try:
        answer = json.loads(response.content)
    except RecursionError:  # which the client would let pass
        raise QueryError("MAST query: the answer is nested too deeply") from None
    except ValueError:
        return {}  # the client says so itself
    return answer if isinstance(answer, dict) else {}
