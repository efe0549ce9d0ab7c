"""Sheets show the same images every time, and small ones."""

import base64
import io

import numpy as np
import pytest
from astropy.table import Table
from PIL import Image

from gzjwst_core.errors import ImageError
from gzjwst_core.publish.sheets import choose_sheets, thumbnail_uri


def picture(side: int, form: str = "JPEG") -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.full((side, side, 3), (200, 30, 30), dtype=np.uint8)).save(out, format=form)
    return out.getvalue()


def test_the_brightest_and_largest_come_first_and_nan_last(rows: Table) -> None:
    rows["r50"][3] = np.nan
    chosen = choose_sheets(rows, 10)
    magnitudes = np.asarray(rows["mag_ref"])[chosen["Brightest"]]
    assert (np.diff(magnitudes) >= 0).all()
    assert rows["r50"][chosen["Largest"][0]] == np.nanmax(rows["r50"])
    everything = choose_sheets(rows, 100)
    assert everything["Brightest"][-1] == 1  # the row without a magnitude
    assert everything["Largest"][-1] == 3
    assert all(len(places) == len(rows) for places in everything.values())


def test_the_random_sheet_does_not_depend_on_the_rows_order(rows: Table) -> None:
    forward = [rows["id_str"][n] for n in choose_sheets(rows, 8)["Random"]]
    turned = rows[::-1]
    assert [turned["id_str"][n] for n in choose_sheets(turned, 8)["Random"]] == forward
    assert forward != sorted(forward)


def test_no_rows_fill_no_sheet(rows: Table) -> None:
    assert set(map(len, choose_sheets(rows[:0], 8).values())) == {0}


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_a_thumbnail_is_a_small_jpeg_of_the_same_colour(form: str) -> None:
    uri = thumbnail_uri(picture(424, form))
    head, _, data = uri.partition(",")
    assert head == "data:image/jpeg;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as small:
        assert small.size == (168, 168)
        pixel = np.asarray(small)[80, 80].astype(int)
    assert np.abs(pixel - (200, 30, 30)).max() < 12
    assert len(uri) < 12_000


def test_what_is_no_image_is_refused() -> None:
    with pytest.raises(ImageError, match="cannot be read"):
        thumbnail_uri(b"not an image")
    with pytest.raises(ImageError):
        thumbnail_uri(picture(424)[:400])
