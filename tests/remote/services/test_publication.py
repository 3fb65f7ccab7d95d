"""No bytes that a user can send become another request of an engine."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest
from gswarm_remote.engines.base import SERVING_PATHS, Endpoint, Ready
from gswarm_remote.services.exchange import Exchange
from gswarm_remote.services.publication import HEALTH, MODELS, Publication, Refusal
from gswarm_remote.services.traffic import Traffic
from gswarm_remote.services.translation import Translator
from hypothesis import given, settings
from hypothesis import strategies as st

SERVED = Publication(
    names=("tiny",),
    served_name="default_model",
    endpoint=Endpoint(port=1),
    ready=Ready(),
    paths=SERVING_PATHS,
    refused=("adapters", "draft_model"),
    created=7,
)
KNOWN = [HEALTH, MODELS, *(path.encode() for path in SERVING_PATHS)]
ADMIN = [b"/sleep", b"/collective_rpc", b"/wake_up", b"/metrics", b"/load_lora_adapter"]
PIECES = [
    b"/",
    b"//",
    b"..",
    b".",
    b"%2e",
    b"%2f",
    b";",
    b"?",
    b"#",
    b"\\",
    b"\xc0\xaf",
    b"@",
    b":",
]

targets = st.lists(
    st.one_of(st.sampled_from([*KNOWN, *ADMIN, *PIECES]), st.binary(max_size=4)), max_size=5
).map(b"".join)
methods = st.sampled_from([b"GET", b"POST", b"PUT", b"HEAD", b"get", b"OPTIONS", b"CONNECT"])


@given(methods, targets)
def test_a_path_is_one_of_ours_to_the_byte(method: bytes, target: bytes) -> None:
    try:
        path = SERVED.path_of(method, target)
    except Refusal:
        return
    assert path == target.split(b"?")[0]
    assert path in KNOWN
    assert method == (b"GET" if path in (HEALTH, MODELS) else b"POST")


values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.floats(), st.text(max_size=8)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
keys = st.sampled_from(["model", "adapters", "draft_model", "Model", "prompt"])


@given(st.one_of(values, st.dictionaries(keys, values | st.just("tiny"))))
def test_what_an_engine_reads_names_its_own_model(content: Any) -> None:
    try:
        body = SERVED.translated(json.dumps(content).encode())
    except Refusal:
        return
    passed = json.loads(body)
    assert passed["model"] == "default_model"
    assert not {"adapters", "draft_model"} & set(passed)
    assert set(passed) == {*content, "model"}


@given(st.binary())
def test_a_body_of_any_bytes_is_an_object_or_refused(body: bytes) -> None:
    try:
        passed = SERVED.translated(body)
    except Refusal:
        return
    assert json.loads(passed)["model"] == "default_model"


_CHUNKED = b"2\r\n{}\r\n0\r\n\r\n"
HEADS = [
    b"GET /health HTTP/1.1\r\nhost: a\r\n\r\n",
    b"POST /v1/completions HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n{}",
    b"POST /v1/completions HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n" + _CHUNKED,
    b"POST /sleep HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n",
    b"GET /sleep HTTP/1.1\r\nhost: a\r\n\r\n",
]
NOISE = [
    b"\r\n",
    b"\n",
    b" ",
    b"\0",
    b"content-length: 5\r\n",
    b"transfer-encoding: x\r\n",
    b"0\r\n",
]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Requests in a row, with bytes put in, cut out or changed."""
    sent = bytearray(b"".join(draw(st.lists(st.sampled_from(HEADS), min_size=1, max_size=4))))
    for _ in range(draw(st.integers(0, 3))):
        begin = draw(st.integers(0, len(sent)))
        length = draw(st.integers(0, 4))
        sent[begin : begin + length] = draw(st.sampled_from(NOISE) | st.binary(max_size=4))
    return bytes(sent)


@settings(max_examples=150, deadline=None)
@given(damaged())
def test_an_engine_sees_nothing_but_what_it_serves(sent: bytes) -> None:
    for head in asyncio.run(_what_an_engine_sees(sent)):
        assert head.split(b" HTTP/1.1\r\n")[0] in (b"POST /v1/completions", b"GET /health")
        assert head.count(b"HTTP/1.1") == 1


async def _what_an_engine_sees(sent: bytes) -> list[bytes]:
    """The requests that reach an engine when a user sends these bytes and nothing more."""
    asked: list[bytes] = []

    async def engine(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
        writer.close()

    served = asyncio.get_running_loop().create_future()

    async def user(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        publication = Publication(**{**vars(SERVED), "endpoint": Endpoint(port=port)})
        traffic = Traffic(Path(os.devnull))
        await Exchange(publication, Translator(publication), (reader, writer), traffic).run()
        traffic.close()
        served.set_result(None)

    behind = await asyncio.start_server(engine, "127.0.0.1", 0)
    port = behind.sockets[0].getsockname()[1]
    before = await asyncio.start_server(user, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*before.sockets[0].getsockname()[:2])
    writer.write(sent)
    writer.write_eof()
    await reader.read()
    await served
    writer.close()
    for server in (before, behind):
        server.close()
        await server.wait_closed()
    return asked


def test_a_length_that_is_declared_is_enough_to_be_refused() -> None:
    head = b"POST /v1/completions HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % 2**40
    assert asyncio.run(_what_an_engine_sees(head)) == []


@pytest.mark.parametrize("key", [None, "sesame"])
def test_it_travels_to_the_forwarder_whole(key: str | None) -> None:
    publication = Publication(**{**vars(SERVED), "key": key})
    assert Publication.from_dict(json.loads(json.dumps(publication.to_dict()))) == publication
