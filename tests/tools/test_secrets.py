"""Secrets of the environment are nowhere a run leaves something: output, Prefect's home, terminal."""

from pathlib import Path

import pytest
import requests

from gzjwst_core.sky.build import build_sky
from gzjwst_core.sky.serving import serving
from gzjwst_core.survey.profile import load_profile
from tests.flows.survey import World

CANARIES = {
    "MAST_API_TOKEN": "canary-mast-0123456789abcdef",
    "AWS_ACCESS_KEY_ID": "AKIACANARY0123456789",
    "AWS_SECRET_ACCESS_KEY": "canary/secret+0123456789abcdefghijklmnop",
    "AWS_SESSION_TOKEN": "canary-session-0123456789abcdef",
}
PASSWORD = "canary-password-0123"  # noqa: S105 - a canary
SIGNED = f"https://user:{PASSWORD}@example.org/x?X-Amz-Signature={PASSWORD}"
FAULTS = [
    {"route": "download", "do": "status", "status": 403, "match": "f150w", "method": "HEAD", "times": 9},
    {"route": "download", "do": "status", "status": 302, "headers": {"Location": SIGNED}, "match": "f277w", "times": 9},
    {"route": "s3_object", "do": "status", "status": 400, "method": "GET", "times": 9},
]

pytestmark = [pytest.mark.tools, pytest.mark.timeout(600)]


def test_five_canaries_are_nowhere(small_profile: Path, tmp_path: Path) -> None:
    """Not even where archives refuse, redirect with a signed address, or break off."""
    options = load_profile(small_profile).sky
    assert options is not None
    with serving(build_sky(options, tmp_path / "sky").folder, tmp_path / "serving") as environment:
        requests.post(f"{environment['GZJWST_MAST_URL']}/_faults", json=FAULTS, timeout=10).raise_for_status()
        settings = {**environment, **CANARIES, "PREFECT_LOGGING_LEVEL": "DEBUG"}
        own = World(tmp_path / "prefect", tmp_path / "cache", settings)
        out = tmp_path / "out"
        out.mkdir()
        ended = own.run(str(small_profile), "--until", "catalog", out=out, survey="small")
    assert ended.code == 4, ended.said
    assert "not_public" in ended.said
    assert "redirected_away" in ended.said
    left = [path for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_size]
    assert any(path.suffix == ".db" for path in left)  # Prefect's: states, logs, artifacts, parameters
    for canary in (*CANARIES.values(), PASSWORD):
        assert canary not in ended.said
        assert [path for path in left if canary.encode() in path.read_bytes()] == []
