"""No more transfers at once than there are slots, over threads and processes."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from gzjwst_core.transport.transfer_slots import transfer_slot
from tests.archives.caching import ROOT

CODE = """
import os, sys, threading, time
from pathlib import Path
from gzjwst_core.transport.transfer_slots import transfer_slot

def transfer():
    for _ in range(4):
        with transfer_slot(Path(sys.argv[1]), int(sys.argv[3])):
            os.write(log, b"+")
            time.sleep(0.02)
            os.write(log, b"-")

log = os.open(sys.argv[2], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
threads = [threading.Thread(target=transfer) for _ in range(3)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""


def most_at_once(log: str) -> int:
    depth, most = 0, 0
    for mark in log:
        depth += 1 if mark == "+" else -1
        most = max(most, depth)
    return most


def test_the_limit_holds_over_threads_and_processes(tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = [sys.executable, "-c", CODE, str(tmp_path), str(log)]
    children = [subprocess.Popen([*command, "2"], cwd=ROOT) for _ in range(3)]
    assert [child.wait() for child in children] == [0, 0, 0]
    marks = log.read_text()
    assert len(marks) == 3 * 3 * 4 * 2
    assert most_at_once(marks) == 2


def test_a_smaller_limit_keeps_to_itself(tmp_path: Path) -> None:
    entered = threading.Event()

    def transfer() -> None:
        with transfer_slot(tmp_path, 1):
            entered.set()

    with transfer_slot(tmp_path, 2):  # takes what a run with one slot has no use for
        thread = threading.Thread(target=transfer)
        thread.start()
        assert entered.wait(10)
    thread.join()


def test_a_slot_is_free_after_an_error(tmp_path: Path) -> None:
    for _ in range(3):
        with pytest.raises(FileNotFoundError), transfer_slot(tmp_path, 1):
            (tmp_path / "none").read_bytes()
    with transfer_slot(tmp_path, 1):
        assert sorted(path.name for path in tmp_path.rglob("*.lock")) == ["transfer-00.lock"]
