"""MAST's listing through the real, unpatched astroquery client."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from astropy.table import MaskedColumn, Table

from gzjwst_core.archives.mast import _cell, _one_wildcard_each, _plain, _unique
from gzjwst_core.archives.rules import choose_products
from gzjwst_core.errors import ArchiveUnavailableError, QueryError
from gzjwst_core.options import QueryOptions
from gzjwst_core.sky.serving import archive_environment, write_astroquery_config
from gzjwst_core.transport.polling import PollingAdapter
from tests.archives.conftest import Served
from tests.archives.tiny import OBS, row

ALL = [{"proposal_id": ["9801"]}]
NIRCAM3 = [{"proposal_id": ["9801"], "instrument_name": ["NIRCAM*"], "calib_level": ["3", "4"]}]

SCENARIOS: dict[str, dict[str, Any]] = {
    "all": {"query": {"observations": ALL}},
    "two at a time": {"query": {"observations": ALL, "observations_per_request": 2}},
    "nircam": {"query": {"observations": NIRCAM3}},
    "union": {"query": {"observations": [{"obs_id": ["*f277w", "*f356w"]}, {"obs_collection": ["HLSP"]}]}},
    "range": {"query": {"observations": [{"proposal_id": ["9801"], "s_ra": ["150.0", "150.2"]}]}},
    "nothing": {"query": {"observations": [{"proposal_id": ["1"]}]}},
    "typo": {"query": {"observations": [{"propsal_id": ["9801"]}]}},
    "half a range": {"query": {"observations": [{"proposal_id": ["9801"], "s_ra": ["150.0"]}]}},
    "executing": {"query": {"observations": NIRCAM3}, "faults": [{"route": "invoke", "do": "executing", "times": 3}]},
    "killed": {"query": {"observations": NIRCAM3}, "faults": [{"route": "invoke", "do": "error"}]},
    "killed later": {"query": {"observations": NIRCAM3}, "faults": [{"route": "invoke", "do": "error", "skip": 1}]},
    "html": {"query": {"observations": NIRCAM3}, "faults": [{"route": "invoke", "do": "html"}]},
    "busy": {"query": {"observations": NIRCAM3}, "faults": [{"route": "invoke", "do": "status", "status": 503}]},
    "refused": {"query": {"observations": NIRCAM3}, "faults": [{"route": "invoke", "do": "status", "status": 403}]},
    "dropped": {"query": {"observations": NIRCAM3}, "faults": [{"route": "invoke", "do": "drop"}]},
    "cut": {"query": {"observations": NIRCAM3}, "faults": [{"route": "invoke", "do": "truncate", "at_byte": 300}]},
    "stalled": {
        "query": {"observations": NIRCAM3},
        "faults": [{"route": "invoke", "do": "stall", "at_byte": -1, "seconds": 1.5}],
    },
}

Answer = dict[str, Any]


@pytest.fixture(scope="module")
def answers(_served: Served, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Answer]:
    config = write_astroquery_config(tmp_path_factory.mktemp("config"), "http://127.0.0.1:1", pagesize=50)
    environment = archive_environment(os.environ, _served.url, _served.folder) | {"ASTROPY_CONFIG_DIR": str(config)}
    client = [sys.executable, "-W", "error::DeprecationWarning:gzjwst_core", "-m", "tests.archives.query_client"]
    ended = subprocess.run(
        [*client, _served.url],
        input=json.dumps(SCENARIOS),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**environment, "PYTHONPATH": str(Path.cwd())},
    )
    assert ended.returncode == 0, ended.stderr
    found: dict[str, Answer] = json.loads(ended.stdout)
    return found


def test_every_product_once_in_a_stable_order(answers: dict[str, Answer]) -> None:
    rows = answers["all"]["rows"]
    uris = [row["dataURI"] for row in rows]
    assert uris == sorted(set(uris))
    assert len(uris) > 50  # more than a page
    assert answers["all"]["listed"] > len(uris)  # a file of several parents
    assert answers["all"]["outcome"]["kind"] == "done"
    assert answers["all"]["routes"].count("invoke") > 2


def test_chunks_change_nothing(answers: dict[str, Answer]) -> None:
    assert answers["two at a time"]["rows"] == answers["all"]["rows"]
    done = [done for done, _ in answers["two at a time"]["told"]]
    total = answers["all"]["observations"]
    assert done == [*range(2, total, 2), total]


def test_rows_are_plain(answers: dict[str, Answer]) -> None:
    [row] = [row for row in answers["nircam"]["rows"] if row["productFilename"] == f"{OBS}_i2d.fits"]
    assert isinstance(row["size"], int)
    assert row["size"] > 1_000_000
    assert row["s_region"].startswith("POLYGON ICRS")
    assert (row["obs_id"], row["dataRights"], row["instrument_name"]) == (OBS, "PUBLIC", "NIRCAM/IMAGE")
    assert row["productDocumentationURL"] == ""  # masked
    assert all(isinstance(value, str) for name, value in row.items() if name != "size")


def test_rules_take_the_rows(answers: dict[str, Answer]) -> None:
    query = QueryOptions.model_validate_json(
        json.dumps({"keep": [{"column": "productFilename", "matches": r".*_i2d\.fits(\.gz)?", "reason": "side"}]})
    )
    rows = answers["all"]["rows"]
    products = choose_products(rows, query, ("F277W", "F356W", "F444W"))
    assert len(products) == len(rows)
    reasons = {product.reason.partition(":")[0] for product in products}
    assert {"", "side", "not_public", "instrument_not_wanted", "band_not_wanted"} <= reasons
    kept = {(product.field, product.band) for product in products if product.outcome == "kept"}
    assert ("jw09801-o001_t001", "F277W") in kept


def test_union_of_criteria_and_of_wildcards(answers: dict[str, Answer]) -> None:
    stems = {row["productFilename"].partition("_i2d.fits")[0] for row in answers["union"]["rows"]}
    assert {OBS, OBS.replace("f277w", "f356w"), "hlsp_demo_jwst_nircam_south_f444w_v1.0"} <= stems
    assert answers["union"]["observations"] == 4  # one is there twice


def test_range_of_a_number(answers: dict[str, Answer]) -> None:
    assert answers["range"]["observations"] == answers["all"]["observations"]


def test_nothing_is_an_explicit_outcome(answers: dict[str, Answer]) -> None:
    assert answers["nothing"]["rows"] == []
    assert (answers["nothing"]["outcome"]["kind"], answers["nothing"]["outcome"]["reason"]) == ("skipped", "no_rows")


def test_executing_is_waited_for(answers: dict[str, Answer]) -> None:
    assert answers["executing"]["rows"] == answers["nircam"]["rows"]
    assert answers["executing"]["seconds"] > 0.2 + 0.32 + 0.51
    assert answers["executing"]["routes"].count("invoke") == answers["nircam"]["routes"].count("invoke") + 3


@pytest.mark.parametrize(
    ("scenario", "error", "reason"),
    [
        ("typo", "QueryError", "bad_criterion"),
        ("half a range", "QueryError", "warning"),
        ("killed", "ArchiveUnavailableError", "archive_unavailable"),
        ("killed later", "ArchiveUnavailableError", "archive_unavailable"),
        ("html", "ArchiveUnavailableError", "archive_unavailable"),
        ("busy", "ArchiveUnavailableError", "archive_unavailable"),
        ("refused", "ArchiveRefusedError", "not_public"),
        ("dropped", "ArchiveUnavailableError", "archive_unavailable"),
        ("cut", "ArchiveUnavailableError", "archive_unavailable"),
        ("stalled", "ArchiveUnavailableError", "archive_unavailable"),
    ],
)
def test_faults_have_names(scenario: str, error: str, reason: str, answers: dict[str, Answer]) -> None:
    answer = answers[scenario]
    assert (answer["error"], answer["reason"]) == (error, reason)
    assert answer["seconds"] < 5
    assert answer["routes"].count("invoke") <= 2  # no hidden retries


def test_what_went_wrong_is_said(answers: dict[str, Answer]) -> None:
    assert "kill state" in answers["killed"]["said"]
    assert "not JSON" in answers["html"]["said"]
    assert "time limit" in answers["stalled"]["said"]


def test_unknown_criterion_is_named(answers: dict[str, Answer]) -> None:
    assert "propsal_id" in answers["typo"]["said"]


def test_missing_column_is_named() -> None:
    with pytest.raises(QueryError, match="dataURI"):
        _plain(Table({"obsID": ["1"]}), ("obsID", "dataURI"))


def test_masked_cells_are_empty_text() -> None:
    size = MaskedColumn([1, 2], mask=[False, True], name="size")
    rows = _plain(Table([MaskedColumn(["a", "b"], mask=[True, False], name="x"), size]), ("x",))
    assert rows == [{"x": "", "size": 1}, {"x": "b", "size": 0}]


@pytest.mark.parametrize(
    ("given", "size", "reason"),
    [
        (7, 7, ""),
        (5414328000.0, 5414328000, ""),
        (None, 0, ""),
        (-7, 0, "bad_size"),
        (-7.0, 0, "bad_size"),
        (7.5, 0, "bad_size"),
        (float("nan"), 0, "bad_size"),
        (float("inf"), 0, "bad_size"),
        (1e300, 0, "bad_size"),
        ("7 GB", 0, "bad_size"),
        (True, 0, "bad_size"),
    ],
)
def test_a_size_is_a_whole_number_of_bytes_or_its_row_is_dropped(given: object, size: int, reason: str) -> None:
    rows = [{**row(OBS), "size": _cell("size", given)}]
    [product] = choose_products(rows, QueryOptions(), ("F277W",))
    assert (product.size, product.reason) == (size, reason)


def test_partial_answer_is_no_success() -> None:
    adapter = PollingAdapter(1, 1)
    adapter.check_complete(5)  # nothing stated
    adapter._stated_rows = 7
    with pytest.raises(ArchiveUnavailableError) as caught:
        adapter.check_complete(5)
    assert caught.value.reason == "partial_answer"


def test_a_files_own_observation_wins_over_other_parents() -> None:
    def listed(parent: str) -> dict[str, str | int]:
        return {"dataURI": "mast:x", "obsID": "7", "parent_obsid": parent}

    assert _unique([listed("3"), listed("7"), listed("5")]) == [listed("7")]
    assert _unique([listed("5"), listed("3")]) == [listed("3")]


def test_wildcards_are_asked_one_by_one() -> None:
    asked = list(_one_wildcard_each({"a": ["x*", "y", "z", "w%"], "b": ["1"]}))
    assert asked == [{"a": ["y", "z"], "b": ["1"]}, {"a": ["x*"], "b": ["1"]}, {"a": ["w%"], "b": ["1"]}]
