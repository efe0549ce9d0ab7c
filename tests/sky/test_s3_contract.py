"""What our code needs of a public S3 bucket, asked with the real s3fs: of the loopback archive, and of a real server.

`make test-tools` runs the same class against SeaweedFS, so that the stand-in cannot drift from S3 unseen.
"""

import hashlib
import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import s3fs

from gzjwst_core.sky.routes import LoopbackArchive
from gzjwst_core.sky.server import running
from tests.sky.tiny_archive import KEY_ROOT, content, make_listing, name_of

BUCKET = "stpubdata"
ROOT = f"{BUCKET}/{KEY_ROOT}"
LONG, LONG_SIZE = f"{ROOT}/{name_of('F150W')}", 700_001
EMPTY = f"{ROOT}/{name_of('F444W')}"
NAMES = [f"{ROOT}/{name_of(band)}" for band in ("F150W", "F277W", "F444W")]
ODD = f"{BUCKET}/odd/a b+ü&<1>.fits"
MANY = [f"{BUCKET}/many/{i:02d}/{j}.txt" for i in range(12) for j in range(2)]


@pytest.fixture(autouse=True, scope="module")
def _no_settings_of_the_user() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
            patch.setenv(name, "/dev/null")
        patch.delenv("AWS_PROFILE", raising=False)
        yield


@contextmanager
def opened(endpoint: str, **options: Any) -> Iterator[s3fs.S3FileSystem]:
    """Open a file system of its own, and close its connections: s3fs leaves that to the garbage collector."""
    fs = s3fs.S3FileSystem(
        client_kwargs={"endpoint_url": endpoint}, skip_instance_cache=True, use_listings_cache=False, **options
    )
    fs.connect()
    try:
        yield fs
    finally:
        fs.close_session(fs.loop, fs.s3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sky")
    make_listing(folder)
    for path in (*MANY, ODD):
        file = folder / "bucket" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(path.encode())
    return folder


@dataclass(frozen=True)
class Server:
    """An endpoint that holds the folder's bucket, and a client of it without a key."""

    url: str
    stranger: s3fs.S3FileSystem


@pytest.fixture(scope="module")
def loopback(folder: Path) -> Iterator[Server]:
    with running(LoopbackArchive(folder, make_listing(folder))) as url, opened(url, anon=True) as stranger:
        yield Server(url, stranger)


@pytest.fixture(scope="module")
def seaweedfs(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with _seaweedfs(tmp_path_factory.mktemp("weed")) as url, opened(url, anon=True) as stranger:
        with opened(url, key="writer", secret="writing-key") as fs:  # noqa: S106  # of a server that lives a minute
            fs.mkdir(BUCKET)
            fs.put(f"{folder}/bucket/{BUCKET}/", f"{BUCKET}/", recursive=True)
        yield Server(url, stranger)


class S3Contract:
    """Tests of any endpoint that holds the folder's bucket."""

    @pytest.fixture
    def endpoint(self, server: Server) -> str:
        return server.url

    @pytest.fixture
    def s3(self, server: Server) -> s3fs.S3FileSystem:
        return server.stranger

    def test_ls(self, s3: s3fs.S3FileSystem) -> None:
        assert s3.ls(ROOT) == NAMES
        assert [entry["size"] for entry in s3.ls(ROOT, detail=True)] == [LONG_SIZE, 5_000, 0]
        assert s3.ls(f"{BUCKET}/jwst") == [f"{BUCKET}/jwst/public"]

    def test_ls_of_nothing(self, s3: s3fs.S3FileSystem) -> None:
        with pytest.raises(FileNotFoundError):
            s3.ls(f"{BUCKET}/nothing")

    def test_glob_and_find(self, s3: s3fs.S3FileSystem) -> None:
        assert s3.glob(f"{ROOT}/*_nircam_clear-f[12]*_i2d.fits") == NAMES[:2]
        assert s3.find(f"{BUCKET}/many") == MANY
        assert s3.find(f"{BUCKET}/many/0", prefix="") == []

    def test_pages(self, s3: s3fs.S3FileSystem) -> None:
        pages = list(self._pages(s3, Prefix="many/", MaxKeys=5))
        assert [len(page["Contents"]) for page in pages] == [5, 5, 5, 5, 4]
        assert [f"{BUCKET}/{item['Key']}" for page in pages for item in page["Contents"]] == MANY

    def test_pages_of_prefixes(self, s3: s3fs.S3FileSystem) -> None:
        pages = list(self._pages(s3, Prefix="many/", Delimiter="/", MaxKeys=5))
        prefixes = [item["Prefix"] for page in pages for item in page.get("CommonPrefixes", [])]
        assert prefixes == [f"many/{i:02d}/" for i in range(12)]
        assert len(pages) == 3

    @staticmethod
    def _pages(s3: s3fs.S3FileSystem, **words: Any) -> Iterator[dict[str, Any]]:
        token: dict[str, str] = {}
        while page := s3.call_s3("list_objects_v2", Bucket=BUCKET, **words, **token):
            yield page
            if not page["IsTruncated"]:
                return
            token = {"ContinuationToken": page["NextContinuationToken"]}

    def test_info(self, s3: s3fs.S3FileSystem) -> None:
        info = s3.info(LONG)
        assert (info["type"], info["size"]) == ("file", LONG_SIZE)
        assert info["ETag"].strip('"') == hashlib.md5(content(name_of("F150W"), LONG_SIZE)).hexdigest()  # noqa: S324
        assert s3.info(ROOT)["type"] == "directory"

    def test_exists(self, s3: s3fs.S3FileSystem) -> None:
        assert s3.exists(LONG)
        assert not s3.exists(f"{ROOT}/{name_of('F356W')}")
        assert not s3.exists(LONG[:-1])

    def test_missing_object(self, s3: s3fs.S3FileSystem) -> None:
        with pytest.raises(FileNotFoundError):
            s3.info(f"{ROOT}/nope")
        with pytest.raises(FileNotFoundError):
            s3.cat_file(f"{ROOT}/nope")

    def test_missing_bucket(self, s3: s3fs.S3FileSystem) -> None:
        with pytest.raises(
            (FileNotFoundError, PermissionError)
        ):  # some servers do not tell strangers which buckets exist
            s3.info("no-such-bucket/key")

    @pytest.mark.parametrize(("start", "stop"), [(0, 1), (699_990, LONG_SIZE), (262_100, 262_200)])
    def test_read_ranges(self, s3: s3fs.S3FileSystem, start: int, stop: int) -> None:
        assert s3.cat_file(LONG, start=start, end=stop) == content(name_of("F150W"), LONG_SIZE)[start:stop]

    def test_open_and_seek(self, s3: s3fs.S3FileSystem) -> None:
        with s3.open(LONG, "rb", block_size=5 * 2**20, cache_type="none") as file:
            file.seek(-7, 2)
            assert file.read() == content(name_of("F150W"), LONG_SIZE)[-7:]
            file.seek(12_345)
            assert file.read(100) == content(name_of("F150W"), LONG_SIZE)[12_345:12_445]

    def test_get_file(self, s3: s3fs.S3FileSystem, tmp_path: Path) -> None:
        for path, size in ((LONG, LONG_SIZE), (EMPTY, 0)):
            s3.get_file(path, tmp_path / "got")
            assert (tmp_path / "got").read_bytes() == content(path.rsplit("/", 1)[1], size)

    def test_odd_names(self, s3: s3fs.S3FileSystem) -> None:
        assert s3.ls(f"{BUCKET}/odd") == [ODD]
        assert s3.cat_file(ODD) == ODD.encode()

    def test_strangers_may_not_write(self, s3: s3fs.S3FileSystem) -> None:
        with pytest.raises(PermissionError):
            s3.pipe_file(f"{ROOT}/new", b"x")
        with pytest.raises(PermissionError):
            s3.call_s3("delete_object", Bucket=BUCKET, Key=f"{KEY_ROOT}/{name_of('F277W')}")
        assert s3.ls(ROOT) == NAMES

    @pytest.mark.parametrize(
        ("headers", "status", "body"),
        [
            ({"Range": "bytes=5-9"}, 206, 5),
            ({"Range": "bytes=-3"}, 206, 3),
            ({"Range": "bytes=699999-"}, 206, 2),
            ({"Range": f"bytes=0-{LONG_SIZE + 9}"}, 206, LONG_SIZE),
            ({"Range": f"bytes={LONG_SIZE}-"}, 416, "InvalidRange"),
            ({"If-Match": '"0123"'}, 412, "PreconditionFailed"),
        ],
    )
    def test_on_the_wire(self, endpoint: str, headers: dict[str, str], status: int, body: int | str) -> None:
        answer = requests.get(f"{endpoint}/{LONG}", headers=headers, timeout=10)
        assert answer.status_code == status
        if isinstance(body, int):
            assert len(answer.content) == int(answer.headers["Content-Length"]) == body
            assert answer.headers["Content-Range"].endswith(f"/{LONG_SIZE}")
        else:
            assert f"<Code>{body}</Code>" in answer.text

    def test_a_missing_key_says_so(self, endpoint: str) -> None:
        answer = requests.get(f"{endpoint}/{ROOT}/nope", timeout=10)
        assert (answer.status_code, "<Code>NoSuchKey</Code>" in answer.text) == (404, True)


class TestLoopback(S3Contract):
    """The archive that the demo runs against."""

    @pytest.fixture
    def server(self, loopback: Server) -> Server:
        return loopback

    @pytest.mark.parametrize("key", ["../../sky.json", "%2e%2e/%2e%2e/sky.json", "/etc/hosts", "a%00b"])
    def test_keys_stay_in_the_bucket(self, endpoint: str, key: str) -> None:
        address = requests.Request("GET", endpoint).prepare()
        address.url = f"{endpoint}/{BUCKET}/{key}"
        with requests.Session() as session:
            assert session.send(address, timeout=10).status_code == 404

    def test_other_buckets_and_tokens(self, endpoint: str) -> None:
        assert "NoSuchBucket" in requests.get(f"{endpoint}/other/key", timeout=10).text
        assert requests.get(f"{endpoint}/", timeout=10).status_code == 403
        query = {"list-type": "2", "continuation-token": "not ours!"}
        assert requests.get(f"{endpoint}/{BUCKET}", params=query, timeout=10).status_code == 400


@pytest.mark.tools
class TestSeaweedFS(S3Contract):
    """A real S3 server: anonymous reading and listing, a key for writing."""

    @pytest.fixture
    def server(self, seaweedfs: Server) -> Server:
        return seaweedfs


_IDENTITIES = {
    "identities": [
        {"name": "anonymous", "actions": [f"Read:{BUCKET}", f"List:{BUCKET}"]},
        {
            "name": "writer",
            "credentials": [{"accessKey": "writer", "secretKey": "writing-key"}],
            "actions": ["Admin", "Read", "List", "Tagging", "Write"],
        },
    ]
}


@contextmanager
def _seaweedfs(scratch: Path) -> Iterator[str]:
    weed = shutil.which("weed", path=str(Path(sys.executable).parent)) or shutil.which("weed")
    assert weed, "the extra `tools` brings the `weed` binary"
    config = scratch / "s3.json"
    config.write_text(json.dumps(_IDENTITIES))
    ports = _free_ports()
    command = [
        weed,
        "server",
        "-s3",
        "-master.telemetry=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        f"-s3.config={config}",
    ]
    command += ["-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={scratch}", "-volume.max=8"]
    command += [f"-{name}={port}" for name, port in ports.items()]
    with (scratch / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log, cwd=scratch) as server:
        try:
            url = f"http://127.0.0.1:{ports['s3.port']}"
            _wait_for(url, server, scratch / "log")
            yield url
        finally:
            server.kill()  # asked politely it takes half a minute
            server.wait()
            for port in ports.values():  # what it would have taken away itself
                for left in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                    left.unlink()


def _free_ports() -> dict[str, int]:
    """One free port for each of SeaweedFS's listeners; all are held until all are found."""
    names = [f"{part}.port{kind}" for part in ("master", "volume", "filer", "s3") for kind in ("", ".grpc")]
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in names]
        return {name: held.getsockname()[1] for name, held in zip(names, sockets, strict=True)}


def _wait_for(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end and server.poll() is None:
        with suppress(requests.ConnectionError):
            if requests.get(f"{url}/{BUCKET}", timeout=5).status_code < 500:
                return
        time.sleep(0.2)
    pytest.fail(f"SeaweedFS did not start: {log.read_text(errors='replace')[-2000:]}")
