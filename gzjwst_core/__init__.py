"""gzjwst: galaxies out of JWST mosaics.

The core is the science and the input/output, usable from a notebook. It never imports Prefect; `tasks/` wraps it
and `flows/` orders it.
"""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("gzjwst")
except PackageNotFoundError:  # a checkout that was not installed
    __version__ = "0.1.0"

__all__ = ["__version__"]
