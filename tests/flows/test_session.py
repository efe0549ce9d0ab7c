"""A run folder stays locked until the last task of its run has ended."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from prefect.context import FlowRunContext
from prefect.task_runners import ThreadPoolTaskRunner

from flows.session import open_session
from gzjwst_core.errors import GzJwstError, StorageError
from gzjwst_core.request import RunRequest, start
from gzjwst_core.run import locked


def test_tasks_that_an_early_end_left_running_are_waited_for_under_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = RunRequest(
        profile="ceers", out=str(tmp_path / "out"), cache=str(tmp_path / "cache"), workers=1, quiet=True
    )
    met: list[str] = []

    class Runner(ThreadPoolTaskRunner[Any]):
        def cancel_all(self) -> None:
            with pytest.raises(StorageError) as caught, locked(start(request)):
                pass
            met.append(caught.value.reason)

    monkeypatch.setattr(FlowRunContext, "get", lambda: SimpleNamespace(task_runner=Runner()))
    with pytest.raises(GzJwstError, match="full"), open_session(request):
        raise GzJwstError("a disk is full")
    assert met == ["busy"]
    with locked(start(request)):
        pass
