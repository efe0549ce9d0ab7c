"""`verify`: what differs is named, what is right is not, and mending makes just that anew."""

import hashlib
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gzjwst_core.cli import main
from gzjwst_core.runs.products import keep
from gzjwst_core.runs.receipts import complete, receipt_path, standing
from gzjwst_core.runs.record import RunRecord, append_run
from gzjwst_core.runs.work import Receipt, Work
from gzjwst_core.storage.folder import Folder
from gzjwst_core.storage.kept import put_back, write_kept
from gzjwst_core.survey import verify as module
from gzjwst_core.survey.uploads_record import UPLOADED
from gzjwst_core.survey.verify import verify

PROFILE = b"[images]\nsigma = { F444W = 1.0 }\ngain = { F444W = 2.0 }\n"
WORKS = {unit: Work(stage="images", version="1", unit=unit, inputs={}, options="o") for unit in ("south-0", "south-1")}


def make(folder: Folder, unit: str) -> None:
    def written() -> Receipt:
        outputs = tuple(folder.write(f"images/{unit}/{n}.jpg", f"{unit}{n}".encode() * 50) for n in range(4))
        return Receipt(**WORKS[unit].model_dump(), key=WORKS[unit].key, outputs=outputs)

    complete(folder, WORKS[unit], written)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    monkeypatch.setenv("GZJWST_CACHE", str(tmp_path / "cache"))
    made = Folder(str(tmp_path / "small"))
    for unit in WORKS:
        make(made, unit)
    keep(made, "pin", "profile.toml", PROFILE, copy="kept/profile.toml")
    asked = {"profile": "demo", "out": "runs", "overrides": ["detect.threshold=2"], "bands": ["F444W"], "limit": None}
    made.write("run.json", append_run(None, record(asked)))
    made.write("notes.txt", b"a person's own")
    return made


def record(asked: dict[str, Any]) -> RunRecord:
    known = {"survey": "small", "run_id": "1", "started": "", "ended": "", "seconds": 1.0}
    return RunRecord.model_validate(known | {"outcome": "done", "exit_code": 0, "asked": asked})


def flip(folder: Folder, relative: str, at: int = -9) -> None:
    data = bytearray(folder.read(relative))
    data[at] ^= 4
    folder.write(relative, bytes(data))


def test_a_whole_folder_is_right(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", folder.url]) == 0
    said = capsys.readouterr().out
    assert "1 file on no receipt: notes.txt" in said
    assert "13 of 13 files read" in said
    assert main(["verify", folder.url, "--sample", "2", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["sample"], told["seed"], told["checked"], told["findings"]) == (2, 1, 5, [])


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("images/south-1/2.jpg", "images/south-1/2.jpg: differs from its receipt (stage images, south-1)"),
        (receipt_path("images", WORKS["south-0"].key), "is no receipt that can be read (stage images, south-0)"),
        ("profile.toml", "profile.toml: differs from its receipt (stage pin, survey)"),
        ("run.json", "run.json: cannot be read, or is not what was sealed"),
    ],
)
def test_one_flipped_byte_is_named(folder: Folder, path: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    flip(folder, path)
    assert [finding.path for finding in verify(folder).findings] == [path]
    assert main(["verify", folder.url]) == 1
    assert said in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["--sample", "0"], ["--sample", "1.5"], ["--sample", "x%"]])
def test_a_wrong_question_ends_with_2(arguments: list[str], tmp_path: Path) -> None:
    if not arguments:
        assert main(["verify", str(tmp_path)]) == 2
        return
    with pytest.raises(SystemExit) as caught:
        main(["verify", str(tmp_path), *arguments])
    assert caught.value.code == 2


def test_missing_files_are_told_whatever_the_sample(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    folder.remove("images/south-0/1.jpg")
    assert main(["verify", folder.url, "--sample", "1"]) == 1
    assert "images/south-0/1.jpg: is missing (stage images, south-0)" in capsys.readouterr().out


def test_mending_asks_the_flow_for_what_is_damaged_alone(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = dict(folder.files())
    commands: list[list[str]] = []
    monkeypatch.setattr(subprocess, "run", flow(folder, commands))
    flip(folder, "images/south-1/2.jpg")
    flip(folder, "profile.toml")
    replaced = hashlib.sha256(folder.read("profile.toml")).hexdigest()
    assert main(["verify", folder.url, "--mend"]) == 0
    assert "2 files as made again" in capsys.readouterr().out
    assert folder.read("profile.toml") == PROFILE
    assert dict(folder.files()) == before | {f"kept/replaced/profile.toml.{replaced[:8]}": len(PROFILE)}
    assert not verify(folder).findings
    ((_, script, *arguments),) = commands
    assert script.endswith("flows/run_survey.py")
    out = folder.url.rpartition("/")[0]
    assert arguments == ["demo", "--out", out, "--bands", "F444W", "--set", "detect.threshold=2"]


def flow(folder: Folder, commands: list[list[str]]) -> Callable[..., None]:
    """A flow that makes what does not stand."""

    def run(command: list[str], **_: object) -> None:
        commands.append(command)
        assert standing(folder, WORKS["south-0"])
        assert standing(folder, WORKS["south-1"]) is None
        make(folder, "south-1")

    return run


def test_what_the_flow_did_not_make_is_told(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "_SCRIPT", Path("/nowhere/run_survey.py"))
    flip(folder, "images/south-1/2.jpg")
    assert main(["verify", folder.url, "--mend"]) == 1
    said = capsys.readouterr().err
    assert "1 file still to be made anew (images/south-1/2.jpg): run /nowhere/run_survey.py demo --out" in said
    assert standing(folder, WORKS["south-1"]) is None
    assert main(["verify", folder.url]) == 1, "until it is made anew"
    said = capsys.readouterr().out
    assert "stands no longer, and is not made anew yet (stage images, south-1)" in said
    make(folder, "south-1")
    assert main(["verify", folder.url]) == 0


def test_a_damaged_history_is_set_aside(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(_: list[str], **__: object) -> None:
        folder.write("run.json", append_run(None, record({})))

    monkeypatch.setattr(subprocess, "run", run)
    flip(folder, "run.json")
    damaged = folder.read("run.json")
    assert main(["verify", folder.url, "--mend"]) == 0
    assert folder.read("run-damaged.json") == damaged


def test_files_of_an_earlier_version_are_at_least_read(folder: Folder) -> None:
    """It left no receipt of the frozen profile, and no seal."""
    for path in folder.sizes("receipts/pin"):
        folder.remove(path)
    folder.write("run.json", b'{"survey": "small", "runs": []}')
    assert not verify(folder).findings
    folder.write("run.json", b'{"survey": "small", "runs": [}')
    folder.write("profile.toml", PROFILE.replace(b"=", b"", 1))
    assert [finding.path for finding in verify(folder).findings] == ["profile.toml", "run.json"]


def test_what_nothing_can_make_anew_is_never_removed_and_no_run_is_begun_for_it(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    commands: list[list[str]] = []
    monkeypatch.setattr(subprocess, "run", flow(folder, commands))
    harmed = ("profile.toml", "kept/profile.toml")
    for path in harmed:
        flip(folder, path)
    folder.write("zooniverse/uploaded.csv", b"id_str;uploaded\nx;\xff\n")
    before = dict(folder.files())
    assert main(["verify", folder.url, "--mend"]) == 1
    assert "put a good copy in the place of what is also in kept/" in capsys.readouterr().err
    assert dict(folder.files()) == before
    assert not commands


def test_looking_writes_nothing_and_strange_files_are_no_receipts(folder: Folder) -> None:
    folder.write("kept/zooniverse/uploaded.csv", b"id_str,uploaded\na,2026\nb,2026\n")
    folder.write("zooniverse/uploaded.csv", b"id_str,uploaded\na,20")
    root = Path(folder.url)
    (root / "receipts" / ".DS_Store").write_bytes(b"x")
    (root / "receipts" / "x.json").write_bytes(b"{}")
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    verify(folder)
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before


def test_a_record_of_uploads_that_differs_from_its_copy_is_told_and_left_as_it_is(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    """A flipped byte and a person's own change look the same."""
    record = b"id_str,recipe_hash,ra,dec,subject_id,source\nsmall_J100024.11+015334.2,c0ffee,10.0,-2.0,none,one.csv\n"
    write_kept(folder, UPLOADED, record)
    assert main(["verify", folder.url]) == 0
    assert "recorded last" not in capsys.readouterr().out
    flip(folder, UPLOADED, at=-8)
    changed = folder.read(UPLOADED)
    assert main(["verify", folder.url, "--mend"]) == 0
    assert f"{UPLOADED}: is not what was recorded last (kept/{UPLOADED}): right if you" in capsys.readouterr().out
    assert folder.read(UPLOADED) == changed


def test_all_bytes_that_a_copy_takes_the_place_of_are_kept(folder: Folder) -> None:
    put_back(folder, "a.txt", b"one")
    asides = [put_back(folder, "a.txt", text) for text in (b"two", b"three", b"three")]
    assert [folder.read(path) for path in asides[:2]] == [b"one", b"two"]
    assert asides[2] == ""
