"""The end of a run: a report of what stands, whatever a run before it left undone, and the run's own record."""

import json
from pathlib import Path
from typing import Any

import pytest

from gzjwst_core.errors import StorageError
from gzjwst_core.runs.close import DAMAGED_RUNS, RUNS, close_run
from gzjwst_core.runs.record import RunEnd, RunLog, StageRecord
from gzjwst_core.storage.seal import is_whole
from gzjwst_core.survey.pipeline import SURVEY
from gzjwst_core.survey.publish import REPORT
from gzjwst_core.survey.run import SurveyRun
from tests.publish.subjects import hand, new_run, picture


def end(run: SurveyRun, *made: str) -> RunEnd:
    stages = tuple(StageRecord(stage=stage, done=1) for stage in made)
    return close_run(SURVEY, run, RunLog(asked={}, begun="2026-02-03T21:14:07+00:00", seconds=1.0, stages=stages))


def last_run(run: SurveyRun) -> dict[str, Any]:
    runs: list[dict[str, Any]] = json.loads(run.folder.read(RUNS))["runs"]
    return runs[-1]


@pytest.fixture
def run(tmp_path: Path) -> SurveyRun:
    made = new_run(tmp_path)
    hand(made, 4)
    return made


def test_a_report_that_tells_of_what_stands_is_left_alone(run: SurveyRun) -> None:
    assert end(run, "publish").exit_code == 0
    page = run.folder.read(REPORT)
    end(run)
    assert run.folder.read(REPORT) == page


def test_a_run_that_was_killed_before_its_report_is_told_of_by_the_next(run: SurveyRun) -> None:
    end(run, "publish")
    hand(run, 3)  # and no end
    end(run)
    page = run.folder.read(REPORT).decode()
    assert "All 3 images are listed" in page
    assert "Earlier runs" in page


def test_an_image_that_cannot_be_read_costs_its_small_copy_only(run: SurveyRun) -> None:
    """It is named in the page and the record, by every run until it is mended."""
    broken = "images/f1/demo_J000001.00p020000.0.jpg"
    run.folder.write(broken, b"\0" * len(picture("JPEG")))
    for made in (("publish",), ()):
        assert end(run, *made).exit_code == 4
        page = run.folder.read(REPORT).decode()
        assert page.count('<img src="data:image/jpeg;base64') == 3
        assert f"<code>{broken}</code>" in page
        assert [one["what"] for one in last_run(run)["missing"]][-1] == broken
        assert last_run(run)["exit_code"] == 4
    run.folder.write(broken, picture("JPEG"))
    assert end(run).exit_code == 0
    assert f"<code>{broken}</code>" not in run.folder.read(REPORT).decode()


@pytest.mark.parametrize("damage", [b"", b'{"survey": "demo", "runs": [{', b"\xff\x00"])
def test_a_damaged_record_is_put_aside(run: SurveyRun, damage: bytes) -> None:
    run.folder.write(RUNS, damage)
    assert end(run, "publish").exit_code == 0
    assert run.folder.read(DAMAGED_RUNS) == damage
    assert len(json.loads(run.folder.read(RUNS))["runs"]) == 1


def test_the_record_of_another_survey_is_never_overwritten(run: SurveyRun) -> None:
    run.folder.write(RUNS, other := b'{"survey": "other", "runs": []}')
    with pytest.raises(StorageError, match="of 'other'"):
        end(run, "publish")
    assert run.folder.read(RUNS) == other


def test_a_report_that_was_cut_short_is_written_anew(run: SurveyRun) -> None:
    end(run, "publish")
    page = run.folder.read(REPORT)
    run.folder.write(REPORT, page[: len(page) // 2])
    end(run)
    assert is_whole(run.folder.read(REPORT))
