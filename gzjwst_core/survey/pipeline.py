"""The survey pipeline, declared: from MAST's list to what Zooniverse, Zoobot and an astronomer need."""

from pathlib import Path

from gzjwst_core.cache.mosaic_cache import MosaicCache
from gzjwst_core.paths import default_cache
from gzjwst_core.runs.pipeline import Pipeline
from gzjwst_core.runs.profile_file import profile_folder_of
from gzjwst_core.runs.run import existing_folder
from gzjwst_core.survey.estimate import dry_run
from gzjwst_core.survey.profile import SurveyProfile
from gzjwst_core.survey.publish import write_report
from gzjwst_core.survey.request import SurveyRequest, path_faults, profile_of, start
from gzjwst_core.survey.run import SurveyRun
from gzjwst_core.survey.run_facts import facts_of_run, remarks
from gzjwst_core.survey.stages import STAGES
from gzjwst_core.survey.synthetic_archive import needs_archive, serve_synthetic_archive

__all__ = ["SURVEY"]


def _preparing(run: SurveyRun) -> str:
    return f"synthetic sky of {run.profile.name}: making or checking it" if needs_archive(run) else ""


def _begin(run: SurveyRun) -> None:
    MosaicCache(existing_folder(Path(run.cache))).sweep()


def _check(profile: str) -> tuple[str, ...]:
    request = SurveyRequest(profile=profile)
    folder = str(profile_folder_of(profile).absolute())
    run = SurveyRun(profile=profile_of(request), out="", cache=str(default_cache()), profile_folder=folder)
    return tuple(path_faults(run))


SURVEY = Pipeline(
    entrypoint="flows/run_survey.py:run_survey",
    description="Find, read, catalog, cut out, colour and hand over the galaxies of one JWST survey.",
    profile=SurveyProfile,
    request=SurveyRequest,
    stages=STAGES,
    start=start,
    dry_run=dry_run,
    prepared=serve_synthetic_archive,
    preparing=_preparing,
    begin=_begin,
    check=_check,
    facts=facts_of_run,
    report=write_report,
    remarks=remarks,
)
