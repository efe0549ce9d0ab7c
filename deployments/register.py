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

from flows.run_survey import run_survey
from gzjwst_core.errors import ProfileError
from gzjwst_core.survey.profile import load_profile, profile_names

__all__ = ["main", "register"]


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
    surveys = {profile: load_profile(profile).name for profile in profiles}
    _make_pool(pool)
    # cast: from_source is sync or async; called outside a loop it is the flow itself
    flow = cast("Flow[..., object]", run_survey.from_source(str(_ROOT), entrypoint="flows/run_survey.py:run_survey"))
    made = [_deployment(flow, profile, survey) for profile, survey in surveys.items()]
    deploy(*made, work_pool_name=pool, build=False, push=False, print_next_steps_message=False)
    return made


def _deployment(flow: "Flow[..., object]", profile: str, survey: str) -> RunnerDeployment:
    given = str(Path(profile).resolve()) if profile.endswith(".toml") else profile
    made = flow.to_deployment(
        name=survey,
        parameters={"request": {"profile": given}},
        tags=["survey", survey],
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
