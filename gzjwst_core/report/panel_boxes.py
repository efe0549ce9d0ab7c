"""Where the colour picture lies in an image that is a grid of panels.

The page shows the colour picture large and by itself, as its bands have a place of their own. Only `ImageRecord.panels`
is read here; panels are laid out by `images.grey`, and cropped by `sheets` and by the page.
"""

import re

__all__ = ["Box", "rgb_box"]

Box = tuple[int, int, int, int]
"""x0, y0, x1, y1 in pixels of the image's file; 0-based, half open."""

_RGB = re.compile(r"(?:^| )rgb=(\d+),(\d+),(\d+),(\d+)(?: |$)", re.ASCII)


def rgb_box(panels: str) -> Box | None:
    """Find the box of the colour picture.

    Parameters
    ----------
    panels
        As `ImageRecord.panels`.

    Returns
    -------
    tuple or None
        None where the whole image is the colour picture, or the text says no box that holds a pixel.
    """
    found = _RGB.search(panels)
    if found is None:
        return None
    x0, y0, x1, y1 = (int(number) for number in found.groups())
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None
