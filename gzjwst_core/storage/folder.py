"""A folder at any fsspec URL: the run folder, wherever `--out` points.

Local folders are written with `atomic_path`. Elsewhere (S3, memory) one PUT of whole bytes is the atomic step: an
object is there whole, or it is not there. Paths are relative, with `/`, and every part is checked.
"""

import hashlib
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO, cast

import fsspec

from gzjwst_core.errors import StorageError
from gzjwst_core.names import join_inside, safe_name
from gzjwst_core.storage.atomic import atomic_path, is_temporary, storage_error, sync_path
from gzjwst_core.values import Output

__all__ = ["Folder"]

_CHUNK = 1 << 22


class Folder:
    """One folder and what is below it.

    Parameters
    ----------
    url
        A path or any fsspec URL (`s3://bucket/prefix`, `memory://x`).

    Raises
    ------
    StorageError
        The URL's protocol is not known.
    """

    def __init__(self, url: str) -> None:
        try:
            # what a worker process has just written must be seen: nothing is remembered of a listing
            self._fs, root = fsspec.core.url_to_fs(url, use_listings_cache=False)
        except (ValueError, ImportError) as error:
            raise StorageError(f"{url}: no such kind of storage: {error}", reason="bad_url") from error
        self.url = url
        self._root = str(root).rstrip("/")
        self._is_local = "file" in _protocols(self._fs.protocol)

    def __repr__(self) -> str:
        return f"Folder({self.url!r})"

    def below(self, name: str) -> "Folder":
        """Return the folder of one checked name below this one."""
        return Folder(f"{self.url.rstrip('/')}/{safe_name(name)}")

    def local(self, relative: str = "") -> Path | None:
        """Local path of a file below, or None when this folder is not on a local disk."""
        return Path(self._path(relative)) if self._is_local else None

    @property
    def is_private(self) -> bool:
        """Whether no other process sees it (`memory://`): then nothing may be written by workers."""
        return "memory" in _protocols(self._fs.protocol)

    def exists(self, relative: str) -> bool:
        """Whether a file is there."""
        return self.size(relative) is not None

    def size(self, relative: str) -> int | None:
        """Bytes of a file, None if it is not there."""
        try:
            with self._errors(relative):
                return int(self._fs.size(self._path(relative)) or 0)
        except StorageError as error:
            if error.reason == "not_found":
                return None
            raise

    def names(self, relative: str) -> list[str]:
        """Names of what lies right in a folder, sorted; temporary files are left out."""
        try:
            with self._errors(relative):
                paths = self._fs.ls(self._path(relative), detail=False)
        except StorageError as error:
            if error.reason == "not_found":
                return []
            raise
        names = sorted(str(path).rstrip("/").rpartition("/")[2] for path in paths)
        return [name for name in names if not is_temporary(name)]

    def sizes(self, relative: str = "") -> dict[str, int]:
        """Bytes of every file below, by relative path; temporary files are left out."""
        return dict(sorted(self.files(relative)))

    def files(self, relative: str = "") -> Iterator[tuple[str, int]]:
        """Yield relative path and bytes of every file below, in no order; temporary files are left out."""
        cut = len(self._root) + 1
        for path, size in (self._walk if self._is_local else self._find)(self._path(relative)):
            if not is_temporary(path.rpartition("/")[2]):
                yield path[cut:], size

    def read(self, relative: str) -> bytes:
        """Whole bytes of a file.

        Raises
        ------
        StorageError
            It is not there (`not_found`) or cannot be read.
        """
        with self._errors(relative):
            return bytes(self._fs.cat_file(self._path(relative)))

    def open(self, relative: str) -> BinaryIO:
        """Open a file for reading.

        Raises
        ------
        StorageError
            It is not there (`not_found`).
        """
        with self._errors(relative):
            return cast("BinaryIO", self._fs.open(self._path(relative), "rb"))

    def write(self, relative: str, data: bytes, *, sync: bool = True) -> Output:
        """Write a whole file; a file that already holds these bytes is left as it is.

        Parameters
        ----------
        relative
            Path below this folder.
        data
            The file's bytes.
        sync
            Force a local file to disk now.

        Raises
        ------
        StorageError
            The disk is full, or the place cannot be written.
        """
        output = Output(path=relative, size=len(data), digest=hashlib.sha256(data).hexdigest())
        if self._holds(relative, data):
            return output
        path = self._path(relative)
        if self._is_local:
            with atomic_path(Path(path), sync=sync) as temporary:
                temporary.write_bytes(data)
        else:
            with self._errors(relative):
                self._fs.pipe_file(path, data)
        return output

    @contextmanager
    def writing(self, relative: str) -> Iterator[Path]:
        """Yield a local path to write to; the file is put in place when the block succeeds.

        For files that a library writes by name, or that grow tile by tile.
        """
        if self._is_local:
            with atomic_path(Path(self._path(relative))) as temporary:
                yield temporary
            return
        with TemporaryDirectory(prefix="gzjwst-") as scratch:
            local = Path(scratch) / "file"
            yield local
            with self._errors(relative):
                self._fs.put_file(str(local), self._path(relative))

    @contextmanager
    def reading(self, relative: str) -> Iterator[Path]:
        """Yield a local path that holds the file, for libraries that map it into memory."""
        local = self.local(relative)
        if local is not None:
            yield local
            return
        with TemporaryDirectory(prefix="gzjwst-") as scratch:
            copy = Path(scratch) / "file"
            with self._errors(relative):
                self._fs.get_file(self._path(relative), str(copy))
            yield copy

    def output(self, relative: str) -> Output:
        """Size and digest of a file that is there."""
        digest, size = hashlib.sha256(), 0
        with self.open(relative) as file:
            while block := file.read(_CHUNK):
                digest.update(block)
                size += len(block)
        return Output(path=relative, size=size, digest=digest.hexdigest())

    def sync(self, relatives: Iterable[str]) -> None:
        """Force files written with `sync=False` to disk, and their folders once each. Local folders only.

        File by file: a sync of the whole file system would wait for whatever else the machine is writing.

        Raises
        ------
        StorageError
            The disk is full, or it failed.
        """
        if not self._is_local:
            return
        paths = [Path(self._path(relative)) for relative in relatives]
        for path in (*paths, *sorted({path.parent for path in paths})):
            try:
                sync_path(path)
            except OSError as error:
                raise storage_error(error, path) from error

    def remove(self, relative: str) -> None:
        """Remove a file, if it is there."""
        if self.exists(relative):
            with self._errors(relative):
                self._fs.rm_file(self._path(relative))

    def sweep(self) -> int:
        """Remove temporary files that a killed process left; returns how many. Local folders only."""
        root = self.local()
        if root is None:
            return 0
        found = ((folder, name) for folder, _, names in os.walk(root) for name in names)
        left = [Path(folder, name) for folder, name in found if is_temporary(name)]
        for path in left:
            path.unlink(missing_ok=True)
        return len(left)

    def _holds(self, relative: str, data: bytes) -> bool:
        return self.size(relative) == len(data) and self.read(relative) == data

    def _walk(self, root: str) -> Iterator[tuple[str, int]]:
        for folder, _, names in os.walk(root):
            yield from ((f"{folder}/{name}", os.lstat(f"{folder}/{name}").st_size) for name in names)

    def _find(self, root: str) -> Iterator[tuple[str, int]]:
        with self._errors(""):
            found = self._fs.find(root, detail=True)
        yield from ((str(path), int(info["size"])) for path, info in found.items())

    @contextmanager
    def _errors(self, relative: str) -> Iterator[None]:
        """Put what a file system raises in our tree."""
        try:
            yield
        except StorageError:
            raise
        except FileNotFoundError:
            raise StorageError(f"{self.url}: {relative or 'it'} is not there", reason="not_found") from None
        except OSError as error:
            raise storage_error(error, f"{self.url}/{relative}") from error
        except _client_errors() as error:
            raise StorageError(f"{self.url}/{relative}: {error}") from error

    def _path(self, relative: str) -> str:
        parts = [safe_name(part) for part in relative.split("/")] if relative else []
        if self._is_local and parts[1:]:  # a planted link leads nowhere; the root may be one, as its owner likes
            join_inside(Path(self._root), *parts[:-1])
        return "/".join([self._root, *parts])


def _protocols(protocol: str | tuple[str, ...]) -> tuple[str, ...]:
    return (protocol,) if isinstance(protocol, str) else protocol


def _client_errors() -> tuple[type[Exception], ...]:
    """Errors of a client library that are no OSErrors, such as no credentials; none where it is not even loaded."""
    botocore = sys.modules.get("botocore.exceptions")
    return (botocore.BotoCoreError, botocore.ClientError) if botocore else ()
