from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from gswarm_tui.watch import exposition
from gswarm_tui.watch.simulated import SimulatedSource
from gswarm_tui.watch.snapshot import (
    FleetSnapshot,
    Gpu,
    GpuProcess,
    GpuState,
    Node,
    NodeState,
    Service,
    Transfer,
)

NOW = 1_700_000_000.0
DOCUMENT = Path(__file__).parents[2] / "docs" / "watching.md"
# Source: the text format 0.0.4 of Prometheus.
SAMPLE = re.compile(
    r'([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[a-z_]+="(?:[^"\\\n]|\\[\\n"])*",?)*\})? (-?[0-9.e+-]+)'
)

GPU = Gpu(
    "n1",
    0,
    GpuState.OK,
    uuid="GPU-1",
    name="NVIDIA H100",
    util_percent=42.5,
    memory_used_bytes=3 * 1024**2,
    processes=(
        GpuProcess(1, "ana", "a", 100, None, None, None),
        GpuProcess(2, "ana", "b", 50, None, None, None),
        GpuProcess(3, None, "c", 7, None, None, None),
    ),
)
LABELS = 'node="n1",gpu="0",uuid="GPU-1",model="NVIDIA H100",user="ana"'
UP = Node("n1", "n1", NodeState.UP, 0.0, gpus=(GPU,))
DOWN = Node("n2", "n2", NodeState.UNREACHABLE, 0.0)


def text(*nodes: Node, **more: object) -> str:
    return exposition.text(FleetSnapshot(NOW, nodes=nodes, **more))  # type: ignore[arg-type]


def of(*gpus: Gpu) -> str:
    return text(replace(UP, gpus=gpus))


def test_a_gpu_has_the_names_of_dcgm_exporter_and_our_labels() -> None:
    found = text(UP)
    assert f"DCGM_FI_DEV_GPU_UTIL{{{LABELS}}} 42.5\n" in found
    assert f"DCGM_FI_DEV_FB_USED{{{LABELS}}} 3\n" in found
    assert f"DCGM_FI_DEV_XID_ERRORS{{{LABELS}}} 0\n" in found
    assert "# TYPE DCGM_FI_DEV_GPU_UTIL gauge\n" in found
    assert "DCGM_FI_DEV_GPU_TEMP" not in found  # not told: no sample, and no zero


def test_the_newest_xid_error_is_the_last() -> None:
    assert "DCGM_FI_DEV_XID_ERRORS" in of(replace(GPU, xid=((79, 5.0), (31, 4.0))))
    assert f"DCGM_FI_DEV_XID_ERRORS{{{LABELS}}} 79\n" in of(
        replace(GPU, xid=((79, 5.0), (31, 4.0)))
    )


def test_what_a_node_that_does_not_answer_told_is_gone() -> None:
    found = text(UP, DOWN)
    assert 'gswarm_node_up{node="n1"} 1\n' in found
    assert 'gswarm_node_up{node="n2"} 0\n' in found
    assert [line for line in found.splitlines() if 'node="n2"' in line] == [
        'gswarm_node_up{node="n2"} 0'
    ]


def test_a_gpu_that_cannot_be_used() -> None:
    found = of(Gpu("n1", 3, GpuState.MISSING))
    assert 'gswarm_gpu_up{node="n1",gpu="3",uuid="",model="",user=""} 0\n' in found
    assert "gswarm_gpu_idle_seconds{" not in found


def test_the_error_of_a_gpu_that_is_lost_is_told() -> None:
    lost = replace(GPU, state=GpuState.LOST, processes=None, util_percent=None)
    labels = LABELS.replace("ana", "")
    assert f"DCGM_FI_DEV_XID_ERRORS{{{labels}}} 79\n" in of(replace(lost, xid=((79, 1.0),)))
    assert "DCGM_FI_DEV_XID_ERRORS{" not in of(lost)


def test_each_user_has_what_his_processes_hold() -> None:
    found = text(UP)
    without = LABELS.removesuffix(',user="ana"')
    assert f'gswarm_gpu_user_memory_bytes{{{without},user="ana"}} 150\n' in found
    assert f'gswarm_gpu_user_memory_bytes{{{without},user=""}} 7\n' in found


def test_idle_and_throttled() -> None:
    found = of(replace(GPU, idle_since=NOW - 90, throttle=("power cap", "power brake")))
    assert f"gswarm_gpu_idle_seconds{{{LABELS}}} 90\n" in found
    assert f'gswarm_gpu_throttled{{{LABELS},reason="power brake"}} 1\n' in found


def test_services_transfers_and_jobs() -> None:
    service = Service(
        *("llama", "n1", ("n1:gpu0",), "vllm", "ready", "", 80, None, "s1", "r1"), requests=12
    )
    transfer = Transfer("llama", "hf://x", "n1:disk", "fetch", 1, 2, 10.5, None)
    found = text(UP, services=(service,), transfers=(transfer, transfer))
    labels = 'node="n1",service="s1",model="llama",engine="vllm"'
    assert f"gswarm_service_up{{{labels}}} 1\n" in found
    assert "# TYPE gswarm_service_requests_total counter\n" in found
    assert f"gswarm_service_requests_total{{{labels}}} 12\n" in found
    assert 'gswarm_transfer_bytes_per_second{model="llama",target="n1:disk"} 21\n' in found
    assert 'gswarm_jobs{state="running"} 0\n' in found
    assert "gswarm_queue_paused 0\n" in found


def test_every_line_of_a_hostile_fleet_is_a_sample_and_none_comes_twice() -> None:
    picture = SimulatedSource(32, 8, hostile=True, clock=lambda: NOW).picture(NOW)
    seen: set[str] = set()
    for line in exposition.text(picture).split("\n"):
        if not line or line.startswith("# "):
            continue
        match = SAMPLE.fullmatch(line)
        assert match is not None, line[:200]
        name = line.rpartition(" ")[0]
        assert name not in seen, name[:200]
        seen.add(name)
    assert len(seen) > 1000


def test_the_simulated_fleet_has_every_metric() -> None:
    found = exposition.text(SimulatedSource(clock=lambda: NOW).picture(NOW))
    assert [m.name for m in exposition.METRICS if f"# TYPE {m.name} " not in found] == []


def test_the_document_has_every_metric() -> None:
    rows = re.findall(r"^\| `((?:DCGM|gswarm)_[A-Za-z0-9_]+)` \|", DOCUMENT.read_text(), flags=re.M)
    assert sorted(rows) == sorted(metric.name for metric in exposition.METRICS)


def test_labels_that_come_twice_do_not_spoil_the_rest() -> None:
    service = Service("llama", "n1", (), "vllm", "ready", "127.0.0.1", 1, None, "s", "r")
    shown = text(UP, services=(service, service)).splitlines()
    assert len([line for line in shown if line.startswith("gswarm_service_up{")]) == 1
