"""What a unit made is compared with its receipt when it is read; damage of the same size is made anew."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gzjwst_core.errors import StorageError
from gzjwst_core.runs.products import DAMAGED, Made, keep, made_by, read_made, reading_made
from gzjwst_core.runs.receipts import claims, complete, latest, read_receipt, receipt_path, standing, supersede
from gzjwst_core.runs.work import Receipt, Work
from gzjwst_core.storage.folder import Folder
from gzjwst_core.storage.kept import read_kept
from gzjwst_core.storage.seal import BLANK, is_whole, sealed
from gzjwst_core.values import Output

WORK = Work(stage="cut", version="1", unit="f1", inputs={"a": "1"}, options="o")


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    made = Folder(str(tmp_path / "run"))
    make(made)
    return made


def make(folder: Folder, work: Work = WORK) -> bool:
    def written() -> Receipt:
        outputs = (folder.write("cutouts/a", b"some bytes"), folder.write("cutouts/b", b"more bytes"))
        return Receipt(**work.model_dump(), key=work.key, outputs=outputs)

    return complete(folder, work, written).fresh


def flip(folder: Folder, relative: str, at: int = 3, mask: int = 1) -> None:
    data = bytearray(folder.read(relative))
    data[at] ^= mask
    folder.write(relative, bytes(data))


def read(folder: Folder, relative: str) -> bytes:
    with reading_made(folder, "cut", "f1", relative) as path:
        return path.read_bytes()


def test_a_flipped_byte_is_told_and_its_unit_made_anew(folder: Folder) -> None:
    assert read(folder, "cutouts/a") == b"some bytes"
    flip(folder, "cutouts/a")
    assert standing(folder, WORK), "its size is the same"
    with pytest.raises(StorageError, match=r"cutouts/a: damaged .* stage cut makes f1 anew") as caught:
        read(folder, "cutouts/a")
    assert (caught.value.reason, caught.value.retryable) == (DAMAGED, False)
    assert standing(folder, WORK) is None
    with pytest.raises(StorageError, match="damaged"):  # whoever comes second does not go on with it either
        read(folder, "cutouts/a")
    assert make(folder)
    assert read(folder, "cutouts/a") == b"some bytes"


def test_a_reader_with_the_receipt_at_hand_finds_it_too(folder: Folder) -> None:
    ours = made_by(folder, "cut", WORK.key)
    assert [read_made(folder, one) for one in ours] == [b"some bytes", b"more bytes"]
    flip(folder, "cutouts/b")
    with pytest.raises(StorageError, match="cutouts/b: damaged"):
        read_made(folder, ours[1])
    with pytest.raises(StorageError, match="damaged"):
        made_by(folder, "cut", WORK.key)
    with pytest.raises(StorageError, match="is not there"):
        made_by(folder, "cut", "f1-0")


def test_what_no_receipt_names_is_taken_as_it_is(folder: Folder) -> None:
    folder.write("cutouts/other", b"a person's")
    assert read(folder, "cutouts/other") == b"a person's"
    assert read_made(folder, Made("cut", "", Output(path="cutouts/other", size=0, digest=""))) == b"a person's"


def test_a_receipt_of_an_earlier_version_still_counts(folder: Folder) -> None:
    """It names no algorithm and has no seal."""
    path = receipt_path("cut", WORK.key)
    receipt = read_receipt(folder, path)
    assert receipt is not None
    folder.write(path, receipt.model_dump_json(indent=1, exclude={"algorithm", "seal"}).encode())
    assert standing(folder, WORK) == receipt
    assert not make(folder)
    flip(folder, "cutouts/a")
    with pytest.raises(StorageError, match="damaged"):
        read(folder, "cutouts/a")


@settings(max_examples=60, deadline=None)
@given(at=st.integers(min_value=0), mask=st.integers(min_value=1, max_value=255))
def test_any_changed_byte_of_a_sealed_file_is_seen(at: int, mask: int) -> None:
    receipt = Receipt(**WORK.model_dump(), key=WORK.key, notes={"seal": "", "x": [1.5, None]})
    whole = sealed(receipt.model_dump_json(indent=1).encode() + b"\n")
    assert is_whole(whole)
    damaged = bytearray(whole)
    damaged[at % len(whole)] ^= mask
    assert is_whole(bytes(damaged)) is False


def test_a_file_without_a_seal_is_not_judged() -> None:
    assert is_whole(b"{}\n") is None
    assert is_whole(b'{"seal":""}') is None
    assert is_whole(sealed(b"<html/> <!-- " + BLANK + b" -->"))


def test_a_damaged_receipt_is_none(folder: Folder) -> None:
    path = receipt_path("cut", WORK.key)
    flip(folder, path, folder.read(path).index(b'"o"') + 1)  # it is still JSON, of the same form
    assert read_receipt(folder, path) is None
    assert make(folder)


def test_a_kept_file_has_a_receipt_and_a_copy_that_heals_what_can_still_be_read(folder: Folder) -> None:
    keep(folder, "pin", "p.toml", b"sigma = 1", copy="kept/p.toml")
    keep(folder, "pin", "p.toml", b"sigma = 2", copy="kept/p.toml")
    before = folder.sizes()
    receipt = latest(folder, "pin", "survey")
    assert receipt is not None
    assert tuple(receipt.files) == (folder.output("kept/p.toml"), folder.output("p.toml"))
    for damaged in ("p.toml", "kept/p.toml"):
        flip(folder, damaged, at=8)
        assert folder.read(damaged) != b"sigma = 2"
        assert the_kept(folder) == b"sigma = 2"
        keep(folder, "pin", "p.toml", b"sigma = 2", copy="kept/p.toml")
        assert {path: size for path, size in folder.sizes().items() if "replaced" not in path} == before
    [aside] = folder.names("kept/replaced")
    assert folder.read(f"kept/replaced/{aside}") == b"sigma = 3"


def test_a_file_whose_receipt_a_killed_run_could_not_write_is_not_taken_for_damaged(folder: Folder) -> None:
    keep(folder, "pin", "p.toml", b"sigma = 1", copy="kept/p.toml")
    supersede(folder, "pin", lambda _: True)
    folder.write("p.toml", b"sigma = 2")
    assert the_kept(folder) == b"sigma = 2"


def the_kept(folder: Folder) -> bytes | None:
    return read_kept(folder, "p.toml", Path.read_bytes, "", claims(folder, "pin", "survey", "p.toml"))
