"""Which tiles of a mosaic stand for its empty sky."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from gzjwst_core.detection import noise_model as learn
from gzjwst_core.detection.calibrate import calibrate
from gzjwst_core.detection.noise_model import Grid, learn_bands, spread
from gzjwst_core.detection.tiles import DetectionPlan
from gzjwst_core.options import DetectOptions, MosaicOptions, PhotometryOptions
from gzjwst_core.photometry.forced import ForcedPlan
from gzjwst_core.photometry.source_table import mosaic_table
from tests.catalog.tiny_sky import TinySky, edited, source_of, write_plain


@pytest.mark.parametrize("shape", [(4096, 4096), (12288, 12288), (12288, 8192), (24000, 24000)])
def test_twelve_tiles_stand_for_all_rows_and_columns(shape: tuple[int, int]) -> None:
    """Of 12 x 12 tiles, every twelfth in order would be one column."""
    tiles = Grid(shape, 0.03, 64).tiles
    chosen = spread(tiles, [box.shape[0] * box.shape[1] for box in tiles], 12)
    assert len(set(chosen)) == 12
    for few in (chosen, chosen[:6]):
        assert len({box.y0 for box in few}) >= 4
        assert len({box.x0 for box in few}) >= 4


def test_tiles_without_data_and_strips_are_not_taken() -> None:
    tiles = Grid((4100, 4100), 0.03, 64).tiles
    data = [0 if box.y0 == 0 else box.shape[0] * box.shape[1] for box in tiles]
    chosen = spread(tiles, data, 99)
    assert len(chosen) == 12
    assert all(box.y0 > 0 and box.shape == (1024, 1024) for box in chosen)
    assert spread(tiles, [0] * len(tiles), 12) == ()


def test_a_rim_without_data_as_wide_as_a_tile_loses_no_field(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learn, "_TILE_PX", 32)
    image = np.full((384, 384), np.nan, dtype=np.float32)
    image[32:-32, 32:-32] = np.random.default_rng(3).normal(size=(320, 320))
    path = write_plain(tmp_path / "rim.fits", image)
    stated: dict[str, Any] = {"unit": "nJy", "pixel_scale_arcsec": 0.06, "centre_ra_deg": 150.1, "centre_dec_deg": 1.9}
    options = MosaicOptions()
    learned = learn_bands([source_of(path, "F444W", **stated)], options, 1.92, cpu_map=map)["F444W"]
    assert len(learned.sample) == 12
    assert learned.slim().sample == learned.sample
    with fits.open(path) as hdus:
        assert all(np.isfinite(hdus[0].data[box.slices]).all() for box in learned.sample)
    plan = calibrate(DetectionPlan((learned.slim(),), options, DetectOptions()), cpu_map=map)
    assert plan.err_factor == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(("dropped", "known"), [(("ERR",), True), (("ERR", "WHT"), False)])
def test_the_factor_of_weights_is_stated_and_nothing_where_there_are_none(
    sky: TinySky, tmp_path: Path, dropped: tuple[str, ...], known: bool
) -> None:
    """Without an error map the noise comes from the weights, which are calibrated too."""

    def drop(hdus: fits.HDUList) -> None:
        for name in dropped:
            del hdus[name]

    source = edited(sky.fields["o001_t001"][2], tmp_path, drop)
    options = MosaicOptions()
    learned = learn_bands([source], options, 5.0, cpu_map=map)["F444W"]
    plan = DetectionPlan((learned,), options, DetectOptions())
    mosaics = mosaic_table(ForcedPlan(plan, (learned,), PhotometryOptions(), "", "F444W", learned.model.noise))
    assert not learned.model.has_err
    assert bool(mosaics["err_factor"][0] == learned.model.err_factor) is known
    assert bool(np.isnan(mosaics["err_factor"][0])) is not known
