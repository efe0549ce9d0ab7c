"""A file at its final name is complete, or it is not there."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table

from gzjwst_core.errors import StorageError, StorageUnavailableError
from gzjwst_core.mosaics.depth_file import write_depth
from gzjwst_core.mosaics.geometry import stated_wcs
from gzjwst_core.storage.atomic import atomic_path, is_temporary
from gzjwst_core.storage.fits_tables import write_fits
from gzjwst_core.storage.folder import Folder


def test_a_finished_block_leaves_just_the_file(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "deep" / "a.txt") as temporary:
        temporary.write_text("whole")
        assert not (tmp_path / "deep" / "a.txt").exists()
        assert is_temporary(temporary.name)
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["a.txt"]
    assert (tmp_path / "deep" / "a.txt").read_text() == "whole"


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_a_broken_block_leaves_the_old_file(tmp_path: Path, error: type[BaseException]) -> None:
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(error), atomic_path(tmp_path / "a.txt") as temporary:
        temporary.write_text("half")
        raise error
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


def test_a_full_disk_has_its_own_reason(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"a\.txt") as caught, atomic_path(tmp_path / "a.txt"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.reason == "disk_full"
    assert not caught.value.retryable
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("code", [errno.ESTALE, errno.ETIMEDOUT])
def test_a_file_server_that_is_away_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """NFS tells at the sync that it forgot the file: written anew it may well stand."""

    def stale(_descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", stale)
    with pytest.raises(StorageUnavailableError) as caught, atomic_path(tmp_path / "a") as temporary:
        temporary.write_bytes(b"x")
    assert (caught.value.reason, caught.value.retryable) == ("storage_unavailable", True)
    (tmp_path / "b").write_bytes(b"x")
    with pytest.raises(StorageUnavailableError):
        Folder(str(tmp_path)).sync(["b"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b"]


def _no_room(_path: Path, _data: object) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_fits_files_on_a_full_disk_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Written by us: astropy, and numpy below it, raise an error without a number."""
    monkeypatch.setattr(Path, "write_bytes", _no_room)
    depth, wcs = np.zeros((64, 64), np.float32), stated_wcs((64, 64), 0.06, 150.1, 2.2)
    with pytest.raises(StorageError) as of_table:
        write_fits(Table({"x": np.arange(5000.0)}), tmp_path / "t.fits")
    with pytest.raises(StorageError) as of_depth:
        write_depth(tmp_path / "d.fits", "f", [("DEPTH", depth, wcs, 16)])
    assert {of_table.value.reason, of_depth.value.reason} == {"disk_full"}
