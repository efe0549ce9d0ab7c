"""One contract for run folders, wherever they are."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import fsspec
import pytest

from gzjwst_core.errors import NameRefusedError, StorageError
from gzjwst_core.storage.folder import Folder


@pytest.fixture(params=["file", "memory"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Folder]:
    if request.param == "file":
        yield Folder(str(tmp_path / "run"))
        return
    url = f"memory://{uuid4().hex}"
    yield Folder(url)
    if fsspec.filesystem("memory").exists(url):
        fsspec.filesystem("memory").rm(url, recursive=True)


def test_what_is_written_is_read(folder: Folder) -> None:
    output = folder.write("catalog/fields/a.bin", b"some bytes")
    assert (output.path, output.size) == ("catalog/fields/a.bin", 10)
    assert folder.read("catalog/fields/a.bin") == b"some bytes"
    assert folder.output("catalog/fields/a.bin") == output
    assert folder.sizes() == {"catalog/fields/a.bin": 10}
    with folder.reading("catalog/fields/a.bin") as path:
        assert path.read_bytes() == b"some bytes"


def test_a_written_file_appears_whole(folder: Folder) -> None:
    with folder.writing("x/y.bin") as path:
        path.write_bytes(b"12345")
        assert not folder.exists("x/y.bin")
    assert folder.size("x/y.bin") == 5
    with pytest.raises(ValueError, match="stop"), folder.writing("x/y.bin") as path:
        path.write_bytes(b"1")
        raise ValueError("stop")
    assert folder.read("x/y.bin") == b"12345"


def test_what_is_missing_is_named(folder: Folder) -> None:
    folder.write("a", b"")
    assert folder.size("nothing") is None
    assert folder.sizes("nothing") == {}
    with pytest.raises(StorageError, match="nothing is not there") as caught:
        folder.read("nothing")
    assert caught.value.reason == "not_found"
    folder.remove("nothing")
    folder.remove("a")
    assert not folder.exists("a")


@pytest.mark.parametrize("path", ["../a", "a/../../b", "/etc/passwd", "a//b", "a\nb", ".hidden"])
def test_no_path_leads_out(folder: Folder, path: str) -> None:
    with pytest.raises(NameRefusedError):
        folder.write(path, b"x")


def test_equal_bytes_are_not_written_again(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path))
    folder.write("a", b"same")
    before = (tmp_path / "a").stat()
    folder.write("a", b"same")
    after = (tmp_path / "a").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    folder.write("a", b"diff")
    assert (tmp_path / "a").read_bytes() == b"diff"


def test_leftovers_of_a_killed_process_are_swept(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / ".a.jpg.123-abcdef12.part").write_bytes(b"half")
    (tmp_path / "images" / "a.jpg").write_bytes(b"whole")
    folder = Folder(str(tmp_path))
    assert folder.sizes() == {"images/a.jpg": 5}
    assert folder.sweep() == 1
    assert [p.name for p in (tmp_path / "images").iterdir()] == ["a.jpg"]


def test_an_unknown_kind_of_storage_is_named() -> None:
    with pytest.raises(StorageError, match="no such kind of storage"):
        Folder("nowhere://x")


def test_names_are_of_one_folder_only(folder: Folder) -> None:
    assert folder.names("receipts") == []
    for path in ("receipts/b.json", "receipts/a.json", "receipts/deep/c.json"):
        folder.write(path, b"x")
    assert folder.names("receipts") == ["a.json", "b.json", "deep"]
    assert sorted(folder.files("receipts")) == [(f"receipts/{n}.json", 1) for n in ("a", "b", "deep/c")]


def test_who_else_sees_a_folder(tmp_path: Path) -> None:
    assert Folder("memory://x").is_private
    assert not Folder(str(tmp_path)).is_private


def test_what_a_file_system_raises_is_one_of_ours(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    folder = Folder(str(tmp_path / "file"))
    for call in (folder.read, folder.size, folder.exists, folder.open, folder.output, folder.remove, folder.names):
        with pytest.raises(StorageError, match="file/x: Not a directory"):
            call("x")
    with pytest.raises(StorageError, match="Not a directory"):
        folder.write("x", b"")


def test_what_a_client_library_raises_is_one_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    from botocore.exceptions import NoCredentialsError  # type: ignore[import-untyped]  # noqa: PLC0415 - no stubs

    folder = Folder("memory://x")

    def refuse(_: str) -> None:
        raise NoCredentialsError

    monkeypatch.setattr(folder._fs, "cat_file", refuse)
    with pytest.raises(StorageError, match="memory://x/a: Unable to locate credentials"):
        folder.read("a")


def test_a_planted_link_leads_nowhere(tmp_path: Path) -> None:
    elsewhere, run = tmp_path / "elsewhere", tmp_path / "run"
    elsewhere.mkdir()
    (elsewhere / "x.fits").write_bytes(b"theirs")
    run.mkdir()
    (run / "cutouts").symlink_to(elsewhere)
    folder = Folder(str(run))
    for use in (lambda: folder.write("cutouts/x.fits", b"ours"), lambda: folder.read("cutouts/x.fits")):
        with pytest.raises(NameRefusedError, match="leads out of its folder"):
            use()
    assert (elsewhere / "x.fits").read_bytes() == b"theirs"
    (run / "table.parquet").symlink_to(elsewhere / "x.fits")
    folder.write("table.parquet", b"ours")  # a target that is a link is replaced itself
    assert (elsewhere / "x.fits").read_bytes() == b"theirs"
    (tmp_path / "link").symlink_to(run)  # the root is where its owner says
    Folder(str(tmp_path / "link")).write("segmaps/a.fits", b"ours")
    assert (run / "segmaps" / "a.fits").read_bytes() == b"ours"
