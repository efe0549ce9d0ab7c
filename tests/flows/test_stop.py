"""A run that is stopped ends at once, says so in a line, tells Prefect, and leaves no process behind."""

import os
import pty
import select
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.flows.survey import SCRIPT, World

MARK = "GZJWST_TEST_MARK"
PROFILE = """
[survey]
name = "local"
bands = ["F277W"]

[[local]]
path = "{sky}/bucket/stpubdata/jwst/public/jw09801/L3/t/o001/*_i2d.fits"
"""


def test_ctrl_c_ends_at_once_and_says_what_stands(sky: Path, tmp_path: Path) -> None:
    """In a terminal of its own, where ^C goes to every process of the run; with Prefect's temporary server."""
    profile = tmp_path / "local.toml"
    profile.write_text(PROFILE.format(sky=sky))
    environment = World(tmp_path / "prefect", tmp_path / "cache", {MARK: str(tmp_path)}).environment
    child, terminal = pty.fork()
    if child == 0:
        os.execve(sys.executable, [sys.executable, str(SCRIPT), str(profile), "--out", str(tmp_path)], environment)
    said = read_until(terminal, b"locate", 180)
    os.write(terminal, b"\x03")
    stopped = time.monotonic()
    said += read_until(terminal, None, 60)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 130, said
    assert time.monotonic() - stopped < 30
    assert b"run it again to go on" in said
    assert b"Traceback" not in said
    assert said.rfind(b"\x1b[?25h") >= said.rfind(b"\x1b[?25l")  # the cursor is shown again
    assert not psutil.wait_procs(marked(str(tmp_path)), 10)[1]
    with sqlite3.connect(tmp_path / "prefect" / "prefect.db") as database:
        assert database.execute("select state_type from flow_run").fetchall() == [("CANCELLED",)]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_in_the_first_second_is_a_line_too(how: signal.Signals, tmp_path: Path) -> None:
    """While the imports are under way: one of them is held up here."""
    (tmp_path / "prefect.py").write_text("import time; print('importing', flush=True); time.sleep(60)")
    command = [sys.executable, str(SCRIPT), "local-example", "--out", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == "importing\n"
        run.send_signal(how)
        assert run.communicate(timeout=20)[1] == "✗ stopped; what was finished stands: run it again to go on\n"
        assert run.returncode == 130


@pytest.mark.tools
def test_a_server_that_is_gone_is_one_line_and_keeps_no_run_from_ending(sky: Path, tmp_path: Path) -> None:
    """Prefect would try seven seconds long to send each event that is left, and print it."""
    profile = tmp_path / "local.toml"
    profile.write_text(PROFILE.format(sky=sky))
    world = World(tmp_path / "prefect", tmp_path / "cache", {MARK: str(tmp_path)})
    command = [sys.executable, str(SCRIPT), str(profile), "--out", str(tmp_path), "--until", "catalog"]
    with subprocess.Popen(command, env=world.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as run:
        assert run.stdout is not None
        said = read_until(run.stdout.fileno(), b"locate", 180)
        [server] = [one for one in marked(str(tmp_path)) if "flows.common.temporary_server" in one.cmdline()]
        server.kill()
        said += run.communicate(timeout=120)[0]
    assert run.returncode in {0, 1}
    assert said.decode().endswith("! Prefect's API does not answer any more: it does not show how this run ended\n")
    assert b"rror" not in said.replace(b"(ConnectError)", b"")
    assert len(said.splitlines()) < 12


def marked(mark: str) -> list[psutil.Process]:
    """Processes whose environment holds a mark: all that a run has started."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark:
                found.append(process)
        except psutil.Error:  # it has just ended, or is not ours to look at
            continue
    return found


def read_until(terminal: int, word: bytes | None, seconds: float) -> bytes:
    """Read what is printed until a word comes, or the other side closes."""
    said, deadline = b"", time.monotonic() + seconds
    while time.monotonic() < deadline and (word is None or word not in said):
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                block = os.read(terminal, 65536)
            except OSError:  # Linux's way of saying that nobody holds the other side any more
                break
            if not block:
                break
            said += block
    return said
