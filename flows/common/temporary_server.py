"""Prefect's server for one run: `python -m flows.common.temporary_server DESCRIPTOR` serves on the run's socket.

It ends when its standard input does, which the run's end closes. Ctrl-C and SIGTERM are for the run.
"""

import os
import signal
import socket
import sys
import threading

import uvicorn

__all__ = ["main"]

_LAST_S = 4.0


def main(descriptor: int) -> None:
    """Serve until standard input ends."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    application = "prefect.server.api.server:create_app"
    server = uvicorn.Server(uvicorn.Config(application, factory=True, log_level="error", lifespan="on"))
    listener = [socket.socket(fileno=descriptor)]
    serving = threading.Thread(target=server.run, kwargs={"sockets": listener}, daemon=True)
    serving.start()
    threading.Thread(target=_end_with_input, args=(server,), daemon=True).start()
    serving.join()


def _end_with_input(server: uvicorn.Server) -> None:
    while os.read(0, 1024):
        pass
    threading.Timer(_LAST_S, os._exit, (0,)).start()
    server.should_exit = True


if __name__ == "__main__":
    main(int(sys.argv[1]))
