"""A throw-away pipeline: profile, one stage, task and flow. All the rest comes from what every pipeline shares."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import tasks.settings  # noqa: F401, I001 - before prefect

from typing import ClassVar

import numpy as np
from astropy.io import fits
from prefect import flow, task

from flows.common.command_line import main
from flows.common.progress import RunProgress
from flows.common.reporting import leave
from flows.common.run_pipeline import FLOW, run_pipeline
from gzjwst_core.options.base import Options, Slug
from gzjwst_core.runs.dry_run import dry_run_of
from gzjwst_core.runs.pipeline import Pipeline
from gzjwst_core.runs.profile_file import Profile
from gzjwst_core.runs.receipts import Done, complete
from gzjwst_core.runs.record import RunEnd
from gzjwst_core.runs.request import RunRequest, run_values
from gzjwst_core.runs.run import Run
from gzjwst_core.runs.stage import Stage
from gzjwst_core.runs.work import Receipt, Work
from gzjwst_core.storage.file_digests import digest_of_files, existing_files
from tasks.policy import RECEIPTED, as_state


class DestripeOptions(Options):
    name: Slug
    files: str
    """Pattern of the FITS files."""
    axis: int = 1
    """Along which the stripes run."""


class DestripeProfile(Profile):
    head: ClassVar[str] = "destripe"
    destripe: DestripeOptions


class DestripeRun(Run):
    profile: DestripeProfile


DESTRIPE = Stage("destripe", line=lambda done: f"{len(done)} files", writes={"image": "destriped/{unit}.fits"})


def works(run: DestripeRun) -> dict[str, Work]:
    files = existing_files(run.beside_profile(run.profile.destripe.files, "destripe.files"))
    options = run.profile.destripe.digest()
    return {str(file): DESTRIPE.work(file.stem, {"file": digest_of_files(file)}, options) for file in files}


def destripe(run: DestripeRun, work: Work, file: str) -> Done:
    def make() -> Receipt:
        image = fits.getdata(file)
        with run.folder.writing(DESTRIPE.path("image", work.unit)) as path:
            fits.writeto(path, image - np.median(image, axis=run.profile.destripe.axis, keepdims=True))
        return DESTRIPE.receipt(work, {"image": run.folder.output(DESTRIPE.path("image", work.unit))}, {"written": 1})

    return complete(run.folder, work, make)


PIPELINE = Pipeline(
    entrypoint="tests/flows/destripe_files.py:destripe_files",
    description="Take the median of each row off images.",
    profile=DestripeProfile,
    request=RunRequest,
    stages=(DESTRIPE,),
    start=lambda request: DestripeRun(**run_values(request, DestripeProfile)),
    dry_run=lambda run: dry_run_of(run, works(run).values()),
)


@task(name="destripe", task_run_name="destripe-{work.unit}", **RECEIPTED)
def destripe_file(run: DestripeRun, work: Work, file: str) -> Done:
    return as_state(destripe(run, work, file))


@flow(name="destripe", **FLOW)
def destripe_files(request: RunRequest) -> RunEnd:
    """Destripe every file that the profile names."""
    return run_pipeline(PIPELINE, request, _stages)


def _stages(run: DestripeRun, progress: RunProgress) -> None:
    progress.each(DESTRIPE, {w.unit: destripe_file.submit(run, w, file) for file, w in works(run).items()})


if __name__ == "__main__":
    leave(main(PIPELINE, destripe_files))
