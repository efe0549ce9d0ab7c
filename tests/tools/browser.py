"""Headless Chromium, spoken to over its debugging protocol: what a page says, measures and fetches."""

import base64
import itertools
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from websockets.sync.client import connect
from websockets.sync.connection import Connection

from tests.tools.processes import running, until

Json = dict[str, Any]

_PATIENCE_S = 60.0
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--remote-debugging-address=127.0.0.1",
    "--remote-debugging-port=0",
)


def chromium() -> str:
    """The browser's path; a machine without one cannot run this test."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        raise FileNotFoundError("no chromium on the PATH: install it with the package manager, as .ci/run does")
    return found


class Page:
    """One tab."""

    def __init__(self, socket: Connection) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self.events: list[Json] = []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> Json:
        """Give one command and return its result; events on the way are kept."""
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = self._next()
            if message.get("id") == number:
                assert "error" not in message, f"{method}: {message['error']}"
                return dict(message["result"])

    def open(self, path: Path, *, width: int, height: int = 900, anchor: str = "") -> None:
        """Show a file in a window of some width, and wait for all it loads; `anchor` follows its address."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        seen = len(self.events)
        self.call("Page.navigate", url=path.as_uri() + anchor)
        while not any(event["method"] == "Page.loadEventFired" for event in self.events[seen:]):
            self._next()

    def value(self, expression: str) -> Any:
        """Evaluate JavaScript in the page, waiting for promises."""
        said = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in said, said
        return said["result"].get("value")

    def complaints(self) -> list[Json]:
        """Every error and warning of the console, and every exception nobody caught."""
        return [event["params"] for event in self.events if _is_complaint(event["method"], event["params"])]

    def requests(self) -> list[str]:
        """Addresses of everything that was asked for, in order; inline data aside."""
        asked = [e["params"]["request"]["url"] for e in self.events if e["method"] == "Network.requestWillBeSent"]
        return [url for url in asked if not url.startswith("data:")]

    def screenshot(self) -> bytes:
        """What is seen now, as PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])

    def press(self, key: str) -> None:
        """Press and release a key, named as JavaScript names it."""
        code = {"ArrowRight": 39, "ArrowLeft": 37, "Escape": 27, "Enter": 13}[key]
        for kind in ("rawKeyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    def schemes(self) -> set[str]:
        """Schemes of everything that was asked for."""
        asked = [e["params"]["request"]["url"] for e in self.events if e["method"] == "Network.requestWillBeSent"]
        return {url.partition(":")[0] for url in asked}

    def _next(self) -> Json:
        message: Json = json.loads(self._socket.recv(_PATIENCE_S))
        if "method" in message:
            self.events.append(message)
        return message


def _is_complaint(method: str, said: Json) -> bool:
    match method:
        case "Runtime.exceptionThrown":
            return True
        case "Runtime.consoleAPICalled":
            return said["type"] in {"error", "warning", "assert"}
        case "Log.entryAdded":
            return said["entry"]["level"] in {"error", "warning"}
        case "Network.loadingFailed":
            return not said.get("canceled")
    return False


@contextmanager
def browser(folder: Path) -> Iterator[Page]:
    """A browser with one empty tab, for as long as the block runs."""
    log = folder / "chromium.log"
    # its sockets have long names: the profile lies in the temporary folder itself
    with tempfile.TemporaryDirectory(prefix="gzjwst-browser-") as profile:
        command = [chromium(), *_FLAGS, f"--user-data-dir={profile}", "about:blank"]
        with running(command, log, env=dict(os.environ), cwd=folder):
            port = Path(profile) / "DevToolsActivePort"
            until(lambda: port.exists() and port.read_text().count("\n") >= 1, seconds=60, log=log, what="chromium")
            with connect(f"ws://127.0.0.1:{_port(port)}{_tab(port)}", max_size=None) as socket:
                yield Page(socket)


def _port(file: Path) -> int:
    return int(file.read_text().splitlines()[0])


def _tab(file: Path) -> str:
    tabs = requests.get(f"http://127.0.0.1:{_port(file)}/json/list", timeout=30).json()
    address: str = next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page")
    return "/" + address.split("/", 3)[3]
