"""Zoobot's contract, as galaxy-datasets 0.0.25 reads a catalog (`pytorch/galaxy_dataset.py`).

`CatalogDataset` takes `id_str` and `file_loc` of a pandas row; `load_img_file` goes by the end of the name, opens
images with `PIL.Image.open` and FITS with `fits.open(loc)[0].data.astype(np.float32)`. `make test-ml` lets the loader
itself read them.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.table import Table
from PIL import Image

from gzjwst_core.errors import StorageError
from gzjwst_core.images.render import render_cutout
from gzjwst_core.options import PublishOptions
from gzjwst_core.storage.tables import read_parquet, write_parquet
from gzjwst_core.zoobot.rows import join_rows
from gzjwst_core.zoobot.single_band import single_bands, single_path
from gzjwst_core.zoobot.split import split_rule
from gzjwst_core.zoobot.zoobot import ZOOBOT_COLUMNS, absolute_file_locs, zoobot_splits, zoobot_table
from tests.cutouts.skies import Blob, make_field
from tests.images.scenes import OPTIONS as COLOUR
from tests.images.scenes import cut_bytes, flux, grids
from tests.publish.conftest import make_catalog, make_image

OPTIONS = PublishOptions(split_cell_arcmin=5.0)
BAND = PublishOptions(zoobot_fits=("F277W", "F444W"))
READ_BY_NAME = ("png", "jpg", "jpeg", "fits")
"""Ends of names that `load_img_file` knows; anything else is an error, `.fits.gz` too."""


def rows_of(count: int, keep: slice = slice(None)) -> Table:
    catalog = make_catalog(count)
    return join_rows(catalog, [make_image(catalog, n) for n in range(count)][keep])


def table_of(count: int, keep: slice = slice(None), **more: Any) -> Table:
    return zoobot_table(rows_of(count, keep), "demo", more.pop("options", OPTIONS), **more)


def test_the_columns_that_its_loaders_read(tmp_path: Path) -> None:
    write_parquet(table_of(5), tmp_path / "catalog.parquet")
    table = read_parquet(tmp_path / "catalog.parquet")
    assert table.colnames == [c.name for c in ZOOBOT_COLUMNS]
    assert len(set(table["id_str"])) == 5
    assert table["file_loc"][0] == "images/f0/demo_J000000.00p020000.0.jpg"
    assert (table["subfolder"][1], table["filename"][1]) == ("f1", "demo_J000001.00p020000.0.jpg")
    assert table["file_loc_fits"][0].endswith(".fits")
    assert split_rule(OPTIONS).items() <= table.meta.items()


def test_pandas_reads_it_plainly(tmp_path: Path) -> None:
    """Arrow types that pandas turns into str and numbers; no index of its own, no dictionary, nothing missing."""
    write_parquet(table_of(5, options=BAND), tmp_path / "catalog.parquet")
    arrow = pq.read_table(tmp_path / "catalog.parquet")
    texts = [field.name for field in arrow.schema if pa.types.is_string(field.type)]
    numbers = [f.name for f in arrow.schema if pa.types.is_floating(f.type) or pa.types.is_integer(f.type)]
    assert {"id_str", "file_loc", "file_loc_F277W", "split"} <= set(texts)
    assert len(texts) + len(numbers) == len(arrow.schema)
    assert arrow.schema.pandas_metadata is None
    assert sum(column.null_count for column in arrow.itercolumns()) == 0


def test_single_bands_have_columns_of_their_own_where_they_exist() -> None:
    rows = rows_of(3)
    there = {single_path(rows["cutout"][0], "F277W"), single_path(rows["cutout"][1], "F115W")}
    table = zoobot_table(rows, "demo", BAND, singles=there)
    assert table["file_loc_F277W"].tolist() == ["zoobot/F277W/f0/demo_J000000.00p020000.0.fits", "", ""]
    assert table["file_loc_F444W"].tolist() == ["", "", ""]
    assert "file_loc_F115W" not in table.colnames


def test_what_the_checks_said_goes_along() -> None:
    rows = rows_of(2)
    rows["verdict"] = ["pass", "warn"]
    assert zoobot_table(rows, "demo", OPTIONS)["quality"].tolist() == ["pass", "warn"]


@pytest.fixture
def survey(tmp_path: Path) -> Table:
    """A survey's folder with one galaxy in it, made by the rooms that make them; its Zoobot catalog."""
    cutout = cut_bytes(make_field(tmp_path / "sky", [Blob(0, 0, 0.2, flux(20, 20, 20, 20))], grids(30.0, side=5.0)))
    rows = rows_of(1)
    files = {rows["cutout"][0]: cutout, rows["image"][0]: render_cutout("x.fits", cutout, COLOUR).data}
    files |= {single_path(rows["cutout"][0], one.band): one.data for one in single_bands("x", cutout, BAND.zoobot_fits)}
    for path, data in files.items():
        assert data is not None
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(data)
    return zoobot_table(rows, "demo", BAND, singles=set(files))


def test_its_loader_would_read_every_file(survey: Table, tmp_path: Path) -> None:
    made = absolute_file_locs(survey, tmp_path)
    for name in [name for name in made.colnames if name.startswith("file_loc")]:
        loc = str(made[name][0])
        assert Path(loc).is_absolute()
        assert loc.endswith(READ_BY_NAME)
        with Image.open(loc, mode="r") if loc.endswith("jpg") else fits.open(loc) as opened:
            if isinstance(opened, Image.Image):
                opened.load()
                assert (opened.mode, opened.size) == ("RGB", (COLOUR.size_px, COLOUR.size_px))
            else:
                pixels = opened[0].data.astype(np.float32)
                assert pixels.ndim == 2
                assert pixels.dtype.isnative
                assert np.isfinite(pixels).all()


def test_the_tree_is_that_of_its_datasets(survey: Table, tmp_path: Path) -> None:
    """`{root}/images/<subfolder>/<name>.jpg`: a catalog without `file_loc` can be joined by hand."""
    path = tmp_path / "images" / survey["subfolder"][0] / survey["filename"][0]
    assert str(path) == str(tmp_path / survey["file_loc"][0])
    assert path.is_file()


def test_a_missing_file_is_named(survey: Table, tmp_path: Path) -> None:
    gone = tmp_path / survey["file_loc_F444W"][0]
    gone.unlink()
    with pytest.raises(StorageError, match=re.escape(f"{gone} is not there (1 of 4 files are missing)")):
        absolute_file_locs(survey, tmp_path)
    assert absolute_file_locs(survey, tmp_path, ["file_loc"])["file_loc_F444W"][0] == survey["file_loc_F444W"][0]


def test_an_empty_place_stays_empty(survey: Table, tmp_path: Path) -> None:
    survey["file_loc_F444W"] = [""]
    assert absolute_file_locs(survey, tmp_path.as_uri())["file_loc_F444W"][0] == ""


def test_a_folder_far_away_is_refused(survey: Table) -> None:
    with pytest.raises(StorageError, match="memory://x: Zoobot reads local files only"):
        absolute_file_locs(survey, "memory://x")


def test_rows_that_come_later_move_nobody() -> None:
    table = table_of(200)
    before = dict(zip(table["id_str"], table["split"], strict=True))
    later = table_of(200, slice(50, 150))
    assert all(before[name] == side for name, side in zip(later["id_str"], later["split"], strict=True))
    assert 10 < np.count_nonzero(table["split"] == "test") < 90
    train, test = zoobot_splits(table)
    assert len(train) + len(test) == 200
    assert set(test["split"]) == {"test"}


def test_what_was_handed_over_before_is_kept(tmp_path: Path) -> None:
    """Through the file, since its meta says by which rule it was drawn."""
    before = table_of(50)
    before["split"][:] = np.where(before["split"] == "test", "train", "test")
    write_parquet(before, tmp_path / "catalog.parquet")
    assert (table_of(50, earlier=read_parquet(tmp_path / "catalog.parquet"))["split"] == before["split"]).all()


def test_one_group_is_on_one_side() -> None:
    catalog = make_catalog(200)
    catalog["group_id"] = np.arange(200) // 4
    rows = join_rows(catalog, [make_image(catalog, n) for n in range(200)])
    table = zoobot_table(rows, "demo", OPTIONS)
    for group in range(50):
        assert len(set(table["split"][np.asarray(table["group_id"]) == group])) == 1


def test_no_test_share_is_all_train() -> None:
    assert set(table_of(5, options=PublishOptions(test_share=0.0))["split"]) == {"train"}
    assert set(table_of(5, options=PublishOptions(test_share=1.0))["split"]) == {"test"}
