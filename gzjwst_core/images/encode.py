"""Pixels to JPEG or PNG bytes, with what the picture is written into the file.

The same picture gives the same bytes: no clock, no name of a machine. Text is ASCII.
"""

from collections.abc import Mapping
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from gzjwst_core.models import digest_of
from gzjwst_core.options import ImageOptions

__all__ = ["encode", "metadata", "recipe_digest"]


def recipe_digest(options: ImageOptions) -> str:
    """Digest of all that makes the colour: recipe, bands, curve and pins; not the file format."""
    return digest_of(options.model_dump(mode="json", exclude={"format", "jpeg_quality"}))


def metadata(id_str: str, fov_arcsec: float, options: ImageOptions, filled: tuple[str, ...] = ()) -> dict[str, str]:
    """Return what an image says of itself.

    Parameters
    ----------
    id_str
        Name of the source.
    fov_arcsec
        Side of the square of sky that is seen.
    options
        The recipe.
    filled
        Channels that have no data and were filled from their neighbours.
    """
    said = {
        "id_str": id_str,
        "fov_arcsec": f"{fov_arcsec:.10g}",
        "recipe": options.recipe,
        "recipe_digest": recipe_digest(options),
    }
    return said | ({"filled": ",".join(filled)} if filled else {})


def encode(rgb: NDArray[np.uint8], options: ImageOptions, meta: Mapping[str, str]) -> bytes:
    """Encode a picture.

    Parameters
    ----------
    rgb
        (ny, nx, 3), sRGB, row 0 on top.
    options
        Format and JPEG quality.
    meta
        Goes into PNG's tEXt chunks, or into the JPEG's comment as `key=value` joined by `; `.

    Returns
    -------
    bytes
        JPEG with full colour resolution (4:4:4), or PNG.
    """
    image, out = Image.fromarray(rgb), BytesIO()
    plain = {key: _ascii(value) for key, value in meta.items()}
    if options.format == "png":
        info = PngInfo()
        for key, value in plain.items():
            info.add_text(key, value)
        image.save(
            out, "PNG", pnginfo=info, compress_level=1, compress_type=3
        )  # run lengths: half the time, +5 % bytes
    else:
        comment = "; ".join(f"{key}={value}" for key, value in plain.items())
        image.save(out, "JPEG", quality=options.jpeg_quality, subsampling=0, comment=comment.encode("ascii"))
    return out.getvalue()


def _ascii(text: str) -> str:
    return "".join(c if " " <= c <= "~" else "?" for c in text)
