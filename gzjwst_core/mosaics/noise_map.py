"""Noise maps: which plane of a file is one, and whether its values can be.

A noise map holds the standard deviation of every pixel. Weights, variances and the science plane itself are refused by
name; where no name tells, the scatter of the sky's own pixels does (`check_noise`).
"""

import re
import tempfile
from functools import lru_cache
from pathlib import Path

from gzjwst_core.errors import MosaicLayoutError, StorageError
from gzjwst_core.mosaics.gunzip import Gunzip
from gzjwst_core.mosaics.layout import Plane, read_layout
from gzjwst_core.mosaics.planes import unpack

__all__ = ["NOISE_PLANES", "noise_plane", "plain_path"]

NOISE_PLANES = ("ERR", "ERROR", "RMS", "SIGMA", "NOISE", "STD", "STDDEV", "UNCERT")
"""EXTNAMEs of a noise map, the first that is there is read."""
_OTHERS = re.compile(
    r"SCI.*|DATA|IMAGE|WHT|WGHT|WEIGHTS?|W?IVM|IVAR|INVVAR|VAR(IANCE)?(_.*)?|EXP(TIME|OSURE)?|CON(TEXT)?|CTX|DQ|FLAGS?"
    r"|MASK|BKGD?|BACKGROUND|SEG(MAP)?|COV(ERAGE)?|PSF|SNR"
)
"""EXTNAMEs, and last words of a file's name, of what is no noise map."""


def noise_plane(path: Path) -> tuple[Plane, Plane]:
    """Find the noise map in a file of its own.

    Parameters
    ----------
    path
        A plain FITS file.

    Returns
    -------
    primary, plane
        The file's first HDU, and the 2-D image that is named as one of `NOISE_PLANES`, else the only image.

    Raises
    ------
    CorruptMosaicError, StorageError
        The file cannot be read.
    MosaicLayoutError
        It holds no image (`missing_extension`), several of which none is named so, or one that is named as something
        else (`bad_noise_map`).
    """
    planes = read_layout(path)
    images = [plane for plane in planes if len(plane.shape) == 2 and 0 not in plane.shape]
    if not images:
        raise MosaicLayoutError(f"{path.name} holds no 2-D noise map", reason="missing_extension")
    named = {plane.name: plane for plane in reversed(images)}
    found = next((named[name] for name in NOISE_PLANES if name in named), None)
    if found is not None:
        return planes[0], found
    names, wanted = ", ".join(plane.name or "(no name)" for plane in images), ", ".join(NOISE_PLANES)
    if len(images) > 1:
        said = f"{path.name}: which of {names} is the noise map? Its EXTNAME must be one of {wanted}"
        raise MosaicLayoutError(said, reason="bad_noise_map")
    if other := _named_otherwise(images[0], path):
        said = f"{path.name} [{names}] is no noise map by its name, {other}: 1-sigma errors are needed ({wanted})"
        raise MosaicLayoutError(said, reason="bad_noise_map")
    return planes[0], images[0]


def _named_otherwise(plane: Plane, path: Path) -> str:
    """Return what names an image as no noise map: its EXTNAME, or the last word of its file's name."""
    name = "" if plane.name in {"PRIMARY", "COMPRESSED_IMAGE"} else plane.name
    word = name or re.split(r"[^A-Z0-9]", path.name.upper().partition(".FITS")[0])[-1]
    return word if _OTHERS.fullmatch(word) else ""


def plain_path(path: Path) -> Path:
    """Return the path of a file's plain form: its own, or of a copy that was unpacked for this process.

    Raises
    ------
    CorruptMosaicError
        The gzip is damaged, or what is in it is no FITS file.
    StorageError
        It cannot be read, or unpacked.
    """
    try:
        with path.open("rb") as file:
            if file.read(len(Gunzip.MAGIC)) != Gunzip.MAGIC:
                return path
        status = path.stat()
        return Path(_unpacked(path, status.st_size, status.st_mtime_ns, status.st_ino).name) / path.stem
    except OSError as error:
        raise StorageError(f"{path.name} cannot be read: {error.strerror or error}") from error


@lru_cache(maxsize=8)
def _unpacked(path: Path, _length: int, _modified: int, _inode: int) -> tempfile.TemporaryDirectory[str]:
    folder = tempfile.TemporaryDirectory(prefix="gzjwst-")
    with path.open("rb") as stream, (Path(folder.name) / path.stem).open("wb") as target:
        unpack(stream, target, path.name)
    return folder
