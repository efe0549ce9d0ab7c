"""What a person is told, and what is kept quiet."""

import socket
import threading
import time
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings
from rich.console import Console

from flows.common import terminal
from flows.common.command_line import main
from flows.common.progress import RunProgress
from flows.common.reporting import leave
from flows.common.terminal import Terminal
from flows.run_survey import run_survey
from gzjwst_core.runs.record import RunEnd
from gzjwst_core.survey.controls import CONTROLS
from gzjwst_core.survey.pipeline import SURVEY
from gzjwst_core.survey.request import SurveyRequest, start
from gzjwst_core.transport.traffic import Traffic
from tests.flows.survey import World


@pytest.mark.parametrize("text", ["[[local]] is missing", "/data/[/x]/a.toml", "[bold]"])
def test_complaints_are_printed_as_they_are(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Names and paths may look like markup."""
    Terminal(quiet=True).complain("[red]✗[/red]", text)
    assert capsys.readouterr().err == f"✗ {text}\n"


@pytest.mark.parametrize(("code", "said"), [(0, ""), (4, "! done in part in 0 s 1 missing\n")])
def test_quiet_runs_tell_of_nothing_but_what_is_missing(
    code: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    request = SurveyRequest(quiet=True, out=str(tmp_path))
    progress = RunProgress(SURVEY, request, Terminal(quiet=request.quiet))
    with progress._terminal.stage("query", 1) as line:
        line.finish("done", kept=0, failed=0)
    progress.end(start(request), RunEnd(exit_code=code, message="1 missing", record="{}"))
    assert capsys.readouterr().err == said


@pytest.mark.parametrize("aside", [True, False])
def test_what_is_wanted_for_the_checks_alone_is_told_and_the_run_is_whole(
    *, aside: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    never_started = Mock(**{"state.is_completed.return_value": False, "state.is_final.return_value": False})
    monkeypatch.setattr("flows.common.progress.as_completed", iter)
    progress = RunProgress(SURVEY, SurveyRequest(), Terminal())
    assert progress.each(replace(CONTROLS, optional=aside), {"south": never_started}) == []
    log = progress.log()
    assert [(one.what, one.is_loss) for one in log.troubles] == [("controls south", not aside)]
    assert log.stages[0].failed == 1
    assert "controls south: not started" in capsys.readouterr().err


def test_a_report_is_named_only_where_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = start(SurveyRequest(out=str(tmp_path)))
    monkeypatch.chdir(tmp_path)
    progress = RunProgress(SURVEY, SurveyRequest(), Terminal())
    progress.end(run, RunEnd(exit_code=0, message="", record="{}"))
    assert "report.html" not in capsys.readouterr().err
    run.folder.write("report.html", b"<html>")
    progress.end(run, RunEnd(exit_code=0, message="", record="{}"))
    assert "  open demo/report.html\n" in capsys.readouterr().err


def test_quiet_reaches_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[SurveyRequest] = []

    def run(_: object, request: SurveyRequest, *__: object) -> int:
        asked.append(request)
        return 0

    monkeypatch.setattr("flows.common.command_line._run", run)
    assert main(SURVEY, run_survey, ["local-example", "--quiet", "--out", str(tmp_path)]) == 0
    assert asked[0].quiet


@pytest.mark.parametrize("answer", [b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", b"no HTTP", None])
def test_a_server_of_prefect_that_does_not_answer_is_one_line(
    answer: bytes | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"http://me:secret-word@127.0.0.1:{listener.getsockname()[1]}/api"
        if answer is None:
            listener.close()
        else:
            threading.Thread(target=_answer, args=(listener, answer), daemon=True).start()
        with temporary_settings({PREFECT_API_URL: address}):
            assert main(SURVEY, run_survey, ["local-example", "--quiet", "--out", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "(PREFECT_API_URL) does not answer: " in said
    assert "secret-word" not in said
    assert not list(tmp_path.iterdir())


class Left(BaseException):
    """The process ended at once."""


@pytest.mark.parametrize(
    ("status", "left"), [(200, (SystemExit, "")), (503, (SystemExit, "")), (None, (Left, "does not answer any more"))]
)
def test_a_server_that_refuses_to_answer_is_not_gone(
    status: int | None,
    left: tuple[type[BaseException], str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def leave_at_once(code: int) -> None:
        raise Left(code)

    monkeypatch.setattr("flows.common.reporting.os._exit", leave_at_once)
    begun = threading.Event()
    begun.set()
    monkeypatch.setattr("flows.common.reporting._begun", begun)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/api"
        if status is None:
            listener.close()
        else:
            answer = f"HTTP/1.1 {status} x\r\nContent-Length: 4\r\nConnection: close\r\n\r\ntrue".encode()
            threading.Thread(target=_answer, args=(listener, answer), daemon=True).start()
        with temporary_settings({PREFECT_API_URL: address}), pytest.raises(left[0]) as caught:
            leave(4)
    assert caught.value.args == (4,)
    assert left[1] in capsys.readouterr().err


@pytest.mark.tools
def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    """A disk that was full at its first start leaves such a database."""
    for name in ("home", "out"):
        (tmp_path / name).mkdir()
    (tmp_path / "home" / "prefect.db").write_bytes(b"no database " * 100)
    ended = World(tmp_path / "home", tmp_path / "cache", {}).run("local-example", out=tmp_path / "out", survey="local")
    assert ended.code == 1
    [said] = [line for line in ended.said.splitlines() if line.startswith("✗")]
    assert "did not start: sqlalchemy.exc.DatabaseError: (sqlite3.DatabaseError) file is not a database" in said
    assert said.endswith("move its prefect.db away")
    assert "Traceback" not in ended.said


def _answer(listener: socket.socket, answer: bytes) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.recv(65536)
        connection.sendall(answer)


def test_transfers_tell_bytes_rate_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, came = [100.0], Traffic()
    monkeypatch.setattr(terminal, "TRAFFIC", came)
    monkeypatch.setattr("flows.common.terminal.time.monotonic", lambda: clock[0])
    line = terminal.StageLine(Console(), "fetch", 3, expected_bytes=9_000_000_000)
    line.advance()
    clock[0] += 10
    came.came(400_000_000)
    assert line.progress() == "fetch     1/3 · 400.0 MB of 9.00 GB · 40.0 MB/s, about 3 min 35 s left"
    clock[0] += 30
    assert line.progress() == "fetch     1/3 · 400.0 MB of 9.00 GB"  # nothing comes: no rate is made up


def test_a_long_stage_speaks_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(terminal, "_QUIET_S", 0.02)
    with Terminal().stage("catalog", 2) as line:
        line.advance()
        time.sleep(0.3)
    assert "catalog   1/2, about" in capsys.readouterr().err
