"""What vLLM is started with where nobody says anything."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from gswarm_remote.engines.base import Launch, Wanted
from gswarm_remote.engines.vllm import Vllm

LOOPBACK = "lo0" if sys.platform == "darwin" else "lo"


def launch(device: str, config: dict[str, Any] | None = None) -> Launch:
    wanted = Wanted(
        model="tiny",
        path=Path("/models/tiny"),
        devices=(device,),
        config=config or {},
        settings={"command": ["server"]},
        uds="/run/engine.sock",
        port=8123,
    )
    return Vllm().launch(wanted)


def options(made: Launch) -> dict[str, str]:
    """The flags after those that every launch has, each with the word that follows it."""
    words = made.argv[7:]
    return {
        word: next((w for w in words[i + 1 : i + 2] if not w.startswith("--")), "")
        for i, word in enumerate(words)
        if word.startswith("--")
    }


@pytest.mark.parametrize(
    ("gibibytes", "cache"), [(8, 2**29), (64, 2**32), (2048, 2**32)], ids=lambda n: str(n)
)
def test_on_the_cpu_it_compiles_nothing_and_leaves_memory_to_others(
    gibibytes: int, cache: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": gibibytes * 2**18}
    monkeypatch.setattr("gswarm_remote.engines.vllm.os.sysconf", sizes.__getitem__)
    assert options(launch("dram")) == {
        "--enforce-eager": "",
        "--max-model-len": "-1",
        "--kv-cache-memory-bytes": str(cache),
    }


def test_on_the_cpu_the_config_goes_first() -> None:
    config = {"enforce_eager": False, "max_model_len": 256, "kv_cache_memory_bytes": 5}
    assert options(launch("dram", config)) == {
        "--no-enforce-eager": "",
        "--max-model-len": "256",
        "--kv-cache-memory-bytes": "5",
    }
    assert options(launch("dram", {"gpu_memory_utilization": 0.5})) == {
        "--enforce-eager": "",
        "--max-model-len": "-1",
        "--gpu-memory-utilization": "0.5",
    }


def test_on_a_gpu_its_own_defaults_hold() -> None:
    assert options(launch("gpu0")) == {}


def test_its_processes_meet_on_the_loopback() -> None:
    for device in ("dram", "gpu0"):
        env = launch(device).env
        assert env["GLOO_SOCKET_IFNAME"] == env["NCCL_SOCKET_IFNAME"] == LOOPBACK
        assert env["VLLM_HOST_IP"] == "127.0.0.1"
