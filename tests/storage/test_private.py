"""Nobody else may put a file where files are obeyed."""

import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from gzjwst_core.errors import StorageError
from gzjwst_core.storage.private import check_private


@pytest.fixture(autouse=True)
def _umask_of_ubuntu() -> Iterator[None]:
    before = os.umask(0o002)
    yield
    os.umask(before)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A folder as a library makes it; above it what may not be relied on."""
    folder = tmp_path / "home" / "storage"
    folder.mkdir(parents=True)
    return folder


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def refused(folder: Path) -> str:
    with pytest.raises(StorageError) as caught:
        check_private(folder)
    assert caught.value.reason == "not_private"
    return str(caught.value)


def test_a_missing_one_is_made_for_us_alone(tmp_path: Path) -> None:
    before = mode(tmp_path)
    check_private(tmp_path / "prefect" / "storage")
    assert [mode(path) for path in (tmp_path / "prefect" / "storage", tmp_path / "prefect")] == [0o700] * 2
    assert mode(tmp_path) == before


def test_the_second_run_on_ubuntu(store: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert mode(store) == 0o775  # by the umask
    with caplog.at_level(logging.WARNING):
        check_private(store)
        check_private(store)
    assert mode(store) == 0o755
    assert [str(store) in record.getMessage() for record in caplog.records] == [True]


@pytest.mark.parametrize("before", [0o777, 0o770, 0o707, 0o1777, 0o755, 0o700])
def test_only_the_right_to_write_is_taken(store: Path, before: int) -> None:
    store.chmod(before)
    check_private(store)
    assert mode(store) == before & ~0o022


def test_it_must_be_ours(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store.parent.chmod(0o755)
    monkeypatch.setattr(os, "getuid", lambda: store.stat().st_uid + 1)
    assert "somebody else's" in refused(store)


def test_a_link_counts_as_what_it_leads_to(store: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(store)
    check_private(link)
    assert mode(store) == 0o755


def test_it_cannot_be_closed(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "chmod", lambda *_: None)  # as some file systems do
    assert "cannot be changed" in refused(store)

    def no(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "chmod", no)
    assert "not permitted" in refused(store)
    assert mode(store) == 0o775


@pytest.mark.parametrize(
    ("above", "is_refused"), [(0o777, True), (0o775, True), (0o1777, False), (0o755, False)], ids=oct
)
def test_a_stranger_above_in_whose_folder_others_may_write(
    store: Path, above: int, is_refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.parent.chmod(above)
    real = Path.stat

    def stranger(path: Path, **options: bool) -> os.stat_result:
        state = real(path, **options)
        return os.stat_result((*state[:4], 12345, *state[5:])) if path == store.parent else state

    monkeypatch.setattr(Path, "stat", stranger)
    if is_refused:
        assert str(store.parent) in refused(store)
    else:
        check_private(store)


def test_a_file_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "storage").touch()
    with pytest.raises(StorageError):
        check_private(tmp_path / "storage" / "below")
