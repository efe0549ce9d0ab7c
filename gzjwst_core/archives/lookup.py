"""MAST's path look-up: the key under which the public bucket keeps a product, where no rule tells it.

One question for one product. The answer is small JSON from outside: bounded, its shape checked, and every part of the
path passes `safe_name`. A key says where the file belongs, not that it is there.
"""

import json
import os
from collections.abc import Mapping
from urllib.parse import quote

import requests

from gzjwst_core.archives.mast_download import mast_server
from gzjwst_core.errors import ArchiveUnavailableError, NameRefusedError, ProductNotFoundError
from gzjwst_core.names import safe_name
from gzjwst_core.options import ArchiveOptions
from gzjwst_core.transport.http import PatientAdapter, mount, read_bounded, send

__all__ = ["lookup_key"]

_PATH = "/api/v0.1/path_lookup/?uri="
_LIMIT = 1 << 20
_TEAMS, _TEAMS_IN_BUCKET = "hlsp_local/public/", "mast/"


def lookup_key(uri: str, options: ArchiveOptions, environment: Mapping[str, str] | None = None) -> str | None:
    """Ask MAST for a product's key in the public bucket.

    Parameters
    ----------
    uri
        `mast:...` of the product.
    options
        Time limits.
    environment
        `GZJWST_MAST_URL` replaces the server; the process's own environment by default.

    Returns
    -------
    str or None
        Such as `jwst/public/jw01345/L3/t/o001/<file>`; None where MAST knows no path.

    Raises
    ------
    ArchiveUnavailableError
        MAST does not answer, or not in the form we know.
    ArchiveRefusedError
        It says no for good.

    Notes
    -----
    MAST's own path of a team's products, `/hlsp_local/public/...`, is `mast/...` in the bucket.
    """
    environment = os.environ if environment is None else environment
    what = f"MAST path look-up of {uri}"
    url = f"{mast_server(environment)}{_PATH}{quote(uri, safe=':/')}"
    try:
        answer = _ask(url, options, what)
    except ProductNotFoundError:
        return None
    path = _path_in(answer, uri, what)
    return None if path is None else _key(path, what)


def _ask(url: str, options: ArchiveOptions, what: str) -> object:
    with requests.Session() as session:
        mount(session, PatientAdapter(options.connect_timeout_s, options.read_timeout_s))
        with send(session, "GET", url, {"Accept-Encoding": "identity"}, what) as response:
            text = read_bounded(response, _LIMIT, what)
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise _strange(what, "it is not JSON") from None


def _path_in(answer: object, uri: str, what: str) -> str | None:
    entry = answer.get(uri) if isinstance(answer, dict) else None
    if not isinstance(entry, dict):
        raise _strange(what, "it does not name the product")
    status, path = entry.get("status_code"), entry.get("path")
    if status == 404 or (status == 200 and path is None):
        return None
    if status != 200 or not isinstance(path, str):
        raise _strange(what, "it holds no path")
    return path


def _key(path: str, what: str) -> str:
    key = path.removeprefix("/")
    if key.startswith(_TEAMS):
        key = _TEAMS_IN_BUCKET + key.removeprefix(_TEAMS)
    try:
        return "/".join(map(safe_name, key.split("/")))
    except NameRefusedError as error:
        raise _strange(what, str(error)) from None


def _strange(what: str, why: str) -> ArchiveUnavailableError:
    return ArchiveUnavailableError(f"{what}: cannot use the answer: {why}", reason="bad_answer")
