"""A chunk of images as a stage: strips are outputs like the images, and the run's counts are of images alone."""

import io
from pathlib import Path

import pytest
from astropy.io import fits

from gzjwst_core.images.encode import read_metadata
from gzjwst_core.runs.close import record_of
from gzjwst_core.runs.receipts import Done, complete
from gzjwst_core.runs.record import RunLog, sums_hold
from gzjwst_core.runs.work import Receipt, Work
from gzjwst_core.survey import images as stages
from gzjwst_core.survey.images import notes_of
from gzjwst_core.survey.pipeline import SURVEY
from gzjwst_core.survey.request import SurveyRequest, start
from gzjwst_core.survey.run import SurveyRun
from tests.cutouts.skies import Blob, make_field
from tests.images.scenes import cut_bytes, flux, grids


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    field = make_field(tmp_path_factory.mktemp("f"), [Blob(0, 0, 0.25, flux(20, 20, 20, 20))], grids(17.0))
    return cut_bytes(field)


def begun(folder: Path, *overrides: str) -> SurveyRun:
    return start(
        SurveyRequest(out=str(folder), cache=str(folder / "cache"), overrides=("images.size_px=64", *overrides))
    )


def cut_chunk(run: SurveyRun, data: bytes) -> Done:
    work = Work(stage="cutouts", version="1", unit="f1-0", inputs={}, options="")

    def make() -> Receipt:
        output = run.folder.write("cutouts/f1/test_J1p2.fits", data)
        return Receipt(**work.model_dump(), key=work.key, outputs=(output,), counts={"written": 1})

    return complete(run.folder, work, make)


def test_strips_stand_beside_the_images_and_go_with_them(tmp_path: Path, data: bytes) -> None:
    run = begun(tmp_path)
    done = stages.render_chunk(run, stages.plan(run, cut_chunk(run, data)))
    assert dict(done.counts) == {"written": 1}
    receipt = stages.IMAGES.latest(run.folder, "f1-0")
    assert receipt is not None
    assert [output.path for output in receipt.files] == ["images/f1/test_J1p2.jpg", "strips/f1/test_J1p2.jpg"]
    record = next(notes_of([receipt])).record
    assert record.strip == "strips/f1/test_J1p2.jpg"
    assert record.strip_bands == read_metadata(run.folder.read(record.strip))["bands"] == "F115W,F150W,F277W,F444W"
    without = begun(tmp_path, "images.strip_px=0", 'images.layout="panels"')
    stages.render_chunk(without, stages.plan(without, cut_chunk(without, data)))
    receipt = stages.IMAGES.latest(run.folder, "f1-0")
    assert receipt is not None
    record = next(notes_of([receipt])).record
    assert (record.strip, record.strip_bands) == ("", "")
    assert record.panels == read_metadata(run.folder.read(record.image))["panels"]
    assert not [path for path in run.folder.sizes() if path.startswith("strips/")]


def test_a_strip_that_cannot_be_made_is_counted_and_costs_no_picture(tmp_path: Path, data: bytes) -> None:
    run = begun(tmp_path, "images.blue={F150W = 1.0}")
    with fits.open(io.BytesIO(data)) as hdus:
        hdus["SCI_F115W"].header["CRVAL1"] += 180.0  # in the strip, but in no channel
        hdus.writeto(damaged := io.BytesIO())
    done = stages.render_chunk(run, stages.plan(run, cut_chunk(run, damaged.getvalue())))
    assert dict(done.counts) == {"written": 1, "strips failed:bad_cutout": 1}
    record = record_of(SURVEY, run, RunLog(asked={}, begun="2026-01-01T00:00:00+00:00", seconds=1.0, stages=()))
    assert record.sums["images"] == {"total": 1, "written": 1}
    assert record.sums["strips"] == {"total": 1, "failed:bad_cutout": 1, "written": 0}
    assert sums_hold(record) == []
    assert record.outcome == "partial"
