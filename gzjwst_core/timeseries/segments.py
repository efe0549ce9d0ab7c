"""Segments of a JWST time series: what their headers say, and which of them make one series.

A long exposure comes in segments, each a file with some of its integrations: SCI is (integrations, y, x). Pixels are
not read here; a file that is too short for what its headers state is refused.
"""

import os
import warnings
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.utils.exceptions import AstropyWarning

from gzjwst_core.errors import MosaicError
from gzjwst_core.names import tidy_name
from gzjwst_core.storage.atomic import storage_error
from gzjwst_core.values import Value

__all__ = ["Plane", "Segment", "Series", "read_segment", "series_of"]

_DAMAGED, _LAYOUT = "corrupt", "bad_layout"


class Plane(Value):
    """Where the pixels of an extension lie in its file."""

    offset: int
    dtype: str
    shape: tuple[int, int, int]
    """(integrations, y, x)."""


class Segment(Value):
    """One file."""

    path: str
    filename: str
    exposure: str
    """Exposure and detector, such as `jw01366003001_04101_00001_nrs1`."""
    first: int
    """Number of its first integration within the exposure, from 1 (INTSTART)."""
    times: tuple[float, ...]
    """Mid-times of its integrations, MJD (UTC) or BJD (TDB) - 2400000.5, as `time_system` says."""
    time_system: str
    sci: Plane
    dq: Plane | None = None

    @property
    def count(self) -> int:
        """Integrations."""
        return self.sci.shape[0]


class Series(Value):
    """The segments of one exposure and detector, in time order."""

    name: str
    segments: tuple[Segment, ...]

    @property
    def shape(self) -> tuple[int, int, int]:
        """(integrations, y, x) of all segments."""
        _, height, width = self.segments[0].sci.shape
        return sum(segment.count for segment in self.segments), height, width


def read_segment(path: str | os.PathLike[str]) -> Segment:
    """Read what a segment's headers say.

    Parameters
    ----------
    path
        A FITS file with extensions SCI and, usually, DQ and INT_TIMES.

    Raises
    ------
    MosaicError
        It is no FITS file, is cut short (reason `corrupt`), or is no time series: no SCI of three axes, other numbers
        than float32 or float64, no mid-times (reason `bad_layout`).
    StorageError
        It cannot be read.
    """
    file = Path(path)
    try:
        return _read_headers(file, file.stat().st_size)
    except MosaicError:
        raise
    except OSError as error:
        if error.errno is not None:
            raise storage_error(error, file) from error
        raise MosaicError(f"{file}: it cannot be read as FITS: {error}", reason=_DAMAGED) from error
    except (ValueError, TypeError, KeyError) as error:
        raise MosaicError(f"{file}: it cannot be read as FITS: {error}", reason=_DAMAGED) from error


def _read_headers(file: Path, size: int) -> Segment:
    with warnings.catch_warnings(record=True) as told, fits.open(file, memmap=True) as hdus:
        warnings.simplefilter("always", AstropyWarning)
        names = [hdu.name for hdu in hdus]
        if any("truncated" in str(one.message) for one in told):
            raise MosaicError(f"{file}: it is cut short ({size} bytes)", reason=_DAMAGED)
        if "SCI" not in names:
            raise MosaicError(f"{file}: no extension SCI (it has {', '.join(names)})", reason=_LAYOUT)
        sci = _plane(file, hdus["SCI"])
        times, system = _times(file, hdus, sci.shape[0])
        return Segment(
            path=str(file),
            filename=file.name,
            exposure=_exposure(file, hdus[0].header),
            first=int(hdus[0].header.get("INTSTART", 1)),
            times=times,
            time_system=system,
            sci=sci,
            dq=_plane(file, hdus["DQ"]) if "DQ" in names else None,
        )


def series_of(segments: Iterable[Segment]) -> list[Series]:
    """Put segments of one exposure and detector together, in time order.

    Parameters
    ----------
    segments
        In any order.

    Returns
    -------
    list of Series
        In the order of their names.

    Raises
    ------
    MosaicError
        Two segments of a series hold the same integrations, or their images are of other shapes (reason `bad_layout`).
    """
    found: dict[str, list[Segment]] = {}
    for segment in segments:
        found.setdefault(segment.exposure, []).append(segment)
    return [Series(name=name, segments=tuple(_ordered(name, found[name]))) for name in sorted(found)]


def _ordered(name: str, segments: Sequence[Segment]) -> list[Segment]:
    ordered = sorted(segments, key=lambda segment: (segment.times[0], segment.first))
    for one, other in pairwise(ordered):
        if one.sci.shape[1:] != other.sci.shape[1:]:
            shapes = " and ".join(f"{s.sci.shape[2]} x {s.sci.shape[1]}" for s in (one, other))
            said = f"{name}: {one.filename} and {other.filename} have images of {shapes} pixels"
            raise MosaicError(said, reason=_LAYOUT)
        if one.times[-1] >= other.times[0]:
            said = f"{name}: {one.filename} and {other.filename} hold the same integrations, or overlap in time"
            raise MosaicError(said, reason=_LAYOUT)
    return ordered


def _plane(file: Path, hdu: fits.ImageHDU) -> Plane:
    shape = hdu.shape
    if len(shape) != 3 or 0 in shape:
        axes = " x ".join(map(str, reversed(shape))) or "none"
        said = f"{file}: {hdu.name} has the axes {axes}, and a time series has integrations, rows and columns"
        raise MosaicError(f"{said}: give rateints, not rate", reason=_LAYOUT)
    bits = int(hdu.header["BITPIX"])
    allowed = {-32: ">f4", -64: ">f8"} if hdu.name == "SCI" else {32: ">u4", 16: ">u2", 8: "u1"}
    scaled = float(hdu.header.get("BSCALE", 1)) != 1 or (hdu.name == "SCI" and float(hdu.header.get("BZERO", 0)) != 0)
    if bits not in allowed or scaled:
        kinds = ", ".join(map(str, allowed))
        raise MosaicError(f"{file}: {hdu.name} has BITPIX {bits} or is scaled (allowed: {kinds})", reason=_LAYOUT)
    place = hdu.fileinfo()["datLoc"]
    return Plane(offset=int(place), dtype=allowed[bits], shape=(int(shape[0]), int(shape[1]), int(shape[2])))


def _times(file: Path, hdus: fits.HDUList, count: int) -> tuple[tuple[float, ...], str]:
    """Read mid-times: the barycentre's where they are stated, else those of the telescope."""
    if "INT_TIMES" not in hdus:
        raise MosaicError(f"{file}: no extension INT_TIMES, which states when each integration was", reason=_LAYOUT)
    table = hdus["INT_TIMES"].data
    for column, zero, system in (("int_mid_BJD_TDB", 2400000.5, "BJD_TDB"), ("int_mid_MJD_UTC", 0.0, "MJD_UTC")):
        if column in table.dtype.names:
            values = np.asarray(table[column], dtype=np.float64)
            values = values - zero if values.size and values[0] > 1e6 else values
            first = int(hdus[0].header.get("INTSTART", 1))
            values = values[first - 1 :][:count] if values.size > count else values
            if values.size == count and np.all(np.isfinite(values)) and np.all(np.diff(values) > 0) and values[0] > 0:
                return tuple(values.tolist()), system
    said = f"{file}: INT_TIMES states no rising mid-times for {count} integrations (int_mid_BJD_TDB or int_mid_MJD_UTC)"
    raise MosaicError(said, reason=_LAYOUT)


def _exposure(file: Path, head: fits.Header) -> str:
    stem = file.name.partition("-seg")[0] if "-seg" in file.name else file.name.rpartition("_")[0] or file.stem
    detector = str(head.get("DETECTOR", "")).lower()
    return tidy_name(stem if not detector or stem.endswith(detector) else f"{stem}_{detector}")
