"""Names that would lead elsewhere: `python tests/soak/names.py [--count N] [--seed S]`.

Each seeded hostile name is taken as obs_id, file name, address, field, target and survey through every entry point that
makes a path, a key or an address of it, and files are really written. Counted are paths outside their root, files that
appeared anywhere else, and exceptions that are not of our tree. Prints one row; exits with 1 if one of them is not 0.
"""

import argparse
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from pydantic import ValidationError

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from gzjwst_core.archives.datalabs import DataLabs  # noqa: E402
from gzjwst_core.archives.s3 import bucket_key  # noqa: E402
from gzjwst_core.cache.mosaic_cache import MosaicCache  # noqa: E402
from gzjwst_core.errors import GzJwstError  # noqa: E402
from gzjwst_core.models import Mosaic  # noqa: E402
from gzjwst_core.names import file_stem, id_str, join_inside, parse_obs_id, safe_name  # noqa: E402
from gzjwst_core.storage.folder import Folder  # noqa: E402

__all__ = ["hostile", "run"]

_OBS = "jw01345-o001_t021_nircam_clear-f277w"
_PLAIN = (_OBS, f"{_OBS}_i2d.fits", "secret_i2d.fits.gz", "ceers", "nircam1", "ceers_J141936.66+525239.6", "x")
_PARTS = (
    *("../", "..", "/", "//", "\\", "..\\", "~", "~root", ".", "-", "--", "+", "\0", "\n", "\r", "\t", " ", "*", "?"),
    *(
        "[a-z]",
        "{a,b}",
        "$HOME",
        "$(id)",
        "`id`",
        "|",
        ";",
        "&",
        "%2e%2e%2f",
        "%00",
        "%2F",
        "CON",
        "NUL",
        "aux.",
        "...",
    ),
    *(
        "\u2024\u2024/",
        "\u2025",
        "\uff0f",
        "\u2215",
        "\u2044",
        "\u202e",
        "\u200b",
        "\ufeff",
        "e\u0301",
        "\xdf",
        "\u017f",
    ),
    *(
        "\u212a",
        "\u0663",
        "\U0001d7d8",
        "\uff41",
        "\ud800",
        "\U0010ffff",
        "/etc/passwd",
        "C:",
        "file://",
        "s3://",
        "::",
    ),
    *("memory://", "root/../..", "secret", ".part", ".fits", "lock", ". ", "e" * 300),
)
"""Ways up, roots, separators, globs, shells, percent signs, look-alikes, direction marks, half characters, lengths."""


def hostile(rng: random.Random) -> str:
    """Return one name that nobody should trust."""
    plain, part = rng.choice(_PLAIN), rng.choice(_PARTS)
    at = rng.randrange(len(plain) + 1)
    kinds = (
        part + plain,
        plain + part,
        plain[:at] + part + plain[at:],
        part * rng.randrange(1, 60) + plain,
        "".join(rng.choice(_PARTS) for _ in range(rng.randrange(1, 9))),
        f"{plain}/{part}/{plain}",
        "".join(chr(rng.choice((rng.randrange(128), rng.randrange(0x3000)))) for _ in range(rng.randrange(300))),
        "".join(chr(0x660 + int(c)) if c in "0123456789" and rng.random() < 0.5 else c for c in plain),
        plain.swapcase(),
        part,
        plain,
    )
    return rng.choice(kinds)


class _World:
    """A folder to stay in, a neighbour with a secret, and every entry point."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self.root = scratch / "root"
        self._volume = scratch / "root" / "volume"
        (self._volume / "jw01345").mkdir(parents=True)
        (self._volume / "jw01345" / f"{_OBS}_i2d.fits").write_bytes(b"inside")
        for name in ("secret_i2d.fits", "secret_i2d.fits.gz", f"{_OBS}_i2d.fits.gz"):
            (scratch / name).write_bytes(b"outside")
        self._cache = MosaicCache(self.root / "cache")
        self._labs = DataLabs(self._volume, self._cache.digests)
        self._folder = Folder(str(self.root / "run"))
        self._memory = Folder("memory://hostile")

    def ways(self, name: str) -> dict[str, Callable[[], object]]:
        """Return what is done with a name; each gives the path that it made, if it made one."""
        return {
            "safe_name": lambda: _written(self.root / "safe" / safe_name(name)),
            "join_inside": lambda: _written(join_inside(self.root / "joined", name)),
            "join_inside twice": lambda: _written(join_inside(self.root / "joined", "below", name)),
            "file_stem": lambda: _written(self.root / "stems" / f"{file_stem(name)}.fits"),
            "id_str": lambda: _written(self.root / "stems" / f"{file_stem(id_str(name, 150.1, 2.2))}.fits"),
            "cache.put": lambda: _written(self._cached(_mosaic(filename=name))),
            "cache.put identity": lambda: _written(self._cached(_mosaic(identity=f"{name}|9|"))),
            "cache.filling": lambda: self._filled(name),
            "datalabs filename": lambda: self._labs._candidates(_mosaic(filename=name)),
            "datalabs obs_id": lambda: self._labs._candidates(_mosaic(obs_id=name)),
            "datalabs local_path": lambda: self._labs.local_path(_mosaic(uri=f"datalabs:{name}")),
            "bucket_key filename": lambda: self._key(_mosaic(filename=name)),
            "bucket_key obs_id": lambda: self._key(_mosaic(obs_id=name)),
            "bucket_key address": lambda: self._key(_mosaic(product_uri=f"mast:HLSP/jades/{name}")),
            "folder.write": lambda: self._write(name),
            "folder.write below": lambda: self._write(f"cutouts/{name}/x.fits"),
            "folder.below": lambda: self._below(name),
            "folder in memory": lambda: self._in_memory(name),
        }

    def outside(self) -> set[str]:
        """Files outside the root; those that were planted are some."""
        return {str(path) for path in self.scratch.rglob("*") if path.is_file() and not self.holds(path)}

    def holds(self, path: Path) -> bool:
        """Whether a path is in the root."""
        return Path(os.path.normpath(path.resolve())).is_relative_to(self.root.resolve())

    def _cached(self, mosaic: Mosaic) -> Path:
        return self._cache.put(self._cache.key(mosaic, ("SCI",)), mosaic)

    def _filled(self, name: str) -> Path:
        with self._cache.filling(name) as body:
            return _written(body)

    def _key(self, mosaic: Mosaic) -> Path:
        """Return a bucket's key as a path in the root, outside of it where it would lead elsewhere in the bucket."""
        key = bucket_key(mosaic)
        strange = ".." in key or "//" in key or not (key.isascii() and key.isprintable())
        good = key.startswith(("jwst/public/jw", "mast/hlsp/")) and not strange
        return self.root / "bucket" if good else self.scratch

    def _write(self, relative: str) -> Path | None:
        self._folder.write(relative, b"x")
        return self._folder.local(relative)

    def _below(self, name: str) -> Path | None:
        folder = self._folder.below(name)
        folder.write("x", b"x")
        return folder.local("x")

    def _in_memory(self, name: str) -> Path:
        self._memory.write(name, b"x")
        found = str(self._memory._path(name))
        return self.root if f"{found}/".startswith("/hostile/") and ".." not in found.split("/") else self.scratch


def _mosaic(**changes: str) -> Mosaic:
    known = {"field": "one", "band": "F277W", "obs_id": _OBS, "product_uri": "mast:JWST/product/x", "archive": "s3"}
    known |= {"filename": f"{_OBS}_i2d.fits", "uri": "s3://b/k", "identity": "s3://b/k|9|e"}
    return Mosaic.model_validate({**known, "size": 9, **changes})


def _written(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return path


def _paths(made: object) -> Iterator[Path]:
    for one in made if isinstance(made, list) else [made]:
        if isinstance(one, Path):
            yield one


def run(count: int, seed: int) -> dict[str, float]:
    """Take `count` names every way; returns the figures, and says on stderr what was wrong."""
    figures: Counter[str] = Counter()
    slowest = 0.0
    with tempfile.TemporaryDirectory() as scratch:
        world = _World(Path(scratch).resolve())
        planted = world.outside()
        for number in range(count):
            name = hostile(random.Random(f"{seed} {number}"))
            begun = time.process_time()
            parse_obs_id(name)
            for way, take in world.ways(name).items():
                outcome = _taken(take, world)
                figures[outcome] += 1
                if outcome not in {"refused", "inside"}:
                    print(f"case {number}: {way} of {name[:80]!r}: {outcome}", file=sys.stderr)
            slowest = max(slowest, time.process_time() - begun)
        elsewhere = world.outside() ^ planted
    return {"names": count, **figures, "files_elsewhere": len(elsewhere), "slowest_ms": round(slowest * 1e3)}


def _taken(take: Callable[[], object], world: _World) -> str:
    try:
        made = take()
    except (GzJwstError, ValidationError):  # the model refuses what is no Unicode
        return "refused"
    except Exception as error:  # noqa: BLE001 - a foreign exception is what is looked for
        return f"foreign {type(error).__name__}"
    return "inside" if all(world.holds(path) for path in _paths(made)) else "outside"


def main() -> int:
    """Try, count, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    figures = run(options.count, options.seed)
    print("hostile names | " + " | ".join(f"{name} {value:g}" for name, value in figures.items()))
    return (
        1
        if set(figures) - {"names", "refused", "inside", "files_elsewhere", "slowest_ms"}
        else figures["files_elsewhere"] != 0
    )


if __name__ == "__main__":
    sys.exit(main())
