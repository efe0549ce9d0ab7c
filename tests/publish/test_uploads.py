"""What is new since an upload: by name, by place where the name has changed, never by colour."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from astropy.table import Table
from hypothesis import given, settings
from hypothesis import strategies as st

from gzjwst_core.cli import main
from gzjwst_core.errors import SubjectsError
from gzjwst_core.runs.receipts import standing
from gzjwst_core.runs.run import locked
from gzjwst_core.storage.tables import write_parquet
from gzjwst_core.survey.publish import hand_over, plan
from gzjwst_core.survey.run import SurveyRun
from gzjwst_core.survey.uploads_record import record_uploads
from gzjwst_core.zooniverse.uploads import (
    Upload,
    appended,
    compare,
    new_manifests,
    of_export,
    of_manifest,
    read_uploads,
)
from tests.publish.conftest import make_catalog
from tests.publish.subjects import hand, new_run

HEADER = ["id_str", "#ra", "#dec", "#recipe_hash", "#survey"]


def name(number: int) -> str:
    return f"demo_J{number:06d}.00+020000.0"


def row(number: int, ra: float | None = None, recipe: str = "r1") -> list[str]:
    return [name(number), f"{150 + number / 100 if ra is None else ra:.6f}", "+2.000000", recipe, "demo"]


def upload(number: int, recipe: str = "r1", subject: str = "none", source: str = "a.csv") -> Upload:
    return Upload(name(number), recipe, f"{150 + number / 100:.6f}", "+2.000000", subject, source)


def cells(folder: Path, pattern: str) -> list[str]:
    files = sorted((folder / "demo" / "zooniverse").glob(pattern))
    return [line["id_str"] for file in files for line in csv.DictReader(file.read_text().splitlines())]


def test_only_unknown_names_are_new() -> None:
    found = compare(HEADER, [row(1), row(2), row(3)], [upload(1), upload(9)])
    assert [cells[0] for cells in found.rows] == [name(2), name(3)]
    assert (found.recoloured, found.renamed, found.gone) == ([], [], [name(9)])


def test_an_image_coloured_anew_was_seen_already() -> None:
    found = compare(HEADER, [row(1, recipe="r2"), row(2), row(3)], [upload(1), upload(2), upload(3, recipe="none")])
    assert (found.rows, found.recoloured) == ([], [name(1)])
    back = compare(HEADER, [row(1, recipe="r2")], [upload(1), upload(1, recipe="r2")])
    assert back.recoloured == []


@pytest.mark.parametrize(("shift_arcsec", "same"), [(0.1, True), (0.29, True), (0.31, False)])
def test_a_galaxy_that_was_renamed_was_seen_already(shift_arcsec: float, same: bool) -> None:
    rows = [row(5, ra=150.01 + shift_arcsec / 3600), row(6, ra=150.01 + 0.3 / 3600)]
    found = compare(HEADER, rows, [upload(1)])
    if same:
        assert found.renamed == [(name(1), name(5))]
        assert [cells[0] for cells in found.rows] == [name(6)]
    else:
        assert found.renamed == [(name(1), name(6))]


@pytest.mark.parametrize(("shift_arcsec", "near"), [(0.35, True), (0.99, True), (1.01, False)])
def test_a_new_subject_beside_one_that_is_gone_is_told(shift_arcsec: float, near: bool) -> None:
    """It may be a part of it, or the same: the split of train and test takes it for that."""
    found = compare(HEADER, [row(5, ra=150.01 + shift_arcsec / 3600), row(2)], [upload(1), upload(2)])
    assert [cells[0] for cells in found.rows] == [name(5)]
    assert (found.near, found.renamed, found.gone) == ([(name(1), name(5))] if near else [], [], [name(1)])


def test_a_neighbour_of_one_that_fails_its_checks_is_new() -> None:
    """That one is in no manifest any more, but it keeps its name."""
    rows = [row(5, ra=150.01 + 0.25 / 3600)]
    assert compare(HEADER, rows, [upload(1)]).rows == []
    found = compare(HEADER, rows, [upload(1)], {name(1)})
    assert [cells[0] for cells in found.rows] == [name(5)]
    assert (found.near, found.renamed, found.gone) == ([], [], [name(1)])


@pytest.mark.parametrize("cell", ["none", "", "nan", "inf", "x"])
def test_a_place_that_is_no_number_is_near_nothing(cell: str) -> None:
    found = compare(HEADER, [[name(5), cell, "+2.0", "r1", "demo"], row(6, ra=150.01)], [upload(1)])
    assert found.renamed == [(name(1), name(6))]


def test_the_record_is_appended_to_and_knows_what_it_knows() -> None:
    first = appended("", [upload(1), upload(2), upload(1)], "u")
    assert read_uploads(first, "u") == [upload(1), upload(2)]
    assert appended(first, [upload(2), upload(1)], "u") == first
    exported = [upload(1, subject="77", source="s.csv"), upload(3, subject="78", source="s.csv")]
    second = appended(first, exported, "u")
    assert second.startswith(first)
    assert read_uploads(second, "u")[2:] == exported
    assert appended(second, [*exported, upload(3)], "u") == second
    assert read_uploads(appended(first.rstrip("\n"), [upload(4)], "u"), "u")[-1] == upload(4)


@given(st.lists(st.tuples(st.integers(0, 6), st.sampled_from("xy"), st.sampled_from(["none", "7"])), max_size=12))
@settings(max_examples=40, deadline=None)
def test_recording_twice_is_recording_once(given_uploads: list[tuple[int, str, str]]) -> None:
    uploads = [upload(number, recipe, subject) for number, recipe, subject in given_uploads]
    text = appended("", uploads, "u")
    assert appended(text, uploads, "u") == text
    assert {(u.id_str, u.recipe_hash) for u in read_uploads(text, "u")} == {(u.id_str, u.recipe_hash) for u in uploads}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("id_str,when\n", "row 1 must be id_str,recipe_hash"),
        (f"{','.join(Upload._fields)}\n{name(1)},r1\n", "row 2 must have 6 cells"),
        (f"{','.join(Upload._fields)}\nM51,a,b,c,d,e\n", "row 2 must have 6 cells, the first an id_str"),
        ('"', "no CSV"),
    ],
)
def test_a_damaged_record_is_named_and_left_alone(text: str, said: str) -> None:
    with pytest.raises(SubjectsError, match=f"u.csv.*{said}"):
        appended(text, [upload(1)], "u.csv")


def export(rows: Sequence[tuple[object, object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["subject_id", "project_id", "subject_set_id", "metadata", "locations"])
    for subject, metadata in rows:
        writer.writerow([subject, 1, 2, metadata if isinstance(metadata, str) else json.dumps(metadata), "{}"])
    return text.getvalue()


def metadata(number: int, **more: object) -> dict[str, object]:
    return dict(zip(HEADER, row(number), strict=True)) | more


def test_an_export_of_subjects_is_read_whatever_else_is_in_it() -> None:
    rows = [(71, metadata(1)), (71, metadata(1)), (72, {"image": "x.png"}), (73, metadata(3, **{"#survey": "other"})),
            (74, "{"), ("no", metadata(5)), (76, "[" * 100_000), (77, "[1]"), (78, metadata(8))]  # fmt: skip
    uploads, left = of_export(export(rows), "s.csv", "demo")
    assert uploads == [upload(1, subject="71", source="s.csv"), upload(8, subject="78", source="s.csv")]
    assert left == {"not ours": 1, "of another survey": 1, "cannot be read": 4}
    with pytest.raises(SubjectsError, match="no column metadata"):
        of_export("subject_id\n1\n", "s.csv", "demo")


def test_a_manifest_of_another_survey_is_refused() -> None:
    text = ",".join(HEADER) + "\n" + ",".join(row(1)) + "\n"
    assert of_manifest(text, "m.csv", "demo") == [upload(1, source="m.csv")]
    with pytest.raises(SubjectsError, match=r"m\.csv: row 2 is of the survey 'demo', not of 'ceers'"):
        of_manifest(text, "m.csv", "ceers")
    with pytest.raises(SubjectsError, match="row 3"):
        of_manifest(text + "x\n", "m.csv", "demo")
    with pytest.raises(SubjectsError, match="no column #survey"):
        of_manifest("id_str\n", "m.csv", "demo")


@pytest.mark.parametrize(
    ("second", "said"),
    [("", "no column #dec"), ("id_str\n", "no column #dec"), (f"{','.join(HEADER)},x\n", "not those of a.csv"),
     (f"{','.join(HEADER)}\nx\n", "row 2 must have 5 cells"), ('"', "no CSV")],
)  # fmt: skip
def test_manifests_that_cannot_be_compared_are_named(second: str, said: str) -> None:
    with pytest.raises(SubjectsError, match=rf"b\.csv: .*{said}"):
        new_manifests({"a.csv": ",".join(HEADER) + "\n", "b.csv": second}, [upload(1)])


# ---------------------------------------------------------------- in a run folder


@pytest.fixture
def run(tmp_path: Path) -> SurveyRun:
    return new_run(tmp_path)


def files(folder: Path) -> dict[str, bytes]:
    root = folder / "demo"
    found = [path for part in ("zooniverse", "receipts/publish") for path in (root / part).glob("*")]
    return {str(path.relative_to(root)): path.read_bytes() for path in found}


def test_a_weekly_run_writes_only_what_is_new(
    run: SurveyRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, manifests = str(tmp_path / "demo"), tmp_path / "demo" / "zooniverse"
    hand(run, 10)
    assert cells(tmp_path, "new-*") == []
    names = sorted(str(path) for path in manifests.glob("manifest-*"))
    assert main(["zooniverse", "uploaded", folder, *names]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "nothing is new"
    done = hand(run, 16)
    assert done.counts["new"] == 6
    assert cells(tmp_path, "new-*") == [f"demo_J{n:06d}.00+020000.0" for n in range(10, 16)]
    assert [path.name for path in sorted(manifests.glob("new-*"))] == ["new-0001.csv", "new-0002.csv"]
    assert main(["zooniverse", "uploaded", folder, str(manifests / "new-0001.csv")]) == 0
    assert cells(tmp_path, "new-*") == [f"demo_J{n:06d}.00+020000.0" for n in (14, 15)]
    assert main(["zooniverse", "uploaded", folder, str(manifests / "new-0001.csv")]) == 0
    assert not list(manifests.glob("new-*"))
    capsys.readouterr()
    assert main(["zooniverse", "new", folder]) == 0
    assert capsys.readouterr().out == "nothing is new\n"
    assert main(["zooniverse", "check", folder]) == 0
    assert capsys.readouterr().out == "nothing is new since the last upload\n"


def test_what_was_uploaded_is_not_uploaded_again(
    run: SurveyRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, manifests = str(tmp_path / "demo"), tmp_path / "demo" / "zooniverse"
    hand(run, 6)
    uploaded = [str(manifests / "manifest-0001.csv")]
    assert main(["zooniverse", "uploaded", folder, *uploaded]) == 0
    capsys.readouterr()
    assert main(["zooniverse", "check", *uploaded]) == 1
    said = capsys.readouterr()
    assert "row 2: column id_str: demo_J000000.00+020000.0 was uploaded: it would be there twice" in said.out
    assert "panoptes" not in said.out
    assert main(["zooniverse", "check", f"file://{folder}"]) == 0
    assert capsys.readouterr().out.endswith(f" SUBJECT_SET_ID {manifests}/new-0001.csv\n")
    stale = (manifests / "new-0001.csv").read_bytes()
    record_uploads(run.folder, [upload(n) for n in (4,)])  # killed before the manifests of what is new were written
    assert main(["zooniverse", "check", folder]) == 1
    assert "new-0001.csv does not hold what is new now: write it anew with zooniverse new" in capsys.readouterr().err
    assert main(["zooniverse", "new", folder]) == 0
    assert (manifests / "new-0001.csv").read_bytes() != stale
    assert main(["zooniverse", "check", folder]) == 0
    assert main(["zooniverse", "check", "memory://demo"]) == 1
    assert "copy it to a local disk first" in capsys.readouterr().err


def test_the_verb_leaves_what_a_run_would(run: SurveyRun, tmp_path: Path) -> None:
    """So the run after it redoes nothing, and a folder does not tell which of them wrote it."""
    folder = str(tmp_path / "demo")
    hand(run, 6)
    assert main(["zooniverse", "uploaded", folder, f"{folder}/zooniverse/manifest-0001.csv"]) == 0
    by_verb = files(tmp_path)
    assert standing(run.folder, plan(run)) is not None
    assert not hand_over(run, plan(run)).fresh
    run.folder.remove("zooniverse/new-0001.csv")
    assert hand_over(run, plan(run)).fresh
    assert files(tmp_path) == by_verb
    assert main(["zooniverse", "new", folder]) == 0
    assert files(tmp_path) == by_verb


def test_what_has_changed_since_is_told(run: SurveyRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(tmp_path / "demo")
    hand(run, 4)
    main(["zooniverse", "uploaded", folder, f"{folder}/zooniverse/manifest-0001.csv"])
    done = hand(run, 4, first=1, recipe="other")
    assert {name: done.counts[name] for name in ("new", "recoloured", "gone")} == {"new": 1, "recoloured": 3, "gone": 1}
    capsys.readouterr()
    main(["zooniverse", "new", folder])
    said = capsys.readouterr().out
    assert "3 subjects were coloured anew since, and count as uploaded: demo_J000001.00+020000.0, " in said
    assert "1 uploaded subjects are in no manifest any more: demo_J000000.00+020000.0\n" in said
    assert "1 new, in 1 manifest" in said


def test_the_folders_verdicts_tell_who_keeps_a_name(
    run: SurveyRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "demo"
    hand(run, 3)
    gone = upload(7)._replace(ra=f"{make_catalog(3)['ra'][2] + 0.1 / 3600:.6f}", dec=f"{make_catalog(3)['dec'][2]:.6f}")
    record_uploads(run.folder, [gone])
    assert main(["zooniverse", "new", str(folder)]) == 0
    assert "1 subjects have another name now" in capsys.readouterr().out
    verdicts = {"id_str": [gone.id_str], "verdict": ["fail"], "reasons": ["fill:above"]}
    write_parquet(Table(verdicts), folder / "images" / "quality.parquet")
    assert main(["zooniverse", "new", str(folder)]) == 0
    assert capsys.readouterr().out.endswith("3 new, in 1 manifest\n")


def test_an_export_is_recorded(run: SurveyRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "demo"
    hand(run, 3)
    rows = list(csv.DictReader((folder / "zooniverse" / "manifest-0001.csv").read_text().splitlines()))
    (tmp_path / "s.csv").write_text(export([(70, rows[0]), (71, rows[2]), (72, {"who": "?"})]))
    assert main(["zooniverse", "uploaded", str(folder), "--export", str(tmp_path / "s.csv")]) == 0
    assert "1 rows of" in capsys.readouterr().out
    recorded = read_uploads((folder / "zooniverse" / "uploaded.csv").read_text(), "u")
    assert [(one.id_str, one.subject_id) for one in recorded] == [(rows[0]["id_str"], "70"), (rows[2]["id_str"], "71")]
    assert cells(tmp_path, "new-*") == [rows[1]["id_str"]]


def test_what_never_arrived_is_told_and_can_be_new_again(
    run: SurveyRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An upload broke off, and its manifest was recorded as a whole."""
    folder, subjects = str(tmp_path / "demo"), tmp_path / "s.csv"
    hand(run, 6)
    main(["zooniverse", "uploaded", folder, f"{folder}/zooniverse/manifest-0001.csv"])
    rows = list(csv.DictReader((tmp_path / "demo" / "zooniverse" / "manifest-0001.csv").read_text().splitlines()))
    subjects.write_text(export([(70, rows[0]), (71, rows[2])]))
    capsys.readouterr()
    assert main(["zooniverse", "uploaded", folder, "--export", str(subjects)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("0 subjects recorded in ")
    assert said[1] == "2 that were on record have their number now"
    assert said[2].startswith("2 subjects are on record from manifests, but the export has them not: demo_J000001.00+")
    assert cells(tmp_path, "new-*") == [f"demo_J{n:06d}.00+020000.0" for n in (4, 5)]
    assert main(["zooniverse", "uploaded", folder, "--export", str(subjects), "--withdraw"]) == 0
    assert "2 subjects that the export has not are out of the record: demo_J000001.00+" in capsys.readouterr().out
    assert cells(tmp_path, "new-*") == [f"demo_J{n:06d}.00+020000.0" for n in (1, 3, 4, 5)]
    recorded = read_uploads((tmp_path / "demo" / "zooniverse" / "uploaded.csv").read_text(), "u")
    assert {one.id_str for one in recorded} == {rows[0]["id_str"], rows[2]["id_str"]}


def test_when_nothing_arrived_every_manifest_is_new(
    run: SurveyRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, subjects = str(tmp_path / "demo"), tmp_path / "s.csv"
    hand(run, 6)
    main(["zooniverse", "uploaded", folder, f"{folder}/zooniverse/manifest-0001.csv"])
    subjects.write_text(export([]))
    assert main(["zooniverse", "uploaded", folder, "--export", str(subjects), "--withdraw"]) == 0
    assert capsys.readouterr().out.endswith("no upload is on record, so every manifest is new\n")
    assert cells(tmp_path, "new-*") == []
    assert not hand_over(run, plan(run)).fresh
    assert main(["zooniverse", "check", folder]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "6 subjects in 2 manifests: nothing refused, no warnings"


def test_wrong_use_is_explained(run: SurveyRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "demo"
    assert main(["zooniverse", "new", str(folder)]) == 1
    assert "run the survey first" in capsys.readouterr().err
    assert main(["zooniverse", "check", str(tmp_path)]) == 1
    assert "there are no manifests" in capsys.readouterr().err
    hand(run, 2)
    for wrong in (["uploaded", str(folder)], ["uploaded", str(folder), "x.csv", "--export", "y.csv"],
                  ["uploaded", str(folder), "x.csv", "--withdraw"]):  # fmt: skip
        assert main(["zooniverse", *wrong]) == 2
    assert main(["zooniverse", "uploaded", str(folder), "gone.csv"]) == 1
    assert "gone.csv" in capsys.readouterr().err
    assert not (folder / "zooniverse" / "uploaded.csv").exists()
    with locked(run):
        assert main(["zooniverse", "new", str(folder)]) == 1
    assert "another run is writing" in capsys.readouterr().err
