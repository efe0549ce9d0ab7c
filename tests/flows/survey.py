"""Running a survey as a person does: the script in a process of its own, its output tree compared."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "flows" / "run_survey.py"
OF_THE_RUN = {"run.json", "report.html"}
"""The only files that may hold clocks and hosts."""

SMALL = """
[survey]
name = "small"
bands = ["F150W", "F277W", "F444W"]

[query]
observations = [
  { proposal_id = ["9801"], obs_collection = ["JWST"], instrument_name = ["NIRCAM*"], calib_level = ["3"] },
  { proposal_id = ["9801"], obs_collection = ["HLSP"], instrument_name = ["NIRCAM*"], calib_level = ["4"] },
]
keep = [
  { column = "productFilename", matches = '.*_i2d\\.fits(\\.gz)?', reason = "not_a_mosaic" },
  { column = "calib_level", matches = "[34]", reason = "member_exposure" },
]
drop = [{ column = "obs_id", matches = ".*-sub[0-9a-z]+", reason = "subarray" }]

[[select.cuts]]
column = "is_primary"
equals = true

[[select.cuts]]
column = "mag_ref"
maximum = 26.0

[completeness]
sources = 0

[cutouts]
chunk_size = 8

[publish]
zoobot_fits = ["F444W"]

[sky]
seed = 7
size_arcsec = 20.0
bands = ["F150W", "F277W", "F444W"]
missing = []
bright_stars = 0
"""
"""Two fields of 20 arcsec: everything happens, in seconds."""


@dataclass(frozen=True)
class Ended:
    """How a run ended."""

    code: int
    said: str
    folder: Path

    @property
    def record(self) -> dict[str, Any]:
        """The newest run of run.json."""
        runs: list[dict[str, Any]] = json.loads((self.folder / "run.json").read_text())["runs"]
        return runs[-1]


def bare_environment(home: Path) -> dict[str, str]:
    """A person's environment without settings of ours or of Prefect's, but for a home of its own."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "GZJWST_", "AWS_"))}
    quiet = {"DO_NOT_TRACK": "1", "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
    return kept | quiet | {"PREFECT_HOME": str(home), "NO_COLOR": "1", "COLUMNS": "200"}


@dataclass(frozen=True)
class World:
    """Where a run happens: Prefect's home, the mosaic cache, and what else its environment says."""

    home: Path
    cache: Path
    settings: Mapping[str, str]

    @property
    def environment(self) -> dict[str, str]:
        """Environment of a run."""
        return bare_environment(self.home) | {"GZJWST_CACHE": str(self.cache), **self.settings}

    def run(self, *arguments: str, out: Path, survey: str, seconds: float = 240) -> Ended:
        """Run the script to its end."""
        done = subprocess.run(
            [sys.executable, str(SCRIPT), *arguments, "--out", str(out)],
            env=self.environment,
            cwd=out,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        return Ended(done.returncode, done.stdout + done.stderr, out / survey)


def tree(folder: Path) -> dict[str, str]:
    """Digest of every file of a run folder, but for those of the run itself, and bytes put aside."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    names = {str(path.relative_to(folder)): path for path in files}
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in names.items()
        if name not in OF_THE_RUN and not name.startswith("kept/replaced/")
    }


def stamps(folder: Path) -> dict[str, tuple[int, int]]:
    """Inode and modification time of every file: changes when a file is rewritten."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(p.relative_to(folder)): (p.stat().st_ino, p.stat().st_mtime_ns) for p in files}
