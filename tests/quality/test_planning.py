"""What controls cost: no fetch of their own, nothing that their pixels do not depend on, and no run its outcome."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from gzjwst_core.cutouts.read import read_cutout
from gzjwst_core.models import Field, MosaicSource
from gzjwst_core.quality.choose import PAIRS, STARS
from gzjwst_core.runs.receipts import complete, standing
from gzjwst_core.runs.work import Receipt, Work
from gzjwst_core.storage.folder import Folder
from gzjwst_core.storage.tables import read_parquet, write_parquet
from gzjwst_core.survey import controls as cutting
from gzjwst_core.survey.catalog import CATALOG, segmap_path
from gzjwst_core.survey.controls import CONTROLS, ControlPlan, cut_controls, plan_controls
from gzjwst_core.survey.cutouts import Plan
from gzjwst_core.survey.cutouts import plan as plan_cutouts
from gzjwst_core.survey.request import SurveyRequest, start
from gzjwst_core.survey.run import SurveyRun
from tests.cutouts.skies import DEC, RA, Blob, make_field
from tests.images.scenes import flux, grids
from tests.test_stages import CUTS, survey


def run_with(tmp_path: Path, *overrides: str) -> SurveyRun:
    return start(SurveyRequest(out=str(tmp_path), cache=str(tmp_path / "cache"), overrides=(CUTS, *overrides)))


@pytest.fixture
def fields(tmp_path: Path) -> list[Field]:
    """Two fields: two galaxies of the north are also seen in the south, which has two stars."""
    run = run_with(tmp_path)
    made = survey(run, {"north": [20.0] * 3, "south": [20.0] * 5})
    with run.folder.reading(CATALOG) as path:
        table = read_parquet(path)
    stars, again = np.array([6, 7]), np.array([3, 4])
    table["group_id"][again], table["is_primary"][again] = [0, 1], False
    table["mag_ref"][stars] = 27.0
    for name, value in {"snr_det": 90.0, "nn_dist": 3.0, "valid_frac_min": 1.0}.items():
        table[name] = np.full(len(table), value)
    table["is_star"] = np.isin(np.arange(len(table)), stars)
    table["ra"], table["dec"] = RA, DEC
    with run.folder.writing(CATALOG) as path:
        write_parquet(table, path)
    return made


def planned(run: SurveyRun, fields: Sequence[Field]) -> tuple[Plan, ControlPlan]:
    cutouts = plan_cutouts(run, fields)
    return cutouts, plan_controls(run, fields, cutouts)


def finish(run: SurveyRun, fields: Sequence[Field]) -> dict[str, Work]:
    """Leave every chunk and control, as if they had been cut; returns the controls' works."""
    cutouts, asides = planned(run, fields)
    for work in (work for works in cutouts.chunks.values() for work in works):
        complete(run.folder, work, partial(Receipt, **work.model_dump(), key=work.key))
    for one in asides.values():
        complete(run.folder, one.work, partial(receipt, run.folder, one))
    return {name: one.work for name, one in asides.items()}


def receipt(folder: Folder, planned: cutting.FieldControls) -> Receipt:
    outputs = tuple(folder.write(one.path, b"pixels") for one in planned.controls)
    notes = {"controls": [one.model_dump(mode="json") for one in planned.controls]}
    return Receipt(**planned.work.model_dump(), key=planned.work.key, outputs=outputs, notes=notes)


def test_stars_and_galaxies_of_other_fields_are_cut_with_the_chunks(tmp_path: Path, fields: list[Field]) -> None:
    _, asides = planned(run_with(tmp_path), fields)
    views = [(one.view, one.id_str) for one in asides["south"].controls]
    galaxies = [(PAIRS, f"demo_Jnorth00{row}+02") for row in range(2)]
    assert sorted(views) == sorted([*galaxies, (STARS, "demo_Jsouth003+02"), (STARS, "demo_Jsouth004+02")])
    assert list(asides) == ["south"]


@pytest.mark.parametrize("wanted", ["quality.control_stars=1", "quality.control_pairs=1"])
def test_a_field_whose_chunks_stand_keeps_its_controls(
    tmp_path: Path, fields: list[Field], wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless its mosaics are at hand: others are never fetched for controls alone, least of all to drop some."""
    before = finish(run_with(tmp_path), fields)
    run = run_with(tmp_path, wanted)
    _, asides = planned(run, fields)
    assert {name: one.work for name, one in asides.items()} == before
    assert standing(run.folder, asides["south"].work) is not None
    monkeypatch.setattr(cutting, "is_cached", lambda _run, _mosaic: True)
    _, asides = planned(run, fields)
    assert len(asides["south"].controls) == 3
    assert standing(run.folder, asides["south"].work) is None


def test_controls_are_cut_anew_with_chunks_and_forgotten_with_their_mosaics(
    tmp_path: Path, fields: list[Field]
) -> None:
    before = finish(run_with(tmp_path), fields)
    run = run_with(tmp_path, "quality.control_stars=1", "cutouts.planes=['ERR']")
    cutouts, asides = planned(run, fields)
    assert len(asides["south"].controls) == 3  # the chunks are another kind of cutouts: they are cut anyway
    assert asides["south"].work != before["south"]
    other = [one.replace(mosaics=tuple(m.replace(identity="other") for m in one.mosaics)) for one in fields]
    stands = Plan(chunks={}, fields=cutouts.fields, selected=1)
    assert plan_controls(run, other, stands) == {}
    assert CONTROLS.latest(run.folder, "south") is None


def test_controls_that_nobody_wants_any_more_go_without_a_mosaic(tmp_path: Path, fields: list[Field]) -> None:
    finish(run_with(tmp_path), fields)
    run = run_with(tmp_path, "quality.control_stars=0", "quality.control_pairs=0")
    assert planned(run, fields)[1] == {}
    assert not [path for path in run.folder.sizes() if path.startswith("controls/")]


@pytest.mark.parametrize(
    "other", ["cutouts.chunk_size=2", "cutouts.fov_fixed_arcsec=7.0", "quality.fill={warn=[0.1,0.9]}"]
)
def test_a_controls_key_knows_only_what_reaches_its_pixels(tmp_path: Path, fields: list[Field], other: str) -> None:
    before = finish(run_with(tmp_path), fields)
    _, asides = planned(run_with(tmp_path, other), fields)
    assert asides["south"].work == before["south"]


def test_a_field_is_cut_from_what_its_plan_holds(
    tmp_path: Path, fields: list[Field], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The survey catalog, which may be large, is not read again for every field."""
    run = run_with(tmp_path)
    _, asides = planned(run, fields)
    run.folder.remove(CATALOG)
    sky = make_field(tmp_path / "sky", [Blob(0, 0, 0.2, flux(1.5, 1.5, 1.5, 1.5))], grids(0.0), noise=0.02)
    run.folder.write(segmap_path("south"), sky.segmap_path.read_bytes())

    @contextmanager
    def reading(_run: SurveyRun, _field: Field) -> Iterator[tuple[MosaicSource, ...]]:
        yield sky.sources

    monkeypatch.setattr(cutting, "reading", reading)
    south = asides["south"]
    assert cut_controls(run, south.work, south.controls, fields[1], []).counts == {"stars": 2, "pairs": 2}
    for one in south.controls:
        cutout = read_cutout(run.folder.read(one.path))
        assert (cutout.id_str, cutout.field, cutout.fov_arcsec) == (one.id_str, "south", one.fov_arcsec)
