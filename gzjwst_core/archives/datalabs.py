"""The JWST volume of ESA DataLabs: a mounted folder with one folder `jwPPPPP` a programme.

Names must fit exactly (o001 is not o0011, f200w is not f200w-sub160), plain or gzipped; two files that fit are
ambiguous and never guessed at. The volume is read only. Where it is not mounted, that is noticed and said once. A
file's identity is its digest, which costs one reading; a run that needs only some rows goes by that of its headers.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from glob import escape
from pathlib import Path

from gzjwst_core.archives.base import Archive, Located, identity_of
from gzjwst_core.archives.digests import DigestIndex
from gzjwst_core.archives.mounted import file_error, open_file, read_spans, state_of
from gzjwst_core.errors import AmbiguousProductError, ArchiveUnavailableError, MosaicError, ProductNotFoundError
from gzjwst_core.models import Mosaic
from gzjwst_core.mosaics.layout import header_digest
from gzjwst_core.names import parse_obs_id, safe_name
from gzjwst_core.transport.streams import ByteStream, Span

__all__ = ["DataLabs"]

_log = logging.getLogger(__name__)
_SCHEME = "datalabs:"


class DataLabs(Archive):
    """The mounted volume.

    Parameters
    ----------
    root
        Its folder on this machine.
    digests
        Where digests of its files are remembered.
    whole
        Whether plain files will be read whole; if not, the digest of their headers is enough.
    """

    name = "datalabs"

    def __init__(self, root: Path, digests: DigestIndex, *, whole: bool = True) -> None:
        self._root = root
        self._digests = digests
        self._whole = whole

    @cached_property
    def _mounted(self) -> bool:
        mounted = self._root.is_dir()
        if not mounted:
            _log.info("DataLabs: no volume at %s; the other archives are asked", self._root)
        return mounted

    def find(self, mosaic: Mosaic, *, cheap: bool = False) -> Located:
        """Look the file up in its programme's folder (`Archive.find`); a team's product in every programme's."""
        if not self._mounted:
            raise ProductNotFoundError("DataLabs: the volume is not mounted here", reason="no_volume")
        path = self._only(mosaic)
        uri = f"{_SCHEME}{path.parent.name}/{path.name}"
        size = state_of(path)[0]
        return Located(archive=self.name, uri=uri, size=size, identity=identity_of(uri, size, self._mark(path, cheap)))

    def local_path(self, mosaic: Mosaic) -> Path:
        """Path of a located mosaic on the mount.

        Links are followed, wherever they lead: a mounted volume may be made of them, and it is only read.

        Raises
        ------
        NameRefusedError
            Its URI leads out of the volume.
        """
        return self._root.joinpath(*map(safe_name, mosaic.uri.removeprefix(_SCHEME).split("/")))

    def open(self, mosaic: Mosaic, *, start: int = 0) -> AbstractContextManager[ByteStream]:
        """Open the file on the mount (`Archive.open`)."""
        return open_file(self.local_path(mosaic), start)

    def windowed(self, mosaic: Mosaic) -> bool:
        """Whether it is a plain file (`Archive.windowed`)."""
        return mosaic.uri.endswith(".fits")

    def ranges(self, mosaic: Mosaic, spans: Sequence[Span]) -> Iterator[tuple[Span, bytes]]:
        """Read parts of the file on the mount (`Archive.ranges`)."""
        path = self.local_path(mosaic)

        located = mosaic.identity == identity_of(mosaic.uri, state_of(path)[0], self._mark(path, cheap=True))
        if not located:
            raise ArchiveUnavailableError(f"{path.name}: changed since it was located", reason="changed")
        return read_spans(path, spans)

    def _mark(self, path: Path, cheap: bool) -> str:
        if not self._whole and path.suffix == ".fits":
            return f"headers-{_header_digest(path)}"
        return self._digests.known(path) if cheap else self._digests.digest(path)

    def _only(self, mosaic: Mosaic) -> Path:
        found = self._candidates(mosaic)
        if not found:
            raise ProductNotFoundError(f"DataLabs: no {mosaic.filename}, plain or gzipped")
        if len(found) > 1:
            names = ", ".join(f"{path.parent.name}/{path.name}" for path in found)
            raise AmbiguousProductError(f"DataLabs: {len(found)} files fit {mosaic.obs_id}: {names}")
        return found[0]

    def _candidates(self, mosaic: Mosaic) -> list[Path]:
        plain = safe_name(mosaic.filename).removesuffix(".gz")
        name = parse_obs_id(mosaic.obs_id)
        folders = f"jw{escape(name.program)}" if name and name.program else "jw" + "[0-9]" * 5
        try:
            paths = [p for end in ("", ".gz") for p in self._root.glob(f"{folders}/{escape(plain)}{end}")]
            return sorted(path for path in paths if path.is_file())  # a dangling link is none
        except OSError as error:
            raise file_error(error, self._root / plain) from None


def _header_digest(path: Path) -> str:
    try:
        return header_digest(path)[:32]
    except MosaicError:
        return "damaged"  # whoever reads it says how
    except OSError as error:
        raise file_error(error, path) from None
