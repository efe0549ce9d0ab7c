"""The world in which soak cases are played: one mosaic in four archives on loopback, and the one retry layer.

A `World` serves the mosaic, with faults, from a thread of this process; what is asked of it is counted. Cases and what
they must end in are in `cases`; who plays them and counts is `faults`.
"""

import gzip
import hashlib
import io
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, TypeVar
from unittest import mock

import numpy as np
from astropy.io import fits

from gzjwst_core.archives.base import Archive
from gzjwst_core.archives.datalabs import DataLabs
from gzjwst_core.archives.directory import Directory
from gzjwst_core.archives.mast_download import MastDownload
from gzjwst_core.archives.s3 import S3
from gzjwst_core.cache.mosaic_cache import MosaicCache
from gzjwst_core.errors import GzJwstError
from gzjwst_core.models import Mosaic
from gzjwst_core.mosaics.geometry import stated_wcs
from gzjwst_core.mosaics.planes import keep_planes
from gzjwst_core.options import ArchiveOptions
from gzjwst_core.sky.build import SkyMosaic
from gzjwst_core.sky.faults import Fault
from gzjwst_core.sky.listing import build_listing
from gzjwst_core.sky.routes import LogEntry, LoopbackArchive
from gzjwst_core.sky.server import running

__all__ = [
    "NAMES",
    "PLANES",
    "SHAPE",
    "WHOLE",
    "World",
    "again",
    "bucket_path",
    "hdus",
    "kept_planes",
    "packed",
    "to_bytes",
]

T = TypeVar("T")

PLANES = ("SCI_BKSUB", "SCI")
SHAPE = (400, 403)
OBS = "jw09801-o001_t001_nircam_clear-f277w"
NAMES = {"plain": f"{OBS}_i2d.fits", "gz": "hlsp_demo_jwst_nircam_south_f277w_v1.0_i2d.fits.gz"}
_URIS = {"plain": f"mast:JWST/product/{NAMES['plain']}", "gz": f"mast:HLSP/demo/{NAMES['gz']}"}
_KEYS = {"plain": f"jwst/public/jw09801/L3/t/o001/{NAMES['plain']}", "gz": f"mast/hlsp/demo/{NAMES['gz']}"}
_RETRIES = 3
_BUCKET = "stpubdata"
_FOREIGN = ("AWS_", "MAST_", "GZJWST_", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")


def hdus() -> fits.HDUList:
    """A whole small mosaic as the observatory makes them: five planes of seeded noise, with WCS and units."""
    rng = np.random.default_rng(20)
    header = stated_wcs(SHAPE, 0.06, 150.11, 2.21).to_header()
    out = fits.HDUList([fits.PrimaryHDU()])
    out[0].header["TELESCOP"] = "JWST"
    for name in ("SCI", "ERR", "CON", "WHT", "VAR_FLAT"):
        pixels = rng.normal(1.0 if name == "SCI" else 5.0, 0.2, SHAPE).astype(np.float32)
        out.append(fits.ImageHDU(pixels, header=header, name=name))
    out["SCI"].header["BUNIT"] = "MJy/sr"
    out["SCI"].header["PIXAR_SR"] = 8.46159499e-14
    return out


def to_bytes(made: fits.HDUList) -> bytes:
    """Write a mosaic as FITS."""
    out = io.BytesIO()
    made.writeto(out)
    return out.getvalue()


def packed(data: bytes) -> bytes:
    """Gzip, the same bytes every time."""
    return gzip.compress(data, 1, mtime=0)


WHOLE = {"plain": to_bytes(hdus())}
WHOLE["gz"] = packed(WHOLE["plain"])


def bucket_path(kind: str) -> str:
    """Bucket and key of the mosaic."""
    return f"{_BUCKET}/{_KEYS[kind]}"


@cache
def kept_planes(body: bytes) -> str:
    """Digest of the planes that an unbroken transfer of a body leaves."""
    out = io.BytesIO()
    keep_planes(io.BytesIO(body), out, PLANES, "unbroken")
    return hashlib.sha256(out.getvalue()).hexdigest()


def again(call: Callable[[], T]) -> T:
    """Call as the one retry layer does: again, three times at most, while the error says that it may help."""
    for _ in range(_RETRIES):
        try:
            return call()
        except GzJwstError as error:
            if not error.retryable:
                raise
    return call()


class World:
    """One mosaic, plain or gzipped, in DataLabs, in the bucket (also as a plain web server) and at MAST.

    Attributes
    ----------
    folder, url
        Where the loopback archive's files are, and its address.
    archive
        What answers: its log and its faults.
    """

    def __init__(self, folder: Path, archive: LoopbackArchive, url: str) -> None:
        self.folder = folder
        self.archive = archive
        self.url = url

    @classmethod
    @contextmanager
    def served(cls, folder: Path) -> Iterator["World"]:
        """Serve a world from a folder."""
        files = [_listed(kind) for kind in NAMES]
        archive = LoopbackArchive(folder, build_listing(files, missing=("F356W",)))
        with running(archive) as url:
            yield cls(folder, archive, url)

    @contextmanager
    def environment(self) -> Iterator[None]:
        """Point this process's environment at the world, and take away what the user has in it."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
        with mock.patch.dict(os.environ, kept | _environment(self.url, self.folder), clear=True):
            yield

    def hold(self, bodies: Mapping[str, bytes], kind: str) -> None:
        """Let each archive hold a body, by its name, and the others none; forget faults and what was asked."""
        self.archive.faults.clear()
        self.archive.log.clear()
        for where, path in self._paths(kind).items():
            path.unlink(missing_ok=True)
            if where in bodies:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(bodies[where])

    def play(self, faults: Sequence[Mapping[str, Any]]) -> None:
        """Add faults that are to come."""
        for fault in faults:
            self.archive.faults.add(Fault.model_validate(dict(fault)).model_dump_json().encode())

    def asked(self, *routes: str) -> list[LogEntry]:
        """Return what was asked of some routes."""
        return [entry for entry in self.archive.log if entry.route in routes]

    def options(self, **more: Any) -> ArchiveOptions:
        """Return limits that are short."""
        limits = {"connect_timeout_s": 2.0, "read_timeout_s": 1.0, "slowest_kb_s": 10.0, "s3_hlsp": ("demo",)}
        address = f"{self.url}/{_BUCKET}/jwst/public/jw09801/L3/t/o001/{{filename}}"
        return ArchiveOptions(**{"directory_url": address, **limits, **more})

    def archives(self, names: Sequence[str], cache: MosaicCache, options: ArchiveOptions) -> list[Archive]:
        """Return archives, as a run would make them."""
        make: dict[str, Callable[[], Archive]] = {
            "datalabs": lambda: DataLabs(self.volume, cache.digests),
            "s3": lambda: S3(options),
            "mast": lambda: MastDownload(options),
            "directory": lambda: Directory(options),
        }
        return [make[name]() for name in names]

    @property
    def volume(self) -> Path:
        """Root of the mounted volume."""
        return self.folder / "datalabs"

    @staticmethod
    def mosaic(kind: str, *, size: int = 0) -> Mosaic:
        """The mosaic as a query makes it; `size` is the listed one."""
        name = NAMES[kind]
        return Mosaic(
            field="one",
            band="F277W",
            obs_id=name.partition("_i2d")[0],
            product_uri=_URIS[kind],
            filename=name,
            size=size,
        )

    def _paths(self, kind: str) -> dict[str, Path]:
        # one file in the bucket is the plain web server's, too
        places = {
            "datalabs": f"datalabs/jw09801/{NAMES[kind]}",
            "s3": f"bucket/{_BUCKET}/{_KEYS[kind]}",
            "mast": f"mast/{NAMES[kind]}",
        }
        return {where: self.folder / place for where, place in places.items()}


def _listed(kind: str) -> SkyMosaic:
    hlsp, size = kind == "gz", len(WHOLE[kind])
    return SkyMosaic(
        obs_id=NAMES[kind].partition("_i2d")[0],
        filename=NAMES[kind],
        uri=_URIS[kind],
        collection="HLSP" if hlsp else "JWST",
        field="south" if hlsp else "o001_t001",
        band="F277W",
        archive="mast",
        path=f"mast/{NAMES[kind]}",
        size=size,
        plain_size=size,
        s_region="POLYGON ICRS 150.10 2.20 150.12 2.20 150.12 2.22 150.10 2.22",
    )


def _environment(url: str, folder: Path) -> dict[str, str]:
    return {
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL_S3": url,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "GZJWST_DATALABS_ROOT": str(folder / "datalabs"),
        "GZJWST_MAST_URL": url,
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }
