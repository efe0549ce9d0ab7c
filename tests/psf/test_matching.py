"""Matching kernels, images convolved around gaps, and colours of stars in a field whose bands are matched."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from scipy.ndimage import gaussian_filter

from gzjwst_core.catalog.columns import catalog_columns
from gzjwst_core.detection.calibrated_frame import Frame
from gzjwst_core.detection.empty_apertures import SkyTile, circles, sky_window, with_laws
from gzjwst_core.detection.noise_model import learn_bands
from gzjwst_core.detection.tiles import DetectionPlan
from gzjwst_core.errors import ProfileError
from gzjwst_core.mosaics.geometry import whole
from gzjwst_core.mosaics.reader import open_mosaic
from gzjwst_core.mosaics.segmap import SegmapWriter
from gzjwst_core.options import DetectOptions, MosaicOptions, PhotometryOptions, PsfOptions
from gzjwst_core.photometry.field_catalog import build_field_catalog
from gzjwst_core.photometry.forced import ForcedPlan
from gzjwst_core.photometry.psf_matched import _with_laws
from gzjwst_core.psf.matching import convolved, matching_kernel
from gzjwst_core.psf.model import model_psf
from gzjwst_core.psf.stamp import Psf, unit_sum
from tests.catalog.tiny_sky import Profile, render_sky, source_of, write_plain
from tests.psf.star_field import NOTHING_ELSE, encircled, true_psf
from tests.psf.test_psf import gaussian


def test_a_kernel_makes_the_narrow_one_the_wide_one_on_other_pixels() -> None:
    narrow, wide = Psf(unit_sum(gaussian(61, 2.0)), 0.03, "model"), Psf(unit_sum(gaussian(41, 2.0)), 0.06, "model")
    kernel = matching_kernel(narrow, wide)
    assert float(kernel.sum()) == pytest.approx(1, abs=1e-5)
    image, bad = convolved(narrow.pixels, np.zeros(narrow.pixels.shape, bool), kernel)
    assert not bad[20:-20, 20:-20].any()
    made = Psf(image, 0.03, "model")
    for radius in (0.1, 0.2, 0.4):
        assert encircled(made, radius) == pytest.approx(encircled(wide, radius), abs=0.015)


def test_a_kernel_turns_with_the_grid() -> None:
    narrow, flat = Psf(unit_sum(gaussian(61, 1.5)), 0.03, "model"), Psf(unit_sum(gaussian(61, 6, ratio=0.5)), 0.03, "m")
    kernel = matching_kernel(narrow, flat, turn_deg=90)
    y, x = np.mgrid[-30:31, -30:31]
    assert (kernel * y * y).sum() > 2 * (kernel * x * x).sum()


def test_gaps_do_not_bleed() -> None:
    image, bad = np.full((60, 60), 3.0, np.float32), np.zeros((60, 60), bool)
    bad[:, :20], image[:, :20] = True, np.nan
    out, lost = convolved(image, bad, unit_sum(gaussian(21, 3.0)))
    assert lost[:, :20].all()
    assert not lost[10:-10, 21:-10].any()
    np.testing.assert_allclose(out[~lost], 3.0, rtol=1e-4)


def test_without_photutils_the_profile_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "photutils.psf_matching", None)
    psf = Psf(unit_sum(gaussian(21, 2.0)), 0.03, "model")
    with pytest.raises(ProfileError, match="extra `psf`") as caught:
        matching_kernel(psf, psf)
    assert caught.value.reason == "missing_extra"


def test_matched_colours_of_stars_are_true(tmp_path: Path) -> None:
    given = {**NOTHING_ELSE, "stars_per_arcmin2": 250.0, "size_arcsec": 20.0, "seed": 8}
    given.pop("missing")
    sky = render_sky(tmp_path, ("F150W", "F444W"), **given)
    files = {}
    for band in sky.bands:
        psf, files[band] = true_psf(band), str(tmp_path / f"psf_{band}.fits")
        fits.PrimaryHDU(psf.pixels, fits.Header({"PIXELSCL": psf.scale_arcsec})).writeto(files[band])
    profile = Profile(psf=PsfOptions(match="reddest", files=files))
    made = build_field_catalog(sky.fields["o001_t001"], profile, tmp_path / "seg.fits", bands=(*sky.bands, "F480M"))
    assert {name for name in made.counts if name.startswith("psf")} == {"psf:F150W:profile", "psf:F444W:profile"}
    names = [c.name for c in catalog_columns((*sky.bands, "F480M"), PhotometryOptions(), profile.psf)]
    assert made.table.colnames == names
    assert np.isnan(made.table["F480M_flux_matched"]).all()
    truth = sky.truth[np.asarray(sky.truth["mag_F444W"]) < 25]
    there = SkyCoord(truth["ra_deg"], truth["dec_deg"], unit="deg")
    row, apart, _ = there.match_to_catalog_sky(SkyCoord(made.table["ra"], made.table["dec"], unit="deg"))
    found, true = made.table[row[apart.arcsec < 0.1]], truth[apart.arcsec < 0.1]
    found, true = (t[(found["flags"] & 1037) == 0] for t in (found, true))

    def error(column: str) -> float:
        colour = np.asarray(found[f"F150W_{column}"]) / np.asarray(found[f"F444W_{column}"])
        right = np.asarray(true["flux_F150W_ujy"]) / np.asarray(true["flux_F444W_ujy"])
        return abs(float(np.median(-2.5 * np.log10(colour / right))))

    assert len(found) > 5
    assert error("flux_auto") > 0.03  # light that F444W's wings carry out of the ellipse
    assert error("flux_matched") < 0.02
    assert (found["F150W_fluxerr_matched"] > 0).all()
    for name in ("flux", "fluxerr"):  # nothing is convolved in the reddest band: one number, one error, wings and all
        np.testing.assert_allclose(made.table[f"F444W_{name}_matched"], made.table[f"F444W_{name}_auto"], rtol=1e-5)


def test_the_noise_of_a_convolved_frame_keeps_its_peaks(tmp_path: Path) -> None:
    """Pure correlated noise without a segment: its law is that of all circles there are."""
    image = gaussian_filter(np.random.default_rng(1).normal(size=(500, 500)), 0.6).astype(np.float32)
    path = write_plain(tmp_path / "noise.fits", image / image.std())
    stated: dict[str, Any] = {"unit": "nJy", "pixel_scale_arcsec": 0.03, "centre_ra_deg": 150.1, "centre_dec_deg": 1.9}
    options = MosaicOptions()
    learned = learn_bands([source_of(path, "F150W", **stated)], options, 6.0, cpu_map=map)["F150W"].slim()
    with open_mosaic(learned.source, options) as reader, SegmapWriter(tmp_path / "seg.fits", (500, 500), reader.wcs):
        pass
    plan = DetectionPlan((learned,), options, DetectOptions())
    kernel = matching_kernel(model_psf("F150W", 0.03), model_psf("F444W", 0.06))
    tile = SkyTile(plan, learned, str(tmp_path / "seg.fits"), whole(learned.grid.shape))
    frame, taken = sky_window(tile)
    smooth, lost = convolved(frame.sub, frame.bad, kernel)
    every = circles(Frame(smooth, np.where(lost, np.float32(0), frame.err), lost), np.zeros_like(taken), tile)
    forced = ForcedPlan(plan, (learned,), PhotometryOptions(), tile.segmap, "F150W", learned.model.noise)
    (matched,) = _with_laws(forced, {"F150W": kernel}, map)
    truth = with_laws(learned.model.noise, learned.model.sigma, [every], 0.03).laws
    pixels = np.array([30.0, 100.0, 400.0])
    made = matched.learned.model.noise.laws
    assert len(made.bins) > 1
    np.testing.assert_allclose(made.whole.factor(pixels), truth.whole.factor(pixels), rtol=0.01)
    assert made.whole.factor(100.0) > 1.2  # convolving correlates
