"""Processes that a test starts: found ready, and gone with everything they started when the test is."""

import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil


def free_port() -> int:
    """A loopback port that nobody uses now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def running(
    command: Sequence[str | Path], log: Path, *, env: Mapping[str, str], cwd: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Keep a command running for as long as the block does."""
    with log.open("wb") as said:
        process = subprocess.Popen(command, env=env, cwd=cwd, stdout=said, stderr=said, start_new_session=True)
    try:
        yield process
    finally:
        end(process)


def end(process: subprocess.Popen[bytes], patience_s: float = 10.0) -> None:
    """End a process and all it started: asked first, then forced."""
    family = [] if process.poll() is not None else psutil.Process(process.pid).children(recursive=True)
    process.terminate()
    try:
        process.wait(patience_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for child in family:
        if child.is_running():
            child.kill()
    psutil.wait_procs(family, patience_s)


def until(ready: Callable[[], bool], *, seconds: float, log: Path, what: str) -> None:
    """Wait for something; says what the log says when it does not come."""
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds:g} s\n{log.read_text(errors='replace')[-3000:]}")
        time.sleep(0.2)
