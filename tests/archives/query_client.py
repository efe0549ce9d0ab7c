"""Runs in a process of its own, because astroquery reads its server when imported: plays scenarios, prints JSON."""

import json
import sys
import time
from typing import Any

import requests

from gzjwst_core.archives.mast import query_products
from gzjwst_core.errors import GzJwstError
from gzjwst_core.options import ArchiveOptions, QueryOptions

LIMITS = ArchiveOptions(connect_timeout_s=2.0, read_timeout_s=1.0)


def play(url: str, scenario: dict[str, Any]) -> dict[str, Any]:
    for page in ("_log", "_faults"):
        requests.delete(f"{url}/{page}", timeout=5)
    requests.post(f"{url}/_faults", json=scenario.get("faults", []), timeout=5).raise_for_status()
    query = QueryOptions.model_validate_json(json.dumps(scenario["query"]))
    told: list[tuple[int, int]] = []
    begin = time.monotonic()
    try:
        found = query_products(query, LIMITS, progress=lambda *counts: told.append(counts))
    except GzJwstError as error:
        answer: dict[str, Any] = {"error": type(error).__name__, "reason": error.reason, "said": str(error)}
    else:
        answer = {
            "rows": found.rows,
            "observations": found.observations,
            "listed": found.listed,
            "outcome": found.outcome.model_dump(),
        }
    seconds = time.monotonic() - begin
    log = requests.get(f"{url}/_log", timeout=5).json()
    return answer | {"told": told, "seconds": seconds, "routes": [entry["route"] for entry in log]}


if __name__ == "__main__":
    address, scenarios = sys.argv[1], json.load(sys.stdin)
    json.dump({name: play(address, scenario) for name, scenario in scenarios.items()}, sys.stdout)
