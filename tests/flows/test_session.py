"""A run folder stays locked until the last task of its run has ended."""

import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from prefect.context import FlowRunContext
from prefect.task_runners import ThreadPoolTaskRunner

from flows.common.session import open_session
from gzjwst_core.errors import GzJwstError, StorageError
from gzjwst_core.runs.engine import cpu_map
from gzjwst_core.runs.run import locked
from gzjwst_core.survey.pipeline import SURVEY
from gzjwst_core.survey.request import SurveyRequest, start


def test_tasks_that_an_early_end_left_running_are_waited_for_under_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = SurveyRequest(
        profile="ceers", out=str(tmp_path / "out"), cache=str(tmp_path / "cache"), workers=2, quiet=True
    )
    work = ThreadPoolExecutor(1)
    met: list[str] = []

    class Runner(ThreadPoolTaskRunner[Any]):
        def cancel_all(self) -> None:
            with pytest.raises(GzJwstError) as ended:
                under_way[0].result(timeout=30)
            with pytest.raises(StorageError) as busy, locked(start(request)):
                pass
            met.extend([ended.value.reason, busy.value.reason])

    monkeypatch.setattr(FlowRunContext, "get", lambda: SimpleNamespace(task_runner=Runner()))
    under_way: list[Future[list[None]]] = []
    with pytest.raises(GzJwstError, match="full"), work, open_session(SURVEY, request):
        under_way.append(work.submit(lambda: list(cpu_map(time.sleep, [0.1, 600]))))
        time.sleep(1)
        raise GzJwstError("a disk is full")
    assert met == ["run_ended", "busy"]
    with locked(start(request)):
        pass
