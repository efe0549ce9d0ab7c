"""The gate before every host: who asks us to come back later is not asked again before that.

One gate for the whole process, whatever client asks (MAST's queries and files, the bucket). It waits and never retries:
the one retry layer is above.
"""

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC
from email.utils import parsedate_to_datetime

__all__ = ["LONGEST_S", "PATIENCE", "Patience", "seconds_asked"]

_log = logging.getLogger(__name__)

LONGEST_S = 300.0
"""Seconds that we wait at most, whatever a server asks."""


class Patience:
    """Not-before times by host.

    Parameters
    ----------
    clock
        Seconds that only go forward.
    today
        Seconds since 1970, for answers that hold a date.
    sleep
        Waits that many seconds.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        today: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._clock = clock
        self._today = today
        self._sleep = sleep
        self._not_before: dict[str, float] = {}
        self._lock = threading.Lock()

    def note(self, host: str, said: str | None) -> None:
        """Remember what a busy host asked for.

        Parameters
        ----------
        host
            As an address has it, with its port where one is given (`mast.stsci.edu`, `127.0.0.1:8080`).
        said
            Value of its `Retry-After` header: seconds or a date; None or what cannot be read asks for nothing.
        """
        until = self._clock() + seconds_asked(said or "", self._today())
        with self._lock:
            self._not_before[host] = max(until, self._not_before.get(host, until))

    def wait(self, host: str) -> None:
        """Wait until a host may be asked again; at once where it asked for nothing."""
        while (left := self.left_s(host)) > 0:
            _log.info("%s is busy and asks us to wait: %.0f s", host, left)
            self._sleep(left)

    def forget(self) -> None:
        """Forget what all hosts asked for."""
        with self._lock:
            self._not_before.clear()

    def left_s(self, host: str) -> float:
        """Seconds until a host may be asked again; not above 0 where it may be now."""
        with self._lock:
            until = self._not_before.get(host)
        return 0.0 if until is None else until - self._clock()


def seconds_asked(said: str, now: float) -> float:
    """Read a `Retry-After` header.

    Parameters
    ----------
    said
        Its value.
    now
        Seconds since 1970.

    Returns
    -------
    float
        Seconds to wait, 0 to `LONGEST_S`; 0 for the past and for what cannot be read.
    """
    try:
        seconds = float(said)
    except ValueError:
        seconds = _until(said, now)
    return min(seconds, LONGEST_S) if seconds > 0 else 0.0  # NaN is not above 0


def _until(date: str, now: float) -> float:
    try:
        when = parsedate_to_datetime(date)
    except (ValueError, TypeError, OverflowError, IndexError):
        return 0.0
    return when.replace(tzinfo=when.tzinfo or UTC).timestamp() - now


PATIENCE = Patience()
"""The gate of this process."""
