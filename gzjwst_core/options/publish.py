"""Hand-overs and the report."""

from pydantic import Field

from gzjwst_core.options.base import Bands, Link, Options, Positive, Share

__all__ = ["PublishOptions"]


class PublishOptions(Options):
    """Hand-overs."""

    manifest_rows: int = Field(default=1000, ge=1, le=10000)
    """Subjects in one Zooniverse manifest."""
    link: Link = "https://aladin.cds.unistra.fr/AladinLite/?target={ra:.6f}%20{dec:+.6f}&fov=0.02"
    """Sky viewer on a subject's Talk page."""
    test_share: Share = 0.2
    """Part of the sky cells whose galaxies are Zoobot's test set."""
    split_cell_arcmin: Positive = 1.0
    """Side of a sky cell; all galaxies of a cell are on one side of the split."""
    contact_sheet: int = Field(default=48, ge=0, le=400)
    """Images on each contact sheet of the report."""
    zoobot_fits: Bands = ()
    """Bands that are handed to Zoobot as single-band FITS too, 2-D in HDU 0 and without gaps: `docs/zoobot.md`."""
    report_galaxies: int = Field(default=20000, ge=0)
    """Most galaxies that the report lists; beyond it, a random part of them."""
