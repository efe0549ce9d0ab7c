"""The instrument that a mosaic's own header states."""

import gzip
import zlib
from pathlib import Path

from gzjwst_core.errors import CorruptMosaicError, MosaicLayoutError
from gzjwst_core.instruments import names_another
from gzjwst_core.mosaics.headers import Headers

__all__ = ["check_instrument", "instrument_of"]


def instrument_of(path: Path) -> str:
    """Return INSTRUME of the first header that has it, in capitals.

    Parameters
    ----------
    path
        FITS file; of a gzipped one only the headers before the first pixel are looked at.

    Returns
    -------
    str
        Empty where no header states it, or none can be read: whoever reads the mosaic says what is wrong with it.
    """
    zipped = path.suffix == ".gz"
    try:
        with gzip.open(path) if zipped else path.open("rb") as file:
            for hdu in Headers(file.read, path.name):
                stated = hdu.cards.get("INSTRUME", "").strip("'").strip()
                if stated or (zipped and hdu.data_bytes):
                    return stated.upper()
                file.seek(hdu.data_bytes, 1)
    except (OSError, EOFError, zlib.error, CorruptMosaicError):
        return ""
    return ""


def check_instrument(path: Path, wanted: str) -> None:
    """See that a mosaic is not of another instrument than the survey's.

    Raises
    ------
    MosaicLayoutError
        Its header says so (reason `other_instrument`).
    """
    stated = instrument_of(path)
    if names_another(stated, wanted):
        said = f"{path.name}: INSTRUME = {stated!r}, the profile's survey.instrument is {wanted}"
        raise MosaicLayoutError(said, reason="other_instrument")
