"""Query, rules, locate and fetch in one go over a small synthetic sky, served by the archive's own process."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from astropy.io import fits

from gzjwst_core.cache.mosaic_cache import MosaicCache
from gzjwst_core.sky.build import Sky, build_sky
from gzjwst_core.sky.options import SkyOptions
from gzjwst_core.sky.serving import serving
from tests.archives.tiny import leftovers

CHAIN = """
    import json, os, sys
    from pathlib import Path
    from gzjwst_core.cache.mosaic_cache import MosaicCache
    from gzjwst_core.archives.datalabs import DataLabs
    from gzjwst_core.cache.fetch import fetch
    from gzjwst_core.archives.fields import fields_of
    from gzjwst_core.archives.locate import locate
    from gzjwst_core.archives.mast import query_products
    from gzjwst_core.archives.mast_download import MastDownload
    from gzjwst_core.archives.rules import choose_products
    from gzjwst_core.archives.s3 import S3
    from gzjwst_core.survey.profile import load_profile

    profile, cache = load_profile("demo"), MosaicCache(Path(sys.argv[1]))
    volume = DataLabs(Path(os.environ["GZJWST_DATALABS_ROOT"]), cache.digests)
    archives = {a.name: a for a in (volume, S3(profile.archives), MastDownload(profile.archives))}
    listed = query_products(profile.query, profile.archives)
    products = choose_products(listed.rows, profile.query, profile.survey.bands)
    fields = fields_of(products, expected_missing=profile.query.expected_missing)
    mosaics = [locate(m, archives.values()) for field in fields for m in field.mosaics]
    options, planes = profile.archives, profile.mosaics.sci_planes
    fetched = [fetch(m, archives[m.archive], cache, options, planes) for m in mosaics if m.located]
    json.dump({
        "products": [product.model_dump() for product in products],
        "mosaics": [mosaic.model_dump() for mosaic in mosaics],
        "fetched": [one.model_dump() for one in fetched],
    }, sys.stdout)
"""


@pytest.fixture(scope="module")
def sky(tmp_path_factory: pytest.TempPathFactory) -> Sky:
    return build_sky(SkyOptions(size_arcsec=6.0, galaxies_per_arcmin2=50.0), tmp_path_factory.mktemp("sky"))


@pytest.fixture(scope="module")
def runs(sky: Sky, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    cache = tmp_path_factory.mktemp("cache")
    answers = []
    for number in range(2):  # two archives in turn: another port must change nothing
        with serving(sky.folder, tmp_path_factory.mktemp(f"scratch{number}")) as environment:
            ended = subprocess.run(
                [sys.executable, "-c", textwrap.dedent(CHAIN), str(cache)],
                capture_output=True,
                check=False,
                timeout=100,
                env={**environment, "PYTHONPATH": str(Path.cwd()), "HOME": os.environ.get("HOME", "/")},
            )
        assert ended.returncode == 0, ended.stderr.decode()
        answers.append(json.loads(ended.stdout))
    assert not leftovers(MosaicCache(cache).folder)
    return answers


def test_every_mosaic_is_found_where_it_lies(sky: Sky, runs: list[dict[str, Any]]) -> None:
    found = {(m["product_uri"], m["archive"]) for m in runs[0]["mosaics"] if m["archive"]}
    assert found == {
        (mosaic.uri.removesuffix(".gz") if mosaic.collection == "JWST" else mosaic.uri, mosaic.archive)
        for mosaic in sky.mosaics
    }
    assert {archive for _, archive in found} == {"datalabs", "s3", "mast"}


def test_the_lost_one_is_named_and_expected(runs: list[dict[str, Any]]) -> None:
    [lost] = [mosaic for mosaic in runs[0]["mosaics"] if not mosaic["archive"]]
    assert (lost["band"], lost["expected"]) == ("F356W", True)
    assert [(step["archive"], step["reason"]) for step in lost["trail"]] == [
        ("datalabs", "not_found"),
        ("s3", "not_found"),
        ("mast", "not_found"),
    ]


def test_planes_are_the_skys(sky: Sky, runs: list[dict[str, Any]]) -> None:
    by_uri = {mosaic.filename.removesuffix(".gz"): sky.folder / mosaic.path for mosaic in sky.mosaics}
    for fetched in runs[0]["fetched"]:
        source = fetched["source"]
        with fits.open(source["path"]) as kept, fits.open(by_uri[Path(source["path"]).name]) as whole:
            science = "SCI_BKSUB" if "hlsp" in source["uri"] else "SCI"
            assert [hdu.name for hdu in kept] == ["PRIMARY", science, "ERR", "WHT"]
            for hdu in kept[1:]:
                assert hdu.data.tobytes() == whole[hdu.name].data.tobytes()


def test_second_run_moves_nothing_and_says_the_same(runs: list[dict[str, Any]]) -> None:
    first, second = runs
    assert first["products"] == second["products"]
    assert first["mosaics"] == second["mosaics"]
    assert all(one["bytes_moved"] > 0 for one in first["fetched"])
    assert [one["bytes_moved"] for one in second["fetched"]] == [0] * len(first["fetched"])
    assert [one["source"] for one in first["fetched"]] == [one["source"] for one in second["fetched"]]
