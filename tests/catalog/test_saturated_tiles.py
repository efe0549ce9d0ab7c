"""A tile that is above the threshold everywhere: nothing is detected there, and that is told."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gzjwst_core.detection import tiles
from gzjwst_core.detection.calibrated_frame import Frame
from gzjwst_core.detection.detect import Extraction, extract
from gzjwst_core.errors import CatalogError
from gzjwst_core.models import MosaicSource
from gzjwst_core.photometry.field_catalog import build_field_catalog
from tests.catalog.tiny_sky import recommended, source_of, write_plain

PROFILE = recommended(tile_px=128, halo_px=16)


@pytest.fixture
def source(tmp_path: Path) -> MosaicSource:
    """Three by two tiles of noise, with one source."""
    image = np.random.default_rng(1).normal(0, 0.01, (300, 200)).astype(np.float32)
    image[220:223, 90:93] = 1.0
    path = write_plain(tmp_path / "m.fits", image)
    return source_of(path, "F277W", unit="uJy", pixel_scale_arcsec=0.06, centre_ra_deg=150.0, centre_dec_deg=2.0)


def refuse(_frame: Frame, *_: Any, **__: Any) -> Extraction:
    raise CatalogError("everything is above the threshold", reason="saturated")


def test_it_is_told_of_and_the_others_are_searched(
    source: MosaicSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(
        tiles,
        "extract",
        lambda frame, *given, **more: (extract if frame.sub.max() > 0.5 else refuse)(frame, *given, **more),
    )
    made = build_field_catalog([source], PROFILE, tmp_path / "s.fits", bands=("F277W",))
    assert len(made.table) == 1
    assert 0 < made.counts["saturated_tiles"] < made.counts["tiles"]
    assert "tiles are above the threshold nearly everywhere" in caplog.text


def test_a_field_of_such_tiles_is_refused(
    source: MosaicSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiles, "extract", refuse)
    with pytest.raises(CatalogError, match=r"6 of 6 tiles .* no source elsewhere") as caught:
        build_field_catalog([source], PROFILE, tmp_path / "s.fits", bands=("F277W",))
    assert caught.value.reason == "saturated"
