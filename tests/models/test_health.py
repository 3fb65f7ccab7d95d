from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable

import pytest

from gswarm_tui.devices import parse
from gswarm_tui.errors import GswarmError, UsageError
from gswarm_tui.models import Models

from .fake import FakeFleet

COMPLETION = json.dumps({"choices": [{"text": " a small swarm."}]})


async def test_a_node_by_name_is_asked_from_itself(models: Models, fleet: FakeFleet) -> None:
    result = await models.check_health("http://node1:8080/health")
    assert (result.ok, result.status, result.checked_from) == (True, 200, "node1")
    assert (result.latency_ms, result.completion) == (10.0, None)
    (sent,) = fleet["node1"].asked("http.check")
    assert (sent["url"], sent["method"]) == ("http://127.0.0.1:8080/health", "GET")


async def test_a_node_by_host_is_asked_where_its_service_listens(
    models: Models, fleet: FakeFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY", "k")
    fleet["node2"].has("tiny")
    await models.serve(
        "tiny", [parse("node2:gpu0")], port=8080, address="10.0.0.2", api_key_env="KEY"
    )
    await models.check_health("http://10.0.0.2:8080/health", api_key_env="KEY")
    (sent,) = fleet["node2"].asked("http.check")
    assert sent["url"] == "http://10.0.0.2:8080/health"
    assert sent["headers"] == {"Authorization": "Bearer k"}


async def test_a_prompt_is_completed_by_the_first_model_that_is_offered(
    models: Models, fleet: FakeFleet
) -> None:
    node = fleet["node1"]
    node.answers["http /v1/models"] = {"body": json.dumps({"data": [{"id": "tiny"}]})}
    node.answers["http /v1/completions"] = {"body": COMPLETION}
    result = await models.check_health("http://node1:8080/health", prompt="gswarm is")
    assert result.completion == " a small swarm."
    sent = json.loads(node.asked("http.check")[-1]["body"])
    assert (sent["model"], sent["prompt"], sent["temperature"]) == ("tiny", "gswarm is", 0)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"status": 503, "body": "loading\n the  model"}, "answered with 503: loading the model"),
        ({"status": 302, "body": ""}, "answered with 302$"),
    ],
)
async def test_other_answers_are_failures_that_say_what_answered(
    models: Models, fleet: FakeFleet, answer: dict[str, object], message: str
) -> None:
    fleet["node1"].answers["http /health"] = answer
    with pytest.raises(GswarmError, match=message) as caught:
        await models.check_health("http://node1:8080/health")
    assert caught.value.where == "http://node1:8080/health"
    assert caught.value.exit_code == 1


async def test_what_is_refused_on_the_node_is_a_failure_of_the_check(
    models: Models, fleet: FakeFleet
) -> None:
    fleet["node1"].refuse("http.check", "unreachable", "no connection: refused")
    with pytest.raises(GswarmError, match="no connection: refused, asked from node1") as caught:
        await models.check_health("http://node1:8080/health")
    assert caught.value.exit_code == 1
    assert caught.value.passes  # and so is tried again


async def test_a_completion_that_is_none(models: Models, fleet: FakeFleet) -> None:
    fleet["node1"].answers["http /v1/completions"] = {"body": "<html>"}
    with pytest.raises(GswarmError, match="what answered is no completion: <html>"):
        await models.check_health("http://node1:8080/health", prompt="hello", model="tiny")


@pytest.mark.parametrize("url", ["node1:8080", "ftp://node1/", "http://", "http://h:port/"])
async def test_what_is_no_url(models: Models, url: str) -> None:
    with pytest.raises(UsageError):
        await models.check_health(url)


@pytest.fixture
async def here() -> AsyncIterator[Callable[[str], str]]:
    """A server on this machine: 200 for /health, otherwise 404; gives URLs of it."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        status = "200 OK" if request.startswith(b"GET /health ") else "404 Not Found"
        writer.write(f"HTTP/1.1 {status}\r\ncontent-length: 2\r\n\r\nok".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    yield lambda path: f"http://127.0.0.1:{port}{path}"
    server.close()
    await server.wait_closed()


async def test_any_other_host_is_asked_from_here(
    models: Models, here: Callable[[str], str]
) -> None:
    result = await models.check_health(here("/health"))
    assert (result.ok, result.checked_from) == (True, "controller")
    with pytest.raises(GswarmError, match="answered with 404: ok"):
        await models.check_health(here("/"))


async def test_nothing_there_is_said(models: Models) -> None:
    with socket.socket() as held:  # bound, and nobody listens
        held.bind(("127.0.0.1", 0))
        with pytest.raises(GswarmError, match=r"no connection: .*, asked from this") as caught:
            await models.check_health(f"http://127.0.0.1:{held.getsockname()[1]}/health")
    assert (caught.value.kind, caught.value.exit_code) == ("unreachable", 1)


@pytest.mark.parametrize("url", ["http://u:s3cret@node1:8080/", "http://u:s3cret/@node1/"])
async def test_no_error_shows_a_password_in_the_url(models: Models, url: str) -> None:
    with pytest.raises(UsageError, match="must not hold a user") as raised:
        await models.check_health(url)
    assert "s3cret" not in f"{raised.value} {raised.value.hint}"
