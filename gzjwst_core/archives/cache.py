"""The mosaic cache: verified planes of mosaics as plain FITS, on a local disk.

One folder an entry, named after the mosaic's identity and the planes that were asked for: other bytes are another
entry. An entry counts only with its `source.json`, which is written last. What to evict is not decided here.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from pydantic import ValidationError

from gzjwst_core.archives.digests import DigestIndex
from gzjwst_core.models import Mosaic, Value, digest_of
from gzjwst_core.names import safe_name
from gzjwst_core.storage.atomic import atomic_path, is_temporary, storage_error

__all__ = ["CacheEntry", "MosaicCache"]

_RECORD = "source.json"


class CacheEntry(Value):
    """What is known of one cached mosaic: `source.json`."""

    uri: str
    identity: str
    source_size: int
    """Bytes of the body that the archive sent."""
    source_sha256: str
    planes: tuple[str, ...]
    file: str
    size: int
    """Bytes of the planes' file."""


class MosaicCache:
    """Mosaics under one local folder.

    Parameters
    ----------
    folder
        Of the cache; made when something is put in.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def digests(self) -> DigestIndex:
        """Digests of files on mounted volumes."""
        return DigestIndex(self.folder / "digests")

    def find(self, mosaic: Mosaic, sci_planes: tuple[str, ...]) -> Path | None:
        """Return the planes' file of a located mosaic, None if it is not there whole."""
        place = self._place(mosaic, sci_planes)
        try:
            entry = CacheEntry.model_validate_json((place / _RECORD).read_bytes())
            path = place / safe_name(entry.file)
            return path if entry.identity == mosaic.identity and path.stat().st_size == entry.size else None
        except (OSError, ValidationError):
            return None

    def entries(self) -> list[CacheEntry]:
        """Return what the cache holds, by logical address; entries that cannot be read are left out."""
        found = []
        for record in sorted(self.folder.glob(f"mosaics/*/{_RECORD}")):
            with suppress(OSError, ValidationError):
                found.append(CacheEntry.model_validate_json(record.read_bytes()))
        return sorted(found, key=lambda entry: entry.uri)

    def put(self, mosaic: Mosaic, sci_planes: tuple[str, ...]) -> Path:
        """Return the final path of a mosaic's planes; the file counts once it is recorded."""
        stem = safe_name(mosaic.filename).removesuffix(".gz").removesuffix(".fits")
        return self._place(mosaic, sci_planes) / f"{stem}.fits"

    def record(self, path: Path, **facts: Any) -> CacheEntry:
        """Make a file that stands in its place count, with what is known of it."""
        entry = CacheEntry(file=path.name, size=path.stat().st_size, **facts)
        with atomic_path(path.with_name(_RECORD)) as temporary:
            temporary.write_text(json.dumps(entry.model_dump(), indent=1) + "\n", encoding="utf-8")
        return entry

    @contextmanager
    def scratch(self, path: Path) -> Iterator[Path]:
        """Yield a temporary path beside a file for its raw bytes; removed in any case."""
        temporary = path.with_name(f".{path.name[:150]}.raw.{os.getpid()}-{uuid4().hex[:8]}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
        except OSError as error:
            if hasattr(error, "retryable"):  # ours already
                raise
            raise storage_error(error, path) from error
        finally:
            temporary.unlink(missing_ok=True)

    def sweep(self) -> int:
        """Remove temporary files of processes that are gone; returns how many."""
        left = [path for path in self.folder.rglob(".*.part") if is_temporary(path.name) and not _is_alive(path.name)]
        for path in left:
            path.unlink(missing_ok=True)
        return len(left)

    def _place(self, mosaic: Mosaic, sci_planes: tuple[str, ...]) -> Path:
        return self.folder / "mosaics" / digest_of([mosaic.identity, *sci_planes])


def _is_alive(name: str) -> bool:
    """Whether the process that a temporary file is named after still runs (the cache is on this machine's disk)."""
    pid = name.rsplit(".", 2)[-2].partition("-")[0]
    if not (pid.isascii() and pid.isdigit() and 0 < int(pid) < 1 << 31):
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # somebody else's
    return True
