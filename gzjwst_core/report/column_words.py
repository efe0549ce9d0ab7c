"""What columns and units are called where a person reads them: short words for names that programs use.

The names themselves stay beside them, to be found in the tables. Measures of images have words in `measures`.
"""

from gzjwst_core.report.texts import words

__all__ = ["column_words", "unit_words"]

_WORDS = {
    "ra": "right ascension",
    "dec": "declination",
    "ext_id": "name in the targets",
    "nn_dist": "nearest neighbour",
    "edge_dist": "to the edge",
    "mag_ref": "magnitude",
    "mu_max": "brightest pixel",
    "snr_det": "signal to noise",
    "total_factor": "total over Kron flux",
    "n_bands": "bands with data",
    "valid_frac_min": "least part with data",
    "r50": "half-light radius",
    "r20": "20 % of the light in",
    "r90": "90 % of the light in",
    "kron_a": "Kron semi-major axis",
    "kron_b": "Kron semi-minor axis",
    "bbox_diagonal": "box diagonal",
    "theta_sky": "position angle",
    "fov_arcsec": "field of view",
    "size_arcsec": "size it follows",
    "floor_arcsec": "at least",
    "pixscale_arcsec": "pixel",
    "coverage_min": "least coverage",
    "size_bytes": "file size",
    "filters_rgb": "channels",
    "filled": "channels filled in",
}
_UNITS = {"arcsec": "″", "deg": "°", "mag / arcsec2": "mag/″²"}


def column_words(name: str) -> str:
    """Write a column's name for people; a band's magnitude is called as the band."""
    return _WORDS.get(name) or words(name.removesuffix("_mag_tot"))


def unit_words(unit: str) -> str:
    """Write a unit for people, as astropy writes it for programs."""
    return _UNITS.get(unit, unit)
