"""Rows as the images' room leaves them."""

import numpy as np
import pytest
from astropy.table import Table

from gzjwst_core.images.record import ImageRecord
from gzjwst_core.zoobot.rows import join_rows

LINK = "https://viewer.example/?target={ra:.6f}%20{dec:+.6f}"


def make_catalog(count: int) -> Table:
    rng = np.random.default_rng(7)
    return Table(
        {
            "id_str": [f"demo_J{n:06d}.00+020000.0" for n in range(count)],
            "group_id": np.arange(count) + 10,
            "field": [f"f{n % 2}" for n in range(count)],
            "ra": 150.0 + rng.uniform(0, 0.5, count),
            "dec": 2.0 + rng.uniform(0, 0.5, count),
            "mag_ref": np.where(np.arange(count) == 1, np.nan, rng.uniform(20, 25, count)).astype("float32"),
            "r50": rng.uniform(0.1, 1, count).astype("float32"),
            "flags": np.zeros(count, dtype="uint32"),
            "ext_id": ["" if n % 2 else f"x{n}" for n in range(count)],
        }
    )


def make_image(catalog: Table, row: int) -> ImageRecord:
    name, field = str(catalog["id_str"][row]), str(catalog["field"][row])
    stem = name.replace("+", "p")
    return ImageRecord(
        id_str=name,
        image=f"images/{field}/{stem}.jpg",
        cutout=f"cutouts/{field}/{stem}.fits",
        fov_arcsec=2.5,
        pixscale_arcsec=2.5 / 424,
        coverage_min=1.0,
        filters_rgb="R=F444W G=F277W B=F150W+F115W",
        recipe="asinh",
        recipe_digest="abc123",
    )


@pytest.fixture
def catalog() -> Table:
    return make_catalog(25)


@pytest.fixture
def rows(catalog: Table) -> Table:
    return join_rows(catalog, [make_image(catalog, n) for n in range(len(catalog))])
