"""A loopback archive with the same mosaic in DataLabs, in the bucket and at MAST, and the environment to find it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from gzjwst_core.cache.mosaic_cache import MosaicCache
from gzjwst_core.options import ArchiveOptions
from gzjwst_core.sky.build import SkyMosaic
from gzjwst_core.sky.listing import build_listing
from gzjwst_core.sky.routes import LoopbackArchive
from gzjwst_core.sky.server import running
from gzjwst_core.transport.retry_after import PATIENCE
from tests.archives.tiny import OBS, fits_bytes, packed

FAST = ArchiveOptions(connect_timeout_s=2.0, read_timeout_s=1.0)
QUICK = FAST.model_copy(update={"read_timeout_s": 0.4})
"""For tests that wait for the time limit."""
BUCKET_FOLDER = "stpubdata/jwst/public/jw09801/L3/t/o001"
"""A folder of the loopback archive that is also a directory of a plain web server."""


def _listed(filename: str, path: str, size: int, band: str) -> SkyMosaic:
    hlsp = filename.startswith("hlsp")
    return SkyMosaic(
        obs_id=filename.partition("_i2d")[0],
        filename=filename,
        uri=f"mast:{'HLSP/demo' if hlsp else 'JWST/product'}/{filename}",
        collection="HLSP" if hlsp else "JWST",
        field="south" if hlsp else "o001_t001",
        band=band,
        archive="mast",
        path=path,
        size=size,
        plain_size=size,
        s_region="POLYGON ICRS 150.10 2.20 150.12 2.20 150.12 2.22 150.10 2.22",
    )


@dataclass(frozen=True)
class Served:
    """Where the loopback archive's files are, and its control pages."""

    url: str
    folder: Path
    body: bytes
    """The plain mosaic."""

    @property
    def directory(self) -> ArchiveOptions:
        """Options with which the bucket is a plain directory."""
        return FAST.model_copy(update={"directory_url": f"{self.url}/{BUCKET_FOLDER}/{{filename}}"})

    def fault(self, **fault: object) -> None:
        requests.post(f"{self.url}/_faults", json=fault, timeout=5).raise_for_status()

    def log(self) -> list[dict[str, object]]:
        entries: list[dict[str, object]] = requests.get(f"{self.url}/_log", timeout=5).json()
        return entries

    def forget(self) -> None:
        for page in ("_log", "_faults"):
            requests.delete(f"{self.url}/{page}", timeout=5)

    def copies(self) -> list[Path]:
        return sorted(self.folder.rglob(f"{OBS}*"))


@pytest.fixture(scope="module")
def _served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("archive")
    body = fits_bytes(side=300)
    files = {
        "mast": f"mast/{OBS}_i2d.fits",
        "datalabs": f"datalabs/jw09801/{OBS}_i2d.fits.gz",
        "bucket": f"bucket/stpubdata/jwst/public/jw09801/L3/t/o001/{OBS}_i2d.fits",
    }
    for path in files.values():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(packed(body) if path.endswith(".gz") else body)
    hlsp = "hlsp_demo_jwst_nircam_south_f444w_v1.0_i2d.fits.gz"
    (folder / "mast" / hlsp).write_bytes(packed(body))
    listed = [
        _listed(f"{OBS}_i2d.fits", files["mast"], len(body), "F277W"),
        _listed(hlsp, f"mast/{hlsp}", len(packed(body)), "F444W"),
    ]
    archive = LoopbackArchive(folder, build_listing(listed, missing=("F356W",)))
    with running(archive) as url:
        yield Served(url, folder, body)


@pytest.fixture
def served(_served: Served, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """The loopback archive, with the environment pointing at it and no fault pending."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", _served.url)
    monkeypatch.setenv("GZJWST_MAST_URL", _served.url)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    _served.forget()
    PATIENCE.forget()
    yield _served
    PATIENCE.forget()
    _served.forget()


@pytest.fixture
def cache(tmp_path: Path) -> MosaicCache:
    return MosaicCache(tmp_path / "cache")
