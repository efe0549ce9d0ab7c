"""Two copies of a file: whatever befalls one of them, it is healed from the other or named."""

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
def test_what_is_cut_short_anywhere_is_healed(length: int, tail: bytes) -> None:
    """Also at the end of a line, where what is left can be read."""
    folder = Folder("memory://kept-cut")
    write_kept(folder, "a/b", TEXT)
    folder.write("a/b", TEXT[:length] + tail)
    assert read_kept(folder, "a/b", read, "") == folder.read("a/b") == TEXT


@pytest.mark.parametrize("where", ["", KEPT])
def test_one_that_is_gone_is_read_from_the_other(tmp_path: Path, where: str) -> None:
    folder = Folder(str(tmp_path))
    write_kept(folder, "b", TEXT)
    folder.remove(f"{where}b")
    assert read_kept(folder, "b", read, "") == TEXT


def test_what_a_person_changed_holds(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path))
    write_kept(folder, "b", TEXT)
    for changed in (TEXT + b"a fourth\n", TEXT.replace(b"second", b"2nd")):
        folder.write("b", changed)
        assert read_kept(folder, "b", read, "") == changed


def test_both_damaged_says_what_to_do(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path))
    write_kept(folder, "b", b"\xff")
    with pytest.raises(ProfileError, match=r"b and its copy kept/b are damaged .*; remove both") as caught:
        read_kept(folder, "b", read, "remove both")
    assert "\n" not in str(caught.value)
    folder.remove("kept/b")
    with pytest.raises(ProfileError, match="b: damaged; remove it"):
        read_kept(folder, "b", read, "remove it")
