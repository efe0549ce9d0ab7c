"""Run by the tests as a process of its own: the real astroquery against whatever its configuration names.

Writes `result.json` into the folder it is given. Nothing of ours is imported, nothing is patched.
"""

import json
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

from astropy.table import Table
from astroquery.exceptions import InvalidQueryError, NoResultsWarning, RemoteServiceError
from astroquery.mast import Observations
from astroquery.mast.observations import ObservationsClass


def rows(table: Table, *names: str) -> list[list[str]]:
    return [[str(row[name]) for name in names] for row in table]


def error_of(call: Callable[[], Table]) -> int | str:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", NoResultsWarning)
            return len(call())
    except (InvalidQueryError, RemoteServiceError, NoResultsWarning) as error:
        return type(error).__name__


def main(folder: Path) -> dict[str, object]:
    level3 = {"obs_collection": "JWST", "instrument_name": "NIRCAM*", "calib_level": 3, "proposal_id": "9801"}
    found = Observations.query_criteria(**level3)
    products = Observations.get_product_list(found)
    unique = Observations.get_unique_product_list(found)
    i2d = Observations.filter_products(products, extension="_i2d.fits", mrp_only=True, calib_level=[3])
    client = ObservationsClass()
    return {
        "level3": rows(found, "obsid", "obs_id", "filters", "dataRights"),
        "columns": found.colnames,
        "types": {name: found[name].dtype.kind for name in found.colnames},
        "product_columns": products.colnames,
        "products": len(products),
        "unique": len(unique),
        "i2d": rows(i2d, "productFilename", "size", "parent_obsid"),
        "count": int(Observations.query_criteria_count(**level3)),
        "wildcard": rows(Observations.query_criteria(obs_id="*sub160"), "obs_id"),
        "hlsp": rows(Observations.query_criteria(provenance_name="gzdemo"), "obs_id", "calib_level"),
        "range": len(Observations.query_criteria(em_min=[3800, 4000], proposal_id="9801")),
        "two_filters": len(Observations.query_criteria(filters=["F115W", "F277W"], proposal_id="9801")),
        "near": len(Observations.query_criteria(coordinates="150.11 2.21", radius="0.01 deg", proposal_id="9801")),
        "far": error_of(
            lambda: Observations.query_criteria(coordinates="150.3 2.2", radius="0.01 deg", project="JWST")
        ),
        "none": error_of(lambda: Observations.query_criteria(proposal_id="1")),
        "bad_column": error_of(lambda: Observations.query_criteria(no_such_column="1")),
        "downloads": [
            client.download_file(f"mast:{uri}", local_path=str(folder / name), verbose=True)[:2]
            for uri, name in json.loads(sys.stdin.read())
        ],
    }


if __name__ == "__main__":
    result = main(Path(sys.argv[1]))
    (Path(sys.argv[1]) / "result.json").write_text(json.dumps(result), encoding="utf-8")
