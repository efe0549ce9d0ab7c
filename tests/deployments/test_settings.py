"""Prefect's settings: set before prefect is read, wherever one of our files does that."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.settings import DEFAULTS

ROOT = Path(__file__).resolve().parents[2]
FILES = [path for folder in ("tasks", "flows", "deployments") for path in sorted((ROOT / folder).glob("*.py"))]

ASK = """
import json, logging
import tasks.policy
from prefect.settings import get_current_settings
now = get_current_settings()
print(json.dumps([
    now.server.analytics_enabled,
    now.results.persist_by_default,
    now.results.default_serializer,
    now.server.ephemeral.startup_timeout_seconds,
    now.server.services.task_run_recorder.batch_size,
    list(now.logging.extra_loggers),
    logging.getLogger("gzjwst_core").level,
]))
"""


def imported(path: Path) -> list[str]:
    names = []
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names.append(node.module or "")
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_settings_come_before_prefect(path: Path) -> None:
    names = imported(path)
    prefect = [i for i, name in enumerate(names) if name.split(".")[0] == "prefect"]
    if prefect:
        assert "tasks.settings" in names[: prefect[0]]


def ask(tmp_path: Path, code: str = ASK, **environment: str) -> object:
    clean = {name: value for name, value in os.environ.items() if name not in DEFAULTS}
    clean |= {"PREFECT_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)} | environment
    done = subprocess.run([sys.executable, "-c", code], env=clean, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_prefect_goes_by_our_settings_and_by_the_environments_before_them(tmp_path: Path) -> None:
    said = ask(tmp_path, PREFECT_LOGGING_EXTRA_LOGGERS="mine")
    assert said == [False, True, "json", 300, 200, ["mine"], 20]


def test_a_worker_that_has_read_prefect_already_can_load_the_flow(tmp_path: Path) -> None:
    """Its settings come with the deployment, not from us."""
    assert ask(
        tmp_path, f"import prefect.flow_engine, flows.run_survey\n{ASK}", PREFECT_RESULTS_PERSIST_BY_DEFAULT="true"
    )
