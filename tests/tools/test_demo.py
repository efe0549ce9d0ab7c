"""The demo against its own truth: what the catalog finds, what it measures, and how galaxies look."""

from pathlib import Path

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from numpy.typing import NDArray

from gzjwst_core.completeness.selection import SelectionFunction
from gzjwst_core.cutouts.read import read_cutout
from gzjwst_core.flag_bits import Flag
from gzjwst_core.images.compose import colour
from gzjwst_core.images.quality import labels_of
from gzjwst_core.models import MosaicSource
from gzjwst_core.names import file_stem
from gzjwst_core.photometry.field_catalog import build_field_catalog
from gzjwst_core.sky.build import load_sky
from gzjwst_core.storage.tables import read_parquet
from gzjwst_core.survey.profile import load_profile
from tests.flows.survey import Ended

pytestmark = pytest.mark.tools

MATCH_ARCSEC = 0.2


def sky(table: Table) -> SkyCoord:
    names = ("ra_deg", "dec_deg") if "ra_deg" in table.colnames else ("ra", "dec")
    return SkyCoord(np.asarray(table[names[0]]), np.asarray(table[names[1]]), unit="deg")


@pytest.fixture(scope="module")
def truth(demo: Ended, demo_cache: Path) -> Table:
    return load_sky(demo_cache / "sky" / "demo").truth()


@pytest.fixture(scope="module")
def catalog(demo: Ended) -> Table:
    return read_parquet(demo.folder / "catalog" / "catalog.parquet")


@pytest.fixture(scope="module")
def depth(demo: Ended) -> float:
    """5 sigma in 0.3 arcsec, empty apertures, in the shallower field's detection band."""
    mosaics = read_parquet(demo.folder / "catalog" / "mosaics.parquet")
    return float(np.min(mosaics["depth"][mosaics["band"] == "F277W"]))


def covered(truth: Table) -> NDArray[np.bool_]:
    """Well inside a field: in the footprint, not in a gap."""
    either: NDArray[np.bool_] = np.asarray(truth["in_o001_t001"]) | np.asarray(truth["in_south"])
    return either


def test_the_demo_is_done_and_names_what_is_missing(demo: Ended) -> None:
    assert demo.record["outcome"] == "done"
    assert "jw09801-o001_t001_nircam_clear-f356w (expected)" in demo.said
    assert {m["what"]: m["expected"] for m in demo.record["missing"]} == {"jw09801-o001_t001_nircam_clear-f356w": True}
    mosaics = read_parquet(demo.folder / "mosaics.parquet")
    assert set(mosaics["archive"]) == {"datalabs", "s3", "mast", ""}


def test_completeness(truth: Table, catalog: Table, depth: float) -> None:
    """At least 0.9 of the galaxies a magnitude brighter than the depth, r50 < 0.3 arcsec."""
    wanted = covered(truth) & (truth["kind"] == "galaxy") & (truth["r50_arcsec"] < 0.3)
    wanted &= np.asarray(truth["mag_F277W"]) < depth - 1
    assert wanted.sum() > 80
    _, separation, _ = sky(truth[wanted]).match_to_catalog_sky(sky(catalog))
    assert np.mean(separation.arcsec < MATCH_ARCSEC) >= 0.9


def test_the_selection_function_is_the_truths(demo: Ended, truth: Table, catalog: Table) -> None:
    """Completeness by injection and of the sky's own galaxies, over all magnitudes; few detections are noise."""
    known = SelectionFunction.read(demo.folder)
    wanted = truth[covered(truth) & (truth["kind"] == "galaxy")]
    wanted = wanted[(np.abs(wanted["mag_F277W"] - 26) < 3) & (np.abs(np.log10(wanted["r50_arcsec"] / 0.22)) < 0.64)]
    _, separation, _ = sky(wanted).match_to_catalog_sky(sky(catalog))
    expected = np.mean([known.completeness(wanted["mag_F277W"], wanted["r50_arcsec"], f) for f in known.fields])
    assert expected == pytest.approx(np.mean(separation.arcsec < MATCH_ARCSEC), abs=0.1)
    purity = read_parquet(demo.folder / "catalog" / "purity.parquet")
    assert purity["n_negative"].sum() <= 0.05 * purity["n_detected"].sum()


def test_total_magnitudes_and_centres(truth: Table, catalog: Table) -> None:
    primary = catalog[catalog["is_primary"] & (catalog["flags"] & int(Flag.SATURATED | Flag.TRUNCATED) == 0)]
    bright = truth[covered(truth) & (truth["kind"] == "galaxy") & (truth["mag_F277W"] < 25)]
    which, separation, _ = sky(bright).match_to_catalog_sky(sky(primary))
    near = separation.arcsec < MATCH_ARCSEC
    assert near.sum() > 30
    for band in ("F115W", "F150W", "F277W", "F444W"):
        found, true = primary[which[near]], bright[near]
        usable = (np.asarray(true[f"mag_{band}"]) < 25) & np.isfinite(found[f"{band}_mag_tot"])
        difference = np.asarray(found[f"{band}_mag_tot"] - true[f"mag_{band}"])[usable]
        assert abs(np.median(difference)) < 0.05, band
    assert np.median(separation.arcsec[near]) < 0.25 * 0.06


def test_cutout_centres(demo: Ended, truth: Table, catalog: Table) -> None:
    """The target's position lies within half a pixel of the cutout's centre, in every band."""
    rows = {row["id_str"]: row for row in catalog}
    cutouts = sorted((demo.folder / "cutouts").rglob("*.fits"))
    assert len(cutouts) > 30
    for path in cutouts:
        with fits.open(path) as hdus:
            row = rows[hdus[0].header["ID_STR"]]
            for hdu in [h for h in hdus if h.name.startswith("SCI_")]:
                x, y = WCS(hdu.header).all_world2pix(row["ra"], row["dec"], 0)
                ny, nx = hdu.data.shape
                assert max(abs(x - (nx - 1) / 2), abs(y - (ny - 1) / 2)) <= 0.5 + 1e-6, (path.name, hdu.name)


@pytest.mark.parametrize("field", ["o001_t001", "south"])
def test_few_detections_on_the_negative_sky(field: str, demo: Ended, demo_cache: Path, tmp_path: Path) -> None:
    """What is found where every source is a hole is noise: at most 2 % of what is found."""
    sources = [source for source in detection_mosaics(demo_cache) if source.field == field]
    assert len(sources) == 2
    profile = load_profile("demo")
    holes = [negated(source, tmp_path) for source in sources]
    negative = build_field_catalog(holes, profile, tmp_path / "seg.fits", bands=profile.survey.bands)
    found = read_parquet(next((demo.folder / "catalog" / "fields").glob(f"*{field}.parquet")))
    assert len(negative.table) <= 0.02 * len(found)


def detection_mosaics(cache: Path) -> list[MosaicSource]:
    """The detection bands' mosaics, as the demo fetched them."""
    paths = [path for path in sorted(cache.glob("mosaics/*/*.fits")) if "f277w" in path.name or "f444w" in path.name]
    return [
        MosaicSource(
            field="o001_t001" if "o001_t001" in path.name else "south",
            band="F277W" if "f277w" in path.name else "F444W",
            path=str(path),
            uri=f"local:{path.name}",
            identity=path.name,
        )
        for path in paths
    ]


def negated(source: MosaicSource, folder: Path) -> MosaicSource:
    """Turn the pixels' sign about their median: the noise stays, sources become holes."""
    path = folder / Path(source.path).name
    with fits.open(source.path) as hdus:
        name = "SCI_BKSUB" if "SCI_BKSUB" in hdus else "SCI"
        data, gap = hdus[name].data, np.asarray(hdus["WHT"].data) == 0
        hdus[name].data = np.where(gap, data, 2 * np.nanmedian(data[~gap]) - data).astype(np.float32)
        hdus.writeto(path)
    return source.replace(path=str(path))


def test_a_galaxy_of_equal_fluxes_is_grey(demo: Ended, truth: Table, catalog: Table) -> None:
    """With gains of 1, so that fluxes are equal after gains; r50 is above 2 PSF FWHM (0.145 arcsec in F444W)."""
    grey = truth[np.asarray(truth["grey"]) & (np.asarray(truth["r50_arcsec"]) >= 2 * 0.145)]
    which, separation, _ = sky(grey).match_to_catalog_sky(sky(catalog))
    cutouts = {path.stem: path for path in (demo.folder / "cutouts").rglob("*.fits")}
    names = [file_stem(str(catalog["id_str"][row])) for row in which[separation.arcsec < MATCH_ARCSEC]]
    pinned = load_profile(demo.folder / "profile.toml").images
    options = pinned.model_copy(update={"gain": dict.fromkeys(pinned.gain, 1.0)})
    seen = [name for name in names if name in cutouts]
    assert len(seen) >= 3
    for name in seen:
        cutout = read_cutout(cutouts[name].read_bytes())
        picture = colour(cutout, options)
        segment = labels_of(cutout, picture.gap.shape) == cutout.segment_id
        red, green, blue = picture.rgb[segment].mean(axis=0)
        assert abs(red - green) < 8, name
        assert abs(green - blue) < 8, name
