"""What engines tell of themselves: the text as vLLM writes it, asked over a real socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
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
from gswarm_remote.services.traffic import Totals

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


def asking(
    engine: Engine, folder: Path, *, state: str = "ready", traffic: Totals | None = None
) -> Serving:
    (folder / "services").mkdir(exist_ok=True)
    (folder / "services" / "s1.json").write_text("{}")
    row = {"id": "s1", "model": "qwen", "replica": "r1", "state": state, "requests": 7}
    counted = Totals() if traffic is None else traffic
    node: Any = SimpleNamespace(
        paths=SimpleNamespace(services=folder / "services"),
        services=SimpleNamespace(list=lambda: [row], traffic=lambda _: replace(counted)),
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


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-inf", "1e999", "", "x"])
def test_what_is_no_number_is_not_told(value: str) -> None:
    assert parse(f"vllm:num_requests_running {value}\nvllm:kv_cache_usage_perc 0.5") == {
        "kv_cache": 0.5
    }


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
    assert {name: row[name] for name in UNKNOWN} == {**UNKNOWN, "running": 0}
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


async def until_idle(node: Node, service: dict[str, Any]) -> None:
    async with asyncio.timeout(30):
        while node.services.traffic(service["id"]).running:
            await asyncio.sleep(0)


async def test_a_real_service_tells_its_requests(node: Node, engine_script: Any) -> None:
    config = engine_script.config()
    wanted = {"model": "tiny", "devices": ["gpu0"], "engine": "command", "config": config}
    service = await node.services.start(Offer.from_params(wanted), lambda _: None)
    rows = Serving(node).rows
    await until_idle(node, service)  # gswarm's own request has been answered
    (row,) = await rows()
    known = {"service": service["id"], "model": "tiny", "replica": service["replica"]}
    assert row == {**UNKNOWN, **known, "requests": 0, "running": 0}
    url = f"http://127.0.0.1:{service['port']}/v1/completions"
    body = json.dumps({"model": "tiny", "prompt": "Hello"}).encode()
    assert (await http.request("POST", url, body=body)).status == 200
    (row,) = await rows()
    assert row["requests"] == 1
    assert row["requests_per_s"] > 0


async def test_a_real_forwarder_sees_a_stream(
    node: Node, engine_script: Any, clock: SimpleNamespace
) -> None:
    wanted = {"model": "tiny", "devices": ["gpu0"], "engine": "command"}
    offer = Offer.from_params({**wanted, "config": engine_script.config()})
    service = await node.services.start(offer, lambda _: None)
    await until_idle(node, service)
    rows = Serving(node).rows
    await rows()
    reader, writer = await asyncio.open_connection("127.0.0.1", service["port"])
    body = json.dumps({"model": "tiny", "stream": True}).encode()
    head = f"POST /v1/completions HTTP/1.1\r\nhost: a\r\ncontent-length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    await reader.readuntil(b"data: one\n\n")
    row: dict[str, Any] = {}
    clock.value += 2
    async with asyncio.timeout(30):
        while not row.get("generation_tokens_per_s"):
            (row,) = await rows()
    assert row["running"] == 1
    assert row["generation_tokens_per_s"] == 0.5
    assert 0 < row["time_to_first_token_s"] < 10
    (engine_script.folder / "go").touch()
    await reader.readuntil(b"data: two\n\n")
    await until_idle(node, service)
    writer.close()


def silent(engine: Engine, folder: Path, counted: Totals) -> Serving:
    engine.status = 404
    return asking(engine, folder, traffic=counted)


async def test_a_forwarder_tells_of_an_engine_that_does_not(
    engine: Engine, place: Path, clock: SimpleNamespace
) -> None:
    counted = Totals(requests=7)
    rows = silent(engine, place, counted).rows
    (row,) = await rows()
    assert (row["running"], row["generation_tokens_per_s"]) == (0, None)
    clock.value += 2
    (row,) = await rows()
    assert (row["requests_per_s"], row["generation_tokens_per_s"]) == (0, 0)
    counted.requests, counted.running, counted.tokens = 11, 3, 40
    counted.streams, counted.first_event_us = 2, 500_000
    clock.value += 2
    (row,) = await rows()
    assert (row["requests_per_s"], row["running"], row["waiting"]) == (1, 3, None)
    assert (row["generation_tokens_per_s"], row["prompt_tokens_per_s"]) == (10, None)
    assert row["time_to_first_token_s"] == 0.25
    counted.usages, counted.prompt_tokens = 1, 400
    (row,) = await rows()
    assert row["prompt_tokens_per_s"] == 100


async def test_answers_that_tell_no_tokens_are_not_none(
    engine: Engine, place: Path, clock: SimpleNamespace
) -> None:
    counted = Totals(requests=7)
    rows = silent(engine, place, counted).rows
    await rows()
    counted.requests += 5
    clock.value += 2
    (row,) = await rows()
    assert (row["requests_per_s"], row["generation_tokens_per_s"]) == (2.5, None)
    assert row["time_to_first_token_s"] is None


async def test_what_an_engine_tells_counts(
    engine: Engine, place: Path, clock: SimpleNamespace
) -> None:
    counted = Totals()
    rows = asking(engine, place, traffic=counted).rows
    await rows()
    clock.value += 1
    counted.requests, counted.tokens, counted.running = 4, 100, 9
    engine.text = TEXT.replace(" 2e+03", " 2500.0")
    (row,) = await rows()
    assert (row["running"], row["generation_tokens_per_s"], row["requests_per_s"]) == (5, 500, 4)
