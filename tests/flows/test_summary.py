"""What the UI's summary of a run says, and what it keeps to itself."""

import pytest

from flows.common.summary import summary
from gzjwst_core.runs.receipts import Done
from gzjwst_core.runs.record import Missing, RunEnd, RunRecord
from gzjwst_core.survey.quality import IMAGE_CHECKS
from gzjwst_core.survey.run_facts import remarks
from gzjwst_core.survey.uploads_record import HANDOVER


def end(*missing: Missing) -> RunEnd:
    record = RunRecord(
        name="small",
        run_id="0",
        started="2026-01-01T00:00:00+00:00",
        ended="2026-01-01T00:00:12+00:00",
        seconds=12.3,
        outcome="partial",
        exit_code=4,
        sums={"mosaics": {"total": 6, "located": 5, "missing:not_found": 1}},
        missing=missing,
    )
    return RunEnd(exit_code=4, message="", record=record.model_dump_json())


def test_it_tells_outcome_sums_what_is_missing_and_where_the_report_is() -> None:
    told = summary(end(Missing(what="jw1_f356w", reason="not_found")), "/data/runs/small").splitlines()
    assert told[0] == "## small: partial in 12 s"
    assert "| mosaics | 6 | 5 located, 1 missing:not_found |" in told
    assert "- missing: `jw1_f356w` (not_found)" in told
    assert told[-1] == "Report: `/data/runs/small/report.html`"


def test_what_was_expected_to_be_missing_is_called_so() -> None:
    assert "- missing as expected: `a` (not_found)" in summary(
        end(Missing(what="a", reason="not_found", expected=True)), "runs/small"
    )


def test_a_long_list_is_cut_short_and_says_so() -> None:
    told = summary(end(*(Missing(what=f"m{i}", reason="not_found") for i in range(50))), "runs/small")
    assert told.count("- missing") == 20
    assert "- and 30 more, all in run.json" in told


@pytest.mark.parametrize(
    ("folder", "shown"),
    [
        ("s3://key:secret@bucket/runs/small", "s3://bucket/runs/small"),
        ("https://host/runs/small?sig=secret", "https://host/runs/small"),
        ("s3://bucket/runs/small", "s3://bucket/runs/small"),
        ("runs/small", "runs/small"),
    ],
)
def test_no_secret_of_an_address_is_shown(folder: str, shown: str) -> None:
    told = summary(end(), folder)
    assert f"`{shown}/report.html`" in told
    assert "secret" not in told


def test_targets_without_a_cutout_are_told_of() -> None:
    reasons = enumerate(("bad_position", "outside_fields", "not_found"))
    record = RunRecord.model_validate_json(end(*(Missing(what=str(n), reason=reason) for n, reason in reasons)).record)
    said = "2 targets of the table without a cutout: 1 bad_position, 1 outside_fields (each is named in run.json)"
    assert remarks(record) == (said,)
    assert remarks(record.replace(missing=())) == ()


def test_the_line_of_quality_says_what_speaks_against_images_and_survey() -> None:
    counts = {"total": 9, "pass": 6, "warn": 1, "fail": 2, "warn:fill:above": 1, "fail:sky_chroma:above": 2}
    done = Done(unit="survey", key="k", counts=counts, files="", fresh=True)
    assert IMAGE_CHECKS.line([done]) == "9 images: 6 pass, 1 warn, 2 fail (2 sky colour above)"
    told = done.replace(counts=counts | {"survey:same_galaxy:warn": 1})
    assert IMAGE_CHECKS.line([told]).endswith("; of the survey: same galaxy warn")
    handed = done.replace(counts={"subjects": 7, "left_out": 2, "manifests": 1})
    assert HANDOVER.line([handed]).startswith("7 subjects (2 left out by quality) in 1 manifest,")
