"""Single bands as a stage: made once, redone for other bands only, gone when nobody asks; then handed over."""

from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table

from gzjwst_core.errors import CatalogError
from gzjwst_core.images.render import render_cutout
from gzjwst_core.runs.receipts import Done, all_latest, complete
from gzjwst_core.runs.work import Receipt, Work
from gzjwst_core.storage.kept import KEPT
from gzjwst_core.storage.tables import read_parquet, write_parquet
from gzjwst_core.survey import publish, training
from gzjwst_core.survey.catalog import CATALOG
from gzjwst_core.survey.cutouts import CUTOUTS, Plan, tidy
from gzjwst_core.survey.images import IMAGES
from gzjwst_core.survey.publish import SIDES, ZOOBOT
from gzjwst_core.survey.request import SurveyRequest, start
from gzjwst_core.survey.run import SurveyRun
from tests.cutouts.skies import Blob, make_field
from tests.images.scenes import OPTIONS, cut_bytes, flux, grids
from tests.publish.conftest import make_catalog, make_image
from tests.publish.subjects import hand, new_run

STEM = "demo_J000000.00p020000.0"
CUTOUT = f"cutouts/f0/{STEM}.fits"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path


def run_with(out: Path, *bands: str, **more: str) -> SurveyRun:
    listed = ",".join(f'"{band}"' for band in bands)
    overrides = (
        "select.cuts=[{column='is_primary',equals=true}]",
        f"publish.zoobot_fits=[{listed}]",
        *(f"{key}={value}" for key, value in more.items()),
    )
    return start(SurveyRequest(out=str(out), cache=str(out / "cache"), overrides=overrides))


@pytest.fixture
def cut(out: Path) -> Done:
    """One chunk of one cutout and its image, a survey catalog, and their receipts."""
    run = run_with(out)
    data = cut_bytes(make_field(out / "sky", [Blob(0, 0, 0.2, flux(20, 20, 20, 20))], grids(30.0, side=5.0)))
    image = render_cutout(f"{STEM}.fits", data, OPTIONS).data
    assert image is not None
    catalog = make_catalog(1)
    catalog["is_primary"] = True
    with run.folder.writing(CATALOG) as path:
        write_parquet(catalog, path)
    note = {"record": make_image(catalog, 0).model_dump(mode="json"), "measures": {}}
    leave(run, "merge", "survey", {CATALOG: run.folder.read(CATALOG)})
    leave(run, IMAGES.name, "f0-0of1", {f"images/f0/{STEM}.jpg": image}, note)
    return leave(run, CUTOUTS.name, "f0-0of1", {CUTOUT: data})


def leave(run: SurveyRun, stage: str, unit: str, files: dict[str, bytes], *notes: object) -> Done:
    work = Work(stage=stage, version="1", unit=unit, inputs={}, options="")
    outputs = tuple(run.folder.write(path, data) for path, data in files.items())
    made = Receipt(**work.model_dump(), key=work.key, outputs=outputs, notes={"images": list(notes)})
    return complete(run.folder, work, lambda: made)


def step(run: SurveyRun, cut: Done) -> list[Done]:
    return [training.split_chunk(run, work) for work in training.plan(run, [cut]).values()]


def singles(run: SurveyRun) -> list[str]:
    return [path for path in run.folder.sizes("zoobot") if path not in {SIDES, ZOOBOT}]


def hand_over(run: SurveyRun) -> Table:
    publish.hand_over(run, publish.plan(run))
    return read_parquet(Path(run.folder.url) / ZOOBOT)


def test_a_second_run_redoes_nothing_and_another_band_is_added(out: Path, cut: Done) -> None:
    (first,) = step(run_with(out, "F277W"), cut)
    assert (first.fresh, first.counts) == (True, {"written": 1})
    (again,) = step(run_with(out, "F277W"), cut)
    assert not again.fresh
    kept = (Path(run_with(out).folder.url) / f"zoobot/F277W/f0/{STEM}.fits").stat().st_mtime_ns
    (more,) = step(run_with(out, "F444W", "F277W", "F356W"), cut)
    assert more.counts == {"skipped:no_band": 1, "written": 2}
    assert singles(run_with(out)) == [f"zoobot/{band}/f0/{STEM}.fits" for band in ("F277W", "F444W")]
    assert (Path(run_with(out).folder.url) / f"zoobot/F277W/f0/{STEM}.fits").stat().st_mtime_ns == kept


def test_the_order_of_bands_is_no_other_question(out: Path, cut: Done) -> None:
    step(run_with(out, "F277W", "F444W"), cut)
    assert not step(run_with(out, "F444W", "F277W"), cut)[0].fresh


def test_bands_that_nobody_asks_for_any_more_are_removed(out: Path, cut: Done) -> None:
    step(run_with(out, "F277W", "F444W"), cut)
    step(run_with(out, "F444W"), cut)
    assert singles(run_with(out)) == [f"zoobot/F444W/f0/{STEM}.fits"]
    assert step(run_with(out), cut) == []
    assert singles(run_with(out)) == []
    assert run_with(out).folder.names("receipts/training") == []


def test_single_bands_go_with_their_cutouts(out: Path, cut: Done) -> None:
    run = run_with(out, "F277W")
    step(run, cut)
    tidy(run, Plan(chunks={"f0": ()}, fields=("f0",), selected=1))
    assert singles(run) == []


def test_the_hand_over_knows_the_files_that_stand(out: Path, cut: Done) -> None:
    run = run_with(out, "F277W", "F444W")
    without = publish.plan(run)
    step(run_with(out, "F277W"), cut)
    assert publish.plan(run).key != without.key
    row = hand_over(run)[0]
    assert (row["file_loc_F277W"], row["file_loc_F444W"]) == (f"zoobot/F277W/f0/{STEM}.fits", "")
    assert "file_loc_F277W" not in hand_over(run_with(out)).colnames


@pytest.mark.parametrize("memory", [SIDES, ZOOBOT])
def test_a_later_hand_over_leaves_everyone_on_their_side(out: Path, cut: Done, memory: str) -> None:
    """By the memory itself; where that is lost, by the catalog before."""
    run = run_with(out)
    hand_over(run)
    folder = Path(run.folder.url)
    table = read_parquet(folder / memory)
    other = "train" if table["split"][0] == "test" else "test"
    table["split"] = [other]
    for copy in (folder / memory, folder / KEPT / memory):
        if copy.exists():
            write_parquet(table, copy)
    if memory == ZOOBOT:
        for path in (SIDES, f"{KEPT}{SIDES}"):
            (folder / path).unlink()
    assert hand_over(run_with(out, "F277W"))["split"].tolist() == [other]
    drawn = hand_over(run_with(out, **{"publish.test_share": "0.0"}))
    assert drawn["split"].tolist() == ["train"]


def test_a_damaged_memory_is_not_drawn_anew(out: Path, cut: Done) -> None:
    hand_over(run_with(out))
    folder = Path(run_with(out).folder.url)
    for name in (SIDES, ZOOBOT):
        for path in (folder / name, folder / KEPT / name):
            path.write_bytes(b"PAR1 and nothing")
        with pytest.raises(CatalogError, match=name):
            hand_over(run_with(out, "F277W"))
        for path in (folder / name, folder / KEPT / name):
            path.unlink(missing_ok=True)
    assert np.isin(hand_over(run_with(out, "F277W"))["split"], ["train", "test"]).all()


@pytest.mark.parametrize(("where", "damage"), [("", b""), ("", b"PAR1 and nothing"), ("", None), (KEPT, None)])
def test_a_damaged_memory_is_healed_from_its_copy(out: Path, cut: Done, where: str, damage: bytes | None) -> None:
    """Or the copy from the memory; None = cut in half."""
    hand_over(run_with(out))
    path = Path(run_with(out).folder.url) / f"{where}{SIDES}"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    hand_over(run_with(out))
    assert path.read_bytes() == whole


def test_whoever_is_missing_for_one_hand_over_comes_back_to_its_side(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    hand(run, 10)
    folder = Path(run.folder.url)
    table = read_parquet(folder / SIDES)
    table["split"] = np.where(table["split"] == "test", "train", "test")
    for copy in (folder / SIDES, folder / KEPT / SIDES):
        write_parquet(table, copy)
    hand(run, 4)
    assert len(read_parquet(folder / ZOOBOT)) == 4
    hand(run, 10)
    assert read_parquet(folder / ZOOBOT)["split"].tolist() == table["split"].tolist()
    (receipt,) = all_latest(run.folder, "publish")
    assert SIDES in {output.path for output in receipt.files}
    assert read_parquet(folder / SIDES)["id_str"].tolist() == table["id_str"].tolist()
