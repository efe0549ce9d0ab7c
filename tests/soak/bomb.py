"""Files that ask for more memory than they are worth: `python tests/soak/bomb.py`.

A gzip of 389 kB that becomes 400 MB, honest and lying about its size, and header-only files of absurd axes, each taken
by a process of its own the way a fetch takes it; an honest mosaic of 400 MB must pass in as little memory. Prints one
row each: what became of it, peak memory, seconds; exits with 1 if one is not as it must be.
"""

import gzip
import json
import re
import resource
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from gzjwst_core.errors import GzJwstError  # noqa: E402
from gzjwst_core.models import MosaicSource  # noqa: E402
from gzjwst_core.mosaics.geometry import Box  # noqa: E402
from gzjwst_core.mosaics.planes import keep_planes  # noqa: E402
from gzjwst_core.mosaics.reader import open_mosaic  # noqa: E402
from gzjwst_core.options import MosaicOptions  # noqa: E402
from gzjwst_core.storage.atomic import atomic_path  # noqa: E402
from tests.soak.specimen import SCI_PLANES, mosaic_bytes  # noqa: E402

__all__ = ["CAP_BYTES", "PEAK_MB", "run"]

CAP_BYTES = 100_000_000
PEAK_MB = 200
_SIZE = 400_000_000
_BLOCK = 2880


def header(*cards: str) -> bytes:
    """A header of these cards."""
    text = "".join(card.ljust(80) for card in (*cards, "END"))
    return text.encode().ljust(-(-len(text) // _BLOCK) * _BLOCK)


def _image(start: str, bits: int, *axes: int, more: tuple[str, ...] = ()) -> bytes:
    sizes = [f"NAXIS{i + 1:<3}= {n:>20}" for i, n in enumerate(axes)]
    return header(start, f"BITPIX  = {bits:>20}", f"NAXIS   = {len(axes):>20}", *sizes, *more)


_PRIMARY = _image("SIMPLE  =                    T", 8)
_SCI = ("PCOUNT  =                    0", "GCOUNT  =                    1", "EXTNAME = 'SCI     '")
_XTENSION = "XTENSION= 'IMAGE   '"


def _zeros(size: int) -> Iterator[bytes]:
    yield from (bytes(min(1 << 20, size - at)) for at in range(0, size, 1 << 20))


def _noise(size: int) -> Iterator[bytes]:
    rng = np.random.default_rng(1)
    block = np.round(rng.normal(0.0, 1.0, 1 << 18), 3).astype(">f4").tobytes()
    yield from (block[: min(1 << 20, size - at)] for at in range(0, size, 1 << 20))


def _write(path: Path, *parts: bytes | Iterator[bytes], level: int = 9) -> None:
    """Write a gzip whose parts are never in memory together."""
    squeeze = zlib.compressobj(level, zlib.DEFLATED, 31)
    with path.open("wb") as file:
        for part in parts:
            for block in (part,) if isinstance(part, bytes) else part:
                file.write(squeeze.compress(block))
        file.write(squeeze.flush())


def _padding(size: int) -> bytes:
    return bytes(-size % _BLOCK)


def files(folder: Path) -> Iterator[tuple[str, Path, int, bool]]:
    """Make each file: its name, where it is, the cap for it, and whether it must pass."""
    declared = _image(_XTENSION, -32, 10_000, _SIZE // 40_000, more=_SCI)
    small = _image(_XTENSION, -32, 10, 10, more=_SCI)
    bombs = {
        "bomb that says so": (_PRIMARY, declared, _zeros(_SIZE), _padding(_SIZE)),
        "bomb that says less": (_PRIMARY, small, _zeros(_SIZE)),
        "bomb of zeros": (_zeros(_SIZE),),
        "bomb of one header": (header("SIMPLE  =                    T")[:80], (b" " * (1 << 20) for _ in range(400))),
        "bomb of empty HDUs": (_PRIMARY, (_image(_XTENSION, 8) * 300 for _ in range(460))),
    }
    for name, parts in bombs.items():
        path = folder / f"{name}.fits.gz"
        _write(path, *parts)
        yield name, path, CAP_BYTES, False
    path = folder / "members.fits.gz"
    path.write_bytes(gzip.compress(_PRIMARY, mtime=0) + gzip.compress(b"", mtime=0) * 1_100_000)
    yield "a million empty members", path, CAP_BYTES, False
    yield from _absurd(folder)
    path = folder / "honest.fits.gz"
    _write(path, *_with_pixels(mosaic_bytes(), 10_000, _SIZE // 40_000), level=1)
    yield "honest mosaic of 400 MB", path, 2 * _SIZE, True


def _absurd(folder: Path) -> Iterator[tuple[str, Path, int, bool]]:
    """Header-only files."""
    shapes = {
        "1e5 x 1e5": (-32, (100_000, 100_000)), "2^31 x 2^31": (-32, (2**31, 2**31)), "2^62": (8, (2**62,)),
        "negative": (-32, (-5, 10)), "BITPIX -99": (-99, (10, 10)), "8 axes of 9999": (64, (9999,) * 8),
        "999 axes": (8, (1,) * 999), "24 GB": (-32, (80_000, 80_000)),
    }  # fmt: skip
    for name, (bits, axes) in shapes.items():
        path = folder / f"{name}.fits"
        path.write_bytes(_PRIMARY + _image(_XTENSION, bits, *axes, more=_SCI))
        yield f"header only: {name}", path, 24 << 30, False


def _with_pixels(mosaic: bytes, nx: int, ny: int) -> tuple[bytes | Iterator[bytes], ...]:
    """Return the specimen's PRIMARY, and its SCI header with other axes and as many pixels."""
    start = mosaic.index(b"XTENSION")
    end = mosaic.index(b"END".ljust(80), start)
    cards = mosaic[start : start + -(-(end - start + 80) // _BLOCK) * _BLOCK]
    cards = cards.replace(f"NAXIS1  = {50:>20}".encode(), f"NAXIS1  = {nx:>20}".encode())
    cards = cards.replace(f"NAXIS2  = {60:>20}".encode(), f"NAXIS2  = {ny:>20}".encode())
    return mosaic[:start], cards, _noise(4 * nx * ny), _padding(4 * nx * ny)


def child(path: Path, limit: int) -> dict[str, Any]:
    """Take one file as a fetch does, under a limit of address space, and read a window of it.

    `peak_mb` is the peak of the fetch; `read_mb` has the mapped pages of the windows too, the system's to take back.
    """
    resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
    begun, kept, streamed = time.perf_counter(), path.with_name("kept.fits"), 0
    try:
        with path.open("rb") as stream, atomic_path(kept) as temporary, temporary.open("wb") as target:
            keep_planes(stream, target, SCI_PLANES, path.name, limit=limit)
        ended, streamed = "passed", _peak_mb()
        source = MosaicSource(field="f", band="F277W", path=str(kept), uri="local:x", identity="i")
        with open_mosaic(source, MosaicOptions()) as reader:
            reader.windows(Box(100, 400, 100, 400))
    except GzJwstError as error:
        ended = f"{type(error).__name__}({error.reason})"
    left = [found.name for found in path.parent.glob("*kept*")]
    kept.unlink(missing_ok=True)
    seconds = round(time.perf_counter() - begun, 2)
    return {"ended": ended, "left": left, "peak_mb": streamed or _peak_mb(), "read_mb": _peak_mb(), "seconds": seconds}


def _peak_mb() -> int:
    """Most memory that this process had so far."""
    status = Path("/proc/self/status")
    if status.exists():  # what `resource` says counts the parent's memory too
        return round(int(re.findall(r"VmHWM:\s+(\d+)", status.read_text())[0]) * 1024 / 1e6)
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)


def run() -> dict[str, int]:
    """Take every file in a process of its own; returns how many there were and how many were not as they must be."""
    figures = {"files": 0, "wrong": 0, "over_200_mb": 0, "worst_peak_mb": 0}
    with tempfile.TemporaryDirectory() as scratch:
        for name, path, limit, passes in files(Path(scratch)):
            size = path.stat().st_size
            command = [sys.executable, __file__, "--child", str(path), str(limit)]
            said = subprocess.run(command, capture_output=True, text=True, check=False)
            got: dict[str, Any] = (
                json.loads(said.stdout)
                if said.returncode == 0
                else {"ended": said.stderr[-300:], "left": [], "peak_mb": 0}
            )
            good = got["ended"] == "passed" if passes else "Error(" in got["ended"] and not got["left"]
            figures["files"] += 1
            figures["wrong"] += not good
            figures["over_200_mb"] += got["peak_mb"] >= PEAK_MB
            figures["worst_peak_mb"] = max(figures["worst_peak_mb"], got["peak_mb"])
            print(f"{name} ({size / 1e6:.3f} MB): {got}")
            path.unlink()
    return figures


def main() -> int:
    """Be a child, or run them all."""
    if sys.argv[1:2] == ["--child"]:
        print(json.dumps(child(Path(sys.argv[2]), int(sys.argv[3]))))
        return 0
    figures = run()
    print("bombs | " + " | ".join(f"{name} {value}" for name, value in figures.items()))
    return 1 if figures["wrong"] or figures["over_200_mb"] else 0


if __name__ == "__main__":
    sys.exit(main())
