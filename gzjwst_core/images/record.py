"""What the makers of an image know of it: kept in the chunk's receipt, read by whoever hands over."""

from gzjwst_core.models import Value

__all__ = ["ImageRecord"]


class ImageRecord(Value):
    """What the makers of one image know of it."""

    id_str: str
    image: str
    """Path relative to the run folder: `images/<field>/<name>.jpg`."""
    cutout: str = ""
    """Path of its cutout, relative to the run folder."""
    fov_arcsec: float
    """Side of the square of sky that is seen."""
    pixscale_arcsec: float
    """Scale of the image's own pixels."""
    coverage_min: float
    """Smallest part with data over the bands of the colour, 0 to 1."""
    filters_rgb: str
    """Bands of the channels, such as `R=F444W G=F277W B=F150W+F115W`."""
    recipe: str
    recipe_digest: str
