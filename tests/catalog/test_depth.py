"""Depth maps, the area of each depth, and errors that are true in a field of uneven depth."""

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS, Sip

from gzjwst_core.detection.depth import DETECTION, DepthMap, Lattice, depth_rows, depth_table, stacked_noise
from gzjwst_core.detection.noise import DepthBin, NoiseLaw, NoiseLaws
from gzjwst_core.mosaics.depth_file import binned_wcs, write_depth
from gzjwst_core.mosaics.geometry import Affine
from gzjwst_core.mosaics.reader import open_mosaic
from gzjwst_core.options import MosaicOptions
from gzjwst_core.photometry.field_catalog import FieldCatalog
from tests.catalog.tiny_sky import TinySky

FIELD = "o001_t001"


def lattice(sigma: list[list[float]], share: list[list[float]], side: int = 16) -> Lattice:
    return Lattice.of(side, np.array(sigma), np.array(share))


def plain_wcs(*, sip: bool = False) -> WCS:
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN-SIP", "DEC--TAN-SIP"] if sip else ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval, wcs.wcs.crpix, wcs.wcs.cdelt = [150.0, 2.0], [40.0, 70.0], [-1e-5, 1e-5]
    if sip:
        a = np.zeros((3, 3))
        a[2, 0], a[1, 1] = 1e-5, -2e-5
        wcs.sip = Sip(a, a.T.copy(), None, None, wcs.wcs.crpix)
    wcs.wcs.set()
    return wcs


def test_a_block_under_a_source_takes_its_neighbour_and_a_gap_stays_empty() -> None:
    one = lattice([[1.0, np.nan, np.nan]], [[1.0, 1.0, 0.0]])
    np.testing.assert_array_equal(one.sigma, np.array([[1, 1, np.nan]], np.float32))
    coarse = one.coarse()
    assert coarse.side == 64
    assert coarse.sigma_at(np.array([0.0, -5.0]), np.array([47.0, 900.0])).tolist() == [1.0, 1.0]


def test_the_median_counts_blocks_with_their_data() -> None:
    assert lattice([[1.0, 2.0, 3.0]], [[0.1, 0.1, 1.0]]).median == 3.0
    assert np.isnan(lattice([[np.nan]], [[0.0]]).median)


def test_a_stack_is_as_deep_as_its_bands_together() -> None:
    """The second band's pixels are half as wide, and it covers the left part only."""
    first = lattice([[3.0, 3.0]], [[1.0, 0.5]])
    fine = lattice([[1.0, 1.0], [1.0, 1.0]], [[1.0, 1.0], [1.0, 1.0]])
    half = Affine(np.eye(2) * 2, np.array([0.5, 0.5]), 0.0)
    found = stacked_noise([first, fine], [half], err_factor=1.1)
    # four pixels' mean over their area: sigma doubles
    assert found.sigma[0, 0] == pytest.approx(1.1 / np.sqrt(1 / 9 + 1 / 4))
    assert found.sigma[0, 1] == pytest.approx(1.1 * 3)
    assert found.share.tolist() == [[1.0, 0.5]]


def test_the_area_of_each_depth_adds_up() -> None:
    bins = tuple(DepthBin(NoiseLaw(alpha), 30, "own") for alpha in (1.0, 2.0))
    one = DepthMap(
        "F277W",
        lattice([[1.0, 1.2], [4.0, np.nan]], [[1, 1], [0.5, 0]]),
        NoiseLaws(NoiseLaw(), (2.0,), bins),
        0.06,
        plain_wcs(),
    )
    rows = depth_rows("here", one)
    block = (16 * 0.06 / 60) ** 2
    assert [row["area"] for row in rows] == pytest.approx([2 * block, 0.5 * block])
    assert rows[0]["depth_max"] - rows[0]["depth_min"] == pytest.approx(2.5 * np.log10(1.2))
    assert rows[0]["depth"] - rows[1]["depth"] == pytest.approx(2.5 * np.log10(8), abs=0.01 + 2.5 * np.log10(1.2))
    assert one.depth[1, 0] == pytest.approx(rows[1]["depth"])
    table = depth_table(rows)
    assert str(table["area"].unit) == "arcmin2"
    assert all(table[name].description for name in table.colnames)
    assert len(depth_table([])) == 0


@pytest.mark.parametrize("sip", [False, True])
def test_blocks_lie_where_their_pixels_do(sip: bool) -> None:
    wcs = plain_wcs(sip=sip)
    binned = binned_wcs(wcs, 16)
    x, y = np.array([0.0, 3.0]), np.array([0.0, 5.0])
    there = binned.all_pix2world(x, y, 0)
    np.testing.assert_allclose(there, wcs.all_pix2world(16 * x + 7.5, 16 * y + 7.5, 0), atol=1e-12)


def test_the_file_holds_every_band_on_its_own_grid_and_no_clock(
    sky: TinySky, made: tuple[FieldCatalog, str], tmp_path: Path
) -> None:
    field, _ = made
    maps = [(m.name, m.depth, m.wcs, m.lattice.side) for m in field.depth]
    for name in ("one.fits", "two.fits"):
        write_depth(tmp_path / name, FIELD, maps)
    assert (tmp_path / "one.fits").read_bytes() == (tmp_path / "two.fits").read_bytes()
    with fits.open(tmp_path / "one.fits") as hdus:
        assert [hdu.name for hdu in hdus[1:]] == [*sky.bands, DETECTION]
        assert all(hdu.data.dtype.itemsize == 4 and "DATE" not in hdu.header for hdu in hdus[1:])
        source = sky.fields[FIELD][1]
        with open_mosaic(source, MosaicOptions()) as reader:
            ra, dec = reader.wcs.all_pix2world(250.0, 200.0, 0)
        column, row = WCS(hdus[source.band].header).all_world2pix(ra, dec, 0)
        assert (float(column), float(row)) == pytest.approx(((250 - 7.5) / 16, (200 - 7.5) / 16), abs=1e-3)


def test_depths_of_a_field_are_those_of_the_sky_and_of_its_table(sky: TinySky, made: tuple[FieldCatalog, str]) -> None:
    field, _ = made
    maps = {one.name: one for one in field.depth}
    for row in field.mosaics:
        depth = maps[row["band"]].depth
        assert np.nanmedian(depth) == pytest.approx(row["depth"], abs=0.2)
        listed = [r for r in depth_rows(FIELD, maps[row["band"]]) if r["band"] == row["band"]]
        assert sum(r["area"] for r in listed) == pytest.approx(row["area"], rel=1e-6)
        assert min(r["depth_min"] for r in listed) == pytest.approx(np.nanmin(depth), abs=1e-3)
    deepest = np.nanmedian(maps[DETECTION].depth)
    assert deepest > max(np.nanmedian(maps[band].depth) for band in ("F277W", "F444W")) + 0.2


def test_naive_errors_stay_beside_the_true_ones(made: tuple[FieldCatalog, str]) -> None:
    table = made[0].table
    for name in ("F150W_fluxerr_auto", "F277W_fluxerr_aper050"):
        ratio = np.asarray(table[name]) / np.asarray(table[f"{name}_naive"])
        assert 1.1 < np.nanmedian(ratio) < 2.0
    relative = np.asarray(table["F277W_fluxerr_auto"] / table["F277W_flux_auto"])
    total = np.asarray(table["F277W_fluxerr_tot"] / table["F277W_flux_tot"])
    spread = np.asarray(table["total_factor_err"] / table["total_factor"])
    known = np.isfinite(relative) & np.isfinite(total)
    np.testing.assert_allclose(total[known] ** 2, (relative**2 + spread**2)[known], rtol=1e-3)
