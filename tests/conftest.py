"""Fixtures every room shares: an environment cleaned of what a developer's machine may hold, loopback only."""

import os
import socket
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

# Before anything imports prefect or astropy: their own homes, no telemetry, no downloads of earth-rotation tables.
os.environ["DO_NOT_TRACK"] = "1"
os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"

_FOREIGN = ("AWS_", "PREFECT_API", "MAST_", "GZJWST_", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")
_TOGETHER = {
    "survey": {f"test_{name}.py" for name in ("run", "local", "cache", "stop", "third_flow", "time_series")},
    "tools": {"test_dask.py", "test_report_chromium.py", "test_panoptes.py"},
}
"""Files that share one finished survey, by the name of their worker's share."""

_LOOPBACK = ("127.", "::1", "localhost")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the tools' tests alone unless they are asked for: they import what only `make test-tools` installs."""
    return True if collection_path.name == "tools" and "not tools" in str(config.option.markexpr) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the share that takes longest: the others fill up the second worker."""
    items.sort(key=lambda item: item.path.name not in _TOGETHER["survey"])


class _ByFile(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Keep a file's tests on one worker, and those files together that share a costly session fixture."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return next((name for name, files in _TOGETHER.items() if Path(file).name in files), file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Give pytest-xdist our way of sharing tests out."""
    return _ByFile(config, log)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away settings of the developer's own."""
    for name in [name for name in os.environ if name.startswith(_FOREIGN)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)


@pytest.fixture(autouse=True)
def loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse every connection that would leave this machine."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        host = address[0] if isinstance(address, tuple) else ""
        if host and not str(host).startswith(_LOOPBACK):
            raise OSError(f"a test tried to reach {host}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)
