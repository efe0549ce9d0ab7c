"""The folder: real layouts on disk, equal bytes, found again, rebuilt when anything is wrong."""

import gzip
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from gzjwst_core.errors import StorageError
from gzjwst_core.sky.build import Sky, build_sky, load_sky
from gzjwst_core.sky.mosaics import HLSP_PLANES, I2D_PLANES
from gzjwst_core.sky.options import SkyOptions

TINY = SkyOptions(size_arcsec=9.0, bands=("F150W", "F277W"), bright_stars=1, grey_galaxies=1)


@pytest.fixture(scope="module")
def sky(tmp_path_factory: pytest.TempPathFactory) -> Sky:
    return build_sky(TINY, tmp_path_factory.mktemp("sky"))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_archive_holds_its_mosaics(sky: Sky) -> None:
    assert [(m.field, m.band, m.archive) for m in sky.mosaics] == [
        ("o001_t001", "F150W", "datalabs"),
        ("o001_t001", "F277W", "s3"),
        ("south", "F150W", "mast"),
        ("south", "F277W", "mast"),
    ]
    files = {name for name in contents(sky.folder) if "_i2d" in name}
    assert files == {mosaic.path for mosaic in sky.mosaics}


def test_stated_sizes_are_those_of_the_files(sky: Sky) -> None:
    for mosaic in sky.mosaics:
        data = (sky.folder / mosaic.path).read_bytes()
        assert len(data) == mosaic.size
        assert len(gzip.decompress(data) if mosaic.path.endswith(".gz") else data) == mosaic.plain_size


def test_gzip_headers_hold_no_clock_and_no_name(sky: Sky) -> None:
    head = (sky.folder / sky.mosaics[0].path).read_bytes()[:10]
    assert head[3] == 0  # flags: no FNAME
    assert head[4:8] == bytes(4)  # mtime


def test_i2d_layout_and_gaps(sky: Sky) -> None:
    with fits.open(sky.folder / sky.mosaics[1].path) as hdus:
        assert [hdu.name for hdu in hdus] == ["PRIMARY", *I2D_PLANES]
        assert len(hdus[0].header) > 300
        assert hdus[0].header["FILTER"] == "F277W"
        assert hdus[0].header["PROGRAM"] == "09801"
        header, sci = hdus["SCI"].header, hdus["SCI"].data
        assert header["BITPIX"] == -32
        assert header["BUNIT"] == "MJy/sr"
        assert header["PIXAR_SR"] == pytest.approx(8.46159e-14, rel=1e-5)
        assert header["PIXAR_A2"] == pytest.approx(0.0036)
        assert hdus["CON"].data.ndim == 3
        assert hdus["CON"].data.dtype == np.dtype(">i4")
        gap = hdus["CON"].data[0] == 0
        assert 0.1 < gap.mean() < 0.4
        assert np.array_equal(np.isnan(sci), gap)
        assert np.array_equal(hdus["WHT"].data == 0, gap)


def test_hlsp_layout_and_gaps(sky: Sky) -> None:
    with fits.open(sky.folder / sky.mosaics[2].path) as hdus:
        assert [hdu.name for hdu in hdus] == ["PRIMARY", *HLSP_PLANES]
        gap = hdus["WHT"].data == 0
        for name in ("SCI_BKSUB", "SCI", "ERR", "BKGD", "VAR_POISSON"):
            assert np.all(hdus[name].data[gap] == 0)
            assert np.all(np.isfinite(hdus[name].data))
        assert np.array_equal(hdus["SCI"].data - hdus["BKGD"].data, hdus["SCI_BKSUB"].data)
        assert np.all(hdus["BKGMASK"].data[gap] == 1)
        background = hdus["BKGD"].data[~gap]
        assert background.max() > 1.2 * background.min()


@pytest.mark.filterwarnings("ignore::astropy.wcs.FITSFixedWarning")  # MJD cards as in the real files
def test_grey_galaxies_have_equal_flux_in_the_files(sky: Sky) -> None:
    truth = sky.truth()
    grey = truth[truth["grey"] & truth["in_south"]][0]
    for mosaic in sky.mosaics[2:]:
        with fits.open(sky.folder / mosaic.path) as hdus:
            header, pixels = hdus["SCI_BKSUB"].header, hdus["SCI_BKSUB"].data
            x, y = WCS(header).all_world2pix(grey["ra_deg"], grey["dec_deg"], 0)
            lines, columns = np.indices(pixels.shape)
            near = np.hypot(lines - y, columns - x) < 1.5 / np.sqrt(header["PIXAR_A2"])
            flux_ujy = pixels[near].sum(dtype=float) * header["PIXAR_SR"] * 1e12
            assert flux_ujy == pytest.approx(grey["flux_F277W_ujy"], rel=0.15)


def test_truth_keeps_its_units_and_describes_what_is_saturated(sky: Sky) -> None:
    truth = sky.truth()
    assert str(truth["r50_arcsec"].unit) == "arcsec"
    assert str(truth["flux_F277W_ujy"].unit) == "uJy"
    assert truth["saturated"].sum() == 2


def test_a_whole_sky_is_not_made_again(sky: Sky) -> None:
    before = {path: path.stat().st_mtime_ns for path in sky.folder.rglob("*")}
    assert build_sky(TINY, sky.folder) == sky == load_sky(sky.folder)
    assert {path: path.stat().st_mtime_ns for path in sky.folder.rglob("*")} == before


def test_equal_options_make_equal_bytes_and_a_damaged_folder_heals(sky: Sky, tmp_path: Path) -> None:
    build_sky(TINY.model_copy(update={"proposal": 9802}), tmp_path)  # an older sky lies there
    (tmp_path / "sky.json").unlink()
    build_sky(TINY, tmp_path)
    assert contents(tmp_path) == contents(sky.folder)
    victim = tmp_path / sky.mosaics[1].path
    victim.write_bytes(victim.read_bytes()[:-2880])
    with pytest.raises(StorageError, match="build_sky"):
        load_sky(tmp_path)
    build_sky(TINY, tmp_path)
    assert contents(tmp_path) == contents(sky.folder)


def test_of_two_builders_the_second_finds_what_the_first_made(sky: Sky, tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        one, two = pool.map(lambda _: build_sky(TINY, tmp_path), range(2))
    assert one == two
    assert contents(tmp_path) == contents(sky.folder)


def test_an_unwritable_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="file"):
        build_sky(TINY, tmp_path / "file")
