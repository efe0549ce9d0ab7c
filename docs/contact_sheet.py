"""Make the README's picture from a finished run: `python docs/contact_sheet.py runs/demo docs/contact-sheet.jpg`."""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from gzjwst_core.storage.tables import read_parquet

_SIDE, _COLUMNS, _ROWS, _GAP = 152, 6, 4, 2
_PAPER = (13, 17, 23)


def main(folder: Path, target: Path) -> None:
    """Lay the brightest galaxies out."""
    images = read_parquet(folder / "zoobot" / "catalog.parquet")
    images = images[np.asarray(images["quality"]) != "fail"]
    brightest = np.argsort(np.asarray(images["mag_ref"]), kind="stable")[: _COLUMNS * _ROWS]
    step = _SIDE + _GAP
    sheet = Image.new("RGB", (_COLUMNS * step - _GAP, _ROWS * step - _GAP), _PAPER)
    for place, file in enumerate(images["file_loc"][brightest].tolist()):
        small = Image.open(folder / file).resize((_SIDE, _SIDE), Image.Resampling.LANCZOS)
        sheet.paste(small, (place % _COLUMNS * step, place // _COLUMNS * step))
    sheet.save(target, quality=90, subsampling=0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
