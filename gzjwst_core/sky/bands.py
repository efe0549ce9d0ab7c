"""What the synthetic telescope knows of each NIRCam band: one frozen row of numbers, and nothing that computes.

The numbers are rounded from public NIRCam documentation where such exist (wavelength, PSF width, zodiacal sky, flux
calibration); the depths are those of a CEERS-like survey. Pixel scales are the demo's own: 0.03 arcsec in the
short-wave channel, 0.06 arcsec in the long-wave channel.
"""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

__all__ = ["BANDS", "BandOptics", "Channel"]

Channel = Literal["SHORT", "LONG"]


@dataclass(frozen=True)
class BandOptics:
    """One band of the synthetic camera.

    Attributes
    ----------
    name
        Filter name, e.g. ``"F277W"``.
    channel
        ``"SHORT"`` or ``"LONG"``: bands of one channel share a pixel grid.
    wavelength_um
        Pivot wavelength, micrometre.
    psf_fwhm_arcsec
        Full width at half maximum of the PSF's core, arcsec.
    depth_ab
        5-sigma AB magnitude in an aperture of 0.3 arcsec diameter where every exposure overlaps.
    sky_mjysr
        Zodiacal sky that sets the Poisson noise, MJy/sr. Most of it is already taken out of the mosaics.
    photmjsr
        Flux calibration for the header, MJy/sr per DN/s.
    """

    name: str
    channel: Channel
    wavelength_um: float
    psf_fwhm_arcsec: float
    depth_ab: float
    sky_mjysr: float
    photmjsr: float

    @property
    def pixel_scale_arcsec(self) -> float:
        """Side of a mosaic pixel, arcsec."""
        return 0.03 if self.channel == "SHORT" else 0.06

    @property
    def pixel_area_sr(self) -> float:
        """Solid angle of a mosaic pixel, steradian."""
        return (self.pixel_scale_arcsec / 206264.80624709636) ** 2

    @property
    def ujy_per_mjysr(self) -> float:
        """Microjansky in a pixel for 1 MJy/sr: ``PIXAR_SR * 1e12``."""
        return self.pixel_area_sr * 1e12


_ROWS = (
    BandOptics("F090W", "SHORT", 0.901, 0.033, 27.7, 0.27, 3.35),
    BandOptics("F115W", "SHORT", 1.154, 0.040, 27.8, 0.24, 2.67),
    BandOptics("F150W", "SHORT", 1.501, 0.050, 27.8, 0.22, 2.14),
    BandOptics("F200W", "SHORT", 1.990, 0.066, 27.9, 0.19, 1.88),
    BandOptics("F277W", "LONG", 2.786, 0.092, 28.0, 0.14, 0.419),
    BandOptics("F356W", "LONG", 3.563, 0.116, 28.0, 0.13, 0.382),
    BandOptics("F410M", "LONG", 4.092, 0.137, 27.5, 0.18, 0.787),
    BandOptics("F444W", "LONG", 4.421, 0.145, 28.0, 0.25, 0.402),
)

BANDS = MappingProxyType({row.name: row for row in _ROWS})
"""Every band the generator can render, by name, bluest first."""
