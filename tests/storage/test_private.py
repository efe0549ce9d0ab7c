"""Nobody else may put a file where files are obeyed."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from gzjwst_core.errors import StorageError
from gzjwst_core.storage import private
from gzjwst_core.storage.private import check_private


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on a disk where nothing above is closed to others (pytest's own folders are)."""
    closed = private._is_closed
    monkeypatch.setattr(private, "_is_closed", lambda path: path.is_relative_to(tmp_path) and closed(path))
    folder = tmp_path / "home" / "storage"
    folder.mkdir(parents=True)
    for path in (tmp_path, tmp_path / "home", folder):
        path.chmod(0o755)
    yield folder
    tmp_path.chmod(0o700)


def test_others_may_read(shared: Path) -> None:
    check_private(shared)


@pytest.mark.parametrize("mode", [0o777, 0o775, 0o757, 0o1777])
def test_others_may_not_write(shared: Path, mode: int) -> None:
    shared.chmod(mode)
    with pytest.raises(StorageError, match="chmod 700") as caught:
        check_private(shared)
    assert caught.value.reason == "not_private"
    shared.parent.chmod(0o700)  # a closed door further up is as good
    check_private(shared)


def test_a_folder_that_is_still_to_come_is_judged_by_what_will_hold_it(shared: Path) -> None:
    check_private(shared / "a" / "b")
    shared.chmod(0o777)
    with pytest.raises(StorageError):
        check_private(shared / "a" / "b")


def test_it_must_be_ours(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: shared.stat().st_uid + 1)
    with pytest.raises(StorageError):
        check_private(shared)
