"""What ``node.info`` says of the GPUs: read once, by a child."""

from __future__ import annotations

import time

import pytest
from gswarm_remote.metrics import gpus


def simulating(**config: object) -> dict[str, object]:
    return {"simulate": config, "began": time.time()}


async def test_a_child_reads_the_simulated_gpus() -> None:
    order = simulating(gpus=2, model="L40S", pattern="serve", seed=3)
    snapshot = await gpus.Reader(lambda: order).snapshot()
    assert snapshot.error is None
    first, second = snapshot.gpus or ()
    assert (first["index"], second["index"]) == (0, 1)
    assert first["name"] == "NVIDIA L40S"
    assert first["memory_total"] == 46068 * 1024**2
    assert 0 < first["memory_used"] < first["memory_total"]
    assert 0 <= first["utilization_percent"] <= 100
    assert first["power_limit_w"] == 350
    assert set(first["processes"][0]) == {"pid", "user", "memory"}


async def test_a_simulation_that_is_wrong_is_a_sentence() -> None:
    order = simulating(gpus=2, model="K80")
    snapshot = await gpus.Reader(lambda: order).snapshot()
    assert snapshot.gpus is None
    assert "K80" in (snapshot.error or "")


async def test_a_child_answers_for_the_machine_the_tests_run_on() -> None:
    snapshot = await gpus.Reader().snapshot()
    assert snapshot.error is None
    assert isinstance(snapshot.gpus, list)


async def test_a_driver_that_hangs_is_a_sentence_and_one_child() -> None:
    order = simulating(gpus=1, faults=[{"gpu": 0, "kind": "hang"}])
    reader = gpus.Reader(lambda: order)
    first = await reader.snapshot(timeout_s=0.01)
    asking = reader._asking
    second = await reader.snapshot(timeout_s=0.01)
    assert first.gpus is None
    assert (second.error or "").startswith("the GPU driver has not answered for ")
    assert reader._asking is asking
    await reader.close()


async def test_a_child_that_fails_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "_CHILD", "raise ImportError('psutil: failed to map segment')")
    snapshot = await gpus.Reader().snapshot()
    assert snapshot.gpus is None
    assert "failed to map segment" in (snapshot.error or "")
