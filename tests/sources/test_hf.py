"""``hf://`` against gswarm's own hub, and against servers that misbehave."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from huggingface_hub import constants
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gswarm_tui import sources
from gswarm_tui.errors import SourceError, SourceNameError
from gswarm_tui.hub.repository import LFS_THRESHOLD
from gswarm_tui.hub.server import Hub

Answering = Callable[[Callable[[Request], Awaitable[Response]]], Awaitable[str]]
HubOf = Callable[..., Awaitable[Hub]]
COMMIT = "0123456789abcdef0123456789abcdef01234567"
WEIGHTS = b"w" * LFS_THRESHOLD


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tiny = tmp_path / "acme" / "tiny"
    (tiny / "sub").mkdir(parents=True)
    (tiny / "config.json").write_bytes(b'{"model_type": "llama"}\n')
    (tiny / "model.safetensors").write_bytes(WEIGHTS)
    (tiny / "sub" / "a b#[1].txt").write_bytes(b"awkward")
    return tmp_path


async def test_a_repository_becomes_a_plan(folder: Path, hub_of: HubOf) -> None:
    hub = await hub_of(folder)
    resolved = await sources.resolve("hf://acme/tiny", environ={"HF_ENDPOINT": hub.url})
    snapshot = hub.library.snapshot("acme", "tiny")
    assert snapshot is not None
    base = f"{hub.url}/acme/tiny/resolve/{snapshot.commit}"
    assert resolved.plan_for("tiny", {}) == {
        "name": "tiny",
        "revision": snapshot.commit,
        "source": "hf://acme/tiny",
        "metadata": {},
        "files": [
            {
                "path": "config.json",
                "size": 24,
                "sha256": None,
                "git_sha1": "9eddb62b076f586b2186445e7872e5a05f0dfe06",
                "etag": None,
                "url": f"{base}/config.json",
            },
            {
                "path": "model.safetensors",
                "size": LFS_THRESHOLD,
                "sha256": hashlib.sha256(WEIGHTS).hexdigest(),
                "git_sha1": None,
                "etag": None,
                "url": f"{base}/model.safetensors",
            },
            {
                "path": "sub/a b#[1].txt",
                "size": 7,
                "sha256": None,
                "git_sha1": snapshot.files["sub/a b#[1].txt"].oid,
                "etag": None,
                "url": f"{base}/sub/a%20b%23%5B1%5D.txt",
            },
        ],
    }
    assert (resolved.kind, resolved.origin, resolved.headers) == ("fetch", hub.url, {})
    async with httpx2.AsyncClient() as client:
        for file, content in zip(resolved.files, [None, WEIGHTS, b"awkward"], strict=True):
            assert file.url is not None
            answer = await client.get(file.url)
            assert answer.status_code == 200
            assert content is None or answer.content == content


async def test_a_web_address_goes_to_the_endpoint(folder: Path, hub_of: HubOf) -> None:
    hub = await hub_of(folder)
    environ = {"HF_ENDPOINT": hub.url + "/"}
    plain = await sources.resolve("hf://acme/tiny", environ=environ)
    assert await sources.resolve("https://huggingface.co/acme/tiny", environ=environ) == plain
    assert await sources.resolve(f"{hub.url}/acme/tiny", environ=environ) == plain
    by_commit = await sources.resolve(f"hf://acme/tiny@{plain.revision}", environ=environ)
    assert by_commit.files == plain.files
    assert (
        await sources.resolve("hf://acme/tiny", revision=plain.revision, environ=environ)
        == by_commit
    )
    with pytest.raises(SourceNameError, match="another revision"):
        await sources.resolve("hf://acme/tiny@main", revision="v1", environ=environ)


async def test_some_of_the_files_are_another_revision(folder: Path, hub_of: HubOf) -> None:
    environ = {"HF_ENDPOINT": (await hub_of(folder)).url}
    whole = await sources.resolve("hf://acme/tiny", environ=environ)
    some = await sources.resolve("hf://acme/tiny", include=["*.json"], environ=environ)
    other = await sources.resolve("hf://acme/tiny", exclude=["*.json"], environ=environ)
    assert [file.path for file in some.files] == ["config.json"]
    assert len({whole.revision, some.revision, other.revision}) == 3
    assert all(str(it.revision).startswith(str(whole.revision)) for it in (some, other))
    assert f"/resolve/{whole.revision}/" in str(some.files[0].url)


async def test_one_file_by_its_address(folder: Path, hub_of: HubOf) -> None:
    hub = await hub_of(folder)
    environ = {"HF_ENDPOINT": hub.url}
    address = f"{hub.url}/acme/tiny/resolve/main/sub/a%20b%23%5B1%5D.txt"
    resolved = await sources.resolve(address, environ=environ)
    assert [file.path for file in resolved.files] == ["sub/a b#[1].txt"]
    assert resolved.files[0].git_sha1 is not None
    with pytest.raises(SourceNameError, match="address of one file"):
        await sources.resolve(address, include=["*"], environ=environ)


async def test_tokens(
    folder: Path, hub_of: HubOf, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hub = await hub_of(folder, token="hf_secret")
    environ = {"HF_ENDPOINT": hub.url}
    with pytest.raises(SourceError, match=r"gated.*this hub wants a token") as raised:
        await sources.resolve("hf://acme/tiny", environ=environ)
    assert "HF_TOKEN" in str(raised.value.hint)
    with pytest.raises(
        SourceError, match=r"does not accept the token .*Invalid credentials"
    ) as raised:
        await sources.resolve("hf://acme/tiny", environ={**environ, "HF_TOKEN": "hf_wrong"})
    assert "hf_wrong" not in f"{raised.value}{raised.value.hint}"
    resolved = await sources.resolve(
        "hf://acme/tiny", environ={**environ, "HF_TOKEN": " hf_secret\n"}
    )
    assert resolved.headers == {"Authorization": "Bearer hf_secret"}
    assert "hf_secret" not in f"{resolved!r}{resolved.plan_for('private', {})}"
    # With the process's own environment, the token that `hf auth login` saved.
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_DISABLE_IMPLICIT_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    (tmp_path / "token").write_text("hf_secret\n")
    saved = await sources.resolve("hf://acme/tiny")
    assert saved.headers == {"Authorization": "Bearer hf_secret"}
    monkeypatch.setenv("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")
    with pytest.raises(SourceError, match="gated"):
        await sources.resolve("hf://acme/tiny")


async def test_what_is_not_there(folder: Path, hub_of: HubOf) -> None:
    environ = {"HF_ENDPOINT": (await hub_of(folder)).url}
    with pytest.raises(SourceError, match=r"no such repository.*no model acme/none") as raised:
        await sources.resolve("hf://acme/none", environ=environ)
    assert raised.value.where == "hf://acme/none"
    with pytest.raises(SourceError, match=r"no such revision.*main and [0-9a-f]{40}"):
        await sources.resolve("hf://acme/tiny@v9", environ=environ)


async def test_no_hub_at_all() -> None:
    with pytest.raises(SourceError, match="could not be reached: Connection refused") as raised:
        await sources.resolve("hf://acme/tiny", environ={"HF_ENDPOINT": "http://127.0.0.1:9"})
    assert "HF_ENDPOINT" in str(raised.value.hint)


def info(**changes: Any) -> dict[str, Any]:
    files = [{"rfilename": "config.json", "size": 2, "blobId": "0" * 40}]
    return {"id": "acme/tiny", "sha": COMMIT, "gated": False, "siblings": files} | changes


def one_file(**changes: Any) -> dict[str, Any]:
    return info(siblings=[{"rfilename": "x", "size": 2, "blobId": "0" * 40} | changes])


@pytest.mark.parametrize(
    ("status", "headers", "body", "message", "hint"),
    [
        (
            401,
            {},
            {"error": "Invalid username or password."},
            "does not accept.*Invalid username",
            "HF_TOKEN",
        ),
        (
            403,
            {},
            {"error": "blocked in your region"},
            "forbids it.*blocked in your region",
            "token",
        ),
        (
            403,
            {"X-Error-Code": "GatedRepo"},
            {"error": "not in the authorized list"},
            "gated.*authorized list",
            "ask for access",
        ),
        (
            404,
            {"X-Error-Code": "RepoNotFound"},
            {"error": "Repository not found"},
            "no such repository",
            "spelling",
        ),
        (
            429,
            {"Retry-After": "77"},
            {"error": "slow down"},
            "too many requests.*slow down",
            "in 77 s",
        ),
        (500, {}, {"error": "oops"}, r"HTTP 500.*oops", "later"),
        (503, {}, None, r"HTTP 503", "later"),
        (418, {}, {"error": "a teapot"}, "HTTP 418.*teapot", None),
        (200, {}, None, "not a hub's answer", "HF_ENDPOINT"),
        (200, {}, [], "not a hub's answer", "HF_ENDPOINT"),
        (200, {}, {}, "not a hub's answer", "HF_ENDPOINT"),
        (200, {}, info(sha="../../x"), "not a hub's answer.*commit", "HF_ENDPOINT"),
        (200, {}, info(siblings=[]), "there are no files", None),
        (
            200,
            {},
            one_file(rfilename="../../.ssh/authorized_keys"),
            r"'../../.ssh/authorized_keys' leaves",
            "nothing was",
        ),
        (200, {}, one_file(rfilename="/etc/passwd"), "'/etc/passwd' is absolute", "nothing was"),
        (200, {}, one_file(size=None), "no size for 'x'", None),
        (200, {}, one_file(size=-1), "no size for 'x'", None),
        (200, {}, one_file(blobId="latest"), "no checksum for 'x'", None),
        (200, {}, one_file(lfs={"size": 2, "sha256": "no", "pointerSize": 1}), "no checksum", None),
    ],
)
async def test_answers_that_are_no_model(
    answering: Answering,
    status: int,
    headers: dict[str, str],
    body: Any,
    message: str,
    hint: str | None,
) -> None:
    async def answer(request: Request) -> Response:
        content = b"<html>" if body is None else json.dumps(body).encode()
        return Response(
            content, status, headers, media_type=None if body is None else "application/json"
        )

    endpoint = await answering(answer)
    with pytest.raises(SourceError, match=message) as raised:
        await sources.resolve(
            "hf://acme/tiny", environ={"HF_ENDPOINT": endpoint, "HF_TOKEN": "hf_secret"}
        )
    assert raised.value.where == "hf://acme/tiny"
    assert (hint or "") in (raised.value.hint or "")
    assert "hf_secret" not in f"{raised.value}{raised.value.hint}"


async def test_a_gated_repository_lists_its_files_and_does_not_give_them(
    answering: Answering,
) -> None:
    asked = []

    async def answer(request: Request) -> Response:
        asked.append((request.method, request.url.path))
        if request.url.path.startswith("/api/"):
            return JSONResponse(info(gated="manual"))
        return Response(
            status_code=403,
            headers={
                "X-Error-Code": "GatedRepo",
                "X-Error-Message": "awaiting a review from its authors",
            },
        )

    endpoint = await answering(answer)
    with pytest.raises(SourceError, match=r"gated.*awaiting a review") as raised:
        await sources.resolve("hf://acme/tiny", environ={"HF_ENDPOINT": endpoint, "HF_TOKEN": "t"})
    assert raised.value.hint == f"ask for access on {endpoint}"
    assert asked == [
        ("GET", "/api/models/acme/tiny/revision/main"),
        ("HEAD", f"/acme/tiny/resolve/{COMMIT}/config.json"),
    ]


async def test_a_listing_that_may_have_been_cut(answering: Answering) -> None:
    files = [{"rfilename": str(n), "size": 1, "blobId": "0" * 40} for n in range(50_000)]

    async def answer(request: Request) -> Response:
        return JSONResponse(info(siblings=files))

    with pytest.raises(SourceError, match="50000 files or more"):
        await sources.resolve("hf://acme/tiny", environ={"HF_ENDPOINT": await answering(answer)})
