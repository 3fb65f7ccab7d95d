"""One file at a web address."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from gswarm_tui import sources
from gswarm_tui.errors import SourceError
from gswarm_tui.sources import SourceFile

Answering = Callable[[Callable[[Request], Awaitable[Response]]], Awaitable[str]]
SIZE = 12345


async def test_a_file_with_its_size(answering: Answering) -> None:
    seen: list[Request] = []

    async def answer(request: Request) -> Response:
        seen.append(request)
        return Response(headers={"Content-Length": str(SIZE)})

    address = f"{await answering(answer)}/models/my%20model.gguf?sig=secret"
    resolved = await sources.resolve(
        address, environ={"HF_TOKEN": "hf_secret", "HF_ENDPOINT": "https://hub.lan"}
    )
    assert resolved.files == (SourceFile("my model.gguf", size=SIZE, url=address),)
    assert (resolved.kind, resolved.name, resolved.revision) == ("fetch", "my-model", None)
    assert resolved.origin == address.partition("/models")[0]
    assert resolved.headers == {}
    assert resolved.reference == address.partition("?")[0]
    assert resolved.plan_for("m", {})["source"] == resolved.reference
    assert [request.method for request in seen] == ["HEAD"]
    assert "Authorization" not in seen[0].headers


@pytest.mark.parametrize(("given", "kept"), [('"v1"', '"v1"'), ('W/"v1"', None), ("", None)])
async def test_a_version_goes_into_the_plan_where_it_names_these_very_bytes(
    answering: Answering, given: str, kept: str | None
) -> None:
    async def answer(request: Request) -> Response:
        return Response(headers={"Content-Length": str(SIZE), "ETag": given})

    resolved = await sources.resolve(f"{await answering(answer)}/model.gguf", environ={})
    assert resolved.plan_for("m", {})["files"][0]["etag"] == kept


async def test_a_redirect_is_followed_and_not_recorded(answering: Answering) -> None:
    async def store(request: Request) -> Response:
        return Response(headers={"Content-Length": str(SIZE)})

    storage = await answering(store)

    async def redirect(request: Request) -> Response:
        return RedirectResponse(f"{storage}/blob?signature=1")

    address = f"{await answering(redirect)}/model.gguf"
    resolved = await sources.resolve(address, environ={})
    assert resolved.files == (SourceFile("model.gguf", size=SIZE, url=address),)


@pytest.mark.parametrize("refusal", [403, 405, 501])
async def test_a_server_that_does_not_know_head(answering: Answering, refusal: int) -> None:
    async def answer(request: Request) -> Response:
        if request.method == "HEAD":
            return Response(status_code=refusal)
        assert request.headers["Range"] == "bytes=0-0"
        return Response(b"x", 206, {"Content-Range": f"bytes 0-0/{SIZE}"})

    resolved = await sources.resolve(f"{await answering(answer)}/model.gguf", environ={})
    assert resolved.size == SIZE


async def test_a_server_that_does_not_tell(answering: Answering) -> None:
    async def answer(request: Request) -> Response:
        async def body() -> AsyncIterator[bytes]:
            yield b"some bytes"

        return StreamingResponse(body())

    resolved = await sources.resolve(f"{await answering(answer)}/model.gguf", environ={})
    assert resolved.size is None
    assert resolved.files[0].size is None


async def test_an_empty_file(answering: Answering) -> None:
    async def answer(request: Request) -> Response:
        if request.method == "HEAD":
            return Response(status_code=405)
        return Response(status_code=416, headers={"Content-Range": "bytes */0"})

    resolved = await sources.resolve(f"{await answering(answer)}/model.gguf", environ={})
    assert resolved.size == 0


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (401, "wants credentials"),
        (403, "wants credentials"),
        (404, "no such file"),
        (410, "no such file"),
        (429, "too many requests"),
        (500, "fault of its own .HTTP 500"),
        (302, "HTTP 302"),
        (418, "HTTP 418"),
    ],
)
async def test_refusals(answering: Answering, status: int, message: str) -> None:
    async def answer(request: Request) -> Response:
        return Response(status_code=status)

    address = f"{await answering(answer)}/model.gguf?sig=secret"
    with pytest.raises(SourceError, match=message) as raised:
        await sources.resolve(address, environ={})
    assert raised.value.where == address.partition("?")[0]
    assert "secret" not in f"{raised.value}{raised.value.hint}"


async def test_no_server() -> None:
    with pytest.raises(SourceError, match="could not be reached"):
        await sources.resolve("http://127.0.0.1:9/model.gguf", environ={})
