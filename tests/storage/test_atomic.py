"""A file at its final name is complete, or it is not there."""

import errno
from pathlib import Path

import pytest

from gzjwst_core.errors import StorageError
from gzjwst_core.storage.atomic import atomic_path, is_temporary


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
