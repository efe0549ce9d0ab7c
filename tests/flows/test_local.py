"""Mosaics given as files: the real COSMOS-Web Ring, whose pixels come without WCS or unit."""

import os
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from PIL import Image

from gzjwst_core.storage.tables import read_parquet
from tests.flows.survey import ROOT, Ended, World

RING = Path(os.environ.get("GZJWST_TEST_DATA", ROOT.parent / "shared" / "data")) / "cosmos_web_ring"
RA, DEC = 150.10048, 1.89301
"""Published centre of the ring; the light's centroid lies within 0.03 arcsec of the arrays' centre."""

PROFILE = """
[survey]
name = "ring"
bands = ["F115W", "F150W", "F277W", "F444W"]
cite = ["COSMOS-Web Ring: COSJ100024+015334, programme 1727"]

[completeness]
sources = 0

[[select.cuts]]
column = "is_primary"
equals = true

[[select.cuts]]
column = "mag_ref"
maximum = 22.0
"""

LOCAL = """
[[local]]
path = "{folder}/{band}/data.fits"
err = "{folder}/{band}/noise_map.fits"
field = "ring"
band = "{band}"
unit = "MJy/sr"
pixel_scale_arcsec = {scale}
centre_ra_deg = {ra}
centre_dec_deg = {dec}
"""


@pytest.fixture(scope="module")
def ring(world: World, tmp_path_factory: pytest.TempPathFactory) -> Ended:
    if not RING.is_dir():
        pytest.skip("the folder of real data is not there (set GZJWST_TEST_DATA)")
    folder = tmp_path_factory.mktemp("ring")
    scales = {"F115W": 0.03, "F150W": 0.03, "F277W": 0.06, "F444W": 0.06}
    entries = [LOCAL.format(folder=RING, band=b, scale=s, ra=RA, dec=DEC) for b, s in scales.items()]
    (folder / "ring.toml").write_text(PROFILE + "".join(entries))
    ended = world.run(str(folder / "ring.toml"), out=folder, survey="ring")
    assert ended.code == 0, ended.said
    return ended


def test_the_ring_is_found_where_it_is(ring: Ended) -> None:
    catalog = read_parquet(ring.folder / "catalog" / "catalog.parquet")
    offset = np.hypot((catalog["ra"] - RA) * np.cos(np.deg2rad(DEC)), catalog["dec"] - DEC) * 3600
    nearest = catalog[np.argmin(offset)]
    assert offset.min() < 0.3
    # lens and ring together have AB 22.5, 21.8, 20.7, 20.2 within 1.5 arcsec; the catalog may part them
    assert 20.0 < nearest["F444W_mag_tot"] < 21.5
    assert nearest["F115W_mag_tot"] > nearest["F277W_mag_tot"] > nearest["F444W_mag_tot"]


def test_lens_and_ring_are_plain_to_see(ring: Ended) -> None:
    """The lens's core is bright, the ring stands out of the gap between them and of the sky."""
    image = next(path for path in (ring.folder / "images").rglob("*.jpg") if "J100024.1" in path.name)
    levels = np.asarray(Image.open(image), dtype=float).mean(axis=2)
    with fits.open(next((ring.folder / "cutouts").rglob(f"{image.stem}.fits"))) as hdus:
        fov = hdus[0].header["FOVASEC"]
    side = levels.shape[0]
    y, x = np.indices(levels.shape)
    radius = np.hypot(x - (side - 1) / 2, y - (side - 1) / 2) * fov / side
    core, sky = levels[radius < 0.1].mean(), np.median(levels[radius > 1.8])
    ring_light = levels[(radius > 0.65) & (radius < 0.95)].mean()
    assert core > 150
    assert ring_light > sky + 20
    assert sky < 45
