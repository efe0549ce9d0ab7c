"""Instruments whose mosaics a survey can be made of: NIRCam and NIRISS have filters of the same names."""

import re
from collections.abc import Mapping

from gzjwst_core.bands import NIRCAM_BANDS

__all__ = ["INSTRUMENTS", "instrument_in", "known_instrument", "names_another"]

INSTRUMENTS: Mapping[str, tuple[str, ...]] = {
    "NIRCAM": NIRCAM_BANDS,
    "NIRISS": ("F090W", "F115W", "F140M", "F150W", "F200W", "F277W", "F356W", "F430M", "F444W", "F480M"),
}
"""Bands of each, by its name as MAST and headers write it; NIRISS' F158M and F380M are none that we know."""

_SAYS_NOTHING = {"UNKNOWN", "NONE", "N", "A"}
_IN_NAME = re.compile(r"(?<![a-z])(?:nircam|niriss|miri|nirspec|fgs)(?![a-z])")
_GRIZLI_NIRISS = re.compile(r"(?<![a-z0-9])f\d{3}[wm]n(?![a-z0-9])", re.ASCII)  # f115wn-clear


def known_instrument(name: str) -> str:
    """Check that a name, in any case, is an instrument that a survey can be of.

    Returns
    -------
    str
        In capitals.

    Raises
    ------
    ValueError
        It is none; says which are.
    """
    if name.upper() not in INSTRUMENTS:
        raise ValueError(f"not an instrument that a survey can be of (allowed: {', '.join(INSTRUMENTS)})")
    return name.upper()


def instrument_in(name: str) -> str:
    """Return the instrument that a product's or file's name tells, in capitals; several with blanks, or empty."""
    low = name.lower()
    found = [match.upper() for match in _IN_NAME.findall(low)]
    return " ".join(found or (["NIRISS"] if _GRIZLI_NIRISS.search(low) else []))


def names_another(stated: str, wanted: str) -> bool:
    """Whether a text names instruments and the wanted one is not among them.

    Parameters
    ----------
    stated
        INSTRUME of a header, `instrument_name` of MAST (`NIRCAM/IMAGE`), or what a name tells; may be empty.
    wanted
        One of INSTRUMENTS.
    """
    named = set(re.findall(r"[A-Z0-9]+", stated.upper())) - _SAYS_NOTHING
    return bool(named) and wanted not in named
