"""The loopback archive as a process of its own, and the environment of a run that asks it.

astroquery reads its server's address when it is imported, so the archive has to stand before the run starts: `serving`
starts it, waits for it and yields the environment for the run's process. By hand:
``python -m gzjwst_core.sky.serving FOLDER`` prints the address and serves until Ctrl-C.
"""

import argparse
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

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
    folder: Path, scratch: Path, *, pagesize: int = _PAGESIZE, ready_seconds: float = _READY_SECONDS
) -> Iterator[dict[str, str]]:
    """Serve a sky from a process of its own for as long as the context lasts.

    The process ends with the context, and with this process however that ends.

    Parameters
    ----------
    folder
        A sky that `build_sky` made.
    scratch
        Folder for the archive's address, its error output and astroquery's configuration; made if need be.
    pagesize
        Rows in a page of MAST's answers.
    ready_seconds
        How long the start may take.

    Yields
    ------
    dict of str to str
        The whole environment for a child process: this process's own, changed so that MAST, S3 and DataLabs are the
        sky. `GZJWST_MAST_URL` holds the archive's address.

    Raises
    ------
    ArchiveUnavailableError
        The archive did not start; the message carries the end of its error output.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    with _process(folder, scratch, ready_seconds) as url:
        config_dir = write_astroquery_config(scratch / "astropy-config", url, pagesize=pagesize)
        yield archive_environment(os.environ, url, folder, config_dir)


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


def archive_environment(base: Mapping[str, str], url: str, folder: Path, config_dir: Path) -> dict[str, str]:
    """Change an environment so that a run in it finds the sky wherever it looks.

    Parameters
    ----------
    base
        The environment to start from; its `AWS_*` variables (profiles, keys, endpoints) are left out.
    url
        The archive's address.
    folder
        The sky.
    config_dir
        What `write_astroquery_config` returned.

    Returns
    -------
    dict of str to str
        A new environment.
    """
    return {name: value for name, value in base.items() if not name.startswith("AWS_")} | {
        "ASTROPY_CONFIG_DIR": str(config_dir),
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
def _process(folder: Path, scratch: Path, ready_seconds: float) -> Iterator[str]:
    """Start the archive, wait for its address, and end it in any case."""
    address, errors = scratch / "archive.url", scratch / "archive.err"
    command = [sys.executable, "-m", _MODULE, str(folder), "--until-stdin-closes"]
    with address.open("wb") as out, errors.open("wb") as err:
        process = subprocess.Popen(  # noqa: S603  # our own module, no shell
            # a session of its own: Ctrl-C is for the run, which then closes the archive
            command,
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=err,
            env=_own_environment(),
            start_new_session=True,
        )
    try:
        yield _wait_for_address(process, address, errors, ready_seconds)
    finally:
        _stop(process)


def _own_environment() -> dict[str, str]:
    """Let the child import this package from wherever this process did."""
    root = str(Path(__file__).resolve().parents[2])
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def _wait_for_address(process: subprocess.Popen[bytes], address: Path, errors: Path, ready_seconds: float) -> str:
    end = time.monotonic() + ready_seconds
    while time.monotonic() < end:
        line = address.read_text(encoding="utf-8")
        if line.endswith("\n"):
            return line.strip()
        if process.poll() is not None:
            break
        time.sleep(0.02)
    state = "is not ready" if process.poll() is None else f"ended with {process.returncode}"
    tail = errors.read_text(encoding="utf-8", errors="replace")[-2000:].strip()
    raise ArchiveUnavailableError(f"the loopback archive {state} after {ready_seconds:g} s at most: {tail}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End it at once: it only reads, so there is nothing to finish."""
    process.terminate()
    if process.stdin is not None:
        process.stdin.close()
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
            threading.Thread(target=_shut_at_end_of_input, args=(server,), daemon=True).start()
        with suppress(KeyboardInterrupt):
            server.serve_forever(poll_interval=0.1)
    return 0


def _shut_at_end_of_input(server: LoopbackServer) -> None:
    """Wait for the parent to close our input, or to die, which closes it too."""
    while os.read(sys.stdin.fileno(), 1024):
        pass
    server.shutdown()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m gzjwst_core.sky.serving", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="a sky that build_sky made")
    parser.add_argument("--port", type=int, default=0, help="0 (the default) takes any free port")
    parser.add_argument("--until-stdin-closes", action="store_true", help="end when standard input ends")
    return parser


if __name__ == "__main__":
    sys.exit(main())
