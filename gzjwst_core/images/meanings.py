"""What each measure of an image or of the survey is called, what it says and what it is counted in: the words, once.

The table of checks, the columns of measures, the report and the terminal take them from here, and the text under each
key of the profile's `[quality]` begins with them. Not here: how a measure is made (`quality`), and its limits.
"""

from typing import NamedTuple

__all__ = ["MEANINGS", "Meaning", "described", "measure_words", "reason_words"]


class Meaning(NamedTuple):
    """One measure in words."""

    words: str
    """Its name for people."""
    says: str
    """What is measured."""
    unit: str = ""
    """What it is counted in, as it stands behind a number; empty = a plain number."""


MEANINGS = {
    "black": Meaning("black", "share of the pixels with data that are black in every channel"),
    "white": Meaning("white", "share of the pixels with data that are white in every channel"),
    "sky_median": Meaning("sky level", "median grey level of the sky, sources and gaps aside", "of 255"),
    "sky_chroma": Meaning("sky colour", "difference of red and blue in the mean colour of the sky", "of 255"),
    "fill": Meaning("fill", "longer side of the target's segment", "of the side"),
    "reach": Meaning("reach", "how far the target's segment reaches from the centre, 1 = an edge"),
    "coverage": Meaning("coverage", "part of the picture with data"),
    "centring": Meaning("centring", "distance of the middle of the target's light from the centre", "of the side"),
    "contrast": Meaning("contrast", "upper tenth of the target's grey above the upper tenth of the sky's", "sky noise"),
    "size_bytes": Meaning("file size", "size of the image's file", "byte"),
    "star_colour_sd": Meaning("colour of stars", "scatter of log2(red / blue) between fields that show one star"),
    "same_galaxy": Meaning(
        "same galaxy",
        "difference of the channels over one galaxy between its images from two fields: the median of the field where"
        " it is largest",
        "of 255",
    ),
    "fill_share": Meaning("share of good fill", "share of the images whose fill is within its range of warning"),
}
"""By name, as the limits are named in the profile: of one image first, then of the survey."""


def described(name: str) -> str:
    """Say what is measured and what it is counted in: `size of the image's file (byte)`."""
    meaning = MEANINGS[name]
    return f"{meaning.says} ({meaning.unit})" if meaning.unit else meaning.says


def measure_words(name: str) -> str:
    """Write a measure's name for people."""
    return MEANINGS[name].words if name in MEANINGS else name.replace("_", " ")


def reason_words(code: str) -> str:
    """Write a reason for people: `sky_chroma:above` is `sky colour above`."""
    name, _, rest = code.partition(":")
    return f"{measure_words(name)} {rest.replace(':', ' ').replace('_', ' ')}".strip()
