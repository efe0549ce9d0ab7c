"""Mosaics on a plain web server: the profile says under which address, and nothing else is special.

It is also the example of an archive of one's own: `HttpArchive` does what all web servers have in common, and a
subclass says where a file is. A login, where the server wants one, belongs in `~/.netrc`: a profile is published.
"""

from string import Formatter
from urllib.parse import quote, urlsplit

from gzjwst_core.archives.http_archive import HttpArchive
from gzjwst_core.errors import ArchiveRefusedError, NameRefusedError, ProfileError
from gzjwst_core.models import Mosaic
from gzjwst_core.names import safe_name
from gzjwst_core.options import ArchiveOptions
from gzjwst_core.transport.http import check_address

__all__ = ["Directory"]

_NAMES = ("filename", "obs_id", "field", "band")


class Directory(HttpArchive):
    """A directory of a web server.

    Parameters
    ----------
    options
        `directory_url`, such as `https://host/mosaics/{field}/{filename}`, and time limits.

    Raises
    ------
    ProfileError
        The address is not https (http on this machine), holds a login or a query, or is the same for every mosaic.
    """

    name = "directory"
    title = "Directory"

    def __init__(self, options: ArchiveOptions) -> None:
        super().__init__(options)
        self._template = options.directory_url
        _check(self._template)

    def address(self, mosaic: Mosaic) -> str:
        """Address of the mosaic's file.

        Raises
        ------
        ArchiveRefusedError
            One of its names may not be part of an address (`bad_name`).
        """
        used = {name for _, name, _, _ in Formatter().parse(self._template) if name}
        try:
            return self._template.format(**{name: quote(safe_name(getattr(mosaic, name))) for name in used})
        except NameRefusedError as error:
            raise ArchiveRefusedError(f"{self.title}: {error}", reason=error.reason) from None

    def logical(self, mosaic: Mosaic) -> str:
        """Address without its port: that of a server behind a tunnel changes from day to day."""
        parts = urlsplit(self.address(mosaic))
        return f"{parts.scheme}://{parts.hostname}{parts.path}"

    def listed_size(self, mosaic: Mosaic) -> int:  # noqa: ARG002  # a team's own mosaics are not MAST's
        """Nobody lists what lies here."""
        return 0

    def windowed(self, mosaic: Mosaic) -> bool:
        """Whether the file is a plain one, of a server that can name its versions (`Archive.windowed`)."""
        return mosaic.uri.endswith(".fits") and self.gives_parts(mosaic)


def _check(template: str) -> None:
    try:
        named = {(name, spec, how) for _, name, spec, how in Formatter().parse(template) if name is not None}
        parts = urlsplit(template.replace("{", "").replace("}", ""))
        check_address(parts.geturl())
    except (ValueError, ArchiveRefusedError):
        raise _refused("it must be an address with https:// (http:// on this machine)") from None
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise _refused("it may hold no login, query or fragment: a profile is published")
    if not named <= {(name, "", None) for name in _NAMES} or "{" in template.partition("://")[2].partition("/")[0]:
        raise _refused(f"in its path it may use {', '.join(f'{{{name}}}' for name in _NAMES)}")
    if not {name for name, _, _ in named} & {"filename", "obs_id"}:
        raise _refused("it must name {filename} or {obs_id}, or every mosaic would be the same file")


def _refused(why: str) -> ProfileError:
    return ProfileError(f"archives.directory_url: {why}; such as https://host/mosaics/{{filename}}")
