"""The loopback archive as a process of its own, and the environment of a run that asks it.

`serving` starts it, waits for it and yields the environment in which clients find it; they read it when they ask. Only
an astroquery of another process needs a configuration file, which it reads when it is imported. By hand:
``python -m gzjwst_core.sky.serving FOLDER`` prints the address and serves until Ctrl-C.
"""

import argparse
import os
import select
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, cast

from gzjwst_core.errors import ArchiveUnavailableError, StorageError
from gzjwst_core.sky.build import load_sky
from gzjwst_core.sky.listing import build_listing
from gzjwst_core.sky.routes import LoopbackArchive
from gzjwst_core.sky.server import LoopbackServer

__all__ = ["archive_environment", "main", "serving", "write_astroquery_config"]

_MODULE = "gzjwst_core.sky.serving"
_READY_SECONDS = 60.0
_STOP_SECONDS = 5.0
_PAGESIZE = 100


@contextmanager
def serving(
    folder: Path, config: Path | None = None, *, pagesize: int = _PAGESIZE, ready_seconds: float = _READY_SECONDS
) -> Iterator[dict[str, str]]:
    """Serve a sky from a process of its own for as long as the context lasts.

    The process ends with the context, and with this process however that ends.

    Parameters
    ----------
    folder
        A sky that `build_sky` made.
    config
        Folder for astroquery's configuration, where another process shall ask with an astroquery of its own.
    pagesize
        Rows in a page of MAST's answers, in that configuration.
    ready_seconds
        How long the start may take.

    Yields
    ------
    dict of str to str
        This process's environment, changed so that MAST, S3 and DataLabs are the sky. `GZJWST_MAST_URL` holds the
        archive's address.

    Raises
    ------
    ArchiveUnavailableError
        The archive did not start; the message carries the end of its error output.
    """
    with _process(folder, ready_seconds) as url:
        environment = archive_environment(os.environ, url, folder)
        if config is not None:
            config_dir = write_astroquery_config(config / "astropy-config", url, pagesize=pagesize)
            environment["ASTROPY_CONFIG_DIR"] = str(config_dir)
        yield environment


def write_astroquery_config(config_dir: Path, url: str, *, pagesize: int = _PAGESIZE) -> Path:
    """Write the file that points astroquery at an archive.

    Parameters
    ----------
    config_dir
        Where `ASTROPY_CONFIG_DIR` will point: `astroquery.cfg` lies right in it.
    url
        Address without a trailing slash.
    pagesize
        Rows in a page.

    Returns
    -------
    pathlib.Path
        The folder, absolute: astropy ignores a relative one.
    """
    config_dir.mkdir(parents=True, exist_ok=True)
    text = f"[mast]\nserver = {url}\ntimeout = 30\npagesize = {pagesize}\n"
    (config_dir / "astroquery.cfg").write_text(text, encoding="utf-8")
    return config_dir.resolve()


def archive_environment(base: Mapping[str, str], url: str, folder: Path) -> dict[str, str]:
    """Change an environment so that a run in it finds the sky wherever it looks.

    Parameters
    ----------
    base
        The environment to start from; its `AWS_*` variables (profiles, keys, endpoints) are left out.
    url
        The archive's address.
    folder
        The sky.

    Returns
    -------
    dict of str to str
        A new environment.
    """
    return {name: value for name, value in base.items() if not name.startswith("AWS_")} | {
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL_S3": url,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "GZJWST_DATALABS_ROOT": str((folder / "datalabs").resolve()),
        "GZJWST_MAST_URL": url,
        # both spellings: requests and aiohttp read the lower case one first
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }


@contextmanager
def _process(folder: Path, ready_seconds: float) -> Iterator[str]:
    """Start the archive, wait for its address, and end it in any case."""
    command = [sys.executable, "-m", _MODULE, str(folder), "--until-stdin-closes"]
    with TemporaryFile() as errors:
        process = subprocess.Popen(  # noqa: S603  # our own module, no shell
            # a session of its own: Ctrl-C is for the run, which then closes the archive
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=_own_environment(),
            start_new_session=True,
        )
        try:
            yield _address(process, errors, ready_seconds)
        finally:
            _stop(process)


def _own_environment() -> dict[str, str]:
    """Let the child import this package from wherever this process did."""
    root = str(Path(__file__).resolve().parents[2])
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def _address(process: subprocess.Popen[bytes], errors: IO[bytes], ready_seconds: float) -> str:
    """Wait for the line that holds the archive's address."""
    out = cast("IO[bytes]", process.stdout)
    came = select.select([out], [], [], ready_seconds)[0]
    if came and (line := out.readline()):
        return line.decode().strip()
    state = f"ended with {process.wait(_STOP_SECONDS)}" if came else "is not ready"
    errors.seek(0)
    tail = errors.read().decode(errors="replace")[-2000:].strip()
    raise ArchiveUnavailableError(f"the loopback archive {state} after {ready_seconds:g} s at most: {tail}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End it at once: it only reads, so there is nothing to finish."""
    process.terminate()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve a sky until interrupted; the first line on standard output is the address.

    Parameters
    ----------
    arguments
        Command line; `sys.argv` without it.

    Returns
    -------
    int
        Exit code: 1 where the folder holds no sky.
    """
    options = _parser().parse_args(arguments)
    try:
        sky = load_sky(options.folder)
    except StorageError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    listing = build_listing(sky.mosaics, proposal=sky.options.proposal, missing=sky.options.missing)
    with LoopbackServer(LoopbackArchive(options.folder, listing), options.port) as server:
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        if options.until_stdin_closes:
            threading.Thread(target=_end_with_input, daemon=True).start()
        with suppress(KeyboardInterrupt):
            server.serve_forever(poll_interval=0.1)
    return 0


def _end_with_input() -> None:
    """Wait for the parent to close our input, or to die, which closes it too. Nothing here is to be finished."""
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os._exit(0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m gzjwst_core.sky.serving", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="a sky that build_sky made")
    parser.add_argument("--port", type=int, default=0, help="0 (the default) takes any free port")
    parser.add_argument("--until-stdin-closes", action="store_true", help="end when standard input ends")
    return parser


if __name__ == "__main__":
    sys.exit(main())
