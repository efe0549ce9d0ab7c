"""Every image has its catalog row, once."""

import numpy as np
import pytest
from astropy.table import Table

from gzjwst_core.errors import CatalogError
from gzjwst_core.zoobot import rows
from gzjwst_core.zoobot.rows import PUBLISH_COLUMNS, join_rows
from tests.publish.conftest import make_image


def test_images_in_any_order_come_in_the_catalogs_order(catalog: Table) -> None:
    rows = join_rows(catalog, [make_image(catalog, n) for n in (7, 2, 4)])
    assert rows["id_str"].tolist() == [catalog["id_str"][n] for n in (2, 4, 7)]
    assert rows.colnames == [c.name for c in PUBLISH_COLUMNS]
    assert rows["cutout"][0].endswith(".fits")


def test_images_that_come_in_blocks_are_the_same_rows(catalog: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    images = [make_image(catalog, n) for n in np.random.default_rng(2).permutation(len(catalog)).tolist()]
    at_once = join_rows(catalog, images)
    monkeypatch.setattr(rows, "_BLOCK", 4)
    in_blocks = join_rows(catalog, iter(images))
    for column in PUBLISH_COLUMNS:
        np.testing.assert_array_equal(at_once[column.name], in_blocks[column.name])
    with pytest.raises(CatalogError, match="named twice"):
        join_rows(catalog, [*images, images[0]])


def test_no_images_are_no_rows(catalog: Table) -> None:
    assert len(join_rows(catalog, [])) == 0


def test_a_strange_or_double_image_is_refused_by_name(catalog: Table) -> None:
    image = make_image(catalog, 0)
    with pytest.raises(CatalogError, match="named twice"):
        join_rows(catalog, [image, image])
    with pytest.raises(CatalogError, match=r"demo_J1.*of no row"):
        join_rows(catalog, [image.replace(id_str="demo_J1")])
