"""The one protocol of every archive, and the small values it speaks in.

An archive that is new to us is one class with `name`, `find` and `open`; the rest has defaults. Here are no sockets and
no paths: those are in the archives beside.
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from gzjwst_core.models import Mosaic, Value

__all__ = ["Archive", "ByteStream", "Located", "Progress", "Stated", "identity_of"]

Progress = Callable[[int], None]
"""Is told the bytes that came, block by block."""

Stated = Mapping[str, str | float | None]
"""Keys of `MosaicSource` that the archive knows and the file's header does not say."""


class ByteStream(Protocol):
    """Bytes in order, as a file open for reading gives them."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes; none at the end."""
        ...


class Located(Value):
    """A mosaic that an archive holds."""

    archive: str
    uri: str
    """Logical address: no port, no root of a mounted volume."""
    size: int
    """Bytes as the archive holds it (a `.fits.gz` counts compressed)."""
    identity: str
    """`uri|size|ETag or digest`; other bytes have another identity as far as the archive can tell."""


class Archive(Protocol):
    """A place that may hold mosaics."""

    name: str
    """As the profile, the trail and the tables call it."""

    @abstractmethod
    def find(self, mosaic: Mosaic, *, cheap: bool = False) -> Located:
        """Say where the archive holds a mosaic.

        Parameters
        ----------
        mosaic
            What is looked for.
        cheap
            Read no body and write nothing: a digest that is not on record is left out of the identity.

        Raises
        ------
        ProductNotFoundError
            It is not here.
        ArchiveRefusedError
            The archive says no, for good (`not_public`, ...).
        AmbiguousProductError
            More than one file answers.
        ArchiveUnavailableError
            It cannot say right now.
        """
        ...

    @abstractmethod
    def open(self, mosaic: Mosaic) -> AbstractContextManager[ByteStream]:
        """Open a located mosaic's body, as it is held, from its first byte.

        Raises
        ------
        ArchiveError
            As for `find`, on opening or while reading.
        """
        ...

    def local_path(self, mosaic: Mosaic) -> Path | None:  # noqa: ARG002  # the default looks at nothing
        """Path of a located mosaic where it lies on a disk of this machine; None for an archive across a network."""
        return None

    def stated(self, mosaic: Mosaic) -> Stated:  # noqa: ARG002  # the default looks at nothing
        """Tell what is known of a file beside its header."""
        return {}


def identity_of(uri: str, size: int, mark: str) -> str:
    """Join what a mosaic is remembered by; `mark` is an ETag or a digest, empty where none is known."""
    return f"{uri}|{size}|{mark}"
