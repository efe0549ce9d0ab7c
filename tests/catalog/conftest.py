"""Skies that several catalog tests look at, rendered once."""

import pytest

from gzjwst_core.photometry.field_catalog import FieldCatalog
from tests.catalog.tiny_sky import TinySky, catalog_of, render_sky


@pytest.fixture(scope="session")
def sky(tmp_path_factory: pytest.TempPathFactory) -> TinySky:
    """Two overlapping fields of 30 arcsec in three bands on two grids that are not aligned."""
    return render_sky(tmp_path_factory.mktemp("sky"), ("F150W", "F277W", "F444W"), seed=4, size_arcsec=30.0)


@pytest.fixture(scope="session")
def deep(tmp_path_factory: pytest.TempPathFactory) -> TinySky:
    """Two fields of an arcminute in the detection bands alone: enough galaxies to count."""
    return render_sky(tmp_path_factory.mktemp("deep"), ("F277W", "F444W"), seed=2, size_arcsec=60.0)


@pytest.fixture(scope="session")
def made(sky: TinySky, tmp_path_factory: pytest.TempPathFactory) -> tuple[FieldCatalog, str]:
    """The catalog of the small sky's first field, and its segmap."""
    path = tmp_path_factory.mktemp("made") / "seg.fits"
    return catalog_of(sky, "o001_t001", path), str(path)
