"""From a cutout file's bytes to an image file's bytes, and what is known of the image.

Where files are read from and written to is the caller's affair.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from gzjwst_core.cutouts.read import Cutout, read_cutout
from gzjwst_core.errors import ImageError
from gzjwst_core.images.compose import Picture, colour
from gzjwst_core.images.encode import encode, encode_jpeg, metadata, recipe_digest
from gzjwst_core.images.grey import Strip, grid_of, strip_of
from gzjwst_core.images.layers import channel_bands
from gzjwst_core.images.quality import Measures, measure
from gzjwst_core.options import ImageOptions
from gzjwst_core.values import Outcome

__all__ = ["Facts", "RenderedImage", "render_chunk", "render_cutout"]


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one image."""

    id_str: str
    fov_rule: str
    """Rule of the field of view; empty = not known."""
    fov_arcsec: float
    size_arcsec: float | None
    """What the rule of the field of view measured; None = nothing."""
    floor_arcsec: float | None
    """Least field of view that shows the whole target; None = the rule has none."""
    pixscale_arcsec: float
    """Scale of the image's own pixels."""
    coverage_min: float
    """Smallest part with data over the recipe's bands that the field has, 0 to 1."""
    filters_rgb: str
    """Bands of the channels, such as `R=F444W G=F277W B=F150W+F115W`; a filled channel is `-`."""
    filled: tuple[str, ...]
    """Channels without data, filled from their neighbours."""
    recipe: str
    recipe_digest: str
    panels: str
    """Boxes of a grid's panels; empty for a single picture."""
    strip_bands: str
    """Bands of the strip, joined by commas; empty = no strip."""
    measures: Measures


@dataclass(frozen=True, slots=True)
class RenderedImage:
    """How one image ended."""

    name: str
    """File name of the image: the cutout's stem with the image's suffix."""
    data: bytes | None
    """The file; None unless the outcome is done."""
    facts: Facts | None
    outcome: Outcome
    strip: bytes | None = None
    """JPEG of the grey strip of all bands, where there is one."""
    strip_lost: str = ""
    """Reason why there is none though one was to be made: a picture without a strip is still a picture."""


def render_chunk(files: Iterable[tuple[str, bytes]], options: ImageOptions) -> Iterator[RenderedImage]:
    """Colour every cutout of a chunk, in order.

    Parameters
    ----------
    files
        Name and bytes of each cutout file.
    options
        The survey's recipe with its pins.

    Yields
    ------
    RenderedImage
        One for each file; a cutout that cannot be coloured is `failed` and stops nothing.
    """
    for name, data in files:
        yield render_cutout(name, data, options)


def render_cutout(name: str, data: bytes, options: ImageOptions) -> RenderedImage:
    """Colour one cutout.

    Parameters
    ----------
    name
        File name of the cutout.
    data
        Its bytes.
    options
        The survey's recipe with its pins.
    """
    made = f"{PurePosixPath(name).stem}.{options.format}"
    try:
        cutout = read_cutout(data)
        picture = colour(cutout, options)
        grid = grid_of(cutout, picture, options)
    except ImageError as error:
        return _failed(made, name, error)
    strip, lost = _strip(cutout, options)
    facts = _facts(cutout, picture, options, panels=grid.panels, strip=strip)
    said = metadata(
        cutout.id_str,
        cutout.fov_arcsec,
        options,
        bands=facts.filters_rgb,
        filled=picture.filled,
        panels=grid.panels,
    )
    shown = None if strip is None else encode_jpeg(strip.grey, options.jpeg_quality, _strip_metadata(cutout, strip))
    return RenderedImage(made, encode(grid.rgb, options, said), facts, Outcome(), shown, lost)


def _failed(made: str, name: str, error: ImageError) -> RenderedImage:
    return RenderedImage(made, None, None, Outcome(kind="failed", reason=error.reason, detail=f"{name}: {error}"))


def _strip(cutout: Cutout, options: ImageOptions) -> tuple[Strip | None, str]:
    """Return the strip, or none and the reason."""
    try:
        return strip_of(cutout, options), ""
    except ImageError as error:
        return None, error.reason


def _strip_metadata(cutout: Cutout, strip: Strip) -> dict[str, str]:
    return {
        "id_str": cutout.id_str,
        "fov_arcsec": f"{cutout.fov_arcsec:.10g}",
        "pixscale_arcsec": f"{cutout.fov_arcsec / strip.grey.shape[0]:.10g}",
        "bands": ",".join(strip.bands),
    }


def _facts(cutout: Cutout, picture: Picture, options: ImageOptions, *, panels: str, strip: Strip | None) -> Facts:
    wanted = {band for bands in channel_bands(options).values() for band in bands}
    return Facts(
        id_str=cutout.id_str,
        fov_rule=cutout.fov_rule,
        fov_arcsec=cutout.fov_arcsec,
        size_arcsec=cutout.size_arcsec if math.isfinite(cutout.size_arcsec) else None,
        floor_arcsec=cutout.floor_arcsec if math.isfinite(cutout.floor_arcsec) else None,
        pixscale_arcsec=cutout.fov_arcsec / options.size_px,
        coverage_min=min(found.coverage for band, found in cutout.bands.items() if band in wanted),
        filters_rgb=_filters(picture, options),
        filled=picture.filled,
        recipe=options.recipe,
        recipe_digest=recipe_digest(options),
        panels=panels,
        strip_bands="" if strip is None else ",".join(strip.bands),
        measures=measure(cutout, picture),
    )


def _filters(picture: Picture, options: ImageOptions) -> str:
    parts = []
    for channel, bands in channel_bands(options).items():
        used = [band for band in bands if band in picture.bands and channel not in picture.filled]
        parts.append(f"{channel[0].upper()}={'+'.join(used) or '-'}")
    return " ".join(parts)
