"""The head of an answer must come within a time, however it drips.

urllib3's limit is on each wait for bytes: a server that sends a line of its head now and then is waited for without
end. Here a timer shuts the connection down, below TLS: that is the reader's, in another thread.
"""

import os
import socket
import threading
from contextlib import suppress
from http.client import HTTPException
from typing import Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

__all__ = ["pools_in_time"]


class _InTime:
    """Adds the limit to one of urllib3's connections."""

    head_s: float
    sock: socket.socket | None

    def getresponse(self) -> Any:
        """Wait for the head of the answer.

        Raises
        ------
        TimeoutError
            It has not come in time.
        """
        late = threading.Event()
        timer = threading.Timer(self.head_s, self._give_up, args=(late,))
        timer.daemon = True
        timer.start()
        try:
            response = super().getresponse()  # type: ignore[misc]  # of the connection this is mixed into
        except (OSError, HTTPException, ValueError, AttributeError):  # the latter two: of a socket that is shut by now
            if late.is_set():
                raise TimeoutError(f"no whole head within {self.head_s:g} s") from None
            raise
        finally:
            timer.cancel()
        if late.is_set():  # a head that was cut short looks like one that ended
            response.close()
            raise TimeoutError(f"no whole head within {self.head_s:g} s")
        return response

    def _give_up(self, late: threading.Event) -> None:
        late.set()
        sock = self.sock
        if sock is not None:
            # SSLSocket.shutdown would drop the TLS state under its reader
            with suppress(OSError), socket.socket(fileno=os.dup(sock.fileno())) as plain:
                plain.shutdown(socket.SHUT_RDWR)


def pools_in_time(head_s: float) -> dict[str, type[HTTPConnectionPool]]:
    """Return urllib3's pools by scheme, of connections whose heads must come within a time.

    Parameters
    ----------
    head_s
        Seconds from the end of the request to the end of the answer's head.
    """
    plain = type("HTTPConnectionInTime", (_InTime, HTTPConnection), {"head_s": head_s})
    secure = type("HTTPSConnectionInTime", (_InTime, HTTPSConnection), {"head_s": head_s})
    return {
        "http": type("HTTPPoolInTime", (HTTPConnectionPool,), {"ConnectionCls": plain}),
        "https": type("HTTPSPoolInTime", (HTTPSConnectionPool,), {"ConnectionCls": secure}),
    }
