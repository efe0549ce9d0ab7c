"""Are the errors of offsets true? Pulls of measured offsets over several synthetic skies, between fields and to truth.

`python tests/bench/astrometry.py [seeds]`: a table of pulls; their sd should be near 1.
"""

import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from astropy.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from gzjwst_core.catalog.survey import build_survey
from gzjwst_core.options import AstrometryOptions, MergeOptions
from tests.catalog.tiny_sky import catalog_of, render_sky


def comparisons(seed: int, folder: Path) -> Table:
    """Comparisons of one sky, whose fields lie exactly where they say."""
    sky = render_sky(folder, ("F277W",), seed=seed, size_arcsec=40.0, overlap_fraction=0.6, bright_stars=0)
    tables = {name: catalog_of(sky, name, folder / f"{name}.fits").table for name in sky.fields}
    truth = Table({"ra": sky.truth["ra_deg"], "dec": sky.truth["dec_deg"], "mag": sky.truth["mag_F277W"]})
    profile = SimpleNamespace(name="bench", merge=MergeOptions(), astrometry=AstrometryOptions())
    table = build_survey(tables, profile, reference=truth).astrometry
    return table[table["kind"] != "adopted"]


def main() -> None:
    """Measure and print."""
    found: dict[str, list[tuple[float, float, float]]] = {}
    for seed in range(int(sys.argv[1]) if len(sys.argv) > 1 else 10):
        with tempfile.TemporaryDirectory() as folder:
            for row in comparisons(seed, Path(folder)):
                for axis in ("dra", "ddec"):
                    value, error = float(row[axis]), float(row[f"{axis}_err"])
                    found.setdefault(str(row["kind"]), []).append((value, error, value / error))
    for kind, values in found.items():
        offset, error, pull = np.array(values).T
        said = f"offset {np.mean(offset):+.2f} sd {np.std(offset):.2f} mas, error {np.median(error):.2f} mas"
        sys.stdout.write(f"{kind:10s} {len(pull):3d} values: {said}, pull {np.mean(pull):+.2f} sd {np.std(pull):.2f}\n")


if __name__ == "__main__":
    main()
