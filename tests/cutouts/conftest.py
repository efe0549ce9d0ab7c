"""One small field, made once: four bands on unaligned, rolled grids, a chip gap, three sources."""

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from tests.cutouts.skies import BANDS, Blob, Field, make_field

EQUAL = dict.fromkeys(BANDS, 20.0)


@pytest.fixture(scope="session")
def field(tmp_path_factory: pytest.TempPathFactory) -> Field:
    """The target in the middle, a neighbour 1 arcsec north of it, one near the south edge; F115W has a chip gap."""
    blobs = [Blob(0.0, 0.0, 0.25, EQUAL), Blob(0.0, 1.2, 0.1, EQUAL), Blob(0.5, -3.5, 0.15, EQUAL)]
    made = make_field(tmp_path_factory.mktemp("field"), blobs)
    _gap(Path(made.sources[0].path))
    return made


def _gap(path: Path) -> None:
    with fits.open(path, mode="update") as hdus:
        hdus["SCI"].data[:, 190:200] = np.nan
        hdus["WHT"].data[:, 190:200] = 0
