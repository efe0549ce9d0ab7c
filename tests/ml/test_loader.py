"""Zoobot's loader itself, galaxy-datasets with torch, reads what is handed over: `make test-ml`.

It runs in an environment of its own (`.venv-ml`, `constraints.txt`), as a process that knows nothing of ours.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.table import Table

from gzjwst_core.images.render import render_cutout
from gzjwst_core.options import PublishOptions
from gzjwst_core.storage.folder import Folder
from gzjwst_core.storage.tables import write_parquet
from gzjwst_core.zoobot.rows import join_rows
from gzjwst_core.zoobot.single_band import single_bands, single_path
from gzjwst_core.zoobot.zoobot import zoobot_table
from tests.cutouts.skies import Blob, make_field, sky_offsets
from tests.images.scenes import OPTIONS as COLOUR
from tests.images.scenes import cut_bytes, flux, grids, punch
from tests.publish.conftest import make_catalog, make_image

pytestmark = [pytest.mark.ml, pytest.mark.timeout(280)]

PYTHON = Path(__file__).resolve().parents[2] / ".venv-ml" / "bin" / "python"
BANDS = ("F277W", "F444W")
OPTIONS = PublishOptions(zoobot_fits=BANDS, split_cell_arcmin=5.0)
COUNT = 11


def cutout_of(number: int, folder: Path) -> bytes:
    """Cut a galaxy of its own size, turn and flux; the second has a gap in F444W, the third no F444W, the fourth lost
    its core.
    """
    turned = grids(20.0 * number, side=5.0)
    blobs = [Blob(0, 0, 0.1 + 0.02 * number, flux(*[5.0 + 3 * number] * 4))]
    field = make_field(folder, blobs, turned, 0.05)
    east, north = sky_offsets(turned[3].wcs, turned[3].shape)
    if number == 1:
        punch(field, "F444W", east > 0.6)
    if number == 3:
        punch(field, "F444W", np.hypot(east, north) < 0.1)
    return cut_bytes(field, 2.0 + 0.1 * number, ("F115W", "F150W", "F277W") if number == 2 else (*COLOUR.sigma,))


@pytest.fixture(scope="module")
def survey(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A survey's folder: images, single bands, the Zoobot catalog."""
    root = tmp_path_factory.mktemp("survey")
    folder = Folder(str(root))
    catalog = make_catalog(COUNT)
    images = [make_image(catalog, n) for n in range(COUNT)]
    there = set[str]()
    for number, image in enumerate(images):
        data = cutout_of(number, root / "sky" / str(number))
        folder.write(image.cutout, data)
        jpeg = render_cutout("x.fits", data, COLOUR).data
        assert jpeg is not None
        folder.write(image.image, jpeg)
        for one in single_bands(image.cutout, data, BANDS):
            if one.data is not None:
                there.add(folder.write(single_path(image.cutout, one.band), one.data).path)
    made: Table = zoobot_table(join_rows(catalog, images), "demo", OPTIONS, singles=there)
    with folder.writing("zoobot/catalog.parquet") as path:
        write_parquet(made, path)
    return root


@pytest.fixture(scope="module")
def told(survey: Path) -> dict[str, Any]:
    """What the loader's process said."""
    assert PYTHON.exists(), f"{PYTHON} is not there: `make test-ml` sets it up"
    command = [str(PYTHON), str(Path(__file__).with_name("load.py")), str(survey)]
    bare = {"HOME": str(survey), "PATH": "/usr/bin:/bin", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, env=bare, cwd=survey, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    read: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return read


def test_pandas_reads_text_and_numbers(told: dict[str, Any]) -> None:
    dtypes = told["dtypes"]
    assert {dtypes[name] for name in ("id_str", "file_loc", "file_loc_F277W", "split")} <= {"str", "object", "string"}
    assert (dtypes["ra"], dtypes["mag_ref"], dtypes["flags"]) == ("float64", "float32", "uint32")
    assert told["index"] == list(range(COUNT))
    assert told["unique"]


def test_it_reads_ten_images(told: dict[str, Any]) -> None:
    found = told["file_loc"]["raw"]
    assert [item["id_str"] for item in found] == [f"demo_J{n:06d}.00+020000.0" for n in range(10)]
    for item in found:
        assert (item["mode"], item["shape"], item["dtype"]) == ("RGB", [160, 160, 3], "uint8")
        assert item["spread"] > 5


@pytest.mark.parametrize("band", BANDS)
def test_it_reads_ten_single_bands(told: dict[str, Any], band: str) -> None:
    found = told[f"file_loc_{band}"]["raw"]
    missing = "demo_J000002.00+020000.0"
    assert len(found) == 10
    assert (missing in [item["id_str"] for item in found]) == (band == "F277W")
    for item in found:
        channels, rows, columns = item["shape"]
        assert (item["kind"], item["dtype"], channels) == ("Tensor", "float32", 1)
        assert rows == columns > 30
        assert item["finite"]
        assert item["spread"] > 0


def test_it_opens_a_whole_cutout_too(told: dict[str, Any]) -> None:
    assert all(item["shape"][0] == 1 for item in told["file_loc_fits"]["raw"])


@pytest.mark.parametrize(("column", "channels"), [("file_loc", 3), ("file_loc_F277W", 1), ("file_loc_F444W", 1)])
def test_networks_get_numbers_between_zero_and_one(told: dict[str, Any], column: str, channels: int) -> None:
    for name in ("train", "test"):
        batches = told[column][name]
        assert sum(len(batch["id_str"]) for batch in batches) == 10
        for batch in batches:
            assert (batch["shape"], batch["dtype"]) == ([5, channels, 224, 224], "torch.float32")
            assert batch["finite"]
            assert 0 <= batch["low"] < batch["high"] <= 1
