"""MAST's path look-up: the key it says, no key, or a clear error; never a path that leads anywhere else."""

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gzjwst_core.archives.lookup import _key, _path_in, lookup_key
from gzjwst_core.errors import ArchiveRefusedError, ArchiveUnavailableError
from gzjwst_core.names import safe_name
from tests.archives.conftest import QUICK, Served
from tests.archives.tiny import OBS
from tests.archives.web import Answer, web

LE3 = f"mast:JWST/product/{OBS}_i2d.fits"
TEAM = "mast:HLSP/demo/hlsp_demo_jwst_nircam_south_f444w_v1.0_i2d.fits.gz"


def test_key_of_the_observatorys_product(served: Served) -> None:
    assert lookup_key(LE3, QUICK) == f"jwst/public/jw09801/L3/t/o001/{OBS}_i2d.fits"
    (asked,) = served.log()
    assert asked["route"] == "path_lookup"


def test_key_of_a_teams_product(served: Served) -> None:
    assert lookup_key(TEAM, QUICK) == "mast/hlsp/demo/hlsp_demo_jwst_nircam_south_f444w_v1.0_i2d.fits.gz"


def test_no_key(served: Served) -> None:
    assert _path_in({LE3: {"status_code": 200}}, LE3, "x") is None
    assert lookup_key("mast:JWST/product/unknown.fits", QUICK) is None
    served.fault(route="path_lookup", do="status", status=404)
    assert lookup_key(LE3, QUICK) is None


@pytest.mark.parametrize(
    "fault",
    [
        {"do": "html"},
        {"do": "status", "status": 500},
        {"do": "drop"},
        {"do": "truncate", "at_byte": 10},
        {"do": "stall", "at_byte": -1, "seconds": 0.6},
        *({"do": "json", "says": says} for says in ("empty_body", "bad_json", "not_object", "number", "deep", "bytes")),
        {"do": "json", "says": "huge", "by": 3_000_000},
    ],
    ids=str,
)
def test_no_answer_is_no_key(fault: dict[str, object], served: Served) -> None:
    served.fault(route="path_lookup", **fault)
    with pytest.raises(ArchiveUnavailableError) as caught:
        lookup_key(LE3, QUICK)
    assert f"{OBS}_i2d.fits" in str(caught.value)
    assert len(served.log()) == 1
    assert lookup_key(LE3, QUICK)


def test_refused(served: Served) -> None:
    served.fault(route="path_lookup", do="status", status=403)
    with pytest.raises(ArchiveRefusedError):
        lookup_key(LE3, QUICK)


@pytest.mark.parametrize(
    "entry",
    [
        None,
        [],
        "path",
        {},
        {"status_code": 200, "path": 7},
        {"status_code": 200, "path": ["a"]},
        {"status_code": 200, "path": ""},
        {"status_code": 200, "path": "/"},
        {"status_code": 500, "path": None},
        {"status_code": "200", "path": "/a"},
        {"status_code": 200, "path": "/jwst/../../etc/passwd"},
        {"status_code": 200, "path": "/jwst//x"},
        {"status_code": 200, "path": "https://evil.example/x"},
        {"status_code": 200, "path": "/jwst/a b"},
        {"status_code": 200, "path": "/jwst/a\n"},
        {"status_code": 200, "path": "/jwst/" + "a" * 300},
    ],
    ids=str,
)
def test_entry_that_cannot_be_used(entry: object) -> None:
    body = json.dumps({LE3: entry}).encode()
    with web(Answer(body=body)) as mast, pytest.raises(ArchiveUnavailableError) as caught:
        lookup_key(LE3, QUICK, {"GZJWST_MAST_URL": mast.url})
    assert (caught.value.reason, caught.value.retryable) == ("bad_answer", True)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["/a/b", LE3]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([LE3, "status_code", "path"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(JSON)
@example({LE3: {"status_code": 200, "path": "/hlsp_local/public/hlsp/x/y.fits"}})
def test_any_json_gives_a_key_none_or_our_error(answer: object) -> None:
    try:
        path = _path_in(answer, LE3, "x")
        key = None if path is None else _key(path, "x")
    except ArchiveUnavailableError:
        return
    assert key is None or "/".join(map(safe_name, key.split("/"))) == key
