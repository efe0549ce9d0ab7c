"""The first run of a survey is not whole, the next one is: the tree is that of an unbroken run, digest for digest."""

import shutil
from pathlib import Path

import pytest
import requests

from gzjwst_core.cli import main
from tests.flows.survey import Ended, World, tree

ROUTES = ("path_lookup", "download", "s3_object", "s3_list")
FIRST: dict[str, tuple[str, ...]] = {
    "failed": (),
    "limit": ("--limit", "1"),
    "fields": ("--fields", "south"),
    "bands": ("--bands", "F150W,F444W"),
}


@pytest.mark.tools
@pytest.mark.parametrize("first", FIRST)
def test_a_whole_run_after_a_part_makes_the_whole_tree(
    first: str, small: Ended, small_profile: Path, world: World, tmp_path: Path
) -> None:
    own = World(world.home, tmp_path / "cache", world.settings)
    faults = f"{world.settings['GZJWST_MAST_URL']}/_faults"
    if first == "failed":
        down = [{"route": route, "do": "status", "match": "south", "times": 999} for route in ROUTES]
        requests.post(faults, json=down, timeout=5).raise_for_status()
    try:
        part = own.run(str(small_profile), *FIRST[first], out=tmp_path, survey="small")
    finally:
        requests.delete(faults, timeout=5)
    assert part.code == (4 if first == "failed" else 0), part.said
    assert part.record["colour"]["state"] == "provisional"
    assert "colour is provisional" in part.said
    assert "Colour is provisional" in (part.folder / "report.html").read_text()
    assert tree(part.folder) != tree(small.folder)
    whole = own.run(str(small_profile), out=tmp_path, survey="small")
    assert whole.code == 0, whole.said
    assert whole.record["colour"]["state"] == "final"
    assert tree(whole.folder) == tree(small.folder)
    assert len(tree(whole.folder)) > 100


@pytest.mark.tools
def test_what_was_uploaded_is_never_recoloured(small_profile: Path, world: World, tmp_path: Path) -> None:
    part = world.run(str(small_profile), "--limit", "1", out=tmp_path, survey="small")
    handed = part.folder / "zooniverse" / "manifest-0001.csv"
    assert main(["zooniverse", "uploaded", str(part.folder), str(handed)]) == 0
    seen = {name: digest for name, digest in tree(part.folder).items() if name.startswith("images/") and "jpg" in name}
    whole = world.run(str(small_profile), out=tmp_path, survey="small")
    assert "stays, since subjects were uploaded" in whole.said
    assert whole.record["colour"]["state"] == "final"
    now = tree(whole.folder)  # the other field speaks for what both show: those images are gone
    shown = {name: digest for name, digest in seen.items() if name in now}
    assert len(shown) > 5
    assert shown.items() <= now.items()
    assert main(["colour", "unpin", str(whole.folder), "--force"]) == 0
    anew = world.run(str(small_profile), out=tmp_path, survey="small")
    assert "is pinned anew: images are made anew" in anew.said
    assert not shown.items() & tree(anew.folder).items()


@pytest.mark.tools
def test_a_finished_tree_that_is_unpinned_and_run_again_is_the_same(
    small: Ended, small_profile: Path, world: World, tmp_path: Path
) -> None:
    shutil.copytree(small.folder, tmp_path / "small")
    assert main(["colour", "unpin", str(tmp_path / "small")]) == 0
    again = world.run(str(small_profile), out=tmp_path, survey="small")
    assert again.code == 0, again.said
    assert tree(again.folder) == tree(small.folder)
