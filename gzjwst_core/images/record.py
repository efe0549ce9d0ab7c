"""What the makers of an image know of it: kept in the chunk's receipt, read by whoever judges and hands over."""

from collections.abc import Mapping

from gzjwst_core.values import Value

__all__ = ["ImageNote", "ImageRecord"]


class ImageRecord(Value):
    """What the makers of one image know of it."""

    id_str: str
    image: str
    """Path relative to the run folder: `images/<field>/<name>.jpg`."""
    cutout: str = ""
    """Path of its cutout, relative to the run folder."""
    strip: str = ""
    """Path of the grey strip of all bands, relative to the run folder; empty = none."""
    strip_bands: str = ""
    """Bands of the strip from left to right, joined by commas."""
    panels: str = ""
    """Boxes of a grid's panels, such as `rgb=0,0,424,424 F115W=428,0,852,424` (x0, y0, x1, y1; 0-based, half open)."""
    size_bytes: int = 0
    """Of the image's file."""
    fov_rule: str = ""
    """Rule of the field of view, or `stated`; empty = not known."""
    fov_arcsec: float
    """Side of the square of sky that is seen."""
    size_arcsec: float | None = None
    """What the rule of the field of view measured; None = a stated field of view, or a target without a size."""
    floor_arcsec: float | None = None
    """Least field of view that shows the whole target; None = a stated field of view, or a rule without a floor."""
    pixscale_arcsec: float
    """Scale of the image's own pixels."""
    coverage_min: float
    """Smallest part with data over the bands of the colour, 0 to 1."""
    filters_rgb: str
    """Bands of the channels, such as `R=F444W G=F277W B=F150W+F115W`."""
    filled: str = ""
    """Channels without data that were filled from their neighbours, joined by commas."""
    recipe: str
    recipe_digest: str


class ImageNote(Value):
    """A receipt's note of one image."""

    record: ImageRecord
    measures: Mapping[str, float | None]
    """By name; None = there was nothing to measure."""
