"""What HTTP says beyond what huggingface_hub's client asks."""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from gswarm_tui.hub.server import running

pytestmark = pytest.mark.usefixtures("servers_end_soon")

WEIGHTS = os.urandom(1 << 10) * 1100
FILE = "/acme/tiny/resolve/main/model.bin"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "acme" / "tiny").mkdir(parents=True)
    (tmp_path / "acme" / "tiny" / "model.bin").write_bytes(WEIGHTS)
    (tmp_path / "acme" / "tiny" / "empty").write_bytes(b"")
    return tmp_path


@pytest.fixture
async def client(folder: Path) -> AsyncIterator[httpx2.AsyncClient]:
    async with (
        running(folder) as hub,
        httpx2.AsyncClient(base_url=hub.url, trust_env=False) as client,
    ):
        yield client


async def test_a_part_of_a_file(client: httpx2.AsyncClient) -> None:
    whole = await client.get(FILE)
    assert (whole.status_code, whole.content) == (200, WEIGHTS)
    assert whole.headers["Accept-Ranges"] == "bytes"
    part = await client.get(FILE, headers={"Range": "bytes=1000-1999"})
    assert (part.status_code, part.content) == (206, WEIGHTS[1000:2000])
    assert part.headers["Content-Range"] == f"bytes 1000-1999/{len(WEIGHTS)}"
    assert part.headers["Content-Length"] == "1000"
    end = await client.get(FILE, headers={"Range": "bytes=-10"})
    assert (end.status_code, end.content) == (206, WEIGHTS[-10:])


async def test_a_part_that_is_not_there(client: httpx2.AsyncClient) -> None:
    answer = await client.get(FILE, headers={"Range": f"bytes={len(WEIGHTS)}-"})
    assert answer.status_code == 416
    assert answer.headers["Content-Range"] == f"bytes */{len(WEIGHTS)}"


async def test_conditions(client: httpx2.AsyncClient) -> None:
    etag = f'"{hashlib.sha256(WEIGHTS).hexdigest()}"'
    head = await client.head(FILE)
    assert (head.status_code, head.headers["ETag"]) == (200, etag)
    assert head.headers["X-Linked-Etag"] == etag
    assert head.headers["X-Linked-Size"] == head.headers["Content-Length"] == str(len(WEIGHTS))
    for condition in (etag, f'"other", W/{etag}', "*"):
        same = await client.get(FILE, headers={"If-None-Match": condition})
        assert (same.status_code, same.content) == (304, b"")
        assert same.headers["ETag"] == etag
    assert (await client.get(FILE, headers={"If-None-Match": '"other"'})).status_code == 200
    # If-Range: the part if the file is still the same, else all of it.
    for condition, status in [(etag, 206), ('"other"', 200)]:
        headers = {"Range": "bytes=0-9", "If-Range": condition}
        assert (await client.get(FILE, headers=headers)).status_code == status


async def test_an_empty_file(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/acme/tiny/resolve/main/empty")
    assert (answer.status_code, answer.content, answer.headers["Content-Length"]) == (200, b"", "0")
    assert "X-Linked-Etag" not in answer.headers


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/acme/tiny/resolve/main/%2e%2e/%2e%2e/secret", "EntryNotFound"),
        ("/acme/tiny/resolve/main/..%2f..%2fsecret", "EntryNotFound"),
        ("/acme/tiny/resolve/main//etc/passwd", "EntryNotFound"),
        ("/acme/tiny/resolve/main/a%0d%0aX-Evil:%201", None),
        ("/acme/tiny/resolve/main/%c3%a9%00", "EntryNotFound"),
        ("/acme/..%2f../resolve/main/x", None),
        ("/..%2facme/tiny/resolve/main/model.bin", None),
        ("/acme/.tiny/resolve/main/model.bin", "RepoNotFound"),
        ("/acme/tiny/resolve/dev/model.bin", "RevisionNotFound"),
        ("/api/models/acme/none/tree/main", "RepoNotFound"),
        ("/api/datasets/acme/tiny", None),
        ("/", None),
    ],
)
async def test_what_is_not_there(client: httpx2.AsyncClient, path: str, code: str | None) -> None:
    answer = await client.get(path)
    assert answer.status_code == 404
    assert answer.headers.get("X-Error-Code") == code
    assert answer.json()["error"]
    assert "X-Evil" not in answer.headers


async def test_the_hub_can_only_be_read(client: httpx2.AsyncClient) -> None:
    answer = await client.put(FILE, content=b"x")
    assert answer.status_code == 405
    assert "only be read" in answer.json()["error"]


async def test_a_commit_stays_what_it_is(client: httpx2.AsyncClient, folder: Path) -> None:
    commit = (await client.head(FILE)).headers["X-Repo-Commit"]
    by_commit = FILE.replace("main", commit)
    assert (await client.get(by_commit)).content == WEIGHTS
    (folder / "acme" / "tiny" / "model.bin").write_bytes(b"other")
    gone = await client.get(by_commit)
    assert (gone.status_code, gone.headers["X-Error-Code"]) == (404, "RevisionNotFound")


async def test_a_file_that_gets_shorter_ends_the_connection(
    client: httpx2.AsyncClient, folder: Path
) -> None:
    path = folder / "acme" / "tiny" / "long.bin"
    path.write_bytes(bytes(64 << 20))

    async def read() -> None:
        async with client.stream("GET", "/acme/tiny/resolve/main/long.bin") as answer:
            async for _ in answer.aiter_raw(1 << 16):
                os.truncate(path, 1 << 20)

    with pytest.raises(httpx2.RemoteProtocolError):
        await read()
