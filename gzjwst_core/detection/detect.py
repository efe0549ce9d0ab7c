"""The detection image, and SEP's extraction of one window of it.

Arrays in, arrays out. Which window, and which of its objects count, is decided in `tiles`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sep
from numpy.typing import NDArray
from scipy import ndimage

from gzjwst_core.detection.calibrated_frame import Frame
from gzjwst_core.errors import CatalogError
from gzjwst_core.options import DetectOptions

__all__ = ["Extraction", "area_px", "combine", "extract", "fill_cores", "kernel_for", "touches_edge"]

_SMALLEST_AREA_PX = 4
_PIXSTACK, _LARGEST_PIXSTACK = 300_000, 20_000_000
_SUB_OBJECTS, _LARGEST_SUB_OBJECTS = 2048, 65_536
_MANY_PX = 300_000
_SATURATED_SHARE = 0.95
"""A window with more pixels above the threshold than both has no sky: what SEP would find there is no source."""
_DEBLENDED_PX = 32 * _MANY_PX
"""Pixels times levels of the largest object that are held to part it, some 40 bytes each."""
_CORE_ARCSEC2, _CORE_RIM_SNR, _CORE_RIM_SHARE = 4.0, 20.0, 0.8
_EIGHT = np.ones((3, 3), dtype=int)


@dataclass(frozen=True, slots=True)
class Extraction:
    """What SEP found in one window."""

    objects: NDArray[Any]
    """SEP's structured array; positions in pixels of the window."""
    labels: NDArray[np.int32]
    """(ny, nx): row in `objects` + 1, 0 = none; pixels without data have none."""


def combine(frames: Sequence[Frame]) -> Frame:
    """Stack bands on one grid, each pixel weighted with its inverse variance.

    Parameters
    ----------
    frames
        Detection bands, uJy per pixel of one grid, at least one.

    Returns
    -------
    Frame
        `sum(w s) / sum(w)` and `1 / sqrt(sum(w))` with `w = 1 / err^2`; a pixel is bad if it is in every band.
    """
    if len(frames) == 1:
        return frames[0]
    total = np.zeros(frames[0].sub.shape, dtype=np.float32)
    weights = np.zeros_like(total)
    for frame in frames:
        weight = np.divide(1, frame.err**2, out=np.zeros_like(total), where=~frame.bad)
        total += weight * frame.sub
        weights += weight
    bad = weights <= 0
    sub = np.divide(total, weights, out=np.zeros_like(total), where=~bad)
    err = np.divide(1, np.sqrt(weights), out=np.zeros_like(total), where=~bad)
    return Frame(sub, err, bad)


def fill_cores(frame: Frame, pixel_scale_arcsec: float) -> Frame:
    """Close saturated cores, so that a bright star is one object and not the fragments of a ring.

    A region without data of at most 4 square arcsec, most of whose rim is brighter than 20 sigma, takes the rim's
    highest value. It stays without data in every other respect: callers keep the frame they had for measuring.
    """
    regions, count = ndimage.label(frame.bad, structure=_EIGHT)
    if count == 0:
        return frame
    most = _CORE_ARCSEC2 / pixel_scale_arcsec**2
    sizes = np.bincount(regions.ravel())
    sub, err, bad = frame.sub.copy(), frame.err.copy(), frame.bad.copy()
    for number, place in enumerate(ndimage.find_objects(regions), start=1):
        if sizes[number] > most or _at_border(place, frame.bad.shape):
            continue
        around = tuple(slice(s.start - 1, s.stop + 1) for s in place)
        core = regions[around] == number
        rim = ndimage.binary_dilation(core, structure=_EIGHT) & ~frame.bad[around]
        snr = frame.sub[around][rim] / frame.err[around][rim]
        if snr.size and np.mean(snr > _CORE_RIM_SNR) >= _CORE_RIM_SHARE:
            sub[around][core] = frame.sub[around][rim].max()
            err[around][core] = np.median(frame.err[around][rim])
            bad[around][core] = False
    return Frame(sub, err, bad)


def _at_border(place: tuple[slice, ...], shape: tuple[int, ...]) -> bool:
    return any(s.start == 0 or s.stop == n for s, n in zip(place, shape, strict=True))


def kernel_for(
    options: DetectOptions, pixel_scale_arcsec: float, stretch: Sequence[Sequence[float]] | None = None
) -> NDArray[np.float32]:
    """Return the detection kernel on this grid.

    Parameters
    ----------
    options
        Its shape and size.
    pixel_scale_arcsec
        Of this grid.
    stretch
        Rows of the map from pixels to the sky, of unit area, where pixels are not square: the kernel is round on the
        sky.

    Returns
    -------
    ndarray
        Odd square of unit sum: a Gaussian cut at 3 sigma, or a disc with soft (area-weighted) rim. SEP divides by
        the sum, so that a threshold is in units of the noise of one pixel.
    """
    size = options.kernel_arcsec / pixel_scale_arcsec
    linear = np.eye(2) if stretch is None else np.array(stretch)
    reach = (3 * size if options.kernel == "gaussian" else size) * np.linalg.norm(np.linalg.inv(linear), 2)
    half = max(int(np.ceil(reach)), 1)
    fine = (np.arange((2 * half + 1) * 5) + 0.5) / 5 - half - 0.5
    y, x = fine[:, None], fine[None, :]
    r2 = (linear[0, 0] * x + linear[0, 1] * y) ** 2 + (linear[1, 0] * x + linear[1, 1] * y) ** 2
    values = np.exp(-r2 / (2 * size**2)) if options.kernel == "gaussian" else (r2 <= size**2).astype(float)
    kernel = values.reshape(2 * half + 1, 5, 2 * half + 1, 5).mean(axis=(1, 3))
    return np.ascontiguousarray(kernel / kernel.sum(), dtype=np.float32)


def area_px(options: DetectOptions, pixel_scale_arcsec: float) -> int:
    """Return the least area of a source on this grid, pixels."""
    return max(round(options.min_area_arcsec2 / pixel_scale_arcsec**2), _SMALLEST_AREA_PX)


def extract(
    frame: Frame,
    options: DetectOptions,
    pixel_scale_arcsec: float,
    *,
    kernel: NDArray[np.float32] | None = None,
    filter_noise: float = 1.0,
    rms: float | None = None,
    filtered: bool = False,
) -> Extraction:
    """Detect and deblend.

    Parameters
    ----------
    frame
        Detection image.
    options
        Threshold, kernel, area, deblending, cleaning.
    pixel_scale_arcsec
        Of this grid.
    kernel
        From `kernel_for`, where it is not that of square pixels.
    filter_noise
        Noise of the filtered image in units of the frame's noise map: the threshold counts in it.
    rms
        One noise for all pixels instead, of a pixel that is not filtered (the reference recipe).
    filtered
        The frame is filtered already (chi-mean).

    Raises
    ------
    CatalogError
        With reason `saturated`: more than 95 % of the pixels with data, and more than 300,000, are above the
        threshold (a pedestal, or an error map that is far too low). With `extraction_overflow`: SEP's buffers do not
        suffice even at their limit.
    MemoryError
        SEP found no memory.

    Notes
    -----
    SEP keeps every level of an object that it deblends: a connected region of more than 300,000 pixels above the
    threshold (18 square arcmin at 0.06 arcsec) is parted at proportionally fewer levels, so that memory is bounded.
    `filter_type='conv'` on purpose: `matched` with a noise map and cleaning loses faint sources beside bright ones.
    SEP leaves masked pixels in its segmap (sep issue 149): they are taken out here, and so are objects that have no
    other.
    """
    if kernel is None:
        kernel = kernel_for(options, pixel_scale_arcsec)
    given: dict[str, Any] = {
        "thresh": options.threshold * (filter_noise if rms is None else rms),
        "err": frame.err if rms is None else None,
        "mask": frame.bad,
        "minarea": area_px(options, pixel_scale_arcsec),
        "filter_kernel": None if filtered else kernel,
        "filter_type": "conv",
        "deblend_nthresh": options.deblend_levels,
        "deblend_cont": options.deblend_contrast,
        "clean": options.clean > 0,
        "clean_param": options.clean or 1.0,
        "segmentation_map": True,
    }
    objects, labels = _extract_retrying(frame.sub, _bounded(frame, given))
    labels = np.where(frame.bad, 0, labels).astype(np.int32)
    return Extraction(objects, np.ascontiguousarray(labels))


def _bounded(frame: Frame, given: dict[str, Any]) -> dict[str, Any]:
    """Lower the levels of deblending for a very large object; refuse a window that is above the threshold all over."""
    least = given["thresh"] if given["err"] is None else given["thresh"] * frame.err
    bright = (frame.sub > least) & ~frame.bad
    if np.count_nonzero(bright) <= _MANY_PX:  # noise alone makes some of a window's pixels bright
        return given
    if given["filter_kernel"] is not None:
        image = np.where(frame.bad, np.float32(0), frame.sub)
        bright = (ndimage.convolve(image, given["filter_kernel"], mode="constant") > least) & ~frame.bad
    count = np.count_nonzero(bright)
    if count > max(_SATURATED_SHARE * np.count_nonzero(~frame.bad), _MANY_PX):
        share = count / np.count_nonzero(~frame.bad)
        raise CatalogError(f"{share:.0%} of the pixels of a window are above the threshold", reason="saturated")
    regions, _ = ndimage.label(bright, structure=_EIGHT)
    largest = int(np.bincount(regions.ravel())[1:].max(initial=1))
    return given | {"deblend_nthresh": min(given["deblend_nthresh"], max(_DEBLENDED_PX // largest, 1))}


def _extract_retrying(image: NDArray[np.float32], given: dict[str, Any]) -> tuple[NDArray[Any], NDArray[np.int32]]:
    """Begin with small buffers, whose set-up costs on every call, and enlarge what overflows four times."""
    pixstack, sub_objects = _PIXSTACK, _SUB_OBJECTS
    while True:
        sep.set_extract_pixstack(pixstack)
        sep.set_sub_object_limit(sub_objects)
        try:
            found: tuple[NDArray[Any], NDArray[np.int32]] = sep.extract(image, **given)
        except Exception as error:
            text = str(error)
            if isinstance(error, MemoryError) or "memory" in text:
                raise MemoryError(f"SEP: {text}") from error
            if "active object pixels" in text and pixstack < _LARGEST_PIXSTACK:
                pixstack *= 4
            elif "sub-objects" in text and sub_objects < _LARGEST_SUB_OBJECTS:
                sub_objects *= 4
            else:
                raise CatalogError(f"SEP could not extract: {text}", reason="extraction_overflow") from error
        else:
            return found


def touches_edge(
    labels: NDArray[np.int32],
    count: int,
    sides: tuple[bool, bool, bool, bool],
    linked: NDArray[np.bool_] | None = None,
) -> NDArray[np.bool_]:
    """Tell which objects hang together with something that the window's edge cuts.

    Parameters
    ----------
    labels
        From `extract`.
    count
        Number of its objects.
    sides
        Which edges count (bottom, top, left, right): those that are not the mosaic's own.
    linked
        Pixels through which segments hang together; the segments themselves if None.

    Returns
    -------
    ndarray of bool
        One per object: its connected family of segments touches such an edge, so that it may look different in a
        larger window.
    """
    families, number = ndimage.label(labels > 0 if linked is None else linked, structure=_EIGHT)
    cut = np.zeros(number + 1, dtype=bool)
    for edge, counts in zip((families[0], families[-1], families[:, 0], families[:, -1]), sides, strict=True):
        if counts:
            cut[edge] = True
    cut[0] = False
    touched = np.zeros(count + 1, dtype=bool)
    touched[np.unique(labels[cut[families]])] = True
    return touched[1:]
