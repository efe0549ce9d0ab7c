"""How many bytes this process has read from archives: one counter, shown while a run goes on.

Only for people's eyes and for run.json: no decision hangs on it.
"""

import threading

__all__ = ["TRAFFIC", "Traffic"]


class Traffic:
    """Counts bytes over all threads of a process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bytes = 0

    def came(self, count: int) -> None:
        """Add bytes that came."""
        with self._lock:
            self._bytes += count

    @property
    def bytes(self) -> int:
        """All bytes since the process began."""
        return self._bytes


TRAFFIC = Traffic()
