"""Noise maps: which plane of a file is one, and whether its values can be.

A noise map holds the standard deviation of every pixel. Weights, variances and the science plane itself are refused by
name; where no name tells, the scatter of the sky's own pixels does (`noise_samples`, `check_noise`).
"""

import atexit
import logging
import math
import re
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gzjwst_core.errors import MosaicLayoutError, StorageError
from gzjwst_core.mosaics.gunzip import is_gzipped
from gzjwst_core.mosaics.layout import Plane, read_layout
from gzjwst_core.mosaics.planes import NOISE_PLANES, unpack

__all__ = ["check_noise", "noise_plane", "noise_samples", "plain_path"]

_log = logging.getLogger(__name__)

_SEGMENT_PX = 64
_FEWEST_PX = 16
_FEWEST_SEGMENTS = 8
_WARNED, _REFUSED = 3.0, 30.0

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

    For whoever opens a mosaic without a cache; in a run `fetch` has unpacked it.

    Raises
    ------
    CorruptMosaicError
        The gzip is damaged, or what is in it is no FITS file.
    StorageError
        It cannot be read, or unpacked.
    """
    if not is_gzipped(path):
        return path
    try:
        status = path.stat()
        return _unpacked(path, status.st_size, status.st_mtime_ns, status.st_ino)
    except OSError as error:
        raise StorageError(f"{path.name} cannot be read: {error.strerror or error}") from error


@cache
def _unpacked(path: Path, _length: int, _modified: int, _inode: int) -> Path:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gzjwst-")))
        with path.open("rb") as stream, (folder / path.stem).open("wb") as target:
            unpack(stream, target, path.name)
        atexit.register(stack.pop_all().close)
    return folder / path.stem


def noise_samples(sci: NDArray[np.float32], err: NDArray[np.float32]) -> NDArray[np.float64]:
    """Compare a noise map with the scatter of pixels, in segments of one row.

    Parameters
    ----------
    sci, err
        (nx,), one unit, NaN = no coverage.

    Returns
    -------
    ndarray
        (n, 3), one line a segment of 64 pixels that has data: median of the noise map; scatter of the pixels, in which
        light and slopes of the sky are too; scatter of the differences of neighbours over root 2, in which they are
        not, but of which correlated noise takes a part. Scatter is 1.4826 times the median absolute deviation.
    """
    planes = np.full((2, -(-sci.size // _SEGMENT_PX) * _SEGMENT_PX), np.nan)
    planes[:, : sci.size] = np.where(np.isfinite(sci) & np.isfinite(err), [sci, err], np.nan)
    values, noise = planes.reshape(2, -1, _SEGMENT_PX)
    steps = np.diff(values, axis=1) / math.sqrt(2.0)
    enough = np.isfinite(steps).sum(axis=1) >= _FEWEST_PX
    return np.column_stack([_medians(noise[enough]), _scatter(values[enough]), _scatter(steps[enough])])


def _medians(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Median of what is finite in each line, the lower of two; there must be some."""
    middle = (np.isfinite(values).sum(axis=1) - 1) // 2
    return np.take_along_axis(np.sort(values, axis=1), middle[:, None], axis=1)[:, 0]


def _scatter(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1.4826 * _medians(np.abs(values - _medians(values)[:, None]))


def check_noise(samples: Sequence[NDArray[np.float64]], noise: str, mosaic: str) -> None:
    """See that a noise map can be one: within a factor 3 of the scatter of the sky's pixels, or told.

    Parameters
    ----------
    samples
        Of `noise_samples`, uJy per pixel. Without any, or where pixels do not scatter, nothing is said.
    noise, mosaic
        Names for messages.

    Raises
    ------
    MosaicLayoutError
        It is off by a factor beyond 30 (`bad_noise_map`).

    Notes
    -----
    The medians over all segments count: most of a mosaic is sky. Errors are too large against the scatter with all that
    is in it, and too small against that of neighbours, so that neither light nor correlated noise makes a good map bad.
    """
    lines = np.concatenate([np.empty((0, 3)), *samples])
    lines = lines[(lines > 0).all(axis=1)]
    if len(lines) < _FEWEST_SEGMENTS:
        return
    error, scatter, steps = (float(v) for v in np.median(lines, axis=0))
    above, below = float(np.median(lines[:, 0] / lines[:, 1])), float(np.median(lines[:, 2] / lines[:, 0]))
    factor, seen = (above, scatter) if above > below else (below, steps)
    if factor <= _WARNED:
        return
    said = f"{noise}: the noise map has {error:.3g} uJy on the sky of {mosaic}, whose pixels scatter by {seen:.3g} uJy"
    if factor > _REFUSED:
        said += f": a factor {factor:.3g} (at most {_REFUSED:g}): is it a weight map, a variance, in another unit?"
        raise MosaicLayoutError(said, reason="bad_noise_map")
    _log.warning("%s: a factor %.3g", said, factor)
