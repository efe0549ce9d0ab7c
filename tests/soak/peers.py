"""The matrix's transfers through astroquery's downloader and plain s3fs: `python tests/soak/peers.py [--only TEXT]`.

Each peer is used as its documentation says, in a process of its own that is given up on after a limit. astroquery does
not try again by itself, so it is called again as our retry layer would; s3fs does, and is called once. A connection
that would leave this machine is refused and counted. Prints the peers beside us, and claims nothing: it exits with 0.
"""

import argparse
import contextlib
import io
import json
import selectors
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from gzjwst_core.sky.faults import Fault  # noqa: E402
from gzjwst_core.sky.replies import MemoryContent  # noqa: E402
from tests.soak.cases import CASES, Case  # noqa: E402
from tests.soak.cases.case import ROUTES, nothing  # noqa: E402
from tests.soak.player import fits, play  # noqa: E402
from tests.soak.world import WHOLE, World, bucket_path  # noqa: E402

__all__ = ["COLUMNS", "run"]

PEERS = {"astroquery": "mast", "s3fs": "s3"}
COLUMNS = (
    "cases",
    "right",
    "told",
    "not told",
    "wrong bytes",
    "unproven",
    "hang",
    "half a file left",
    "strayed",
    "> 6 requests",
)
_TRIALS = {"astroquery": 4, "s3fs": 1}
_LIMIT_S = 60.0


class Ended(NamedTuple):
    """How a peer's transfer ended."""

    how: str
    """One of `COLUMNS`."""
    detail: str = ""
    left: bool = False
    """Whether a file that is not the right one is at the final name after an error."""
    strayed: bool = False
    requests: int = 0


def chosen(peer: str, only: str = "") -> list[Case]:
    """Return the matrix's transfers from the archive that a peer reads."""
    wanted = [case for case in CASES if case.where == PEERS[peer] and case.group in "NSF" and only in case.id]
    return [case for case in wanted if case.during is nothing and not case.opens and not case.options]


def run(only: str = "", told: Callable[[str], object] = lambda _: None) -> dict[str, Counter[str]]:
    """Play the transfers through the peers and through us.

    Returns
    -------
    dict
        By who and where, counts of `COLUMNS`.
    """
    counts: dict[str, Counter[str]] = {}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        for peer, where in PEERS.items():
            cases = chosen(peer, only)
            ours = [play_ours(case, Path(scratch) / f"{where}{number}") for number, case in enumerate(cases)]
            theirs = list(_through(peer, cases, Path(scratch) / peer, told))
            counts[f"ours, {where}"], counts[peer] = _sum(ours), _sum(theirs)
    return counts


def play_ours(case: Case, scratch: Path) -> Ended:
    """Play a case as the matrix does."""
    with World.served(scratch / "world") as world:
        result = play(case, world, scratch)
    how = {"right": "right", "unproven": "unproven", "wrong bytes": "wrong bytes", "hang": "hang"}.get(
        result.seen, "told"
    )
    return Ended(how, result.seen, left=any("entry" in fault for fault in result.faults), requests=result.requests)


def _sum(ends: Sequence[Ended]) -> Counter[str]:
    counts = Counter(end.how for end in ends)
    counts["cases"] = len(ends)
    counts["half a file left"] = sum(end.left for end in ends)
    counts["strayed"] = sum(end.strayed for end in ends)
    counts["> 6 requests"] = sum(end.requests > 6 for end in ends)
    return counts


def _through(peer: str, cases: Sequence[Case], scratch: Path, told: Callable[[str], object]) -> Iterator[Ended]:
    """Play cases through a peer's process; one that hangs is ended, and the next case gets another."""
    with contextlib.ExitStack() as stack:
        world = stack.enter_context(World.served(scratch / "world"))
        stack.enter_context(world.environment())
        process = _Peer(peer, world.url)
        for number, case in enumerate(cases):
            end = _one(peer, case, world, process, scratch / f"{number}.fits")
            if end.how == "hang":
                process.end()
                process = _Peer(peer, world.url)
            told(f"{peer:<11}{end.how:<12}{case.id} {end.requests} req {end.detail[:160]}")
            yield end
        process.end()


def _one(peer: str, case: Case, world: World, process: "_Peer", path: Path) -> Ended:
    body = case.body(WHOLE[case.kind]) if case.body else WHOLE[case.kind]
    world.hold({case.where: body}, case.kind)
    world.play(case.faults)
    what = world.mosaic(case.kind).product_uri if peer == "astroquery" else bucket_path(case.kind)
    answer = process.ask({"what": what, "path": str(path)}, _LIMIT_S)
    requests = len(world.asked(ROUTES[case.where]))
    if answer is None:
        return Ended("hang", requests=requests)
    found = path.read_bytes() if path.is_file() else b""
    is_right = found in _whole_versions(case, body)
    how = answer["how"] if answer["how"] != "done" else "right" if is_right else "wrong bytes"
    return Ended(
        how, answer["detail"], bool(found) and not is_right and how != "wrong bytes", answer["strayed"], requests
    )


def _whole_versions(case: Case, body: bytes) -> set[bytes]:
    """What a client may take that knew nothing before: any version of the file, as long as it is whole."""
    held = MemoryContent(body)
    faults = [Fault.model_validate(dict(fault)) for fault in case.faults if fault["do"] == "swap"]
    others = [fault.version(held) for fault in faults]
    versions = {b"".join(other.read(0, other.size)) for other in others}
    return {WHOLE[case.kind], *versions, *([body] if fits("right", case.ends) else [])}


class _Peer:
    """A process that transfers on request."""

    def __init__(self, peer: str, url: str) -> None:
        command = [sys.executable, __file__, "--worker", peer, "--url", url]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self.ask({}, _LIMIT_S)  # it has imported what it needs

    def ask(self, question: dict[str, str], limit_s: float) -> Any:
        """Return its answer, None if there is none in time."""
        if self._process.stdin is None or self._process.stdout is None:
            return None
        self._process.stdin.write(json.dumps(question).encode() + b"\n")
        self._process.stdin.flush()
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            line = self._process.stdout.readline() if selector.select(limit_s) else b""
        return json.loads(line) if line else None

    def end(self) -> None:
        """End it, whatever it is at."""
        self._process.kill()
        self._process.communicate()


def worker(peer: str, url: str) -> None:
    """Answer questions on standard input until it ends."""
    transfer = {"astroquery": _astroquery, "s3fs": _s3fs}[peer](url)
    strayed = _stay_here()
    answers = sys.stdout
    for line in sys.stdin:
        question, before = json.loads(line), len(strayed)
        how, detail = "done", ""
        with contextlib.redirect_stdout(io.StringIO()):
            for _ in range(_TRIALS[peer] if question else 0):
                how, detail = _tried(transfer, question)
                if how == "done":
                    break
        print(json.dumps({"how": how, "detail": detail, "strayed": len(strayed) > before}), file=answers, flush=True)


def _tried(transfer: Callable[[str, str], str], question: dict[str, str]) -> tuple[str, str]:
    try:
        said = transfer(question["what"], question["path"])
    except Exception as error:  # noqa: BLE001 - whatever a peer raises, it told
        return "told", f"{type(error).__name__}: {error}"
    return ("not told", said) if said else ("done", "")


def _astroquery(url: str) -> Callable[[str, str], str]:
    """Return its downloader, pointed at loopback; an error that it returns and does not raise is not told."""
    from astroquery.mast import ObservationsClass  # noqa: PLC0415 - in the peer's process only
    from astroquery.mast.discovery_portal import PortalAPI  # noqa: PLC0415

    PortalAPI.MAST_DOWNLOAD_URL = f"{url}/api/v0.1/Download/file"

    def transfer(uri: str, path: str) -> str:
        status, message, _ = ObservationsClass().download_file(uri, local_path=path)
        return "" if status == "COMPLETE" else f"{status}: {message}"

    return transfer


def _s3fs(url: str) -> Callable[[str, str], str]:
    import s3fs  # noqa: PLC0415 - in the peer's process only

    def transfer(key: str, path: str) -> str:
        fs = s3fs.S3FileSystem(anon=True, client_kwargs={"endpoint_url": url}, skip_instance_cache=True)
        fs.get_file(key, path)
        return ""

    return transfer


def _stay_here() -> list[str]:
    """Refuse and note every connection and look-up that would leave this machine."""
    strayed: list[str] = []
    connect, look_up = socket.socket.connect, socket.getaddrinfo

    def is_away(host: object) -> bool:
        away = bool(host) and not str(host).startswith(("127.0.0.1", "localhost", "::1", "/"))
        strayed.extend([str(host)] if away else [])
        return away

    def guarded(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple) and is_away(address[0]):
            raise OSError("off this machine")
        connect(self, address)

    def looked_up(host: Any, *args: Any, **options: Any) -> Any:
        if is_away(host):
            raise socket.gaierror(socket.EAI_NONAME, "off this machine")
        return look_up(host, *args, **options)

    socket.socket.connect = guarded  # type: ignore[method-assign, assignment]  # this process transfers, and nothing else
    socket.getaddrinfo = looked_up
    return strayed


def table(counts: dict[str, Counter[str]]) -> Iterator[str]:
    """Yield the lines of the table."""
    yield f"{'':<14}" + "".join(f"{name:>{len(name) + 2}}" for name in COLUMNS)
    for who, count in counts.items():
        yield f"{who:<14}" + "".join(f"{count[name]:>{len(name) + 2}}" for name in COLUMNS)


def main() -> int:
    """Play and print; or be a peer's process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="cases whose id holds this text")
    parser.add_argument("-v", "--verbose", action="store_true", help="every case of the peers as it ends")
    parser.add_argument("--worker", choices=PEERS, help=argparse.SUPPRESS)
    parser.add_argument("--url", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        worker(options.worker, options.url)
        return 0
    begun = time.monotonic()
    print("\n".join(table(run(options.only, print if options.verbose else lambda _: None))))
    print(f"{time.monotonic() - begun:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
