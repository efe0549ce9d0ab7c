"""Small FITS bytes and rows for the tests of the archives: whole mosaics, and ways of breaking them."""

import gzip
import io
from pathlib import Path

import numpy as np
from astropy.io import fits

from gzjwst_core.models import Mosaic

SCI = ("SCI_BKSUB", "SCI")
OBS = "jw09801-o001_t001_nircam_clear-f277w"


def fits_bytes(planes: tuple[str, ...] = ("SCI", "ERR", "CON", "WHT", "VAR_FLAT"), *, side: int = 24) -> bytes:
    """A mosaic of constant planes; which constant depends on the plane's name alone."""
    hdus = [fits.PrimaryHDU()]
    hdus[0].header["TELESCOP"] = "JWST"
    shape = (side, side + 3)
    hdus += [fits.ImageHDU(np.full(shape, sum(name.encode()), np.float32), name=name) for name in planes]
    out = io.BytesIO()
    fits.HDUList(hdus).writeto(out)
    return out.getvalue()


def packed(data: bytes) -> bytes:
    return gzip.compress(data, 1, mtime=0)


def mosaic(filename: str = f"{OBS}_i2d.fits", *, size: int = 0, **changes: object) -> Mosaic:
    return Mosaic(
        field="jw09801-o001_t001",
        band="F277W",
        obs_id=filename.partition("_i2d")[0],
        product_uri=f"mast:JWST/product/{filename}",
        filename=filename,
        size=size,
    ).replace(**changes)


def row(
    obs_id: str, *, s_region: str = "", collection: str = "JWST", size: int = 100, **more: str
) -> dict[str, str | int]:
    ending = "_i2d.fits" if collection == "JWST" else "_i2d.fits.gz"
    where = "JWST/product" if collection == "JWST" else "HLSP/x"
    return {
        "dataURI": f"mast:{where}/{obs_id}{ending}",
        "productFilename": obs_id + ending,
        "obs_id": obs_id,
        "obs_collection": collection,
        "size": size,
        "dataRights": "PUBLIC",
        "s_region": s_region,
        "proposal_id": "9801",
        **more,
    }


def square(ra: float, dec: float, side: float) -> str:
    """A square footprint of some side (deg) with its lower left corner at a position."""
    corners = [(ra, dec), (ra + side, dec), (ra + side, dec + side), (ra, dec + side)]
    return "POLYGON ICRS " + " ".join(f"{x % 360:.7f} {y:.7f}" for x, y in corners)


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*.part")]
