"""The COSMOS-Web Ring, real pixels in four bands on two grids: what the catalog makes of a lens inside a ring.

A galaxy at the arrays' centre, an Einstein ring of 0.8 arcsec around it with two bright knots, a neighbour 1.25 arcsec
to the south-west, the light of a brighter one at the upper edge.
"""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import sep
from astropy.io import fits
from astropy.table import Row, Table
from numpy.typing import NDArray

from gzjwst_core.catalog.columns import aperture_name
from gzjwst_core.flag_bits import Flag
from gzjwst_core.models import MosaicSource
from gzjwst_core.photometry.field_catalog import FieldCatalog, build_field_catalog
from tests.catalog.real_data import real_data
from tests.catalog.tiny_sky import recommended

SCALES = {"F115W": 0.03, "F150W": 0.03, "F277W": 0.06, "F444W": 0.06}
BANDS = tuple(SCALES)
RA, DEC = 150.10048, 1.89301
ALL_OF_IT_ARCSEC = 1.5


@pytest.fixture(scope="module")
def folder() -> Path:
    return real_data("cosmos_web_ring")


def sources_of(folder: Path) -> list[MosaicSource]:
    return [
        MosaicSource(
            field="ring",
            band=band,
            path=str(folder / band / "data.fits"),
            err_path=str(folder / band / "noise_map.fits"),
            uri=f"local:{band}",
            identity="ring",
            unit="MJy/sr",
            pixel_scale_arcsec=scale,
            centre_ra_deg=RA,
            centre_dec_deg=DEC,
        )
        for band, scale in SCALES.items()
    ]


def catalog(folder: Path, scratch: Path, contrast: float) -> FieldCatalog:
    sources = sources_of(folder)
    return build_field_catalog(sources, recommended(deblend_contrast=contrast), scratch / "seg.fits", bands=BANDS)


@pytest.fixture(scope="module")
def parted(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Table:
    """Parts with a thousandth of the light are sources of their own: the ring's knots are."""
    return catalog(folder, tmp_path_factory.mktemp("parted"), 0.001).table


@pytest.fixture(scope="module")
def whole(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Table:
    """A part must have a fiftieth of the light, and no knot has."""
    return catalog(folder, tmp_path_factory.mktemp("whole"), 0.02).table


@pytest.fixture(scope="module")
def light(folder: Path) -> dict[str, float]:
    """AB magnitudes of lens and ring together: a circle on the pixels as they are, less their median."""
    return {band: circle(folder, band, ALL_OF_IT_ARCSEC) for band in BANDS}


def circle(folder: Path, band: str, radius_arcsec: float, at: tuple[float, float] = (0.0, 0.0)) -> float:
    """AB magnitude in a circle; `at` is its centre in arcsec from the array's centre."""
    image: NDArray[np.float32] = np.ascontiguousarray(fits.getdata(folder / band / "data.fits"), "f4")
    scale, middle = SCALES[band], (image.shape[0] - 1) / 2
    x, y = middle + at[0] / scale, middle + at[1] / scale
    flux, _, _ = sep.sum_circle(image - np.median(image), [x], [y], radius_arcsec / scale, subpix=10)
    return float(23.9 - 2.5 * np.log10(flux[0] * (scale / 206264.806) ** 2 * 1e12))


def offsets(table: Table) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Arcsec from the centre along +x (west) and +y (north)."""
    west = -(np.asarray(table["ra"]) - RA) * np.cos(np.deg2rad(DEC)) * 3600
    return west, (np.asarray(table["dec"]) - DEC) * 3600


def near(table: Table, radius_arcsec: float) -> Table:
    return table[np.hypot(*offsets(table)) < radius_arcsec]


def lens(table: Table) -> Row:
    return table[np.argmin(np.hypot(*offsets(table)))]


@pytest.mark.parametrize("case", ["parted", "whole"])
def test_the_centre_is_one_source_with_the_right_light(
    case: str, request: pytest.FixtureRequest, light: dict[str, float]
) -> None:
    """Parted from its knots too: those count as its own light at their radius, and little else is lost."""
    row = lens(request.getfixturevalue(case))
    assert np.hypot(*offsets(row)) < 0.1
    for band in BANDS:
        assert row[f"{band}_mag_tot"] == pytest.approx(light[band], abs=0.25)
    for blue, red in pairwise(BANDS):
        colour = row[f"{blue}_mag_tot"] - row[f"{red}_mag_tot"]
        assert colour == pytest.approx(light[blue] - light[red], abs=0.12)
    assert not row["is_star"]
    assert row["r50"] == pytest.approx(0.55 if case == "whole" else 0.32, abs=0.1)


def test_apertures_are_the_light_of_the_pixels(whole: Table, folder: Path) -> None:
    """On both grids, at the same place on the sky: the background is all that may differ."""
    row = lens(whole)
    west, north = offsets(row)
    for band in BANDS:
        measured = 23.9 - 2.5 * np.log10(row[aperture_name(band, 0.5)])
        assert measured == pytest.approx(circle(folder, band, 0.25, (float(west), float(north))), abs=0.03)


def test_low_contrast_parts_the_knots_from_the_lens(parted: Table) -> None:
    """The two knots of the ring, the neighbour, and the lens with the rest of the ring: said by a flag."""
    around = near(parted, ALL_OF_IT_ARCSEC)
    assert len(around) == 4
    assert np.all((around["flags"] & int(Flag.BLENDED)) > 0)
    west, north = offsets(around)
    for knot in ((-0.79, 0.32), (0.52, -0.36), (0.47, -1.16)):
        assert np.hypot(west - knot[0], north - knot[1]).min() < 0.1
    # what every part claims is more than there is: each aperture reaches under its neighbours
    claimed = np.asarray(around["F444W_flux_tot"]).sum()
    assert 1.2 < claimed / whole_flux(parted) < 2.0


def whole_flux(table: Table) -> float:
    return float(lens(table)["F444W_flux_tot"])


def test_high_contrast_keeps_the_ring_whole(whole: Table) -> None:
    """One source whose Kron ellipse holds the ring (0.8 arcsec), and the neighbour with it."""
    around = near(whole, ALL_OF_IT_ARCSEC)
    assert len(around) == 1
    row = around[0]
    assert 1.4 < row["kron_b"] <= row["kron_a"] < 2.3
    assert row["ellipticity"] < 0.3
    assert row["flags"] & int(Flag.BLENDED) == 0
