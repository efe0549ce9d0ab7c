"""MAST as an archive of files: its download service, asked with our own session.

astroquery's downloader accepts broken transfers, so it lists only. The token comes from the environment alone and goes
to MAST's own host alone.
"""

import os
import re
from collections.abc import Mapping
from urllib.parse import quote

from gzjwst_core.archives.http_archive import HttpArchive
from gzjwst_core.errors import ArchiveRefusedError
from gzjwst_core.models import Mosaic
from gzjwst_core.options import ArchiveOptions

__all__ = ["MastDownload", "mast_server"]

_SERVER = "https://mast.stsci.edu"
_PATH = "/api/v0.1/Download/file?uri="


class MastDownload(HttpArchive):
    """MAST's download service.

    Parameters
    ----------
    options
        Time limits.
    environment
        `GZJWST_MAST_URL` replaces the server, `MAST_API_TOKEN` opens what is not public yet; the process's own
        environment by default.
    """

    name = "mast"
    title = "MAST"

    def __init__(self, options: ArchiveOptions, environment: Mapping[str, str] | None = None) -> None:
        super().__init__(options)
        environment = os.environ if environment is None else environment
        self._server = mast_server(environment)
        self._token = environment.get("MAST_API_TOKEN", "").strip()

    def address(self, mosaic: Mosaic) -> str:
        """Address of the product."""
        return f"{self._server}{_PATH}{quote(mosaic.product_uri, safe=':/')}"

    def credentials(self) -> dict[str, str]:
        """Return the token, where there is one.

        Raises
        ------
        ArchiveRefusedError
            It holds what no token may.
        """
        if not self._token:
            return {}
        if not re.fullmatch(r"[!-~]+", self._token):
            raise ArchiveRefusedError("MAST_API_TOKEN may hold printable ASCII only", reason="bad_token")
        return {"Authorization": f"token {self._token}"}


def mast_server(environment: Mapping[str, str]) -> str:
    """Address of MAST: `GZJWST_MAST_URL`, or its own."""
    return (environment.get("GZJWST_MAST_URL") or _SERVER).rstrip("/")
