"""A batch system that ends a run with SIGTERM: it ends at once and goes on the next time."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.flows.survey import SCRIPT, Ended, World, tree

pytestmark = [pytest.mark.tools, pytest.mark.timeout(600)]


def test_sigterm_to_the_script_alone_ends_all_of_it(
    small: Ended, small_profile: Path, world: World, tmp_path: Path
) -> None:
    """Also the process in which a synthetic sky's run happens, and its server."""
    own = World(tmp_path / "prefect", tmp_path / "cache", {})
    command = [sys.executable, str(SCRIPT), str(small_profile), "--out", str(tmp_path)]
    said = tmp_path / "said.txt"
    with said.open("wb") as out:
        process = subprocess.Popen(command, env=own.environment, stdout=out, stderr=out)
        deadline = time.monotonic() + 200
        while b"locate" not in said.read_bytes() and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 130, said.read_text()
    assert "run it again to go on" in said.read_text()
    assert "Traceback" not in said.read_text()
    again = own.run(str(small_profile), out=tmp_path, survey="small")
    assert again.code == 0, again.said
    assert tree(again.folder) == tree(small.folder)
