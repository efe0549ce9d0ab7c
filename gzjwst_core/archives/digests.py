"""Digests of files on mounted volumes, remembered so that a body is read for its identity only once.

One tiny file per digest, named after (path, size, mtime, inode): two runs at once cannot harm each other, and a file
that changed is another entry. Kept in the cache's folder; never beside the mosaics.
"""

import hashlib
import re
from pathlib import Path

from gzjwst_core.archives.mounted import open_file, state_of
from gzjwst_core.errors import ArchiveUnavailableError
from gzjwst_core.storage.atomic import atomic_path
from gzjwst_core.storage.locks import exclusive
from gzjwst_core.values import digest_of

__all__ = ["DigestIndex"]

_CHUNK = 4 << 20
_NAME = re.compile(r"[0-9a-f]{20}\Z")
_HEX = re.compile(r"[0-9a-f]{64}\Z")


class DigestIndex:
    """Known SHA-256 digests.

    Parameters
    ----------
    folder
        Where they are kept; made when the first one is.
    locks
        Folder of the locks that keep two from reading the same file at once.
    """

    def __init__(self, folder: Path, locks: Path) -> None:
        self._folder = folder
        self._locks = locks

    def known(self, path: Path) -> str:
        """Return the digest on record for the file as it is now; empty if there is none."""
        try:
            text = self._entry(path).read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError):
            return ""
        return text if _HEX.match(text) else ""

    def digest(self, path: Path) -> str:
        """Return the digest, reading the file if it is not on record.

        Raises
        ------
        ArchiveError
            The file cannot be read, or changed meanwhile.
        StorageError
            The digest cannot be kept.
        """
        known = self.known(path)
        if known:
            return known
        with exclusive(self._locks / f"digest-{self._entry(path).name}.lock"):
            return self.known(path) or self._read(path)

    def clear(self) -> None:
        """Forget them all."""
        for entry in [] if self._folder.is_symlink() else self._folder.glob("*"):
            if _NAME.match(entry.name) and not entry.is_symlink():
                entry.unlink(missing_ok=True)

    def _read(self, path: Path) -> str:
        entry = self._entry(path)
        digest = _sha256(path)
        if self._entry(path) != entry:
            raise ArchiveUnavailableError(f"{path.name}: changed while it was read", reason="changed")
        with atomic_path(entry, sync=False) as temporary:
            temporary.write_text(digest, encoding="ascii")
        return digest

    def _entry(self, path: Path) -> Path:
        return self._folder / digest_of([str(path.resolve()), *state_of(path)])


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open_file(path) as file:
        while block := file.read(_CHUNK):
            digest.update(block)
    return digest.hexdigest()
