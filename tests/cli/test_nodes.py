from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from gswarm_tui.inventory.nodespec import NodeSpec

from ..models.fake import INFO, FakeFleet
from .conftest import Command

GPUS: list[dict[str, Any]] = [
    {
        "index": index,
        "uuid": f"GPU-{index}",
        "name": "NVIDIA H200",
        "memory_total": 150_000_000_000,
        "memory_used": 75_000_000_000,
        "utilization_percent": 50.0 if index else None,
        "temperature_c": 40.0,
        "power_w": None,
        "processes": [{"pid": 9, "user": "ada", "memory": 1_000_000_000}],
    }
    for index in range(2)
]


def test_nodes_in_full_width_when_piped(gswarm: Command, fleet: FakeFleet) -> None:
    fleet["node1"].info = {**INFO, "gpus": GPUS}
    ended = gswarm("nodes")
    head, first, second, _ = ended.out.splitlines()
    assert head.split("  ")[0] == "NODE"
    cells = re.split(r" {2,}", first)
    gpus = "2 × NVIDIA H200, 50 % busy, 150 GB of 300 GB"
    assert cells == ["node1", "up", "7 (21.0 MB)", gpus, "40.0 GB", "-", "-"]
    assert "none" in second
    assert ended.code == 0


def test_unreachable_nodes_are_shown_with_their_reason_and_the_rest_too(
    gswarm: Command, fleet: FakeFleet
) -> None:
    fleet["node2"].unreachable = "refused\x1b[2J\nby 10.0.0.2"
    ended = gswarm("nodes")
    assert ended.code == 3
    rows = ended.out.splitlines()
    assert len(rows) == 4
    assert rows[2].split(maxsplit=2)[:2] == ["node2", "unreachable"]
    assert "refused�[2J by 10.0.0.2" in rows[2]
    assert rows[3].split()[:2] == ["node3", "up"]


def test_nodes_as_json(gswarm: Command, fleet: FakeFleet) -> None:
    fleet["node2"].unreachable = "refused"
    ended = gswarm("nodes", "--json")
    assert ended.code == 3
    one, two, _ = ended.document["nodes"]
    assert (one["name"], one["state"], one["disk"]["free"]) == ("node1", "up", 40_000_000_000)
    assert (two["name"], two["state"], two["error"]) == ("node2", "unreachable", "node2: refused")


def test_nodes_by_pattern_verbosely(gswarm: Command, fleet: FakeFleet) -> None:
    fleet["node3"].info = {**INFO, "gpus": GPUS, "load1": None}
    ended = gswarm("nodes", "label:rack=b", "!node2", "--verbose")
    assert "node1" not in ended.out
    assert "node2" not in ended.out
    assert "gpu1" in ended.out
    assert "9 ada 1.0 GB" in ended.out
    assert fleet["node1"].calls == []


def test_a_pattern_that_names_nothing(gswarm: Command) -> None:
    ended = gswarm("nodes", "nodee1")
    assert ended.code == 2
    assert "node1" in ended.err


def test_status_of_everything(gswarm: Command, fleet: FakeFleet) -> None:
    fleet["node1"].has("tiny")
    gswarm("model", "serve", "tiny", "--device", "node1:gpu0", "--port", "8080")
    fleet["node1"].operations = [
        {
            "kind": "fetch",
            "model": "big",
            "tier": "disk",
            "source": "hf://org/big",
            "done": 1,
            "total": 2,
            "rate": 1.0,
            "limited_by": "source",
        }
    ]
    ended = gswarm("status")
    for words in ("node3", "tiny", "serving", "http://node1:8080", "fetch", "hf://org/big"):
        assert words in ended.out
    (line,) = [line for line in ended.out.splitlines() if "hf://org/big" in line]
    assert line.endswith("source")
    document = gswarm("status", "--json").document
    assert sorted(document) == ["models", "nodes", "operations", "services", "unreachable"]
    assert document["services"][0]["tunnel"] == "ssh -L 8080:127.0.0.1:8080 -N ada@10.0.0.1"
    fleet["node2"].unreachable = "off"
    assert gswarm("status").code == 3


def test_status_of_one_node(gswarm: Command, fleet: FakeFleet) -> None:
    fleet["node1"].has("tiny")
    fleet["node2"].has("other")
    ended = gswarm("node", "status", "10.0.0.1")
    assert "Debian GNU/Linux 12" in ended.out
    assert "tiny: available" in ended.out
    assert "other" not in ended.out
    document = gswarm("node", "status", "node1", "--json").document
    assert (document["name"], document["models"][0]["name"]) == ("node1", "tiny")
    fleet["node1"].unreachable = "no route"
    failed = gswarm("node", "status", "node1")
    assert (failed.code, failed.err) == (3, "error: node1: no route\n")


def test_health_of_a_fleet_that_is_well(gswarm: Command, fleet: FakeFleet) -> None:
    fleet["node1"].has("tiny")
    gswarm("model", "serve", "tiny", "--device", "node1:gpu0")
    ended = gswarm("health", "--json")
    assert ended.code == 0
    assert ended.document["ok"] is True
    names = [(check["node"], check["check"]) for check in ended.document["checks"]]
    assert ("node1", "service of tiny") in names
    assert fleet["node1"].asked("http.check")[0]["url"] == "http://127.0.0.1:40000/health"


def test_health_names_what_is_wrong(gswarm: Command, fleet: FakeFleet) -> None:
    fleet["node1"].has("tiny")
    gswarm("model", "serve", "tiny", "--device", "node1:gpu0")
    fleet["node1"].answers["http /health"] = {"status": 503, "body": "engine gone"}
    fleet["node2"].info = {**INFO, "gpus": None, "gpus_error": "the GPU driver hangs"}
    ended = gswarm("health")
    assert ended.code == 1
    assert "answered with 503: engine gone" in ended.out
    assert "the GPU driver hangs" in ended.out
    fleet["node3"].unreachable = "off"
    assert gswarm("health").code == 3


def test_a_gpu_that_is_lost_is_not_well(gswarm: Command, fleet: FakeFleet) -> None:
    fleet["node2"].info = {**INFO, "gpus": [{**GPUS[0], "index": n, "lost": n > 0} for n in (0, 1)]}
    ended = gswarm("health", "node2")
    (line,) = [line for line in ended.out.splitlines() if "GPUs" in line]
    assert line.split(maxsplit=3) == ["node2", "GPUs", "no", "gpu1 is lost"]
    assert ended.code == 1


def test_down_stops_idle_helpers_and_what_is_staged(gswarm: Command, fleet: FakeFleet) -> None:
    fleet["node1"].has("tiny")
    fleet["node1"].has("tiny", tier="dram")
    ended = gswarm("down", "node1", "node2")
    assert ended.code == 0
    assert ended.out.splitlines() == [
        "node1: stopped; dropped from dram: tiny",
        "node2: stopped",
    ]
    assert fleet["node1"].tiers("tiny") == ["disk"]
    assert not fleet["node3"].exited


def test_down_leaves_what_is_busy_as_it_is(gswarm: Command, fleet: FakeFleet) -> None:
    fleet["node1"].has("tiny")
    fleet["node1"].has("tiny", tier="dram")
    gswarm("model", "move", "tiny", "--from", "node1:disk", "--to", "node1:gpu0")
    fleet["node2"].operations = [{"kind": "fetch", "model": "big"}]
    ended = gswarm("down", "node1", "node2")
    assert ended.code == 1
    assert ended.out.splitlines() == [
        "node1: stays, it is busy: vllm with tiny on gpu0",
        "node2: stays, it is busy: fetch of big",
    ]
    assert ended.err == "  hint: gswarm model delete tiny --device node1:gpu0\n"
    assert fleet["node1"].tiers("tiny") == ["disk", "dram"]
    assert not fleet["node1"].exited
    fleet["node3"].unreachable = "off"
    assert gswarm("down", "--json").code == 3


def test_down_says_how_to_end_what_is_served(gswarm: Command, fleet: FakeFleet) -> None:
    fleet["node1"].has("tiny")
    gswarm("model", "serve", "tiny", "--device", "node1:gpu0")
    assert gswarm("down", "node1").err == "  hint: gswarm model stop tiny --node node1\n"


def test_without_an_inventory_it_is_said_which_nodes_there_are(
    gswarm: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert "no inventory" not in gswarm("nodes").err
    local = FakeFleet(NodeSpec("localhost", "localhost", connection="local"))
    monkeypatch.setattr("gswarm_tui.fleet.Fleet", lambda inventory, home, **_: local)
    monkeypatch.delenv("GSWARM_INVENTORY")
    (tmp_path / "inventory.yaml").unlink()
    for command in ("nodes", "status", "health"):
        said = gswarm(command).err.splitlines()[0]
        assert said.startswith("no inventory found (looked at $GSWARM_INVENTORY, ./inventory.yaml,")
        assert said.endswith("): this machine is the only node")
    assert "none found" in gswarm("health").out
