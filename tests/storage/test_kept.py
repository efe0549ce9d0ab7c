"""Two copies of a file: whatever befalls one of them, it is healed from the other or named."""

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gzjwst_core.errors import ProfileError
from gzjwst_core.storage.folder import Folder
from gzjwst_core.storage.kept import KEPT, read_kept, write_kept

TEXT = b"first line\nsecond line\nthird line\n"


def read(path: Path) -> bytes:
    data = path.read_bytes()
    if not data or b"\xff" in data:
        raise ProfileError(f"{path.name}: damaged")
    return data


def test_nothing_there_is_nothing() -> None:
    assert read_kept(Folder("memory://kept-none"), "a/b", read, "") is None


@given(st.integers(0, len(TEXT) - 1), st.sampled_from([b"", b"\xff\xff"]))
def test_what_is_cut_short_anywhere_is_healed_by_its_digest(length: int, tail: bytes) -> None:
    """Also at the end of a line, where what is left can be read; what is no beginning of it is put aside."""
    folder = Folder("memory://kept-cut")
    write_kept(folder, "a/b", TEXT)
    harmed = TEXT[:length] + tail
    folder.write("a/b", harmed)
    assert read_kept(folder, "a/b", read, "", [hashlib.sha256(TEXT).hexdigest()]) == folder.read("a/b") == TEXT
    if tail:
        assert folder.read(f"{KEPT}replaced/a/b.{hashlib.sha256(harmed).hexdigest()[:8]}") == harmed


@given(st.integers(0, len(TEXT) - 1))
def test_a_persons_file_is_healed_where_it_was_cut_off_within_a_line(length: int) -> None:
    folder = Folder("memory://kept-lines")
    write_kept(folder, "a/b", TEXT)
    folder.write("a/b", left := TEXT[:length])
    assert read_kept(folder, "a/b", read, "") == (left if left.endswith(b"\n") else TEXT)


@pytest.mark.parametrize("where", ["", KEPT])
def test_one_that_is_gone_is_read_from_the_other(tmp_path: Path, where: str) -> None:
    folder = Folder(str(tmp_path))
    write_kept(folder, "b", TEXT)
    folder.remove(f"{where}b")
    assert read_kept(folder, "b", read, "") == TEXT


def test_what_a_person_changed_holds(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path))
    write_kept(folder, "b", TEXT)
    for changed in (TEXT + b"a fourth\n", TEXT.replace(b"second", b"2nd"), TEXT.partition(b"third")[0]):
        folder.write("b", changed)
        assert read_kept(folder, "b", read, "") == changed
    folder.write("b", b"first; \xff\n")
    with pytest.raises(ProfileError, match=r"b: damaged \(its copy is kept/b\); mend it"):
        read_kept(folder, "b", read, "mend it")
    assert folder.read("b") == b"first; \xff\n"


def test_both_damaged_says_what_to_do(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path))
    write_kept(folder, "b", b"\xff")
    folder.remove("b")
    with pytest.raises(ProfileError, match=r"b and its copy kept/b are damaged .*; remove both") as caught:
        read_kept(folder, "b", read, "remove both")
    assert "\n" not in str(caught.value)
    folder.write("b", b"\xff")
    folder.remove("kept/b")
    with pytest.raises(ProfileError, match="b: damaged; remove it"):
        read_kept(folder, "b", read, "remove it")
