"""A small mosaic with the shape of a real level-3 one, for whoever wants to break it."""

import gzip
import io

import numpy as np
from astropy.io import fits

from gzjwst_core.mosaics.geometry import stated_wcs
from gzjwst_core.mosaics.planes import keep_planes

__all__ = ["SCI_PLANES", "SHAPE", "mosaic_bytes", "packed", "planes_bytes"]

SCI_PLANES = ("SCI_BKSUB", "SCI")
SHAPE = (60, 50)
_PRIMARY = {
    "TELESCOP": "JWST", "INSTRUME": "NIRCAM", "FILTER": "F277W", "PROGRAM": "01345", "CAL_VER": "1.20.2",
    "CRDS_CTX": "jwst_1464.pmap", "FILENAME": "jw01345-o001_t021_nircam_clear-f277w_i2d.fits",
}  # fmt: skip
_SR = 8.46159499e-14


def mosaic_bytes(*, tiled: bool = False) -> bytes:
    """PRIMARY, SCI, ERR, CON (3-D), WHT, VAR_POISSON, HDRTAB and ASDF; `tiled`: SCI, ERR and WHT tile-compressed."""
    rng = np.random.default_rng(7)
    wht = np.full(SHAPE, 9.0, np.float32)
    wht[:4], wht[:, -3:] = 0.0, 0.0
    sci = rng.normal(0.0, 1.0, SHAPE).astype(np.float32)
    sci[wht == 0] = np.nan
    primary = fits.PrimaryHDU()
    primary.header.update(_PRIMARY)
    for number in range(120):
        primary.header[f"KEY{number}"] = (number / 7, "one of the many cards of a real header")
    pixels = {"SCI": sci, "ERR": np.where(wht > 0, 1.0, np.nan).astype(np.float32)}
    hdus = [primary, *(_image(name, data, tiled=tiled) for name, data in pixels.items())]
    hdus.append(fits.ImageHDU(rng.integers(0, 9, (2, *SHAPE)).astype(np.int32), name="CON"))
    hdus += [_image("WHT", wht, tiled=tiled), _image("VAR_POISSON", wht, tiled=False)]
    columns = [fits.Column(name=f"C{n}", format="8A", array=np.array(["x"] * 6)) for n in range(12)]
    hdus.append(fits.BinTableHDU.from_columns(columns, name="HDRTAB"))
    asdf = np.frombuffer(rng.bytes(900), np.uint8)
    hdus.append(fits.BinTableHDU.from_columns([fits.Column("ASDF_METADATA", "900B", array=asdf[None])], name="ASDF"))
    out = io.BytesIO()
    fits.HDUList(hdus).writeto(out)
    return out.getvalue()


def planes_bytes(mosaic: bytes) -> bytes:
    """Return what the cache keeps of it."""
    out = io.BytesIO()
    keep_planes(io.BytesIO(mosaic), out, SCI_PLANES, "specimen")
    return out.getvalue()


def packed(data: bytes) -> bytes:
    """Gzip in two members, without a clock."""
    half = len(data) // 2
    return gzip.compress(data[:half], 6, mtime=0) + gzip.compress(data[half:], 6, mtime=0)


def _image(name: str, data: np.ndarray, *, tiled: bool) -> fits.ImageHDU | fits.CompImageHDU:
    kind = {"compression_type": "RICE_1", "tile_shape": (20, 50), "dither_seed": 7} if tiled else {}
    hdu = (fits.CompImageHDU if tiled else fits.ImageHDU)(data, name=name, **kind)
    hdu.header.update(stated_wcs(SHAPE, 0.06, 150.1, 2.2).to_header())
    if name == "SCI":
        hdu.header["BUNIT"], hdu.header["PIXAR_SR"], hdu.header["PHOTMJSR"] = "MJy/sr", _SR, 0.3
        hdu.header["S_REGION"], hdu.header["VELOSYS"], hdu.header["RADESYS"] = "POLYGON ICRS 150 2", -1.5, "ICRS"
    return hdu
