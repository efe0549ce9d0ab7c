"""What the check refuses, the client refuses or gets wrong; what it passes, the client takes."""

import shutil
from pathlib import Path

import pytest
from astropy.table import Table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gzjwst_core.cli import main
from gzjwst_core.storage.tables import write_parquet
from gzjwst_core.survey.zooniverse_commands import look_on_disk
from gzjwst_core.zooniverse.manifest_check import MOST_IN_A_SET, Media, check_manifests
from tests.publish.client_rules import outcome
from tests.publish.subjects import FAULTS, hand, new_run

JPEG = Media(1000, b"\xff\xd8\xff\xe0", b"....\xff\xd9")
HEAD = "file_name,id_str,#ra\n"


def row(number: int, ra: str = "1.5") -> str:
    return f"../images/{number}.jpg,demo_J{number:06d}.00+020000.0,{ra}\n"


def look(manifest: str, cell: str) -> Media | None:
    return JPEG if cell.endswith(".jpg") else None


def kinds(text: str | bytes, **more: dict[str, str]) -> dict[str, bool]:
    data = text if isinstance(text, bytes) else text.encode()
    return {one.kind: one.refused for one in check_manifests({"a.csv": data}, look, **more).findings}


@pytest.fixture(scope="module")
def handed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A survey that was handed over. Look, do not touch."""
    folder = tmp_path_factory.mktemp("handed")
    hand(new_run(folder), 3)
    return folder / "demo"


@pytest.mark.parametrize("name", FAULTS)
def test_check_and_client_agree(name: str, handed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fault = FAULTS[name]
    for part in ("zooniverse", "images"):
        shutil.copytree(handed / part, tmp_path / part)
    manifest = tmp_path / "zooniverse" / "manifest-0001.csv"
    fault.spoil(manifest)
    columns = manifest.read_text(errors="replace").partition("\n")[0].count(",") + 1
    ends = [outcome(manifest, column, columns) for column in (1, None)]
    assert ends == [fault.named, fault.guessed]
    found = check_manifests({str(manifest): manifest.read_bytes()}, look_on_disk).findings
    assert {one.kind for one in found if one.refused} == fault.kinds
    assert all(one.row > 0 for one in found if one.kind not in {"encoding", "no_rows", "no_header"})
    assert main(["zooniverse", "check", str(manifest)]) == (1 if fault.kinds else 0)
    said = capsys.readouterr().out.splitlines()
    assert all(line.startswith(f"refused: {manifest}:") for line in said[:-1] if fault.kinds)
    if not fault.kinds:
        assert ends == ["taken", "taken"]
        assert said[-1] == f"panoptes subject-set upload-subjects --file-column 1 SUBJECT_SET_ID {manifest}"


def test_warnings_do_not_refuse() -> None:
    assert kinds(HEAD + "".join(row(n) for n in range(2001))) == {"many_rows": False}
    assert kinds(HEAD + row(1, "zero\u2033")) == {"not_ascii": False}
    large = check_manifests({"a.csv": (HEAD + row(1)).encode()}, lambda *_: Media(700_000, JPEG.head, JPEG.tail))
    # every cell names that file here: the second ones are refused, the size is only told of
    assert {one.kind: one.refused for one in large.findings} == {"large": False, "second_medium": True}


def test_over_all_manifests_names_and_files_are_there_once_and_counted() -> None:
    texts = {f"{name}.csv": (HEAD + row(1)).encode() for name in "ab"}
    said = {one.kind: one.said for one in check_manifests(texts, look).findings}
    assert said["double_id"].endswith("is in a.csv row 2 too")
    assert set(said) == {"double_id", "double_file"}
    many = {f"{n}.csv": (HEAD + "".join(row(1700 * n + m) for m in range(1700))).encode() for n in range(6)}
    checked = check_manifests(many, look)
    assert [one.kind for one in checked.findings] == ["many_subjects"]
    assert checked.refused == 0
    assert sum(checked.subjects.values()) > MOST_IN_A_SET


def test_an_image_that_fails_its_checks_is_refused() -> None:
    found = check_manifests({"a.csv": (HEAD + row(1)).encode()}, look, {"demo_J000001.00+020000.0": "black:above"})
    assert [(one.kind, one.column) for one in found.findings] == [("bad_quality", "id_str")]
    assert "black:above" in found.findings[0].said


def test_verdicts_of_the_run_folder_count(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hand(new_run(tmp_path), 3)
    names = [f"demo_J{n:06d}.00+020000.0" for n in range(3)]
    verdicts = {"id_str": names, "verdict": ["pass", "fail", "warn"], "reasons": ["", "fill:above", "sky:below"]}
    write_parquet(Table(verdicts), tmp_path / "demo" / "images" / "quality.parquet")
    for what in (tmp_path / "demo", tmp_path / "demo" / "zooniverse" / "manifest-0001.csv"):
        assert main(["zooniverse", "check", str(what)]) == 1
        refused = [line for line in capsys.readouterr().out.splitlines() if line.startswith("refused")]
        assert len(refused) == 1
        assert "row 3: column id_str: demo_J000001.00+020000.0 fails its quality checks: fill:above" in refused[0]


@pytest.mark.parametrize("data", [b"\n\n", b"\0", b'"', HEAD.encode() + b"x" * 200_000, b",\n,", b"a" * 10, b"\r\r"])
def test_strange_bytes_are_refused_and_never_a_traceback(data: bytes) -> None:
    assert any(kinds(data).values())


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_mangled_manifest_never_crashes(data: st.DataObject) -> None:
    text = bytearray((HEAD + row(1) + row(2)).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(text) - 1))
        text[place : place + data.draw(st.integers(0, 5))] = data.draw(st.binary(max_size=4))
    check_manifests({"a.csv": bytes(text)}, look)
