"""Ten resets in one transfer of 100 MB: `python tests/soak/resets.py [--mb MB] [--resets N] [--seed S]`.

From each archive with a server; counts the bytes that the server handed out and those that we took. The first must stay
within 1.05 x size + 10 MiB, and a second run must ask for none. Prints one row an archive; exits with 1 on a miss.
"""

import argparse
import hashlib
import random
import sys
import tempfile
from pathlib import Path

import numpy as np
from astropy.io import fits

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from gzjwst_core.archives.locate import locate  # noqa: E402
from gzjwst_core.cache.fetch import fetch  # noqa: E402
from gzjwst_core.cache.mosaic_cache import MosaicCache  # noqa: E402
from tests.soak.world import World, to_bytes  # noqa: E402

__all__ = ["reset_transfers", "run"]

WHERE = {"mast": "download", "s3": "s3_object", "directory": "s3_object"}


def body_of(megabytes: int, seed: int) -> bytes:
    """A mosaic of one plane of noise."""
    rng = np.random.default_rng(seed)
    pixels = rng.standard_normal((megabytes * 25, 10_000), dtype=np.float32)
    return to_bytes(fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(pixels, name="SCI")]))


def reset_transfers(folder: Path, megabytes: int, resets: int, seed: int) -> dict[str, dict[str, int]]:
    """Bring one body from each archive over a line that breaks; returns the counts by archive."""
    chance = random.Random(seed)
    data = body_of(megabytes, seed)
    counts = {}
    with World.served(folder / "world") as world, world.environment():
        for where, route in WHERE.items():
            world.hold({"mast": data, "s3": data}, "plain")
            options, cache = world.options(read_timeout_s=30.0), MosaicCache(folder / where)
            (archive,) = world.archives([where], cache, options)
            located = locate(world.mosaic("plain"), [archive])
            step = len(data) // (resets + 1)
            at = [chance.randrange(step // 2, step) for _ in range(resets)]
            world.play(
                [{"route": route, "do": "reset", "method": "GET", "at_byte": byte, "seconds": 0.2} for byte in at]
            )
            fetched = fetch(located, archive, cache, options, ("SCI",))
            asked = [entry for entry in world.asked(route) if entry.method == "GET"]
            wrong = hashlib.sha256(Path(fetched.source.path).read_bytes()).digest() != hashlib.sha256(data).digest()
            again = fetch(located, archive, cache, options, ("SCI",)).bytes_moved
            sent = sum(entry.body_bytes for entry in asked)
            said = {"size": len(data), "requests": len(asked), "sent": sent, "taken": fetched.bytes_moved}
            limit = round(1.05 * len(data)) + (10 << 20)
            counts[where] = said | {"excess": max(0, sent - limit), "again": again, "wrong": int(wrong)}
    return counts


def run(count: int, seed: int, *, megabytes: int = 100) -> dict[str, int]:
    """Break each archive's transfer some times; returns the counts of all of them together."""
    with tempfile.TemporaryDirectory() as scratch:
        counts = reset_transfers(Path(scratch), megabytes, count, seed)
    for where, row in counts.items():
        print(where, row)
    summed = {name: sum(row[name] for row in counts.values()) for name in ("excess", "wrong", "again", "sent", "size")}
    return {"resets": count, **summed}


def main() -> int:
    """Break, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mb", type=int, default=100)
    parser.add_argument("--resets", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    counts = run(options.resets, options.seed, megabytes=options.mb)
    return int(any(counts[name] for name in ("excess", "wrong", "again")))


if __name__ == "__main__":
    sys.exit(main())
