"""Kernels that bring one PSF to another, and images convolved with them around gaps. Arrays in, arrays out.

The kernels are photutils' (the optional extra `psf`); which bands are matched to which is decided in the catalog.
"""

import numpy as np
from numpy.typing import NDArray

from gzjwst_core.errors import ProfileError
from gzjwst_core.psf.stamp import Psf, resampled

__all__ = ["convolved", "matching_kernel"]

_REGULARIZATION = 1e-4
_LEAST_KNOWN = 0.5


def matching_kernel(source: Psf, target: Psf, *, turn_deg: float = 0.0) -> NDArray[np.float32]:
    """Return the kernel that makes a narrow PSF the wide one.

    Parameters
    ----------
    source
        Of the image that is to be convolved.
    target
        What it is to have.
    turn_deg
        Angle from the target's grid to the source's, from +x to +y.

    Returns
    -------
    ndarray
        (n, n) float32 on the source's pixels, n odd, sum 1.

    Raises
    ------
    ProfileError
        photutils is not installed (reason `missing_extra`).

    Notes
    -----
    Ratio of Fourier transforms with a Wiener denominator that punishes high frequencies by a Laplacian (Boucaud et al.
    2016; photutils' `make_wiener_kernel`): PSFs from stars are noisy, and those of the blue bands undersampled.
    """
    try:
        from photutils.psf_matching import make_wiener_kernel  # noqa: PLC0415  # an optional extra
    except ImportError:
        said = 'psf.match needs photutils: install gzjwst with the extra `psf`, or set psf.match = "none"'
        raise ProfileError(said, reason="missing_extra") from None
    wide = resampled(target, source.scale_arcsec, turn_deg=turn_deg).pixels
    half = max(source.pixels.shape[0], wide.shape[0]) // 2
    narrow, wide = (np.pad(p.astype(float), half - p.shape[0] // 2) for p in (source.pixels, wide))
    kernel = make_wiener_kernel(narrow, wide, regularization=_REGULARIZATION, penalty="laplacian")
    return np.ascontiguousarray(kernel / kernel.sum(), dtype=np.float32)


def convolved(
    image: NDArray[np.float32], bad: NDArray[np.bool_], kernel: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Convolve what is known of an image.

    Returns
    -------
    image, bad
        Each pixel is the mean over the known part of the kernel's footprint; bad where that is less than half of it,
        and where the pixel itself was bad.
    """
    from scipy.signal import fftconvolve  # noqa: PLC0415 - a second of imports, which few runs need

    known = np.where(bad, np.float32(0), np.float32(1))
    total = fftconvolve(np.where(bad, np.float32(0), image), kernel, mode="same")
    share = fftconvolve(known, kernel, mode="same")
    lost = bad | (share < _LEAST_KNOWN)
    value = np.divide(total, share, out=np.zeros_like(total), where=~lost)
    return np.ascontiguousarray(value, dtype=np.float32), lost
