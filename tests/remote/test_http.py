"""One request over HTTP, and everything that is no answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from gswarm_remote import http
from gswarm_remote.errors import HelperError, Kind


@asynccontextmanager
async def answering(
    answer: bytes, *, uds: Path | None = None
) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that says `answer`, whatever it is asked; its URL, and what it was asked."""
    asked: list[bytes] = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer)
        writer.close()

    if uds is not None:
        server = await asyncio.start_unix_server(connected, path=str(uds))
        url = "http://engine"
    else:
        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield url, asked
    finally:
        server.close()
        await server.wait_closed()


OK = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nX-A: b\r\n\r\nhello"


async def test_an_answer() -> None:
    async with answering(OK) as (url, asked):
        answer = await http.request("POST", url + "/a?b=c", headers={"X-Key": "k"}, body=b"{}")
    assert (answer.status, answer.text) == (200, "hello")
    assert ("x-a", "b") in answer.headers
    head = asked[0].decode().lower().split("\r\n")
    assert head[0] == "post /a?b=c http/1.1"
    assert {"x-key: k", "content-length: 2", "connection: close"} <= set(head)


async def test_over_a_unix_socket(tmp_path: Path) -> None:
    async with answering(OK, uds=tmp_path / "s") as (url, _):
        assert (await http.request("GET", url + "/", uds=str(tmp_path / "s"))).status == 200


async def test_a_body_that_is_too_long_is_cut() -> None:
    async with answering(OK) as (url, _):
        answer = await http.request("GET", url, max_body=3)
    assert answer.body == b"hel"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param(b"SSH-2.0-OpenSSH\r\n", "does not speak HTTP", id="another protocol"),
        pytest.param(b"", "closed without an answer", id="nothing"),
        pytest.param(OK[:-2], "does not speak HTTP", id="cut in the body"),
    ],
)
async def test_what_is_no_answer(answer: bytes, reason: str) -> None:
    async with answering(answer) as (url, _):
        with pytest.raises(HelperError, match=reason) as raised:
            await http.request("GET", url)
    assert raised.value.kind == Kind.UNREACHABLE


async def test_nobody_listens(unused_port: Callable[[], int]) -> None:
    with pytest.raises(HelperError, match="no connection: Connection refused") as raised:
        await http.request("GET", f"http://127.0.0.1:{unused_port()}/health")
    assert raised.value.kind == Kind.UNREACHABLE


async def test_silence_ends() -> None:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(HelperError, match="no answer within"):
        await http.request("GET", f"http://127.0.0.1:{port}", timeout_s=0.05)
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize(
    "url",
    ["node1:8080", "ftp://node1/", "http:///x", "http://node1:99999/", "http://u:p@node1/"],
)
async def test_what_is_no_url(url: str) -> None:
    with pytest.raises(HelperError) as raised:
        await http.request("GET", url)
    assert raised.value.kind == Kind.INVALID
    assert "p@" not in str(raised.value.to_wire())


@pytest.mark.parametrize(
    "url",
    [
        "http://user:sk-SECRET@node1/",
        "http://user:sk-SECRET/x@node1/",
        "http://user:sk-SECRET",
        "ftp://user:sk-SECRET@node1/",
        "http://node1/?key=sk-SECRET x",
        "http://[sk-SECRET]/",
    ],
)
async def test_no_error_shows_a_secret_of_the_url(url: str) -> None:
    with pytest.raises(HelperError) as raised:
        await http.request("GET", url)
    assert raised.value.kind == Kind.INVALID
    assert "SECRET" not in repr(raised.value.to_wire())


@pytest.mark.parametrize(
    "value", ["Bearer sk-SECRET\n", " sk-SECRET", "sk-SECRET\x00", "sk-SECRETé"]
)
async def test_no_error_shows_the_value_of_a_header(value: str) -> None:
    async with answering(OK) as (url, asked):
        with pytest.raises(HelperError, match="header Authorization") as raised:
            await http.request("GET", url, headers={"Authorization": value})
    assert raised.value.kind == Kind.INVALID
    assert "SECRET" not in repr(raised.value.to_wire())
    assert asked == []


async def test_no_error_shows_what_the_other_side_repeats() -> None:
    async with answering(b"what is Bearer sk-SECRET?\r\n\r\n") as (url, _):
        with pytest.raises(HelperError, match="does not speak HTTP") as raised:
            await http.request("GET", url, headers={"Authorization": "Bearer sk-SECRET"})
    assert "SECRET" not in repr(raised.value.to_wire())


async def test_a_header_cannot_smuggle_another() -> None:
    async with answering(OK) as (url, asked):
        with pytest.raises(HelperError, match="header a cannot"):
            await http.request("GET", url, headers={"a": "b\r\nc: d"})
    assert asked == []
