"""The loopback archive: its rows, MAST's wire protocol with the real client, downloads, faults, and its own process."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from gzjwst_core.errors import ArchiveUnavailableError
from gzjwst_core.sky.build import build_sky, load_sky
from gzjwst_core.sky.listing import Listing
from gzjwst_core.sky.mast_columns import OBSERVATION_COLUMNS, PRODUCT_COLUMNS
from gzjwst_core.sky.mast_protocol import answer_query, cloud_paths
from gzjwst_core.sky.options import SkyOptions
from gzjwst_core.sky.replies import MemoryContent, Reply, content_reply, json_reply
from gzjwst_core.sky.routes import LoopbackArchive
from gzjwst_core.sky.server import running
from gzjwst_core.sky.serving import archive_environment, serving, write_astroquery_config
from tests.sky.tiny_archive import KEY_ROOT, content, make_listing, name_of

CLIENT = Path(__file__).with_name("astroquery_client.py")
PLAIN, LOST = f"mast:JWST/product/{name_of('F150W')}", f"mast:JWST/product/{name_of('F356W')}"
INFLATED = f"mast:JWST/product/{name_of('F115W')}"
NOT_PUBLIC = "mast:JWST/product/jw09801-o003_t003_nircam_clear-f444w_i2d.fits"
SIZE = 700_001
DOWNLOAD = "/api/v0.1/Download/file"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sky")


@pytest.fixture(scope="module")
def listing(folder: Path) -> Listing:
    return make_listing(folder)


@pytest.fixture
def archive(folder: Path, listing: Listing) -> LoopbackArchive:
    return LoopbackArchive(folder, listing)


@pytest.fixture
def url(archive: LoopbackArchive) -> Iterator[str]:
    with running(archive) as address:
        yield address


@pytest.fixture
def http() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        yield session


def download(http: requests.Session, url: str, uri: str, **headers: str) -> requests.Response:
    return http.get(url + DOWNLOAD, params={"uri": uri}, headers={"Accept-Encoding": "identity", **headers}, timeout=10)


def run_client(scratch: Path, environment: dict[str, str], told: str) -> None:
    command = [sys.executable, str(CLIENT), str(scratch)]
    done = subprocess.run(command, env=environment, input=told, text=True, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def query(listing: Listing, *filters: dict[str, Any], page: int = 1, pagesize: int = 50_000) -> dict[str, Any]:
    params = {"columns": "*", "filters": list(filters)}
    return answer_query(
        listing, {"service": "Mast.Caom.Filtered", "params": params, "page": page, "pagesize": pagesize}
    )


def obs_ids(answer: dict[str, Any]) -> list[str]:
    return [row["obs_id"] for row in answer["data"]]


class TestListing:
    def test_every_row_has_every_column(self, listing: Listing) -> None:
        assert all(set(row) == {c.name for c in OBSERVATION_COLUMNS} for row in listing.observations)
        assert all(set(row) == {c.name for c in PRODUCT_COLUMNS} for row in listing.products)

    def test_same_sky_same_rows(self, listing: Listing, tmp_path: Path) -> None:
        assert make_listing(tmp_path) == listing

    def test_observations_have_numbers_of_their_own(self, listing: Listing) -> None:
        numbers = [row["obsid"] for row in listing.observations]
        assert len(set(numbers)) == len(numbers)
        assert {row["parent_obsid"] for row in listing.products} == set(numbers)

    def test_datalabs_copy_is_listed_as_the_plain_file(self, listing: Listing) -> None:
        row = listing.by_uri[INFLATED]
        assert (row["productFilename"], row["size"]) == (name_of("F115W"), 300_007)

    def test_one_file_under_two_parents(self, listing: Listing) -> None:
        parents = [row["parent_obsid"] for row in listing.products if row["dataURI"] == INFLATED]
        assert len(set(parents)) == 2

    def test_members_have_their_own_obsid(self, listing: Listing) -> None:
        members = [row for row in listing.products if row["type"] == "S"]
        assert {row["calib_level"] for row in members} == {1, 2}
        assert all(row["obsID"] != row["parent_obsid"] for row in members)

    @pytest.mark.parametrize(
        ("column", "value"),
        [
            ("dataRights", "EXCLUSIVE_ACCESS"),
            ("instrument_name", "MIRI/IMAGE"),
            ("calib_level", 2),
            ("calib_level", 4),
            ("proposal_id", "9802"),
            ("obs_id", "jw09801-o001_t001_nircam_clear-f150w-sub160"),
            ("obs_id", "jw09801-o001_t001_nircam_clear-f356w"),
        ],
    )
    def test_rows_that_a_survey_must_see_through(self, listing: Listing, column: str, value: object) -> None:
        assert sum(row[column] == value for row in listing.observations) == 1

    def test_side_products_share_the_obs_id(self, listing: Listing) -> None:
        rows = [row for row in listing.by_parent["98010002"] if row["calib_level"] == 3]
        kinds = Counter(str(row["productSubGroupDescription"]) for row in rows)
        assert kinds == Counter(["I2D", "CAT", "SEGM", "I2D", "THUMB", "ASN", "POOL"])


class TestFilters:
    @pytest.mark.parametrize(
        ("entry", "count"),
        [
            ({"paramName": "obs_id", "values": ["JW09801-O001_T001_MIRI_F770W"]}, 1),
            ({"paramName": "OBS_ID", "values": [], "freeText": "%miri%"}, 1),
            ({"paramName": "obs_id", "values": [], "freeText": "jw09801-o001_t001_nircam_clear-f150w"}, 1),
            ({"paramName": "obs_id", "values": [], "freeText": "jw0980.%"}, 0),
            ({"paramName": "target_classification", "values": ["field galaxies"], "separator": ";"}, 12),
            ({"paramName": "target_classification", "values": ["field galaxies"]}, 0),
            ({"paramName": "em_min", "values": [{"min": 1000, "max": 1100}]}, 3),
            ({"paramName": "srcDen", "values": [{"min": 0, "max": 9}]}, 0),
            ({"paramName": "calib_level", "values": ["2", "4"]}, 2),
            ({"paramName": "calib_level", "values": []}, 0),
        ],
    )
    def test_one_filter(self, listing: Listing, entry: dict[str, Any], count: int) -> None:
        assert query(listing, entry)["paging"]["rowsTotal"] == count

    def test_all_filters_must_pass(self, listing: Listing) -> None:
        band = {"paramName": "filters", "values": ["F444W"], "separator": ";"}
        assert len(obs_ids(query(listing, band))) == 4
        public = {"paramName": "dataRights", "values": ["PUBLIC"]}
        assert len(obs_ids(query(listing, band, public, {"paramName": "proposal_id", "values": ["9801"]}))) == 2

    @settings(max_examples=30, deadline=None)
    @given(pagesize=st.integers(1, 20))
    def test_pages_are_the_table(self, listing: Listing, pagesize: int) -> None:
        pages = query(listing, pagesize=pagesize)["paging"]["pagesFiltered"]
        parts = [query(listing, page=page, pagesize=pagesize)["data"] for page in range(1, pages + 1)]
        assert all(parts)
        assert [row for part in parts for row in part] == query(listing)["data"]

    @pytest.mark.parametrize(
        "asked",
        [
            {"service": "Mast.Caom.Nothing", "params": {}},
            {"service": "Mast.Caom.Filtered", "params": {}},
            {"service": "Mast.Caom.Filtered", "params": {"filters": [{"paramName": "nope"}]}},
            {"service": "Mast.Caom.Filtered", "params": {"filters": [], "position": "here"}},
            {"service": "Mast.Caom.Products", "params": None},
        ],
    )
    def test_what_cannot_be_read_is_an_error(self, listing: Listing, asked: dict[str, Any]) -> None:
        answer = answer_query(listing, asked)
        assert answer["status"] == "ERROR"
        assert answer["msg"]

    def test_cloud_paths_say_where_a_file_belongs(self, listing: Listing) -> None:
        hlsp = "mast:HLSP/gzdemo/hlsp_gzdemo_jwst_nircam_gzdemo2_f444w_v1.0_i2d.fits.gz"
        found = cloud_paths(listing, [PLAIN, LOST, hlsp, "mast:JWST/product/nope.fits"])
        assert found[PLAIN] == {"status_code": 200, "path": f"/{KEY_ROOT}/{name_of('F150W')}"}
        assert found[LOST]["status_code"] == 200
        assert str(found[hlsp]["path"]).startswith("/hlsp_local/public/hlsp/gzdemo/")
        assert found["mast:JWST/product/nope.fits"] == {"status_code": 404, "path": None}


@pytest.fixture(scope="module")
def answers(folder: Path, listing: Listing, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the real client got; two of its queries were told to ask again."""
    scratch = tmp_path_factory.mktemp("client")
    archive = LoopbackArchive(folder, listing)
    archive.faults.add(b'{"route": "invoke", "do": "executing", "times": 2}')
    wanted = [[INFLATED[5:], "plain.fits"], [LOST[5:], "lost.fits"], [NOT_PUBLIC[5:], "exclusive.fits"]]
    with running(archive) as url:
        config_dir = write_astroquery_config(scratch / "config", url, pagesize=50)
        environment = archive_environment(os.environ, url, folder) | {"ASTROPY_CONFIG_DIR": str(config_dir)}
        run_client(scratch, environment, json.dumps(wanted))
    found: dict[str, Any] = json.loads((scratch / "result.json").read_text())
    requests_made = Counter((entry.route, entry.fault) for entry in archive.log)
    return found | {"scratch": scratch, "requests": requests_made}


class TestRealClient:
    """astroquery as it comes, in a process of its own."""

    def test_criteria_and_wildcards(self, answers: dict[str, Any]) -> None:
        assert len(answers["level3"]) == answers["count"] == 8
        assert {row[3] for row in answers["level3"]} == {"PUBLIC", "EXCLUSIVE_ACCESS"}
        assert answers["wildcard"] == [["jw09801-o001_t001_nircam_clear-f150w-sub160"]]
        assert answers["hlsp"] == [["hlsp_gzdemo_jwst_nircam_gzdemo2_f444w_v1.0", "4"]]
        assert (answers["range"], answers["two_filters"], answers["near"]) == (3, 4, 11)

    def test_nothing_found_and_nothing_meant(self, answers: dict[str, Any]) -> None:
        assert answers["none"] == answers["far"] == "NoResultsWarning"
        assert answers["bad_column"] == "InvalidQueryError"

    def test_columns_and_types(self, answers: dict[str, Any]) -> None:
        assert answers["columns"] == [column.name for column in OBSERVATION_COLUMNS]
        assert answers["product_columns"] == [column.name for column in PRODUCT_COLUMNS]
        kinds = {"string": "U", "float": "f", "int": "i", "boolean": "b"}
        assert answers["types"] == {column.name: kinds[column.type] for column in OBSERVATION_COLUMNS}

    def test_products_of_several_observations_in_pages(self, answers: dict[str, Any], listing: Listing) -> None:
        rows = [row for obsid, *_ in answers["level3"] for row in listing.by_parent[obsid]]
        assert answers["products"] == len(rows) > 5 * 50
        assert answers["unique"] == len({row["dataURI"] for row in rows}) < len(rows)
        assert [name_of("F150W"), str(SIZE), "98010002"] in answers["i2d"]
        assert len(answers["i2d"]) == 8

    def test_a_query_that_is_still_running_is_asked_again(self, answers: dict[str, Any]) -> None:
        assert answers["requests"]["invoke", "executing"] == 2

    def test_downloads(self, answers: dict[str, Any]) -> None:
        done, lost, exclusive = answers["downloads"]
        assert done == ["COMPLETE", None]
        assert (answers["scratch"] / "plain.fits").read_bytes() == content(name_of("F115W"), 300_007)
        assert lost[0] == exclusive[0] == "ERROR"
        assert "404" in lost[1]
        assert "401" in exclusive[1]


class TestDownload:
    @pytest.mark.parametrize(("uri", "status"), [(LOST, 404), (NOT_PUBLIC, 401), ("mast:JWST/product/nope", 404)])
    def test_refused(self, http: requests.Session, url: str, uri: str, status: int) -> None:
        answer = download(http, url, uri)
        assert answer.status_code == status
        assert uri in answer.json()["message"]

    def test_head_and_whole_file(self, http: requests.Session, url: str) -> None:
        head = http.head(url + DOWNLOAD, params={"uri": PLAIN}, timeout=10)
        answer = download(http, url, PLAIN)
        assert answer.content == content(name_of("F150W"), SIZE)
        for name in ("Content-Length", "ETag", "Accept-Ranges"):
            assert head.headers[name] == answer.headers[name]

    @pytest.mark.parametrize(("start", "stop"), [(0, 1), (300_000, 300_007), (262_143, 262_145)])
    def test_ranges_of_an_inflated_copy(self, http: requests.Session, url: str, start: int, stop: int) -> None:
        answer = download(http, url, INFLATED, Range=f"bytes={start}-{stop - 1}")
        assert answer.status_code == 206
        assert answer.headers["Content-Range"] == f"bytes {start}-{stop - 1}/300007"
        assert answer.content == content(name_of("F115W"), 300_007)[start:stop]

    def test_range_beyond_the_end(self, http: requests.Session, url: str) -> None:
        answer = download(http, url, PLAIN, Range=f"bytes={SIZE}-")
        assert (answer.status_code, answer.headers["Content-Range"]) == (416, f"bytes */{SIZE}")

    def test_conditions(self, http: requests.Session, url: str) -> None:
        etag = http.head(url + DOWNLOAD, params={"uri": PLAIN}, timeout=10).headers["ETag"]
        assert download(http, url, PLAIN, **{"If-Match": '"other"'}).status_code == 412
        part = {"Range": "bytes=5-9", "If-Match": etag}
        assert download(http, url, PLAIN, **part).status_code == 206
        assert download(http, url, PLAIN, Range="bytes=5-9", **{"If-Range": etag}).status_code == 206
        assert download(http, url, PLAIN, Range="bytes=5-9", **{"If-Range": '"other"'}).status_code == 200

    def test_side_product_has_the_listed_size(self, http: requests.Session, url: str, listing: Listing) -> None:
        uri = f"mast:JWST/product/{name_of('F150W').replace('_i2d.fits', '_cat.ecsv')}"
        assert len(download(http, url, uri).content) == listing.by_uri[uri]["size"]

    @settings(max_examples=100, deadline=None)
    @given(size=st.integers(0, 40), text=st.from_regex(r"bytes=\d{0,2}-\d{0,2}", fullmatch=True))
    def test_any_range_is_a_slice(self, size: int, text: str) -> None:
        data = bytes(range(size))
        reply = content_reply(
            MemoryContent(data), {"range": text}, content_type="x", refuse=lambda status: json_reply({}, status)
        )
        sent = b"".join(reply.content.read(reply.start, reply.stop))
        if reply.status == 206:
            start, stop = _stated(reply)
            assert sent == data[start:stop] != b""
        elif reply.status == 416:
            assert reply.headers["Content-Range"] == f"bytes */{size}"
        else:
            assert (reply.status, sent) == (200, data)


def _stated(reply: Reply) -> tuple[int, int]:
    first, last = reply.headers["Content-Range"].split()[1].split("/")[0].split("-")
    return int(first), int(last) + 1


class TestFaultsAndLog:
    def fault(self, http: requests.Session, url: str, **words: Any) -> None:
        assert http.post(f"{url}/_faults", json={"route": "download", **words}, timeout=10).status_code == 200

    def test_status_with_headers_a_stated_number_of_times(self, http: requests.Session, url: str) -> None:
        self.fault(http, url, do="status", status=429, headers={"Retry-After": "7"}, times=2, skip=1)
        answers = [download(http, url, PLAIN) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 429, 429, 200]
        assert answers[1].headers["Retry-After"] == "7"

    def test_only_what_it_is_meant_for(self, http: requests.Session, url: str) -> None:
        self.fault(http, url, do="html", match="f277w", method="GET")
        assert download(http, url, PLAIN).status_code == 200
        assert http.head(url + DOWNLOAD, params={"uri": PLAIN.replace("150", "277")}, timeout=10).status_code == 200
        assert b"maintenance" in download(http, url, PLAIN.replace("150", "277")).content

    @pytest.mark.parametrize("do", ["drop", "reset"])
    def test_no_answer(self, http: requests.Session, url: str, do: str) -> None:
        self.fault(http, url, do=do)
        with pytest.raises(requests.ConnectionError):
            download(http, url, PLAIN)
        assert download(http, url, PLAIN).status_code == 200

    @pytest.mark.parametrize("do", ["truncate", "reset"])
    def test_cut_in_the_body(self, http: requests.Session, url: str, do: str) -> None:
        self.fault(http, url, do=do, at_byte=1000)
        with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
            download(http, url, PLAIN)

    def test_cut_without_a_length_goes_unseen(self, http: requests.Session, url: str) -> None:
        self.fault(http, url, do="truncate", at_byte=1000, headers={"Content-Length": None})
        assert len(download(http, url, PLAIN).content) == 1000

    @pytest.mark.parametrize("at_byte", [-1, 1000])
    def test_stall(self, http: requests.Session, url: str, at_byte: int) -> None:
        self.fault(http, url, do="stall", seconds=0.2, at_byte=at_byte)
        begun = time.monotonic()
        assert len(download(http, url, PLAIN).content) == SIZE
        assert time.monotonic() - begun >= 0.2

    def test_range_ignored_and_headers_changed(self, http: requests.Session, url: str) -> None:
        self.fault(http, url, do="ignore_range")
        self.fault(http, url, do="headers", headers={"content-range": "bytes 0-4/9"})
        assert download(http, url, PLAIN, Range="bytes=5-9").status_code == 200
        assert download(http, url, PLAIN, Range="bytes=5-9").headers["Content-Range"] == "bytes 0-4/9"

    def test_mast_says_error(self, http: requests.Session, url: str) -> None:
        self.fault(http, url, route="invoke", do="error")
        answer = http.post(f"{url}/api/v0/invoke", data={"request": "{}"}, timeout=10).json()
        assert answer["status"] == "ERROR"
        assert "kill state" in answer["msg"]

    @pytest.mark.parametrize("body", ["{", '{"route": "download", "do": "dance"}', '[{"route": "nope", "do": "drop"}]'])
    def test_what_is_no_fault_is_refused(self, http: requests.Session, url: str, body: str) -> None:
        assert http.post(f"{url}/_faults", data=body, timeout=10).status_code == 400
        assert http.get(f"{url}/_faults", timeout=10).json() == []

    def test_log_counts_the_bytes(self, http: requests.Session, url: str) -> None:
        download(http, url, PLAIN, Range="bytes=0-999")
        http.head(url + DOWNLOAD, params={"uri": PLAIN}, timeout=10)
        log = http.get(f"{url}/_log", timeout=10).json()
        told = [(e["method"], e["route"], e["status"], e["range"], e["body_bytes"]) for e in log]
        assert told == [("GET", "download", 206, "bytes=0-999", 1000), ("HEAD", "download", 200, "", 0)]
        assert http.delete(f"{url}/_log", timeout=10).json() == []

    def test_an_invoke_without_json(self, http: requests.Session, url: str) -> None:
        assert http.post(f"{url}/api/v0/invoke", data={"request": "{"}, timeout=10).status_code == 400
        assert http.post(f"{url}/api/v0/invoke", data={"request": "[]"}, timeout=10).status_code == 400


@pytest.fixture(scope="module")
def sky(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built")
    build_sky(SkyOptions(size_arcsec=8.0, bright_stars=0, grey_galaxies=0), folder)
    return folder


class TestServing:
    def test_a_run_finds_the_sky(self, sky: Path, tmp_path: Path, http: requests.Session) -> None:
        with pytest.raises(KeyError), serving(sky, tmp_path / "scratch", pagesize=9) as environment:
            url = environment["GZJWST_MAST_URL"]
            assert environment["AWS_ENDPOINT_URL_S3"] == url
            assert Path(environment["GZJWST_DATALABS_ROOT"]) == sky / "datalabs"
            told = (Path(environment["ASTROPY_CONFIG_DIR"]) / "astroquery.cfg").read_text()
            assert told.splitlines() == ["[mast]", f"server = {url}", "timeout = 30", "pagesize = 9"]
            for mosaic in load_sky(sky).mosaics:
                assert download(http, url, mosaic.uri).status_code == 200
            raise KeyError  # a run that fails takes the archive with it all the same
        with pytest.raises(requests.ConnectionError):
            http.get(f"{environment['GZJWST_MAST_URL']}/_log", timeout=5)

    def test_it_dies_with_its_parent(self, sky: Path, tmp_path: Path, http: requests.Session) -> None:
        code = (
            "import sys, pathlib; from gzjwst_core.sky.serving import serving\n"
            "with serving(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])) as e:\n"
            "    print(e['GZJWST_MAST_URL'], flush=True); sys.stdin.read()"
        )
        command = [sys.executable, "-c", code, str(sky), str(tmp_path)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
            assert parent.stdout is not None
            url = parent.stdout.readline().strip()
            assert http.get(f"{url}/_log", timeout=10).status_code == 200
            parent.send_signal(signal.SIGKILL)
        assert _is_gone(http, url)

    def test_a_start_that_fails_says_why(self, tmp_path: Path) -> None:
        with (
            pytest.raises(ArchiveUnavailableError, match=r"none holds no whole synthetic sky"),
            serving(tmp_path / "none", tmp_path),
        ):
            pass

    def test_a_start_that_takes_too_long(self, sky: Path, tmp_path: Path) -> None:
        with pytest.raises(ArchiveUnavailableError, match="not ready"), serving(sky, tmp_path, ready_seconds=0.01):
            pass

    def test_environment_drops_a_users_aws_profile(self, tmp_path: Path) -> None:
        base = {"AWS_PROFILE": "mine", "PATH": "/bin"}
        environment = archive_environment(base, "http://127.0.0.1:1", tmp_path)
        assert "AWS_PROFILE" not in environment
        assert environment["PATH"] == "/bin"


def _is_gone(http: requests.Session, url: str) -> bool:
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            http.get(f"{url}/_log", timeout=1)
        except (requests.ReadTimeout, requests.exceptions.ChunkedEncodingError):  # a busy machine; killed in mid-answer
            continue
        except requests.ConnectionError:
            return True
        time.sleep(0.05)
    return False
