"""run.json keeps every run and is never overwritten by mistake."""

import json

import pytest

from gzjwst_core.errors import StorageError
from gzjwst_core.runs.record import Missing, RunRecord, StageRecord, append_run, earlier_runs, sums_hold


def record(run_id: str = "one", survey: str = "demo") -> RunRecord:
    return RunRecord(
        survey=survey,
        run_id=run_id,
        started="2026-01-01T00:00:00Z",
        ended="2026-01-01T00:01:00Z",
        seconds=60.0,
        outcome="partial",
        exit_code=4,
        sums={"mosaics": {"total": 8, "located": 7, "missing:not_found": 1}},
        missing=(Missing(what="jw1_f444w", reason="not_found"),),
        stages=(StageRecord(stage="catalog", done=2, seconds=12.5),),
        versions={"gzjwst": "0.1.0"},
    )


def test_runs_are_added_at_the_end_and_old_ones_stay() -> None:
    first = append_run(None, record("one"))
    both = json.loads(append_run(first, record("two")))
    assert both["name"] == "demo"
    assert [run["run_id"] for run in both["runs"]] == ["one", "two"]
    assert both["runs"][0] == json.loads(first)["runs"][0]
    assert RunRecord.model_validate(both["runs"][0]) == record("one")


def test_the_last_runs_are_read_back_and_strange_ones_left_out() -> None:
    text = None
    for number in range(13):
        text = append_run(text, record(str(number)))
    log = json.loads(text or b"")
    log["runs"][5]["told_by"] = "another version"
    del log["seal"]
    read = earlier_runs(json.dumps(log).encode(), "demo")
    assert [one.run_id for one in read] == ["3", "4", *(str(n) for n in range(6, 13))]
    assert read[-1] == record("12")
    assert earlier_runs(None, "demo") == ()


@pytest.mark.parametrize(
    "damaged", [b"", b"{", b"\xff\xfe", b"[]", b'{"survey": "demo"}', b'{"survey": "demo", "runs": 3}', b"null"]
)
def test_a_damaged_file_is_never_overwritten(damaged: bytes) -> None:
    with pytest.raises(StorageError, match=r"run\.json") as caught:
        append_run(damaged, record())
    assert caught.value.reason == "bad_run_log"


def test_a_file_of_another_survey_is_refused() -> None:
    with pytest.raises(StorageError, match="of 'other', not of 'demo'"):
        append_run(append_run(None, record(survey="other")), record())


def test_sums_that_do_not_hold_are_named() -> None:
    assert sums_hold(record()) == []
    broken = record().replace(sums={"mosaics": {"total": 8, "located": 7}, "targets": {"total": 0}})
    assert sums_hold(broken) == ["mosaics"]
