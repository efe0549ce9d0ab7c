"""prefect.yaml against what it names: profiles, the flow, its parameters, the settings of runs."""

import ast
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # prefect brings it; its stubs are a package of their own

from gzjwst_core.runs.profile_file import profile_names
from gzjwst_core.survey.request import SurveyRequest, profile_of
from tasks.settings import FOR_RUNS

ROOT = Path(__file__).resolve().parents[2]
FILE: dict[str, Any] = yaml.safe_load((ROOT / "prefect.yaml").read_text())
DEPLOYMENTS: list[dict[str, Any]] = FILE["deployments"]

every = pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda deployment: deployment["name"])


def test_every_profile_has_one_deployment() -> None:
    assert sorted(one["name"] for one in DEPLOYMENTS) == sorted(profile_names())


@every
def test_the_entrypoint_is_a_flow_that_takes_the_parameters(deployment: dict[str, Any]) -> None:
    file, _, name = deployment["entrypoint"].partition(":")
    functions = [node for node in ast.parse((ROOT / file).read_text()).body if isinstance(node, ast.FunctionDef)]
    flow = next(function for function in functions if function.name == name)
    assert any(ast.unparse(decorator).startswith("flow(") for decorator in flow.decorator_list)
    assert [argument.arg for argument in flow.args.args] == list(deployment["parameters"])


@every
def test_the_parameters_ask_for_the_deployments_survey(deployment: dict[str, Any]) -> None:
    request = SurveyRequest.model_validate(deployment["parameters"]["request"])
    assert profile_of(request).name == deployment["name"]
    assert deployment["tags"] == ["survey", deployment["name"]]
    assert deployment["enforce_parameter_schema"] is True


@every
def test_runs_of_a_survey_wait_for_each_other_and_have_our_settings(deployment: dict[str, Any]) -> None:
    assert deployment["concurrency_limit"] == {"limit": 1, "collision_strategy": "ENQUEUE"}
    assert deployment["work_pool"]["name"] == "local"
    assert deployment["work_pool"]["job_variables"]["env"] == FOR_RUNS


def test_schedules_are_off_until_someone_wants_them_and_never_meet() -> None:
    schedules = [schedule for one in DEPLOYMENTS for schedule in one.get("schedules", [])]
    assert len(schedules) == 4
    assert not any(schedule["active"] for schedule in schedules)
    assert len({schedule["cron"] for schedule in schedules}) == len(schedules)


def test_no_path_of_a_machine_is_in_the_file() -> None:
    """Without a pull step `prefect deploy` would write the deployer's own folder into every deployment."""
    step = FILE["pull"][0]["prefect.deployments.steps.set_working_directory"]
    assert step == {"directory": "{{ $GZJWST_ROOT }}"}
