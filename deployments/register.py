"""Register deployments for profiles of your own: `python deployments/register.py my.toml …` (default: all shipped).

prefect.yaml holds the shipped surveys; this does the same for any profile, and makes the work pool if it is not there.
PREFECT_API_URL says which server.
"""

import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
if sys.path[0] != str(_ROOT):
    sys.path.insert(0, str(_ROOT))

from tasks.settings import FOR_RUNS  # noqa: I001 - before prefect

import argparse
from typing import cast

from prefect import Flow, deploy, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import ConcurrencyLimitConfig
from prefect.deployments.runner import RunnerDeployment
from prefect.exceptions import ObjectAlreadyExists

from gzjwst_core.errors import ProfileError
from gzjwst_core.pipelines import pipeline_of
from gzjwst_core.runs.pipeline import Pipeline
from gzjwst_core.runs.profile_file import load_profile, profile_names

__all__ = ["deployment", "main", "register"]


def register(profiles: list[str], pool: str) -> list[RunnerDeployment]:
    """Register one deployment for each profile.

    Parameters
    ----------
    profiles
        Names or paths; each is validated first.
    pool
        Work pool of type `process`; made if it is not there.

    Raises
    ------
    ProfileError
        A profile is wrong: nothing is registered then.
    """
    pipelines = {profile: pipeline_of(profile) for profile in profiles}
    names = {profile: load_profile(pipeline.profile, profile).name for profile, pipeline in pipelines.items()}
    _make_pool(pool)
    made = [deployment(pipelines[profile], profile, name) for profile, name in names.items()]
    deploy(*made, work_pool_name=pool, build=False, push=False, print_next_steps_message=False)
    return made


def deployment(pipeline: Pipeline, profile: str, name: str) -> RunnerDeployment:
    """Make the deployment of one profile, which is not registered yet.

    Parameters
    ----------
    pipeline
        That the profile is of.
    profile
        Name or path.
    name
        Of the deployment.
    """
    # cast: from_source is sync or async; called outside a loop it is the flow itself
    flow = cast("Flow[..., object]", Flow.from_source(str(_ROOT), entrypoint=pipeline.entrypoint))
    given = str(Path(profile).resolve()) if profile.endswith(".toml") else profile
    made = flow.to_deployment(
        name=name,
        parameters={"request": {"profile": given}},
        tags=[pipeline.profile.head, name],
        concurrency_limit=ConcurrencyLimitConfig(limit=1),  # a second run waits for the first
        job_variables={"env": FOR_RUNS},
    )
    return cast("RunnerDeployment", made)


def _make_pool(pool: str) -> None:
    with get_client(sync_client=True) as client:
        try:
            client.create_work_pool(WorkPoolCreate(name=pool, type="process"))
        except ObjectAlreadyExists:
            return


def main() -> int:
    """Register what the command line names; returns the exit code."""
    parser = argparse.ArgumentParser(description="Register deployments of surveys with a Prefect server.")
    parser.add_argument(
        "profiles", nargs="*", default=profile_names(), help="names or TOML files (default: all shipped)"
    )
    parser.add_argument("--pool", default="local", help="work pool of type process (default: local)")
    options = parser.parse_args()
    try:
        register(options.profiles, options.pool)
    except ProfileError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
