"""The inventory on the screen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gswarm_tui.home import locate
from gswarm_tui.inventory import Inventory, NodeSpec, finding, reading
from gswarm_tui.inventory.nodespec import Capabilities
from gswarm_tui.watch.attention import needs_a_look
from gswarm_tui.watch.simulated import SimulatedSource
from gswarm_tui.watch.simulation.hostile import NASTY
from gswarm_tui.watch.snapshot import FleetSnapshot, Gpu, GpuState, Node, NodeState

from .some_jobs import NOW
from .stage import LARGE, SIZES, SMALL, Stage, harmless, on_stage

Same = Callable[[Stage, str], None]

FILE = """\
defaults:
  root: /data/gswarm
groups:
  rack1: {hosts: [node1, node2]}
nodes:
  node1: {host: 10.0.0.1, user: ana, port: 2222, labels: {zone: a}, capabilities: {gpus: 2}}
  node2: {host: 10.0.0.2, jump: bastion, engines: {vllm: {python: /opt/vllm/bin/python}}}
  node3: {connection: local, root: ~/here}
"""


def node(name: str, *states: GpuState, state: NodeState = NodeState.UP) -> Node:
    gpus = tuple(Gpu(name, index, each) for index, each in enumerate(states))
    return Node(name, name, state, NOW, sampled_at=NOW, gpus=gpus, error=None)


def picture(*nodes: Node) -> FleetSnapshot:
    return FleetSnapshot(NOW, nodes=nodes, attention=needs_a_look(nodes, NOW))


PICTURE = picture(
    node("node1", GpuState.OK, GpuState.MISSING),
    node("node2", state=NodeState.UNREACHABLE),
    node("node3", GpuState.OK),
)


@pytest.fixture
def inventory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Inventory:
    monkeypatch.chdir(tmp_path)
    Path("inventory.yaml").write_text(FILE)
    return reading.read(Path("inventory.yaml"))


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_the_screen(
    size: tuple[int, int], inventory: Inventory, same_as_before: Same
) -> None:
    async with on_stage(PICTURE, size=size, inventory=inventory) as stage:
        await stage.open("inventory")
        same_as_before(stage, f"inventory-{size[0]}x{size[1]}")


async def test_it_is_as_in_the_file_and_what_is_missing_is_said(inventory: Inventory) -> None:
    async with on_stage(PICTURE, size=LARGE, inventory=inventory) as stage:
        await stage.open("inventory")
        first = stage.line_with("ana@10.0.0.1:2222")
        assert "2  ✖ missing: gpu1" in first
        assert "zone=a" in first
        assert "inventory.yaml:6:3" in first
        assert "/data/gswarm" in first
        second = stage.line_with("10.0.0.2 through bastion")
        assert "✗ unreachable" in second
        assert "vllm" in second
        assert "this machine, no ssh" in stage.line_with("node3")
        assert "rack1 (2)" in stage.text()
        assert "not as it says: 1 unreachable, 1 with a GPU missing" in stage.text()


async def test_gpus_that_it_does_not_name_and_nodes_that_have_not_answered() -> None:
    specs = [NodeSpec(n, n, capabilities=Capabilities(gpus=(0,))) for n in ("node1", "node2")]
    told = Inventory({spec.name: spec for spec in specs})
    has_two = picture(node("node1", GpuState.OK, GpuState.OK))
    async with on_stage(has_two, inventory=told) as stage:
        await stage.open("inventory")
        assert "! also has gpu1" in stage.line_with("node1")
        assert "not known yet" in stage.line_with("node2")
        assert "1 with a GPU that is not in it" in stage.text()


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=str)
async def test_a_node_that_answers_and_tells_nothing_is_not_just_up(size: tuple[int, int]) -> None:
    names = ("node1", "node2", "node3")
    told = Inventory({name: NodeSpec(name, name) for name in names})
    hung = replace(node("node1", GpuState.SILENT), silent_s=96.0, error="it has not answered")
    mute = replace(node("node2"), error="NVML has no driver")
    fine = node("node3", GpuState.OK)
    async with on_stage(picture(hung, mute, fine), size=size, inventory=told) as stage:
        await stage.open("inventory")
        assert "‖ driver hangs" in stage.line_with("node1")
        assert "✗ tells nothing" in stage.line_with("node2")
        assert "● up" in stage.line_with("node3")
        assert "1 whose driver hangs, 1 without metrics or models" in stage.text()
        await stage.press("slash", *"hung", "enter")
        assert "node1" in stage.text()
        assert "node2" not in stage.text()


async def test_that_a_node_does_not_answer_is_seen_on_a_narrow_terminal() -> None:
    local = NodeSpec("node2", "localhost", connection="local")
    async with on_stage(PICTURE, size=SMALL, inventory=Inventory({"node2": local})) as stage:
        await stage.open("inventory")
        line = stage.line_with("node2")
        assert "✗ unreachable" in line
        assert "any  not known" in line


async def test_where_there_is_no_file_it_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(finding.VARIABLE, raising=False)
    alone = finding.load(home=locate(tmp_path), folder=tmp_path)
    async with on_stage(PICTURE, size=SMALL, inventory=alone) as stage:
        assert "no inventory found: this machine is the only node" in stage.lines()[1]
        await stage.open("inventory")
        for said in ("this machine is the only node", "write inventory.yaml", "gswarm example"):
            assert said in stage.text()
        assert "as it says" not in stage.text()


async def test_keys(inventory: Inventory) -> None:
    async with on_stage(PICTURE, inventory=inventory) as stage:
        await stage.open("inventory")
        await stage.press("d")
        assert "where: inventory.yaml:6:3" in stage.text()
        assert "zone: a" in stage.text()
        await stage.press("escape", "enter")
        assert (stage.view.WORD, stage.view.subject) == ("node", "node1")
        await stage.press("escape", "slash", *"missing", "enter")
        assert "node3" not in stage.text()
        await stage.press("escape", "escape")
        assert stage.view.WORD == "fleet"


async def test_no_inventory() -> None:
    async with on_stage(PICTURE) as stage:
        await stage.open("inventory")
        assert "names no node" in stage.text()
        await stage.press("d", "enter")
        assert stage.view.WORD == "inventory"


async def test_that_of_the_demo_has_a_missing_gpu() -> None:
    source = SimulatedSource(clock=lambda: NOW)
    async with on_stage(source.picture(NOW), size=LARGE, inventory=source.inventory()) as stage:
        await stage.open("inventory")
        assert "✖ missing: gpu" in stage.text()
        assert "a simulated fleet   32 nodes" in stage.text()
        await stage.open("fleet")
        assert "no inventory" not in stage.text()


@pytest.mark.parametrize("nasty", NASTY)
async def test_hostile_texts_are_harmless(nasty: str) -> None:
    spec = NodeSpec(nasty, nasty, root=nasty, labels={nasty: nasty}, groups=(nasty,), where=nasty)
    async with on_stage(PICTURE, size=SMALL, inventory=Inventory({nasty: spec})) as stage:
        await stage.open("inventory")
        assert harmless(stage.strips())
        await stage.press("d")
        assert harmless(stage.strips())
