"""Entries of a cache without an archive: what a fetch would leave, and processes that hold or fill."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gzjwst_core.cache.mosaic_cache import MosaicCache
from gzjwst_core.models import Mosaic

ROOT = Path(__file__).resolve().parents[2]
PLANES = ("SCI",)


def mosaic_of(number: int) -> Mosaic:
    name = f"jw09801-o{number:03d}_t001_nircam_clear-f277w_i2d.fits"
    uri = f"mast:JWST/product/{name}"
    return Mosaic(
        field=f"o{number:03d}", band="F277W", obs_id=name.removesuffix("_i2d.fits"), product_uri=uri, filename=name,
        size=1000, archive="mast", uri=uri, identity=f"{uri}|1000|etag",
    )  # fmt: skip


def key_of(cache: MosaicCache, number: int) -> str:
    return cache.key(mosaic_of(number), PLANES)


def content(number: int, size: int) -> bytes:
    return (f"{number:08d}".encode() * (size // 8 + 1))[:size]


def place(cache: MosaicCache, number: int, size: int = 1000, **facts: object) -> str:
    """Put an entry in its place, whatever is there."""
    mosaic, key = mosaic_of(number), key_of(cache, number)
    path = cache.put(key, mosaic)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content(number, size))
    known = {"uri": mosaic.uri, "identity": mosaic.identity, "source_size": 1000, "source_sha256": "", "planes": PLANES}
    cache.record(path, **{**known, **facts})
    return key


def fill(cache: MosaicCache, number: int, size: int = 1000) -> bool:
    """Bring an entry as a fetch does, unless it is there; whether it had to."""
    key = key_of(cache, number)
    with cache.filling(key) as body:
        if cache.find(key, mosaic_of(number)) is not None:
            return False
        body.write_bytes(content(number, size))
        place(cache, number, size)
        body.unlink()
    return True


def numbers(cache: MosaicCache) -> list[int]:
    """Which mosaics are there whole."""
    return sorted(int(entry.file[9:12]) for entry in cache.entries())


@contextmanager
def process(code: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Run code that prints a line when it has come where the test wants it, then waits; killed at the end."""
    before = "import sys, time; from pathlib import Path; from tests.archives.caching import *; cache = MosaicCache("
    command = [sys.executable, "-c", f"{before}Path(sys.argv[1]))\n{code}", *map(str, arguments)]
    child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        yield child
    finally:
        child.kill()
        child.communicate()


READY = "print('ready', flush=True); time.sleep(60)"
