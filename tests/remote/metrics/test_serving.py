"""What engines tell of themselves: the text as vLLM writes it, asked over a real socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from gswarm_remote import http
from gswarm_remote.engines.base import Endpoint
from gswarm_remote.metrics import serving
from gswarm_remote.metrics.serving import UNKNOWN, Serving, parse
from gswarm_remote.node import Node
from gswarm_remote.services.offer import Offer

from ..conftest import EngineScript

TEXT = """\
# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="qwen"} 3.0
vllm:num_requests_running{engine="1",model_name="qwen"} 2.0
vllm:num_requests_waiting{engine="0",model_name="qwen"} 1.0
vllm:kv_cache_usage_perc{engine="0",model_name="qwen"} 0.25
vllm:kv_cache_usage_perc{engine="1",model_name="a}b {x"} 0.75
vllm:prompt_tokens_total{engine="0",model_name="qwen"} 1000.0
vllm:generation_tokens_total{engine="0",model_name="qwen"} 2e+03
vllm:time_to_first_token_seconds_bucket{engine="0",le="0.1"} 4.0
vllm:time_to_first_token_seconds_count{engine="0"} 4.0
vllm:time_to_first_token_seconds_sum{engine="0"} 0.8
vllm:prompt_tokens_total{broken
python_gc_objects_collected_total{generation="0"} 1.0
"""


class Engine:
    """Answers ``/metrics`` on a Unix socket."""

    def __init__(self, path: Path) -> None:
        self.endpoint = Endpoint(uds=str(path))
        self.text = TEXT
        self.status = 200
        self.silent = False
        self.asked = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.asked += 1
        if not self.silent:
            head = f"HTTP/1.1 {self.status} OK\r\nContent-Length: {len(self.text)}\r\n\r\n"
            writer.write((head + self.text).encode())
            await writer.drain()
            writer.close()
        else:
            await reader.read()
            writer.close()


@pytest.fixture
def engine_script(tmp_path: Path) -> EngineScript:
    return EngineScript(tmp_path / "engine")


@pytest.fixture
async def engine(place: Path) -> AsyncIterator[Engine]:
    path = place / "engine.sock"
    made = Engine(path)
    server = await asyncio.start_unix_server(made.answer, str(path))
    yield made
    server.close()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The time as `serving` has it."""
    now = SimpleNamespace(value=100.0)
    monkeypatch.setattr(serving, "time", SimpleNamespace(monotonic=lambda: now.value))
    return now


def asking(engine: Engine, folder: Path, *, state: str = "ready") -> Serving:
    (folder / "services").mkdir(exist_ok=True)
    (folder / "services" / "s1.json").write_text("{}")
    row = {"id": "s1", "model": "qwen", "replica": "r1", "state": state, "requests": 7}
    node: Any = SimpleNamespace(
        paths=SimpleNamespace(services=folder / "services"),
        services=SimpleNamespace(list=lambda: [row]),
        replicas=SimpleNamespace(get=lambda _: SimpleNamespace(endpoint=engine.endpoint)),
    )
    return Serving(node)


def test_what_vllm_writes() -> None:
    assert parse(TEXT) == {
        "running": 5,
        "waiting": 1,
        "kv_cache": 0.5,
        "prompt_tokens": 1000,
        "generation_tokens": 2000,
        "first_tokens": 4,
        "first_token_s": 0.8,
    }
    assert parse("") == {}


async def test_rates_are_differences(engine: Engine, place: Path, clock: SimpleNamespace) -> None:
    rows = asking(engine, place).rows
    (first,) = await rows()
    assert first["service"] == "s1"
    assert first["requests"] == 7
    assert (first["running"], first["waiting"], first["kv_cache_percent"]) == (5, 1, 50)
    assert first["generation_tokens_per_s"] is None
    clock.value += 2
    engine.text = (
        TEXT.replace(" 2e+03", " 2500.0").replace('_count{engine="0"} 4.0', "_count{} 6.0")
    ).replace('_sum{engine="0"} 0.8', "_sum{} 1.8")
    (second,) = await rows()
    assert second["generation_tokens_per_s"] == 250
    assert second["prompt_tokens_per_s"] == 0
    assert second["time_to_first_token_s"] == pytest.approx(0.5)


async def test_an_engine_that_was_started_again(
    engine: Engine, place: Path, clock: SimpleNamespace
) -> None:
    rows = asking(engine, place).rows
    await rows()
    clock.value += 1
    engine.text = TEXT.replace(" 2e+03", " 10.0")
    (row,) = await rows()
    assert row["generation_tokens_per_s"] is None


@pytest.mark.parametrize("silence", ["404", "garbage", "none"])
async def test_one_that_tells_nothing_is_left_alone_for_a_while(
    silence: str,
    engine: Engine,
    place: Path,
    clock: SimpleNamespace,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(serving, "_TIMEOUT_S", 0.1 if silence == "none" else 5.0)
    engine.status = 404 if silence == "404" else 200
    engine.text = "<html>" if silence == "garbage" else TEXT
    engine.silent = silence == "none"
    rows = asking(engine, place).rows
    (row,) = await rows()
    assert {name: row[name] for name in UNKNOWN} == UNKNOWN
    assert row["requests"] == 7
    clock.value += 1
    await rows()
    assert engine.asked == 1
    clock.value += 60
    await rows()
    assert engine.asked == 2


async def test_a_service_that_is_not_ready_is_not_asked(engine: Engine, place: Path) -> None:
    (row,) = await asking(engine, place, state="stale").rows()
    assert row["running"] is None
    assert engine.asked == 0


async def test_a_node_without_services(engine: Engine, place: Path) -> None:
    asked = asking(engine, place)
    (place / "services" / "s1.json").unlink()
    assert await asked.rows() == []


async def test_a_real_service_tells_its_requests(node: Node, engine_script: Any) -> None:
    config = engine_script.config()
    wanted = {"model": "tiny", "devices": ["gpu0"], "engine": "command", "config": config}
    service = await node.services.start(Offer.from_params(wanted), lambda _: None)
    rows = Serving(node).rows
    (row,) = await rows()
    assert row == {**UNKNOWN, "service": service["id"], "model": "tiny", "requests": 0} | {
        "replica": service["replica"]
    }
    url = f"http://127.0.0.1:{service['port']}/v1/completions"
    body = json.dumps({"model": "tiny", "prompt": "Hello"}).encode()
    assert (await http.request("POST", url, body=body)).status == 200
    (row,) = await rows()
    assert row["requests"] == 1
