"""The small verbs around a run."""

from pathlib import Path

import pytest

from gzjwst_core.archives.cache import MosaicCache
from gzjwst_core.cli import main
from gzjwst_core.models import Mosaic


def test_shipped_profiles_are_checked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profile", "check"]) == 0
    assert "ceers: right" in capsys.readouterr().out


def test_a_wrong_profile_is_explained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.toml").write_text("[survey]\nname = 'x'\nbnads = []\n")
    assert main(["profile", "check", str(tmp_path / "bad.toml")]) == 2
    assert "did you mean 'bands'" in capsys.readouterr().err


def test_every_effective_value_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profile", "explain", "demo", "--set", "detect.threshold=2.5"]) == 0
    assert "threshold = 2.5" in capsys.readouterr().out


def test_every_key_has_a_meaning(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profile", "explain", "--keys"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("detect.threshold: Times the filtered") for line in lines)


def test_the_cache_is_shown_and_cleared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cache = MosaicCache(tmp_path)
    mosaic = Mosaic(
        field="f", band="F444W", obs_id="o", product_uri="mast:x", filename="a_i2d.fits",
        size=3, archive="mast", uri="mast:x", identity="mast:x|3|",
    )  # fmt: skip
    path = cache.put(mosaic, ("SCI",))
    path.parent.mkdir(parents=True)
    path.write_bytes(b"abc")
    cache.record(path, uri="mast:x", identity="mast:x|3|", source_size=3, source_sha256="0", planes=("SCI",))
    assert main(["cache", "show", "--cache", str(tmp_path)]) == 0
    assert "1 mosaics" in capsys.readouterr().out
    assert main(["cache", "clear", "--cache", str(tmp_path)]) == 0
    assert cache.entries() == []
    assert not path.exists()
