"""What a forwarder lets through to an engine, and what it never does."""

from __future__ import annotations

import asyncio
import errno
import json
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from gswarm_remote import http
from gswarm_remote.engines.base import SERVING_PATHS, Endpoint, Ready
from gswarm_remote.errors import HelperError
from gswarm_remote.process import ProcessRecord
from gswarm_remote.services import exchange, forwarder, traffic, translation
from gswarm_remote.services.exchange import Exchange
from gswarm_remote.services.forwarder import Forwarder
from gswarm_remote.services.publication import Publication
from gswarm_remote.services.traffic import Traffic
from gswarm_remote.services.translation import LARGE, Translator

OK = b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nserver: secret/1\r\n\r\n{"fine": 1}'
KEY = "sesame"


@dataclass
class Stage:
    """An engine that says `answer` to everything, and a forwarder before it."""

    publication: Publication
    port: int
    traffic: Traffic
    answer: bytes = OK
    asked: list[bytes] = field(default_factory=list)

    @property
    def counted(self) -> int:
        return self.traffic.totals.requests

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def post(self, path: str, content: Any, **headers: str) -> http.Response:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        return await http.request("POST", self.url + path, headers=headers, body=body)

    async def raw(self, sent: bytes) -> bytes:
        """Send bytes as they are, and read until the forwarder closes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(sent)
        answer = await asyncio.wait_for(reader.read(), 5)
        writer.close()
        return answer


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async def engine(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = [line for line in head.lower().split(b"\r\n") if b"content-length" in line]
        body = await reader.readexactly(int(length[0].split(b":")[1])) if length else b""
        made.asked.append(head + body)
        writer.write(made.answer)
        writer.close()

    async def user(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        translator = Translator(made.publication)
        await Exchange(made.publication, translator, (reader, writer), made.traffic).run()

    behind = await asyncio.start_server(engine, "127.0.0.1", 0)
    before = await asyncio.start_server(user, "127.0.0.1", 0)
    publication = Publication(
        names=("tiny", "tiny-alias"),
        served_name="default_model",
        endpoint=Endpoint(port=behind.sockets[0].getsockname()[1]),
        ready=Ready(),
        paths=SERVING_PATHS,
        refused=("adapters",),
        created=7,
    )
    port = before.sockets[0].getsockname()[1]
    made = Stage(publication, port, Traffic(tmp_path / "requests"))
    yield made
    for server in (behind, before):
        server.close()
        await server.wait_closed()
    made.traffic.close()


ASK = {"model": "tiny", "prompt": "Hello", "max_tokens": 1}


async def test_a_request_reaches_the_engine_under_its_own_name(stage: Stage) -> None:
    answer = await stage.post(
        "/v1/completions?api-version=1",
        {**ASK, "model": "tiny-alias"},
        Authorization="Bearer x",
        Cookie="a=b",
        Traceparent="00-1",
    )
    assert (answer.status, answer.text) == (200, '{"fine": 1}')
    assert [name for name, _ in answer.headers if name == "server"] == []
    head, _, body = stage.asked[0].partition(b"\r\n\r\n")
    assert json.loads(body) == {**ASK, "model": "default_model"}
    lines = head.decode().lower().split("\r\n")
    assert lines[0] == "post /v1/completions http/1.1"
    assert "traceparent: 00-1" in lines
    assert not [line for line in lines if line.startswith(("authorization", "cookie"))]
    assert stage.counted == 1


async def test_what_passes_is_counted(stage: Stage) -> None:
    events = b'data: {"text": "a"}\n\ndata: {"text": "b"}\n\ndata: [DONE]\n\n'
    stage.answer = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n" + events
    await stage.post("/v1/completions", {**ASK, "stream": True})
    assert (stage.traffic.totals.tokens, stage.traffic.totals.streams) == (2, 1)
    stage.answer = OK.replace(b'"fine": 1', b'"usage": {"completion_tokens": 5}')
    await stage.post("/v1/completions", ASK)
    stage.answer = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nbroken"
    with pytest.raises(HelperError):
        await stage.post("/v1/completions", ASK)
    totals = stage.traffic.totals
    assert (totals.requests, totals.running, totals.tokens) == (3, 0, 7)


async def test_the_model_need_not_be_named(stage: Stage) -> None:
    assert (await stage.post("/v1/chat/completions", {"messages": []})).status == 200
    assert json.loads(stage.asked[0].partition(b"\r\n\r\n")[2])["model"] == "default_model"


async def test_the_list_of_models_is_the_services_own(stage: Stage) -> None:
    answer = await http.request("GET", stage.url + "/v1/models")
    assert [model["id"] for model in json.loads(answer.text)["data"]] == ["tiny", "tiny-alias"]
    assert stage.asked == []


HOSTILE = [
    b"GET /sleep?level=1",
    b"POST /sleep",
    b"POST /collective_rpc",
    b"GET /metrics",
    b"GET /v1/models/../../sleep",
    b"GET /v1/%6dodels",
    b"GET //v1/models",
    b"GET /health/",
    b"GET /health/..;/sleep",
    b"GET /health%2f..%2fsleep",
    b"GET /HEALTH",
    b"GET http://127.0.0.1/sleep",
    b"GET http://127.0.0.1/health",
    b"POST /v1/completions/../../sleep",
    b"POST /v1/completions/",
    b"POST /v1/completions;/sleep",
    b"POST /v1\\completions",
    b"POST /health",
    b"GET /v1/completions",
    b"PUT /v1/completions",
    b"DELETE /v1/models",
    b"OPTIONS *",
    b"CONNECT 127.0.0.1:22",
    b"TRACE /health",
    b"HEAD /sleep",
]


@pytest.mark.parametrize("line", HOSTILE, ids=lambda line: line.decode())
async def test_nothing_else_is_let_through(stage: Stage, line: bytes) -> None:
    answer = await stage.raw(line + b" HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.split(b" ")[1] in (b"404", b"400")
    if not line.startswith((b"HEAD", b"CONNECT")):
        assert json.loads(body)["error"]["code"] in ("not_found", "invalid_request")
    assert stage.asked == []


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(
            b"POST /v1/completions HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n"
            b"transfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /sleep HTTP/1.1\r\nhost: a\r\n\r\n",
            id="two framings",
        ),
        pytest.param(
            b"POST /v1/completions HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n"
            b"content-length: 40\r\n\r\n{}GET /sleep HTTP/1.1\r\nhost: a\r\n\r\n",
            id="two lengths",
        ),
        pytest.param(
            b"GET /sleep HTTP/1.1\r\nhost: a\r\nx:\r\n y\x00\r\n\r\n", id="a NUL in a header"
        ),
        pytest.param(b"GET /health HTTP/1.1\r\n\r\n", id="no host"),
        pytest.param(b"\x16\x03\x01\x02\x00", id="TLS"),
        pytest.param(b"GET /" + b"a" * 100_000, id="a head without an end"),
    ],
)
async def test_what_is_not_http_ends_the_connection(stage: Stage, sent: bytes) -> None:
    answer = await stage.raw(sent + b"\r\n\r\n")
    assert answer.split(b" ")[1].startswith(b"4")
    assert answer.count(b"HTTP/1.1 ") == 1
    assert stage.asked == []


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"{half", 400, "invalid_request"),
        (b"[1]", 400, "invalid_request"),
        (b"[" * 100_000, 400, "invalid_request"),
        ({"model": "/models/other"}, 404, "model_not_found"),
        ({"model": ["tiny"]}, 404, "model_not_found"),
        ({"model": None}, 404, "model_not_found"),
        ({"model": "default_model"}, 404, "model_not_found"),
        ({"model": "tiny", "adapters": "/etc"}, 400, "invalid_request"),
    ],
)
async def test_a_body_that_is_refused(stage: Stage, content: Any, status: int, code: str) -> None:
    answer = await stage.post("/v1/completions", content)
    assert (answer.status, json.loads(answer.text)["error"]["code"]) == (status, code)
    assert stage.asked == []
    assert stage.counted == 0


async def test_of_two_models_in_a_body_the_engine_sees_one(stage: Stage) -> None:
    body = b'{"model": "/etc", "model": "tiny", "prompt": ""}'
    assert (await stage.post("/v1/completions", body)).status == 200
    assert b"/etc" not in stage.asked[0]


async def test_a_body_that_is_too_large(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "MAX_BODY", 1000)
    answer = await stage.post("/v1/completions", {**ASK, "prompt": "x" * 5000})
    assert answer.status == 413
    assert stage.asked == []


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        ("Bearer sesame", 200),
        ("bearer sesame", 200),
        ("Bearer sesam", 401),
        ("Bearer sesamee", 401),
        ("Bearer", 401),
        ("Basic sesame", 401),
        ("sesame", 401),
        ("", 401),
        (None, 401),
    ],
)
@pytest.mark.parametrize("path", ["/v1/completions", "/v1/models"])
async def test_a_key_is_wanted(
    stage: Stage, path: str, authorization: str | None, status: int
) -> None:
    stage.publication = replace(stage.publication, key=KEY)
    headers = {} if authorization is None else {"Authorization": authorization}
    if path == "/v1/models":
        answer = await http.request("GET", stage.url + path, headers=headers)
    else:
        answer = await stage.post(path, ASK, **headers)
    assert answer.status == status
    assert (("www-authenticate", "Bearer") in answer.headers) == (status == 401)
    assert len(stage.asked) == (status == 200 and path != "/v1/models")


async def test_two_keys_are_none(stage: Stage) -> None:
    stage.publication = replace(stage.publication, key=KEY)
    answer = await stage.raw(
        b"GET /v1/models HTTP/1.1\r\nhost: a\r\nconnection: close\r\n"
        b"authorization: Bearer sesame\r\nauthorization: Bearer other\r\n\r\n"
    )
    assert answer.startswith(b"HTTP/1.1 401 ")


async def test_health_needs_no_key_and_says_nothing_of_the_engine(stage: Stage) -> None:
    stage.publication = replace(stage.publication, key=KEY)
    answer = await http.request("GET", stage.url + "/health")
    assert (answer.status, answer.text) == (200, '{"status": "ok"}')
    stage.answer = b"HTTP/1.1 500 x\r\ncontent-length: 6\r\n\r\nsecret"
    answer = await http.request("GET", stage.url + "/health")
    assert answer.status == 503
    assert "secret" not in answer.text


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0\r\n", b"HTTP/1.1 200 OK\r\n"])
async def test_an_engine_that_gives_no_answer(stage: Stage, answer: bytes) -> None:
    stage.answer = answer
    got = await stage.post("/v1/completions", ASK)
    assert (got.status, json.loads(got.text)["error"]["code"]) == (502, "engine_unavailable")


async def test_an_engine_that_is_not_there(stage: Stage, unused_port: Any) -> None:
    stage.publication = replace(stage.publication, endpoint=Endpoint(port=unused_port()))
    assert (await stage.post("/v1/completions", ASK)).status == 502
    assert (await http.request("GET", stage.url + "/health")).status == 502


async def test_an_answer_that_breaks_off_is_not_taken_for_the_whole(stage: Stage) -> None:
    stage.answer = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", stage.port)
    body = json.dumps(ASK).encode()
    writer.write(
        b"POST /v1/completions HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % len(body) + body
    )
    received = b""
    try:
        while data := await reader.read(1000):
            received += data
    except ConnectionResetError:
        pass
    writer.close()
    assert not received.endswith(b"0\r\n\r\n")


async def test_what_the_engine_refuses_is_the_users_to_see(stage: Stage) -> None:
    stage.answer = b"HTTP/1.1 400 x\r\nretry-after: 3\r\ncontent-length: 3\r\n\r\nbad"
    answer = await stage.post("/v1/completions", ASK)
    assert (answer.status, answer.text) == (400, "bad")
    assert ("retry-after", "3") in answer.headers


async def test_requests_follow_each_other_on_one_connection(stage: Stage) -> None:
    body = json.dumps(ASK).encode()
    one = (
        b"POST /v1/completions HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % len(body) + body
    )
    refused = b"GET /sleep HTTP/1.1\r\nhost: a\r\n\r\n"
    last = b"GET /v1/models HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
    answer = await stage.raw(one + refused + one + last)
    statuses = [part[:3] for part in answer.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [b"200", b"404", b"200", b"200"]
    assert len(stage.asked) == 2


async def test_one_who_waits_to_be_asked_for_the_body_is_asked(stage: Stage) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", stage.port)
    body = json.dumps(ASK).encode()
    writer.write(
        b"POST /v1/completions HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\n"
        b"connection: close\r\ncontent-length: %d\r\n\r\n" % len(body)
    )
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
    writer.write(body)
    assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
    writer.close()


async def test_an_engine_that_stays_silent_has_a_limit(stage: Stage) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    endpoint = Endpoint(port=server.sockets[0].getsockname()[1])
    stage.publication = replace(stage.publication, endpoint=endpoint, silence_s=0.05)
    answer = await stage.post("/v1/completions", ASK)
    assert (answer.status, json.loads(answer.text)["error"]["code"]) == (504, "timeout")
    server.close()
    await server.wait_closed()


async def test_nothing_is_sent_to_the_port_of_an_engine_that_has_ended(stage: Stage) -> None:
    ours = ProcessRecord.of(os.getpid())
    assert ours is not None
    stage.publication = replace(stage.publication, engine=ours)
    assert (await stage.post("/v1/completions", ASK)).status == 200
    ended = replace(ours, start_time=ours.start_time - 1)  # its pid is another process by now
    stage.publication = replace(stage.publication, engine=ended)
    assert (await stage.post("/v1/completions", ASK)).status == 502
    assert (await http.request("GET", stage.url + "/health")).status == 502
    assert len(stage.asked) == 1


async def test_a_large_body_is_parsed_elsewhere(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    here: list[int] = []

    def translated(publication: Publication, body: bytes) -> bytes:
        here.append(len(body))
        raise AssertionError

    monkeypatch.setattr(Publication, "translated", translated)
    prompt = "a" * LARGE
    answer = await stage.post("/v1/completions", {**ASK, "prompt": prompt})
    assert (answer.status, here) == (200, [])
    sent = json.loads(stage.asked[0].partition(b"\r\n\r\n")[2])
    assert sent == {**ASK, "prompt": prompt, "model": "default_model"}
    answer = await stage.post("/v1/completions", {"model": "other", "prompt": prompt})
    assert (answer.status, json.loads(answer.text)["error"]["code"]) == (404, "model_not_found")
    monkeypatch.setattr(translation, "_LONGEST_S", 0.0)
    answer = await stage.post("/v1/completions", {**ASK, "prompt": prompt})
    assert (answer.status, json.loads(answer.text)["error"]["code"]) == (413, "too_large")
    assert len(stage.asked) == 1


@pytest.fixture
async def forwarding(stage: Stage, tmp_path: Path) -> AsyncIterator[tuple[Stage, Forwarder]]:
    """A whole forwarder, with a key, in this process."""
    stage.publication = replace(stage.publication, key=KEY)
    whole = Forwarder(stage.publication, tmp_path / "requests")
    server = await asyncio.start_server(whole._connected, "127.0.0.1", 0)
    stage.port = server.sockets[0].getsockname()[1]
    yield stage, whole
    server.close()
    await server.wait_closed()


async def test_strangers_leave_room_for_those_with_the_key(
    forwarding: tuple[Stage, Forwarder], monkeypatch: pytest.MonkeyPatch
) -> None:
    stage, _ = forwarding
    monkeypatch.setattr(forwarder, "MAX_STRANGERS", 2)
    known = b"GET /v1/models HTTP/1.1\r\nhost: a\r\nauthorization: Bearer " + KEY.encode()
    held = []
    for sent in (known + b"\r\n\r\n", b"GET /v1/models HTTP/1.1\r\nhost: a\r\n\r\n", b""):
        reader, writer = await asyncio.open_connection("127.0.0.1", stage.port)
        writer.write(sent)
        if sent:
            await reader.readuntil(b"}")
        held.append((reader, writer))
    answer = await stage.raw(b"")
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "overloaded"
    reader, writer = held[0]
    writer.write(known + b"\r\n\r\n")  # who is in stays in
    assert b"200" in await reader.readuntil(b"\r\n")
    monkeypatch.setattr(forwarder, "MAX_STRANGERS", 9)
    monkeypatch.setattr(forwarder, "MAX_CONNECTIONS", 3)
    assert (await stage.raw(b"")).startswith(b"HTTP/1.1 503 ")
    for _, writer in held:
        writer.close()
        await writer.wait_closed()


async def test_a_count_that_cannot_be_written_fails_no_request(
    forwarding: tuple[Stage, Forwarder], monkeypatch: pytest.MonkeyPatch
) -> None:
    stage, _ = forwarding

    def refuse(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(traffic.os, "pwrite", refuse)
    answer = await stage.post("/v1/completions", ASK, Authorization=f"Bearer {KEY}")
    assert answer.status == 200
