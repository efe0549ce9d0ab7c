"""Contact sheets: which images a person should look at first, and their small copies inside the report."""

import base64
import hashlib
import io
from collections.abc import Callable

import numpy as np
from astropy.table import Table
from PIL import Image, UnidentifiedImageError

from gzjwst_core.errors import ImageError

__all__ = ["SHEETS", "choose_sheets", "thumbnail_uri"]

_Key = Callable[[Table], list[float]]

SHEETS: dict[str, _Key] = {
    "Random": lambda rows: [_draw(name) for name in np.asarray(rows["id_str"]).tolist()],
    "Brightest": lambda rows: np.asarray(rows["mag_ref"], dtype=np.float64).tolist(),
    "Largest": lambda rows: (-np.asarray(rows["r50"], dtype=np.float64)).tolist(),
}
"""What each sheet is sorted by; the lowest come first, NaN last."""


def choose_sheets(rows: Table, count: int) -> dict[str, list[int]]:
    """Choose the images of each sheet.

    Parameters
    ----------
    rows
        PUBLISH_COLUMNS of `rows`: id_str, mag_ref and r50 are read.
    count
        Images on a sheet.

    Returns
    -------
    dict
        Row numbers by title. The random sheet goes by a hash of id_str: the same images every time, and a field added
        later changes only its own share.
    """
    names = np.asarray(rows["id_str"])
    return {
        title: np.lexsort((names, np.asarray(key(rows), dtype=np.float64)))[:count].tolist()
        for title, key in SHEETS.items()
    }


def thumbnail_uri(image: bytes, side_px: int = 168) -> str:
    """Re-encode an image to a small JPEG inside a `data:` address.

    Parameters
    ----------
    image
        Any format that pillow reads.
    side_px
        Longest side.

    Raises
    ------
    ImageError
        It is no image.
    """
    try:
        with Image.open(io.BytesIO(image)) as opened:
            small = opened.convert("RGB")
    except (UnidentifiedImageError, OSError) as error:
        raise ImageError(f"a contact sheet's image cannot be read: {error}") from error
    small.thumbnail((side_px, side_px), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    small.save(out, format="JPEG", quality=84, subsampling=0)
    return "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode()


def _draw(name: str) -> float:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:6]) / 2.0**48
