"""Peak memory of cataloguing against the size of the mosaic: `python tests/bench/memory.py [SIDE_ARCSEC ...]`.

Each size runs in a process of its own, four bands, inline (one worker). The peak counts mapped pages of the mosaics,
which the system takes back when it needs them.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

_CHILD = """
import sys, time
from pathlib import Path
sys.path.insert(0, {root!r})
from gzjwst_core.runs.engine import peak_memory_mb
from gzjwst_core.survey.profile import load_profile
from gzjwst_core.sky.build import load_sky
from gzjwst_core.photometry.field_catalog import build_field_catalog
from gzjwst_core.models import MosaicSource
from gzjwst_core.mosaics.planes import keep_planes
folder = Path({folder!r})
profile = load_profile("demo")
sources, sky = [], load_sky(folder / "sky")
for mosaic in [m for m in sky.mosaics if m.field == "o001_t001"]:
    path = folder / (mosaic.band + ".fits")
    with (sky.folder / mosaic.path).open("rb") as stream, path.open("wb") as target:
        keep_planes(stream, target, profile.mosaics.sci_planes, mosaic.filename)
    sources.append(MosaicSource(field=mosaic.field, band=mosaic.band, path=str(path), uri="", identity=mosaic.obs_id))
start, begun = peak_memory_mb(), time.process_time()
made = build_field_catalog(sources, profile, folder / "seg.fits", bands=profile.survey.bands)
pixels = sum(row["width"] * row["height"] for row in made.mosaics) / 1e6
seconds, peak = time.process_time() - begun, peak_memory_mb()
print(f"{{pixels:8.1f}} {{len(made.table):8d}} {{seconds:8.1f}} {{start:10.0f}} {{peak:10.0f}}")
"""

_MAKE = """
import sys
from pathlib import Path
sys.path.insert(0, {root!r})
from gzjwst_core.sky.build import build_sky
from gzjwst_core.sky.options import SkyOptions
build_sky(SkyOptions(size_arcsec={side}, galaxies_per_arcmin2=200.0), Path({folder!r}) / "sky")
"""


def main() -> None:
    """Measure every size."""
    sides = [float(text) for text in sys.argv[1:]] or [60.0, 120.0, 180.0]
    print("   Mpx   sources    cpu_s   start_MB    peak_MB   (four bands together)")
    for side in sides:
        with tempfile.TemporaryDirectory() as folder:
            names = {"root": str(ROOT), "folder": folder, "side": side}
            for code in (_MAKE, _CHILD):
                subprocess.run([sys.executable, "-c", code.format(**names)], check=True)


if __name__ == "__main__":
    main()
