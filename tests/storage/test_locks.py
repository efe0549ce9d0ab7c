"""Locks hold between threads and processes, die with their holder, and do not stop a file system without locks."""

import errno
import fcntl
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gzjwst_core.errors import StorageError
from gzjwst_core.storage import locks
from gzjwst_core.storage.locks import exclusive, is_held, try_exclusive

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def holder(path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds a lock until it is killed."""
    code = """
import sys, time
from pathlib import Path
from gzjwst_core.storage.locks import exclusive
with exclusive(Path(sys.argv[1])):
    print("ready", flush=True)
    time.sleep(60)
"""
    child = subprocess.Popen([sys.executable, "-c", code, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        yield child
    finally:
        child.kill()
        child.communicate()


def count_up(path: Path, lock: Path, times: int) -> None:
    for _ in range(times):
        with exclusive(lock, poll_s=0.001):
            count = int(path.read_text())
            time.sleep(0.001)
            path.write_text(str(count + 1))


def test_threads_exclude_each_other(tmp_path: Path) -> None:
    path, lock = tmp_path / "count", tmp_path / "locks" / "a.lock"
    path.write_text("0")
    threads = [threading.Thread(target=count_up, args=(path, lock, 10)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_text() == "40"


def test_a_lock_dies_with_its_process(tmp_path: Path) -> None:
    lock = tmp_path / "a.lock"
    with holder(lock) as child:
        assert is_held(lock)
        with try_exclusive(lock) as free:
            assert not free
        child.kill()
        with exclusive(lock):
            assert is_held(lock)
    assert not is_held(lock)
    with try_exclusive(lock) as free:
        assert free


def test_a_wait_can_be_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    lock = tmp_path / "a.lock"
    with exclusive(lock):
        monkeypatch.setattr(time, "sleep", interrupted)
        with pytest.raises(KeyboardInterrupt), exclusive(lock):
            pass
    with try_exclusive(lock) as free:
        assert free


def test_a_lock_on_a_file_that_is_gone_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = tmp_path / "a.lock"
    taken: list[int] = []
    real = fcntl.flock

    def removed_meanwhile(descriptor: int, kind: int) -> None:
        real(descriptor, kind)
        if kind & fcntl.LOCK_EX and not taken:
            lock.unlink()
        taken.append(kind)

    monkeypatch.setattr(fcntl, "flock", removed_meanwhile)
    with exclusive(lock):
        assert lock.exists()
        assert is_held(lock)


def test_looking_makes_no_file(tmp_path: Path) -> None:
    assert not is_held(tmp_path / "a.lock")
    assert list(tmp_path.iterdir()) == []


def test_a_link_is_refused_and_its_target_not_made(tmp_path: Path) -> None:
    lock = tmp_path / "a.lock"
    lock.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError), exclusive(lock):
        pass
    assert not (tmp_path / "elsewhere").exists()


def test_an_error_in_the_block_frees_the_lock(tmp_path: Path) -> None:
    lock = tmp_path / "a.lock"
    with pytest.raises(ZeroDivisionError), exclusive(lock):
        _ = 1 // 0
    assert not is_held(lock)


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    lock = tmp_path / "a.lock"
    first = os.dup(0)
    os.close(first)
    with exclusive(lock):
        for _ in range(5):
            is_held(lock)
            with try_exclusive(lock):
                pass
    last = os.dup(0)
    os.close(last)
    assert first == last


def test_a_file_system_without_locks_guards_its_own_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def without(_: int, __: int) -> None:
        raise OSError(errno.ENOTSUP, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", without)
    lock = tmp_path / "a.lock"
    with exclusive(lock), try_exclusive(lock) as free:
        assert not free
        assert is_held(lock)
    with try_exclusive(lock) as free, exclusive(tmp_path / "b.lock"):
        assert free
    assert not is_held(lock)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert locks._ours == set()


def test_another_fault_is_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: int, __: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(fcntl, "flock", broken)
    with pytest.raises(StorageError, match=r"a\.lock: Input"), exclusive(tmp_path / "a.lock"):
        pass
