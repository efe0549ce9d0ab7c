"""Secrets of the environment are nowhere a run leaves something: output, Prefect's home, terminal."""

from pathlib import Path

import requests

from tests.flows.survey import World

CANARIES = {
    "MAST_API_TOKEN": "canary-mast-0123456789abcdef",
    "AWS_ACCESS_KEY_ID": "AKIACANARY0123456789",
    "AWS_SECRET_ACCESS_KEY": "canary/secret+0123456789abcdefghijklmnop",
    "AWS_SESSION_TOKEN": "canary-session-0123456789abcdef",
}
PASSWORD = "canary-password-0123"  # noqa: S105 - a canary


def test_five_canaries_are_nowhere(small_profile: Path, world: World, tmp_path: Path) -> None:
    """Not even where archives refuse, redirect with a signed address, or break off."""
    url = world.settings["GZJWST_MAST_URL"]
    signed = f"https://user:{PASSWORD}@example.org/x?X-Amz-Signature={PASSWORD}"
    faults = [
        {"route": "download", "do": "status", "status": 403, "match": "f150w", "method": "HEAD", "times": 9},
        {
            "route": "download",
            "do": "status",
            "status": 302,
            "headers": {"Location": signed},
            "match": "f277w",
            "times": 9,
        },
        {"route": "s3_object", "do": "status", "status": 400, "method": "GET", "times": 9},
    ]
    requests.post(f"{url}/_faults", json=faults, timeout=10).raise_for_status()
    settings = {k: v for k, v in world.settings.items() if k != "PREFECT_API_URL"} | CANARIES
    own = World(tmp_path / "prefect", tmp_path / "cache", {**settings, "PREFECT_LOGGING_LEVEL": "DEBUG"})
    out = tmp_path / "out"
    out.mkdir()
    try:
        ended = own.run(str(small_profile), "--until", "catalog", out=out, survey="small")
    finally:
        requests.delete(f"{url}/_faults", timeout=10)
    assert ended.code == 4, ended.said
    assert "not_public" in ended.said
    assert "redirected_away" in ended.said
    left = [path for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_size]
    assert any(path.suffix == ".db" for path in left)  # Prefect's: states, logs, artifacts, parameters
    for canary in (*CANARIES.values(), PASSWORD):
        assert canary not in ended.said
        assert [path for path in left if canary.encode() in path.read_bytes()] == []
