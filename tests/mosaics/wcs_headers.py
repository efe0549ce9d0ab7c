"""WCS headers as people write them, and every product that takes one over; what is expected is astropy's reading."""

import io
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS

from gzjwst_core.completeness.negative import write_negative
from gzjwst_core.cutouts.extract import Target
from gzjwst_core.cutouts.fits import Cutter, Provenance, make_cutout
from gzjwst_core.models import MosaicSource
from gzjwst_core.mosaics.depth_file import write_depth
from gzjwst_core.mosaics.geometry import whole
from gzjwst_core.mosaics.reader import MosaicReader, open_mosaic
from gzjwst_core.mosaics.segmap import SegmapWriter, open_segmap
from gzjwst_core.options import CutoutOptions, MosaicOptions
from gzjwst_core.zoobot.single_band import single_bands

SHAPE = (52, 44)
BLOCK = 4
PX = 0.06 / 3600
_COS, _SIN = 0.8, 0.6
_START: dict[str, Any] = {"CRPIX1": 140.25, "CRPIX2": -60.5, "CRVAL1": 150.1, "CRVAL2": 2.2}
_CD = {"CD1_1": -PX * _COS, "CD1_2": PX * _SIN, "CD2_1": PX * _SIN, "CD2_2": PX * _COS}
_PC = {"PC1_1": -_COS, "PC1_2": _SIN, "PC2_1": _SIN, "PC2_2": _COS, "CDELT1": PX, "CDELT2": PX}
_SIP = {
    "A_ORDER": 3, "B_ORDER": 2, "A_2_0": 3e-6, "A_1_1": -4e-6, "A_0_3": 2e-8, "B_0_2": 5e-6, "B_1_1": 2e-6,
    "B_2_0": 1e-6, "AP_ORDER": 2, "BP_ORDER": 2, "AP_2_0": -3e-6, "BP_0_2": -5e-6,
}  # fmt: skip
_PV = {"PV1_1": 1.0, "PV1_4": 0.8, "PV1_5": 0.3, "PV1_7": 9.0, "PV2_0": 1e-6, "PV2_1": 1.0, "PV2_4": -0.6, "PV2_6": 0.2}
_DEG = {"CRVAL1", "CRVAL2", "CD1_1", "CD1_2", "CD2_1", "CD2_2"}


def _axes(projection: str, ending: str = "") -> dict[str, Any]:
    return {"CTYPE1": f"RA---{projection}{ending}", "CTYPE2": f"DEC--{projection}{ending}"}


def _in_unit(unit: str, of_degree: float) -> dict[str, Any]:
    values = {**_START, **_CD}
    turned = {key: value * of_degree if key in _DEG else value for key, value in values.items()}
    return {**turned, **_axes("TAN"), "CUNIT1": unit, "CUNIT2": unit}


TAN = {**_START, **_axes("TAN"), **_CD}
HEADERS: dict[str, dict[str, Any]] = {
    **{name: {**_START, **_axes(name), **_CD} for name in ("TAN", "SIN", "STG", "ARC", "ZEA")},
    "slant SIN": {**_START, **_axes("SIN"), **_CD, "PV2_1": 0.01, "PV2_2": -0.02},
    "TAN-SIP": {**_START, **_axes("TAN", "-SIP"), **_CD, **_SIP},
    "ZEA-SIP": {**_START, **_axes("ZEA", "-SIP"), **_PC, **_SIP, "RADESYS": "FK5"},
    "TPV": {**_START, **_axes("TPV"), **_CD, **_PV},
    "TPV in FK5": {**_START, **_axes("TPV"), **_CD, **_PV, "EQUINOX": 2000.0},
    "low TPV": {**_START, **_axes("TPV"), **_CD, "PV1_1": 1.0, "PV1_4": 0.8, "PV2_1": 1.0},
    "SCAMP": {**TAN, **_PV},
    "PC00i00j": {**_START, **_axes("TAN"), "CDELT1": PX, "CDELT2": PX,
                 "PC001001": -_COS, "PC001002": _SIN, "PC002001": _SIN, "PC002002": _COS},
    "CD00i00j": {**_START, **_axes("TAN"), **{f"CD00{k[2]}00{k[4]}": v for k, v in _CD.items()}},
    "PC and CDELT": {**_START, **_axes("TAN"), **_PC},
    "PC in degrees": {**_START, **_axes("TAN"), **{k.replace("CD", "PC"): v for k, v in _CD.items()}},
    "CROTA2": {**_START, **_axes("TAN"), "CDELT1": -PX, "CDELT2": PX, "CROTA2": 33.0},
    "CD without turn": {**_START, **_axes("TAN"), "CD1_1": -PX, "CD2_2": PX, "CDELT1": 1.0, "CROTA2": 20.0},
    "LONPOLE": {**TAN, "LONPOLE": 150.0, "LATPOLE": 2.2},
    "PV1_3": {**TAN, "PV1_3": 150.0},
    "native reference": {**TAN, "PV1_1": 10.0, "PV1_2": 89.0},
    "FK5": {**TAN, "RADESYS": "FK5", "EQUINOX": 2000.0},
    "FK5 by RADECSYS": {**TAN, "RADECSYS": "FK5"},
    "FK5 by EPOCH": {**TAN, "EPOCH": 2000.0, "LONPOLE": 170.0},
    "FK5 at the pole": {**TAN, "RADESYS": "FK5", "CRVAL2": 89.999},
    "Degrees": _in_unit("Degrees", 1.0),
    "DEG": _in_unit("DEG", 1.0),
    "arcsec": _in_unit("arcsec", 3600.0),
    "rad": _in_unit("rad", float(np.pi / 180)),
    "CRVAL1 360.001": {**TAN, "CRVAL1": 360.001},
    "CRVAL1 -0.3": {**TAN, "CRVAL1": -0.3},
    "pole": {**TAN, "CRVAL2": 90.0},
    "mirrored": {**TAN, "CD1_1": PX * _COS, "CD2_1": -PX * _SIN},
    "1.5 times as long": {**_START, **_axes("TAN"), "CDELT1": -PX, "CDELT2": 1.5 * PX, "CROTA2": 20.0},
    "all at once": {**_START, **_axes("TAN", "-SIP"), **_SIP, "RADESYS": "FK5", "CUNIT1": "Degrees", "CUNIT2": "DEG",
                    "CDELT1": -PX, "CDELT2": 1.3 * PX, "PC001001": 0.9, "PC001002": -0.2, "PC002001": 0.3,
                    "PC002002": 1.0},
    "third axis": {**TAN, "WCSAXES": 3, "CTYPE3": "WAVE", "CRVAL3": 2e-6, "CDELT3": 1e-9, "CUNIT3": "m"},
}  # fmt: skip


def write_mosaic(path: Path, cards: Mapping[str, Any], pixels: Any = None) -> MosaicSource:
    """A mosaic in uJy, of noise where no pixels are given."""
    rng = np.random.default_rng(3)
    data = rng.normal(0, 1e-3, SHAPE).astype(np.float32) if pixels is None else pixels
    header = fits.Header([*cards.items(), ("BUNIT", "uJy")])
    planes = {"SCI": data, "ERR": np.full_like(data, 1e-3), "WHT": np.ones_like(data)}
    hdus = [fits.ImageHDU(one, header if name == "SCI" else None, name=name) for name, one in planes.items()]
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(path, overwrite=True)
    return MosaicSource(field="f", band="F277W", path=str(path), uri=f"local:{path.name}", identity="m")


def sky_of(header: fits.Header, x: Any, y: Any) -> SkyCoord:
    """Sky positions in ICRS as astropy reads them off a header, its repairs included."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what it repaired
        return WCS(header).celestial.pixel_to_world(x, y).icrs


def corners(shape: tuple[int, int]) -> tuple[Any, Any]:
    """Corner pixels and the centre, x and y."""
    ny, nx = shape
    return np.array([0, nx - 1, 0, nx - 1, (nx - 1) / 2]), np.array([0, 0, ny - 1, ny - 1, (ny - 1) / 2])


def off_mas(product: fits.Header, mosaic: fits.Header, first: tuple[int, int] = (0, 0), side: int = 1) -> float:
    """Largest distance of a product's corners and centre from where the mosaic's header puts them."""
    x, y = corners((product["NAXIS2"], product["NAXIS1"]))
    middle = (side - 1) / 2
    want = sky_of(mosaic, first[0] + side * x + middle, first[1] + side * y + middle)
    return float(sky_of(product, x, y).separation(want).mas.max())


def products(folder: Path, source: MosaicSource) -> Iterator[tuple[str, float]]:
    """Yield the name of each product that carries a WCS, and how far it is off, mas."""
    truth = fits.getheader(source.path, "SCI")
    with open_mosaic(source, MosaicOptions()) as reader:
        x, y = corners(reader.shape)
        ra, dec = reader.wcs.all_pix2world(x, y, 0)
        yield "reader", float(SkyCoord(ra, dec, unit="deg").separation(sky_of(truth, x, y)).mas.max())
        with SegmapWriter(folder / "seg.fits", reader.shape, reader.wcs) as segmap:
            segmap.write(whole(reader.shape), np.ones(reader.shape, np.int32))
        yield "segmap", off_mas(fits.getheader(folder / "seg.fits", "SEG"), truth)
        coarse = np.zeros((SHAPE[0] // BLOCK, SHAPE[1] // BLOCK), np.float32)
        write_depth(folder / "depth.fits", "f", [("F277W", coarse, reader.wcs, BLOCK)])
        yield "depth", off_mas(fits.getheader(folder / "depth.fits", "F277W"), truth, side=BLOCK)
        write_negative(source, MosaicOptions(), folder / "seg.fits", folder / "negative.fits")
        yield "negative", off_mas(fits.getheader(folder / "negative.fits", "SCI"), truth)
        yield from _of_cutout(folder, reader, truth)


def _of_cutout(folder: Path, reader: MosaicReader, truth: fits.Header) -> Iterator[tuple[str, float]]:
    at = sky_of(truth, SHAPE[1] / 2, SHAPE[0] / 2)
    target = Target("t", "f", float(at.ra.deg), float(at.dec.deg), 1.2, segment_id=1)
    with open_segmap(folder / "seg.fits") as segmap:
        made = Cutter({"F277W": reader}, "F277W", CutoutOptions(), Provenance("s", "1", "d"), segmap=segmap)
        data = make_cutout(target, made)
    assert data is not None
    single = single_bands("t.fits", data, ["F277W"])[0].data
    assert single is not None
    for name, body in (("cutout", data), ("single band", single)):
        with fits.open(io.BytesIO(body)) as hdus:
            for number, hdu in enumerate(hdus):
                first = hdu.header["CUTX0"], hdu.header["CUTY0"]
                yield f"{name} {hdu.name or number}", off_mas(hdu.header, truth, first)
