"""The only builder and parser of names: obs_ids, identifiers of sources, file names.

Nothing outside this module takes a name apart, and no name from outside becomes a path without passing `safe_name` and
`join_inside`.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from gzjwst_core.bands import NIRCAM_BANDS
from gzjwst_core.errors import NameRefusedError

__all__ = [
    "ObsId",
    "band_of",
    "file_stem",
    "id_str",
    "is_id_str",
    "join_inside",
    "parse_obs_id",
    "parse_with_pattern",
    "safe_name",
    "tidy_name",
]

_SAFE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,199}\Z")
_PUNCTUATION = re.compile(r"[ -*,:-@\[-^`{-~]")
_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*_J\d{6}\.\d{2}[+-]\d{6}\.\d[a-z]*\Z", re.ASCII)
_LE3 = re.compile(
    r"jw(?P<program>\d{5})-(?P<ac>[oca]\d{3,4})_(?P<target>t\d{3,4})(?P<epoch>-epoch[0-9a-z]+)?"
    r"_(?P<instrument>[a-z]+)_(?P<optics>[a-z0-9]+(?:-[a-z0-9]+)*?)(?P<subarray>-sub[a-z0-9]+)?\Z",
    re.ASCII,  # digits of other scripts are no digits
)
_HLSP = re.compile(
    r"hlsp_(?P<team>[a-z0-9-]+)_jwst_(?P<instrument>[a-z]+)_(?P<field>[a-z0-9-]+)_(?P<optics>f\d{3}[a-z0-9]{1,2}(?:-[a-z0-9]+)?)"
    r"_(?P<version>v[0-9a-z.]+?)(?:_[a-z0-9-]+)?\Z",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class ObsId:
    """What an observation's name tells."""

    kind: Literal["LE3", "HLSP", "OTHER"]
    """`LE3`: the observatory's level-3 product; `HLSP`: a team's; `OTHER`: named by a profile's own pattern."""
    field: str
    band: str
    """Band in capitals (`F444W`), empty if the optics are not of NIRCam."""
    instrument: str = ""
    """In small letters; empty where the name does not tell."""
    subarray: str = ""
    program: str = ""
    """Five digits, only for LE3."""
    association: str = ""
    """Association candidate such as `o001` or `c1000`, only for LE3."""


def parse_obs_id(text: str) -> ObsId | None:
    """Take an obs_id of the observatory (LE3) or of a team (HLSP) apart.

    Parameters
    ----------
    text
        Such as `jw01345-o001_t021_nircam_clear-f115w` or `hlsp_ceers_jwst_nircam_nircam1_f200w_v0.5`.

    Returns
    -------
    ObsId or None
        None when the name follows neither rule.

    Notes
    -----
    Naming rule of level-3 products: jw<ppppp>-<AC_ID>_<target>(-epoch)_<instrument>_<optics>(-<subarray>), with AC_ID
    one of o### (one observation), c#### (a combination) and a####. Of two optics the narrower filter is the band:
    `clear-f115w` is F115W, and `f444w-f470n` is F470N.
    """
    if (m := _LE3.match(text)) is not None:
        field = f"jw{m['program']}-{m['ac']}_{m['target']}{m['epoch'] or ''}"
        subarray = (m["subarray"] or "").removeprefix("-")
        return ObsId("LE3", field, band_of(m["optics"]), m["instrument"], subarray, m["program"], m["ac"])
    if (m := _HLSP.match(text)) is not None:
        return ObsId("HLSP", m["field"], band_of(m["optics"]), m["instrument"])
    return None


def parse_with_pattern(text: str, pattern: str) -> ObsId | None:
    """Take a name apart with a profile's own regular expression.

    Parameters
    ----------
    text
        obs_id or file name.
    pattern
        Regular expression, searched in the text, with groups `field` and `band` (any case).

    Returns
    -------
    ObsId or None
        None when the pattern does not match or its band is none of NIRCam's.
    """
    found = re.search(pattern, text)
    if found is None:
        return None
    groups = found.groupdict()
    band = band_of(groups.get("band") or "")
    return ObsId("OTHER", groups.get("field") or "", band) if band else None


def band_of(optics: str) -> str:
    """Return the band of optical elements such as `clear-f115w`: the narrowest filter of NIRCam's, or empty."""
    names = [part.upper() for part in optics.split("-")]
    filters = [name for name in names if name in NIRCAM_BANDS]
    return min(filters, key=_width_rank) if filters else ""


def _width_rank(band: str) -> int:
    return "NMW".index(band.rstrip("2")[-1])


def id_str(survey: str, ra_deg: float, dec_deg: float) -> str:
    """Name a sky object after its position, IAU style.

    Parameters
    ----------
    survey
        The survey's name.
    ra_deg, dec_deg
        ICRS position.

    Returns
    -------
    str
        `<survey>_JHHMMSS.ss+DDMMSS.s`, truncated and never rounded.

    Raises
    ------
    NameRefusedError
        The position is not on the sky.
    """
    if not (np.isfinite(ra_deg) and abs(dec_deg) <= 90.0):
        raise NameRefusedError(f"ra {ra_deg}, dec {dec_deg} is no position on the sky", reason="bad_position")
    # 1e-6 of the last digit makes up for binary fractions: 15.0 deg must not become 00:59:59.99
    ra_cs = int(np.floor((ra_deg % 360.0) / 15.0 * 3600.0 * 100.0 + 1e-6)) % (24 * 3600 * 100)
    dec_ds = int(np.floor(abs(dec_deg) * 3600.0 * 10.0 + 1e-6))
    sign = "-" if dec_deg < 0 else "+"
    hours, minutes, seconds = ra_cs // 360000, ra_cs // 6000 % 60, ra_cs % 6000
    degrees, arcmin, arcsec = dec_ds // 36000, dec_ds // 600 % 60, dec_ds % 600
    right = f"{hours:02d}{minutes:02d}{seconds // 100:02d}.{seconds % 100:02d}"
    return f"{survey}_J{right}{sign}{degrees:02d}{arcmin:02d}{arcsec // 10:02d}.{arcsec % 10}"


def is_id_str(text: str) -> bool:
    """Whether a text is a name as `id_str` makes them, with letters where several shared one."""
    return _ID.match(text) is not None


def file_stem(name: str) -> str:
    """Turn an id_str into the stem of its files: `+` is `p` and `-` is `m` in the coordinates.

    Raises
    ------
    NameRefusedError
        The name may not become a file's.
    """
    survey, mark, coordinates = name.rpartition("_J")
    return safe_name(survey + mark + coordinates.replace("+", "p").replace("-", "m"))


def safe_name(text: str) -> str:
    """Check that a name from outside may become one part of a path.

    Returns
    -------
    str
        The same text.

    Raises
    ------
    NameRefusedError
        It is empty, longer than 200 characters, starts with `.`, `-` or `+`, or holds anything but letters, digits and
        `_ . + -`.
    """
    if not _SAFE.match(text) or ".." in text:
        shown = text[:60].encode("ascii", "backslashreplace").decode()
        raise NameRefusedError(f"{shown!r} may not name a file (allowed: letters, digits and _ . + -, at most 200)")
    return text


def tidy_name(text: str) -> str:
    """Put `_` for blanks, brackets and whatever else of ASCII a file's name may hold and a name of ours may not.

    Raises
    ------
    NameRefusedError
        What is left may not become a path either: it is not ASCII, or holds a slash or a control character.
    """
    return safe_name(_PUNCTUATION.sub("_", text))


def join_inside(root: Path, *names: str) -> Path:
    """Join checked names below a folder, and make sure that the result is still inside it.

    Parameters
    ----------
    root
        Folder that must hold the result.
    names
        Parts, each passed through `safe_name`.

    Raises
    ------
    NameRefusedError
        A part is refused, or a link leads out of the folder.
    """
    path = root.joinpath(*(safe_name(name) for name in names))
    try:
        inside = path.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError):  # a link that leads to itself, or a path too long
        inside = False
    if not inside:
        raise NameRefusedError(f"{'/'.join(names)!r} leads out of its folder")
    return path
