"""Noise maps beside a mosaic and in it: found by name, honoured in their unit, doubted by the sky's own scatter."""

import gzip
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from numpy.typing import NDArray
from scipy import ndimage

from gzjwst_core.errors import CorruptMosaicError, GzJwstError, MosaicLayoutError
from gzjwst_core.models import MosaicSource
from gzjwst_core.mosaics.geometry import stated_wcs, whole
from gzjwst_core.mosaics.reader import open_mosaic
from gzjwst_core.options import MosaicOptions

SHAPE = (64, 160)
SIGMA = 2e-4  # uJy a pixel
HEAD = stated_wcs(SHAPE, 0.06, 150.1, 2.2).to_header()
SKY = np.random.default_rng(3).normal(0.0, SIGMA, SHAPE)
NOISE = np.full(SHAPE, SIGMA)


def plane(values: NDArray[Any], name: str = "", unit: str = "uJy") -> fits.ImageHDU:
    header = HEAD.copy()
    if unit:
        header["BUNIT"] = unit
    return fits.ImageHDU(values.astype(np.float32), header, name=name or None)


def write(path: Path, *hdus: Any) -> Path:
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(path, overwrite=True)
    return path


def mosaic(folder: Path, *more: Any, sky: NDArray[Any] = SKY, err: Path | None = None) -> MosaicSource:
    path = write(folder / "sci.fits", plane(sky, "SCI"), *more)
    err_path = str(err or "")
    return MosaicSource(field="f", band="F277W", path=str(path), uri="local:sci.fits", identity="i", err_path=err_path)


def noise_of(source: MosaicSource) -> float:
    """Median of the noise map against the truth."""
    with open_mosaic(source, MosaicOptions()) as reader:
        window = reader.windows(whole(SHAPE))
    assert window.err is not None
    assert np.isfinite(window.sci).all()
    return float(np.median(window.err)) / SIGMA


def refused(source: MosaicSource, said: str, reason: str = "bad_noise_map") -> None:
    with pytest.raises(MosaicLayoutError, match=said) as caught:
        open_mosaic(source, MosaicOptions())
    assert caught.value.reason == reason
    assert not caught.value.retryable


WEIGHTS = plane(1 / NOISE**2, "WHT", "")
NAMED = {
    "ERR after SCI": (plane(SKY, "SCI"), plane(NOISE, "ERR")),
    "RMS after WHT": (WEIGHTS, plane(NOISE, "RMS")),
    "ERR before RMS": (plane(3 * NOISE, "RMS"), plane(NOISE, "ERR")),
    "err in small letters": (plane(SKY, "sci"), plane(NOISE, "err")),
    "SIGMA beside variances": (plane(NOISE**2, "VAR_POISSON"), plane(NOISE, "SIGMA")),
    "NOISE after a cube": (fits.ImageHDU(np.ones((2, *SHAPE), np.float32), name="CON"), plane(NOISE, "NOISE")),
    "the only image": (plane(NOISE),),
    "the only image, of some name": (plane(NOISE, "F277W"),),
    "in nJy": (plane(1e3 * NOISE, "ERR", "nJy"),),
    "without unit": (plane(NOISE, "ERR", ""),),
}


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("packing", ["", "gzip", "tiles"])
def test_a_noise_map_of_its_own_is_found_by_name(tmp_path: Path, name: str, packing: str) -> None:
    planes: Any = NAMED[name]
    if packing == "tiles":
        packed = {"compression_type": "GZIP_1", "quantize_level": 0.0}
        flat = [hdu for hdu in planes if hdu.data.ndim == 2]
        planes = [fits.CompImageHDU(hdu.data, hdu.header, name=hdu.name or None, **packed) for hdu in flat]
    path = write(tmp_path / "noise.fits", *planes)
    if packing == "gzip":
        path = tmp_path / "noise.fits.gz"
        path.write_bytes(gzip.compress((tmp_path / "noise.fits").read_bytes(), mtime=0))
    assert noise_of(mosaic(tmp_path, err=path)) == pytest.approx(1, rel=1e-6)


@pytest.mark.parametrize("name", ["WHT", "WEIGHT", "IVM", "IVAR", "VAR", "VAR_RNOISE", "EXP", "SCI", "SCI_BKSUB", "DQ"])
def test_a_map_that_is_named_as_something_else_is_refused(tmp_path: Path, name: str) -> None:
    refused(
        mosaic(tmp_path, err=write(tmp_path / "x.fits", plane(NOISE, name))), rf"x\.fits \[{name}\] is no noise map"
    )
    by_file = write(tmp_path / f"field_f277w-{name.split('_', maxsplit=1)[0].lower()}.fits", plane(NOISE))
    refused(mosaic(tmp_path, err=by_file), "is no noise map by its name")


def test_of_several_planes_none_is_guessed(tmp_path: Path) -> None:
    several = write(tmp_path / "x.fits", plane(SKY, "SCI"), plane(NOISE, "F277W"), WEIGHTS)
    refused(mosaic(tmp_path, err=several), r"x\.fits: which of SCI, F277W, WHT is the noise map\?.* ERR, ERROR, RMS")
    refused(mosaic(tmp_path, err=write(tmp_path / "y.fits")), "holds no 2-D noise map", "missing_extension")
    other = write(tmp_path / "z.fits", plane(np.ones((4, 4)), "ERR"))
    refused(mosaic(tmp_path, err=other), r"ERR is \(4, 4\), SCI is", "bad_layout")


def test_the_first_noise_map_in_a_mosaic_counts(tmp_path: Path) -> None:
    for planes in ((plane(NOISE, "RMS"),), (plane(3 * NOISE, "RMS"), plane(NOISE, "ERR"))):
        assert noise_of(mosaic(tmp_path, *planes)) == pytest.approx(1, rel=1e-6)
    refused(mosaic(tmp_path, plane(1 / NOISE**2, "RMS", "")), r"local:sci\.fits \[RMS\]: the noise map has")
    refused(mosaic(tmp_path, plane(np.ones((4, 4)), "RMS")), r"RMS is \(4, 4\), SCI is", "bad_layout")


def test_a_damaged_gzip_is_damage(tmp_path: Path) -> None:
    packed = tmp_path / "noise.fits.gz"
    packed.write_bytes(gzip.compress(write(tmp_path / "noise.fits", plane(NOISE)).read_bytes())[:-20])
    with pytest.raises(CorruptMosaicError, match=r"noise\.fits\.gz"):
        open_mosaic(mosaic(tmp_path, err=packed), MosaicOptions())
    with pytest.raises(GzJwstError, match="none"):
        open_mosaic(mosaic(tmp_path, err=tmp_path / "none.fits.gz"), MosaicOptions())


# ---------------------------------------------------------------- what values cannot be noise


IMPOSSIBLE = {
    "weights": 1 / NOISE**2,
    "variances": NOISE**2,
    "a thousand times": 1e3 * NOISE,
    "a thousandth": 1e-3 * NOISE,
}


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_values_that_the_sky_contradicts_are_refused_with_both_figures(tmp_path: Path, name: str) -> None:
    values = IMPOSSIBLE[name]
    figure = re.escape(f"{values.flat[0]:.3g}")
    said = rf"the noise map has {figure} uJy .* scatter by 0\.000(19|2)\d* uJy: a factor .* \(at most 30\)"
    refused(mosaic(tmp_path, err=write(tmp_path / "x.fits", plane(values, "", ""))), rf"x\.fits \[\].*{said}")
    refused(mosaic(tmp_path, plane(values, "ERR", "")), rf"local:sci\.fits \[ERR\].*{said}")
    open_mosaic(mosaic(tmp_path, plane(values, "ERR", "")), MosaicOptions(), check=False).close()


@pytest.mark.parametrize(("factor", "told"), [(0.2, True), (0.5, False), (2.5, False), (8.0, True)])
def test_a_factor_beyond_three_is_told(
    tmp_path: Path, factor: float, told: bool, caplog: pytest.LogCaptureFixture
) -> None:
    open_mosaic(mosaic(tmp_path, plane(factor * NOISE, "ERR")), MosaicOptions()).close()
    assert ("the noise map has" in caplog.text) == told


def test_correlated_noise_light_and_slopes_make_no_good_map_bad(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    smooth = ndimage.gaussian_filter(SKY, 1.0)
    drizzled = smooth * SIGMA / smooth.std()  # neighbours share 0.78 of their noise
    y, x = np.indices(SHAPE)
    light = 50 * SIGMA * np.exp(-np.hypot(y - 30, x - 70) / 20) + 20 * SIGMA * x / SHAPE[1]
    poisson = np.hypot(NOISE, 0.3 * np.sqrt(SIGMA * light))
    for sky, noise in ((drizzled, NOISE), (SKY + light, NOISE), (SKY + light, poisson), (np.round(SKY / SIGMA), NOISE)):
        scale = SIGMA if sky.max() > 1 else 1.0
        open_mosaic(mosaic(tmp_path, plane(noise, "ERR"), sky=sky * scale), MosaicOptions()).close()
    assert caplog.text == ""


def test_where_nothing_scatters_nothing_is_said(tmp_path: Path) -> None:
    flat = np.ones(SHAPE)
    flat[::2] = 2.0
    open_mosaic(mosaic(tmp_path, plane(NOISE, "ERR"), sky=flat), MosaicOptions()).close()
