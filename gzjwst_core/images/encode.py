"""Pixels to JPEG or PNG bytes, with what the picture is written into the file, and that read back.

The same picture gives the same bytes: no clock, no name of a machine. Text is ASCII.
"""

from collections.abc import Mapping
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngImageFile, PngInfo

from gzjwst_core.errors import ImageError
from gzjwst_core.options import ImageOptions
from gzjwst_core.values import digest_of

__all__ = ["encode", "encode_jpeg", "metadata", "read_metadata", "recipe_digest"]

_DESCRIPTION, _DETAILS, _COLOUR_SPACE, _SRGB = 0x010E, 0x8769, 0xA001, 1
_NOT_COLOUR = {"format", "jpeg_quality", "layout", "panel_bands", "panel_gap_px", "strip_px", "pins"}


def recipe_digest(options: ImageOptions) -> str:
    """Digest of all that makes the colour: recipe, bands, curve and pins; not file format, layout or strips."""
    return digest_of(options.model_dump(mode="json", exclude=_NOT_COLOUR))


def metadata(
    id_str: str,
    fov_arcsec: float,
    options: ImageOptions,
    *,
    bands: str = "",
    filled: tuple[str, ...] = (),
    panels: str = "",
) -> dict[str, str]:
    """Return what an image says of itself; what is empty is left out.

    Parameters
    ----------
    id_str
        Name of the source.
    fov_arcsec
        Side of the square of sky that is seen.
    options
        The recipe.
    bands
        Bands of the channels, as `ImageRecord.filters_rgb`.
    filled
        Channels that have no data and were filled from their neighbours.
    panels
        Boxes of a grid's panels, as `ImageRecord.panels`.
    """
    said = {
        "id_str": id_str,
        "fov_arcsec": f"{fov_arcsec:.10g}",
        "pixscale_arcsec": f"{fov_arcsec / options.size_px:.10g}",
        "recipe": options.recipe,
        "recipe_digest": recipe_digest(options),
        "bands": bands,
        "filled": ",".join(filled),
        "panels": panels,
    }
    return {key: value for key, value in said.items() if value}


def encode(rgb: NDArray[np.uint8], options: ImageOptions, meta: Mapping[str, str]) -> bytes:
    """Encode a picture in the options' format.

    Parameters
    ----------
    rgb
        (ny, nx, 3), sRGB, row 0 on top.
    options
        Format and JPEG quality.
    meta
        What it says of itself.

    Returns
    -------
    bytes
        JPEG as of `encode_jpeg`, or PNG with one tEXt chunk a key.
    """
    if options.format == "jpg":
        return encode_jpeg(rgb, options.jpeg_quality, meta)
    info, out = PngInfo(), BytesIO()
    for key, value in meta.items():
        info.add_text(key, _ascii(value))
    info.add(b"sRGB", b"\0")
    # run lengths: half the time, +5 % bytes
    Image.fromarray(rgb).save(out, "PNG", pnginfo=info, compress_level=1, compress_type=3)
    return out.getvalue()


def encode_jpeg(pixels: NDArray[np.uint8], quality: int, meta: Mapping[str, str]) -> bytes:
    """Encode colour (ny, nx, 3) or grey (ny, nx) as JPEG with full colour resolution (4:4:4).

    Notes
    -----
    `meta` is in the comment and in EXIF's description as `key=value` joined by `; `; EXIF says sRGB too.
    """
    said = "; ".join(f"{key}={_ascii(value).replace(';', ',')}" for key, value in meta.items())
    exif, out = Image.Exif(), BytesIO()
    exif[_DESCRIPTION] = said
    exif.get_ifd(_DETAILS)[_COLOUR_SPACE] = _SRGB
    image = Image.fromarray(pixels)
    image.save(out, "JPEG", quality=quality, subsampling=0, comment=said.encode("ascii"), exif=exif)
    return out.getvalue()


def read_metadata(data: bytes) -> dict[str, str]:
    """Read back what an image says of itself.

    Parameters
    ----------
    data
        A JPEG or PNG file.

    Returns
    -------
    dict
        By key, as `metadata` made it; empty for an image that is not ours.

    Raises
    ------
    ImageError
        It is no image (reason `bad_image`).
    """
    try:
        with Image.open(BytesIO(data)) as image:
            if isinstance(image, PngImageFile):
                return {key: str(value) for key, value in image.text.items()}
            comment = image.info.get("comment", b"")
    except (OSError, SyntaxError, ValueError) as error:
        raise ImageError(f"no JPEG or PNG, or damaged: {error}") from error
    said = comment.decode("ascii", "replace") if isinstance(comment, bytes) else ""
    pairs = (part.partition("=") for part in said.split("; "))
    return {key: value for key, equals, value in pairs if equals}


def _ascii(text: str) -> str:
    return "".join(c if " " <= c <= "~" else "?" for c in text)
