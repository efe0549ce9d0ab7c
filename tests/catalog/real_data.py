"""Real images that lie beside the project, for tests that are skipped where they do not."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

__all__ = ["real_data"]

_ROOT = Path(__file__).resolve().parents[2]


def real_data(name: str) -> Path:
    """Return a folder of `shared/data`, which is looked for beside the project and its next parents; else skip."""
    for data in _places():
        if (data / name).is_dir():
            return data / name
    pytest.skip(f"shared/data/{name} is not beside the project (set GZJWST_TEST_DATA)")


def _places() -> Iterator[Path]:
    if "GZJWST_TEST_DATA" in os.environ:
        yield Path(os.environ["GZJWST_TEST_DATA"])
    for parent in _ROOT.parents[:3]:
        yield parent / "shared" / "data"
