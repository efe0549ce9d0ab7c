"""Hot and cold passes: pieces go to their galaxy, neighbours stay, and no seam is seen."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sep
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from gzjwst_core.detection import calibrate as calibrating
from gzjwst_core.detection.calibrate import calibrate
from gzjwst_core.detection.calibrated_frame import Frame
from gzjwst_core.detection.detect import Extraction, extract
from gzjwst_core.detection.filtered_noise import with_filters
from gzjwst_core.detection.hot_cold import linked_pixels, merge_passes
from gzjwst_core.detection.noise_model import learn_bands
from gzjwst_core.detection.tiles import DetectionPlan, band_frames, detect_field
from gzjwst_core.mosaics.geometry import Box, whole
from gzjwst_core.mosaics.segmap import open_segmap
from gzjwst_core.options import DetectOptions, MosaicOptions
from tests.catalog.tiny_sky import TinySky, recommended

OPTIONS = recommended(passes="hot+cold").detect


def galaxy_with_knots() -> Frame:
    """A large disc with six knots on it, and a faint neighbour beside it."""
    rng = np.random.default_rng(2)
    yy, xx = np.mgrid[:140, :140]
    image = rng.standard_normal((140, 140)) + 60 * np.exp(-np.hypot(yy - 70, xx - 60) / 9)
    for angle in np.arange(6) * np.pi / 3:
        y, x = 70 + 14 * np.sin(angle), 60 + 14 * np.cos(angle)
        image += 40 * np.exp(-((yy - y) ** 2 + (xx - x) ** 2) / 4)
    image += 12 * np.exp(-((yy - 70) ** 2 + (xx - 118) ** 2) / 6)
    return Frame(image.astype(np.float32), np.ones((140, 140), np.float32), np.zeros((140, 140), dtype=bool))


def both() -> list[Extraction]:
    frame = galaxy_with_knots()
    return [extract(frame, OPTIONS.cold, 0.06, filter_noise=0.15), extract(frame, OPTIONS, 0.06, filter_noise=0.3)]


def test_knots_go_to_their_galaxy_and_the_neighbour_stays() -> None:
    cold, hot = both()
    assert len(cold.objects) == 1
    assert len(hot.objects) >= 6
    made = merge_passes([cold, hot], 3.0)
    assert len(made.objects) == 2
    assert made.labels[70, 60] == 1
    assert made.labels[70, 118] == 2
    assert set(np.unique(made.labels)) == {0, 1, 2}
    assert (made.labels[cold.labels > 0] == 1).all()
    assert (made.labels == 1).sum() >= (cold.labels > 0).sum()


def test_one_pass_or_nothing_cold_changes_nothing() -> None:
    cold, hot = both()
    assert merge_passes([hot], 3.0) is hot
    nothing = Extraction(cold.objects[:0], np.zeros_like(cold.labels))
    assert merge_passes([nothing, hot], 3.0) is hot
    np.testing.assert_array_equal(linked_pixels([nothing, hot], 3.0), hot.labels > 0)


def test_every_label_has_its_object_and_what_hangs_together_holds_them_all() -> None:
    passes = both()
    for margin in (0.0, 5.0, 60.0):
        made = merge_passes(passes, margin)
        assert made.labels.max() == len(made.objects)
        assert linked_pixels(passes, margin)[made.labels > 0].all()


@pytest.fixture(scope="module")
def plan(sky: TinySky) -> DetectionPlan:
    """The hardest recipe, calibrated on the small sky: chi-mean, hot and cold."""
    options = recommended(combine="chi-mean", passes="hot+cold").detect
    found = learn_bands(sky.fields["o001_t001"][1:], MosaicOptions(), options.mesh_arcsec, cpu_map=map)
    return calibrate(DetectionPlan(tuple(found.values()), MosaicOptions(), options), cpu_map=map)


def detected(plan: DetectionPlan, path: Path, **changes: Any) -> tuple[NDArray[Any], NDArray[np.int32]]:
    options: DetectOptions = plan.options.model_copy(update=changes)
    objects = detect_field(replace(plan, options=options), path, cpu_map=map).objects
    with open_segmap(path) as segmap:
        return objects, segmap.window(whole(segmap.shape))


def test_what_the_recipe_needs_is_calibrated(plan: DetectionPlan) -> None:
    assert len(plan.band_noise) == 2
    assert all(0.2 < noise < 0.8 for noise in plan.band_noise)
    assert 0 < plan.cold_noise < plan.filter_noise
    assert 0.2 < plan.roughness < 0.8
    usual = replace(plan, options=recommended().detect, band_noise=())
    assert with_filters(usual, []) is usual


def test_nothing_is_lost_or_doubled_at_seams(plan: DetectionPlan, tmp_path: Path) -> None:
    one, labels = detected(plan, tmp_path / "one.fits")
    many, pieces = detected(plan, tmp_path / "many.fits", tile_px=128, halo_px=64)
    assert len(one) > 30
    assert (
        abs(len(one) - len(many)) <= 1
    )  # SEP deals a blend's last pixels out at random, and cleans by what came of it
    distance, row = cKDTree(np.column_stack([many["x"], many["y"]])).query(np.column_stack([one["x"], one["y"]]))
    assert len(set(row.tolist())) >= len(one) - 1
    alone = (one["flag"] & sep.OBJ_MERGED) == 0
    assert alone.sum() > 20
    assert distance[alone].max() < 1e-9
    assert np.mean(distance < 0.01) >= 0.85
    assert np.mean((labels > 0) == (pieces > 0)) > 0.9995
    for objects, seen in ((one, labels), (many, pieces)):
        assert np.unique(seen[seen > 0]).tolist() == objects["id"].tolist()
    again, same = detected(plan, tmp_path / "again.fits", tile_px=128, halo_px=64)
    assert again.tobytes() == many.tobytes()
    assert same.tobytes() == pieces.tobytes()


@pytest.mark.parametrize("combine", ["ivw", "chi-mean"])
def test_a_band_that_is_not_on_these_tiles_does_no_harm(
    plan: DetectionPlan, monkeypatch: pytest.MonkeyPatch, combine: str
) -> None:
    """It may be elsewhere: there it counts as calibrated; the stack of the others is measured all the same."""

    def without_the_second(plan: DetectionPlan, box: Box) -> list[Frame]:
        first, second = band_frames(plan, box)
        nothing = np.zeros_like(second.sub)
        return [first, Frame(nothing, nothing, np.ones_like(second.bad))]

    monkeypatch.setattr(calibrating, "band_frames", without_the_second)
    options = recommended(combine=combine, passes="hot+cold").detect
    made = calibrate(replace(plan, options=options, err_factor=1.0, band_noise=()), cpu_map=map)
    assert made.cold_noise > 0
    expected = (plan.band_noise[0], 1.0) if combine == "chi-mean" else ()
    assert made.band_noise == pytest.approx(expected, rel=0.05)
