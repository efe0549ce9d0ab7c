"""NIRCam's bands: the names that profiles, products and catalogs may use, in order of wavelength."""

import difflib

__all__ = ["NIRCAM_BANDS", "known_band", "wavelength_um"]

NIRCAM_BANDS = (
    "F070W",
    "F090W",
    "F115W",
    "F140M",
    "F150W",
    "F150W2",
    "F162M",
    "F164N",
    "F182M",
    "F187N",
    "F200W",
    "F210M",
    "F212N",
    "F250M",
    "F277W",
    "F300M",
    "F322W2",
    "F323N",
    "F335M",
    "F356W",
    "F360M",
    "F405N",
    "F410M",
    "F430M",
    "F444W",
    "F460M",
    "F466N",
    "F470N",
    "F480M",
)


def known_band(name: str) -> str:
    """Check that a name is a NIRCam band.

    Returns
    -------
    str
        The same name.

    Raises
    ------
    ValueError
        It is none; says which are, and the nearest one.
    """
    if name not in NIRCAM_BANDS:
        near = difflib.get_close_matches(name, NIRCAM_BANDS, n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"not a NIRCam band{hint} (allowed: {', '.join(NIRCAM_BANDS)})")
    return name


def wavelength_um(name: str) -> float:
    """Return the wavelength in a band's name, micrometre: 2.77 for F277W; good to some per cent (`W2` to 10)."""
    return int(name[1:4]) / 100
