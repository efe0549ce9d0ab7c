"""Deployments for real: a Prefect server, a work pool, a worker in its process, and surveys run through the API."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from gzjwst_core.runs.profile_file import profile_names
from tasks.settings import DEFAULTS, FOR_RUNS
from tests.flows.survey import ROOT, SCRIPT, SMALL, bare_environment, tree
from tests.tools.processes import free_port, running, until

pytestmark = [pytest.mark.tools, pytest.mark.timeout(600)]

PREFECT = Path(sys.executable).with_name("prefect")
Json = dict[str, Any]


@dataclass(frozen=True)
class Service:
    """A Prefect service of one's own, with every survey deployed."""

    url: str
    folder: Path
    env: dict[str, str]

    @property
    def request(self) -> Json:
        return {
            "profile": str(self.folder / "small.toml"),
            "out": str(self.folder / "out"),
            "cache": str(self.folder / "cache"),
            "workers": 2,
        }

    def command(self, *command: str | Path) -> str:
        done = subprocess.run(command, env=self.env, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
        said = done.stdout + done.stderr
        assert done.returncode == 0, said
        return said

    def ask(self, what: str, **filters: Any) -> list[Json]:
        answer = requests.post(f"{self.url}/{what}/filter", json=filters, timeout=30)
        answer.raise_for_status()
        found: list[Json] = answer.json()
        return found

    def deployment(self, name: str) -> Json:
        (found,) = self.ask("deployments", deployments={"name": {"any_": [name]}})
        return found

    def run(self, deployment: str) -> Json:
        """Run a deployment as a person does, watching it to its end; returns the flow run."""
        params = json.dumps({"request": self.request})
        self.command(PREFECT, "deployment", "run", f"survey/{deployment}", "--params", params, "--watch")
        runs = self.ask("flow_runs", deployments={"name": {"any_": [deployment]}}, sort="START_TIME_DESC")
        return runs[0]

    def task_runs(self, flow_run: Json) -> dict[str, str]:
        """State of every task run by name; the server records them a little late."""
        found: list[Json] = []

        def whole() -> bool:
            found[:] = self.ask("task_runs", flow_runs={"id": {"any_": [flow_run["id"]]}}, limit=200)
            ended = [run for run in found if run["state_type"] == "COMPLETED"]
            return len(ended) == len(found) and any(run["name"].startswith("close-run") for run in found)

        until(whole, seconds=60, log=self.folder / "server.log", what="task runs")
        names = Counter(run["name"] for run in found)
        # a mosaic is asked for twice: for the catalog and for the cutouts
        assert {name for name, count in names.items() if count > 1 and not name.startswith("fetch-")} == set()
        return {run["name"]: run["state_name"] for run in found}

    def artifacts(self, flow_run: Json, key: str) -> list[Json]:
        return self.ask("artifacts", artifacts={"key": {"any_": [key]}, "flow_run_id": {"any_": [flow_run["id"]]}})


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Server, pool, deployments from prefect.yaml and of a profile of one's own, worker."""
    folder, port = tmp_path_factory.mktemp("service"), free_port()
    (folder / "small.toml").write_text(SMALL)
    url = f"http://127.0.0.1:{port}/api"
    bare = bare_environment(folder / "home")
    env = bare | {"GZJWST_ROOT": str(ROOT), "PREFECT_API_URL": url}
    server: list[str | Path] = [PREFECT, "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    worker: list[str | Path] = [PREFECT, "worker", "start", "--pool", "local", "--type", "process", "--limit", "1"]
    made = Service(url, folder, env)
    with running(server, folder / "server.log", env=bare | DEFAULTS | {"PREFECT_SERVER_UI_API_URL": url}, cwd=folder):
        until(lambda: _is_healthy(url), seconds=120, log=folder / "server.log", what="server")
        made.command(PREFECT, "work-pool", "create", "local", "--type", "process")
        made.command(PREFECT, "--no-prompt", "deploy", "--all")
        made.command(sys.executable, ROOT / "deployments" / "register.py", str(folder / "small.toml"))
        with running(worker, folder / "worker.log", env=env, cwd=folder):
            yield made


def _is_healthy(url: str) -> bool:
    try:
        return requests.get(f"{url}/health", timeout=5).ok
    except requests.ConnectionError:
        return False


@pytest.fixture(scope="module")
def first(service: Service) -> Json:
    """A run of the deployment that register.py made."""
    return service.run("small")


@pytest.fixture(scope="module")
def second(service: Service, first: Json) -> Json:
    """The same request through a deployment of prefect.yaml: its pull step finds the checkout by GZJWST_ROOT."""
    return service.run("demo")


def test_the_server_sends_nothing_home(service: Service) -> None:
    settings = requests.get(f"{service.url}/admin/settings", timeout=30).json()
    assert settings["server"]["analytics_enabled"] is False


def test_every_shipped_survey_and_our_own_are_deployed(service: Service) -> None:
    deployments = {one["name"]: one for one in service.ask("deployments")}
    assert set(deployments) == {*profile_names(), "small"}
    for one in deployments.values():
        assert one["job_variables"]["env"] == FOR_RUNS, one["name"]
        assert one["global_concurrency_limit"]["limit"] == 1
        assert one["enforce_parameter_schema"] is True
        assert one["entrypoint"].endswith("flows/run_survey.py:run_survey")
    assert deployments["small"]["parameters"] == {"request": {"profile": str(service.folder / "small.toml")}}


def test_a_wrong_parameter_is_refused_before_anything_runs(service: Service) -> None:
    wrong = {"parameters": {"request": {"profile": "demo", "workers": -1}}}
    address = f"{service.url}/deployments/{service.deployment('demo')['id']}/create_flow_run"
    answer = requests.post(address, json=wrong, timeout=30)
    assert answer.status_code == 409
    assert "request.workers" in answer.text


def test_a_survey_runs_in_the_workers_process(service: Service, first: Json) -> None:
    assert (first["state_name"], first["state_type"]) == ("Completed", "COMPLETED"), _why(service, first)
    assert first["name"].startswith("small-20")
    folder = service.folder / "out" / "small"
    assert {"report.html", "run.json", "profile.toml", "zoobot/catalog.parquet"} <= {
        *tree(folder),
        *(path.name for path in folder.iterdir()),
    }


def test_the_run_makes_the_same_bytes_as_the_command_line(service: Service, first: Json) -> None:
    out = service.folder / "by-hand"
    small, cache = str(service.folder / "small.toml"), str(service.folder / "cache")
    service.command(sys.executable, SCRIPT, small, "--out", str(out), "--cache", cache, "--workers", "1")
    assert tree(out / "small") == tree(service.folder / "out" / "small")


def test_task_runs_say_what_they_work_on(service: Service, first: Json) -> None:
    names = service.task_runs(first)
    folder = service.folder / "out" / "small"
    fields = [path.stem for path in (folder / "segmaps").iterdir()]
    kinds = Counter(name.partition("-")[0] for name in names)
    assert {f"catalog-{field}" for field in fields} <= set(names)
    assert {f"fetch-{field}-{band}" for field in fields for band in ("F150W", "F277W", "F444W")} <= set(names)
    assert {"query-small", "merge-small", "publish-small"} <= set(names)
    receipts = {path.name.rpartition("-")[0] for path in (folder / "receipts" / "cutouts").iterdir()}
    assert {name.removeprefix("cutouts-") for name in names if name.startswith("cutouts-")} == receipts
    assert kinds["images"] == kinds["cutouts"] == len(receipts)


def test_the_ui_shows_where_mosaics_were_found_and_how_the_run_went(service: Service, first: Json) -> None:
    (mosaics,) = service.artifacts(first, "mosaics")
    rows = json.loads(mosaics["data"])
    assert mosaics["type"] == "table"
    assert len(rows) == 6
    assert {row["outcome"] for row in rows} == {"located"}
    assert {row["where"] for row in rows} == {"datalabs", "s3", "mast"}
    (summary,) = service.artifacts(first, "summary")
    assert summary["type"] == "markdown"
    assert summary["data"].startswith("## small: done")
    assert f"{service.folder}/out/small/report.html" in summary["data"]


def test_the_cores_own_log_reaches_the_server(service: Service, first: Json) -> None:
    logs = service.ask("logs", logs={"flow_run_id": {"any_": [first["id"]]}}, limit=200)
    said = [log["message"] for log in logs if log["name"].startswith("gzjwst_core")]
    assert any("sources in" in message for message in said), [log["name"] for log in logs]


def test_a_second_run_shows_cached_for_every_unit_with_a_receipt(service: Service, second: Json) -> None:
    assert second["state_name"] == "Completed", _why(service, second)
    states = service.task_runs(second)
    units = {name: state for name, state in states.items() if name.startswith(("catalog-", "cutouts-", "images-"))}
    assert len(units) >= 6
    assert {*units.values(), states["merge-small"], states["publish-small"]} == {"Cached"}
    assert states["query-small"] == "Completed"
    assert len(json.loads((service.folder / "out" / "small" / "run.json").read_text())["runs"]) == 2


def _why(service: Service, flow_run: Json) -> str:
    logs = service.ask("logs", logs={"flow_run_id": {"any_": [flow_run["id"]]}}, limit=200)
    return f"{flow_run['state']['message']}\n" + "\n".join(log["message"] for log in logs)
