"""The inventory: what files mean, what is said about wrong ones, and which file is read."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from gswarm_remote.metrics.simulation import Simulation

from gswarm_tui.devices import Device
from gswarm_tui.errors import DeviceError, InventoryError
from gswarm_tui.home import Home
from gswarm_tui.inventory import Inventory, NodeSpec, load
from gswarm_tui.inventory.reading import read

DATA = Path(__file__).parents[1] / "data" / "inventory"
GUIDE = Path(__file__).parents[2] / "docs" / "inventory.md"
EXAMPLE = Path(__file__).parents[2] / "inventory.example.yaml"


def cases(name: str) -> list[Any]:
    entries = yaml.safe_load((DATA / name).read_text())
    return [pytest.param(entry, id=entry["title"]) for entry in entries]


def written(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> Inventory:
    """Read `text` as ./inventory.yaml, so that errors name it so."""
    monkeypatch.chdir(folder)
    Path("inventory.yaml").write_text(text)
    return read(Path("inventory.yaml"))


@pytest.mark.parametrize("case", cases("broken.yaml"))
def test_broken(case: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InventoryError) as caught:
        written(tmp_path, case["inventory"], monkeypatch)
    said = str(caught.value)
    if "contains" in case:
        assert said.startswith("inventory.yaml:" + case["contains"])
    else:
        assert said.splitlines() == [
            f"inventory.yaml{':' if line[0].isdigit() else ''}{line}" for line in case["error"]
        ]


@pytest.mark.parametrize("case", cases("resolved.yaml"))
def test_resolved(case: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inventory = written(tmp_path, case["inventory"], monkeypatch)
    assert list(inventory.nodes) == list(case["nodes"])
    for name, expected in case["nodes"].items():
        node = dataclasses.asdict(inventory.nodes[name], dict_factory=_with_lists)
        assert {key: node[key] for key in expected} == expected


def _with_lists(items: list[tuple[str, Any]]) -> dict[str, Any]:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in items}


def test_the_example_is_valid_and_shows_every_key() -> None:
    inventory = read(EXAMPLE)
    assert len(inventory.nodes) == 20
    nodes = inventory.nodes.values()
    names = [field.name for field in dataclasses.fields(NodeSpec)]
    unset = [name for name in names if all(getattr(node, name) is None for node in nodes)]
    assert unset == []
    assert inventory.nodes["here"].connection == "local"


@pytest.mark.parametrize("text", re.findall(r"```yaml\n(.*?)```", GUIDE.read_text(), re.DOTALL))
def test_the_guide_is_right(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert written(tmp_path, text, monkeypatch).nodes


def test_a_group_may_be_a_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "groups:\n  g: ['n[1-2]', n1]\n  one: n3\nnodes:\n  n2:\n"
    with pytest.raises(InventoryError, match=r"one"):
        written(tmp_path, text, monkeypatch)
    inventory = written(tmp_path, text.replace("  one: n3\n", ""), monkeypatch)
    assert inventory.groups == {"g": ("n1", "n2")}


def test_groups_and_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "groups:\n  g: {hosts: ['n[1-2]', n1]}\nnodes:\n  n2:\n"
    inventory = written(tmp_path, text, monkeypatch)
    assert inventory.groups == {"g": ("n1", "n2")}
    assert inventory.path == Path("inventory.yaml")
    assert [n.where for n in inventory.nodes.values()] == [
        "inventory.yaml:4:3",
        "inventory.yaml:2:14",
    ]


def test_identity_is_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    text = "nodes:\n  a: {identity: keys/a}\n  b: {identity: ~/.ssh/b}\n  c: {identity: /c}\n"
    nodes = written(tmp_path, text, monkeypatch).nodes
    assert [node.identity for node in nodes.values()] == [
        tmp_path / "keys/a",
        Path("/home/me/.ssh/b"),
        Path("/c"),
    ]


def test_node_settings_are_what_the_helper_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = """
nodes:
  a:
    models: /m
    capabilities: {storage: {dram: 1GB}}
    engines: {vllm: {python: /p}, command: {command: run}}
  b:
"""
    nodes = written(tmp_path, text, monkeypatch).nodes
    assert nodes["a"].node_settings() == {
        "models": "/m",
        "disk_quota": None,
        "dram_quota": 10**9,
        "engines": {
            "vllm": {"python": "/p", "command": None},
            "command": {"python": None, "command": ["run"]},
        },
        "simulate": {},
    }
    assert nodes["b"].node_settings()["engines"] == {}


def test_simulated_gpus_are_what_the_helper_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = """
defaults: {simulate: {gpus: 2}}
nodes:
  a:
  b:
    simulate: {gpus: 8, model: A100, pattern: mixed, faults: [{gpu: 2, kind: xid, after_s: 30}]}
  c: {simulate: null}
"""
    nodes = written(tmp_path, text, monkeypatch).nodes
    fault = {"gpu": 2, "kind": "xid", "after_s": 30}
    wanted = {"gpus": 8, "model": "A100", "pattern": "mixed", "faults": [fault]}
    assert nodes["a"].node_settings()["simulate"] == {"gpus": 2, "faults": []}
    assert nodes["b"].node_settings()["simulate"] == wanted
    assert nodes["c"].node_settings()["simulate"] == {}
    for node in nodes.values():
        Simulation(node.node_settings()["simulate"], 0.0)


@pytest.mark.parametrize(
    ("simulate", "reason"),
    [
        ("{gpus: 0}", "gpus"),
        ("{gpus: 2, model: K80}", "`K80` cannot be simulated"),
        ("{gpus: 2, pattern: odd}", "pattern"),
        ("{gpus: 2, faults: [{gpu: 2, kind: xid}]}", "a fault is on gpu2"),
        ("{gpus: 2, faults: [{gpu: 1, kind: fire}]}", "kind"),
    ],
)
def test_what_cannot_be_simulated(
    simulate: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InventoryError, match=reason):
        written(tmp_path, f"nodes: {{a: {{simulate: {simulate}}}}}", monkeypatch)


class TestDiscovery:
    """-i, then $GSWARM_INVENTORY, then ./inventory.yaml, then the home's, then this machine."""

    @pytest.fixture
    def files(self, tmp_path: Path) -> dict[str, Path]:
        files = {}
        for name in ("option", "variable", "here", "home"):
            files[name] = tmp_path / name / "inventory.yaml"
            files[name].parent.mkdir()
            files[name].write_text(f"nodes: [{name}]")
        return files

    def test_order(self, files: dict[str, Path], tmp_path: Path) -> None:
        home = Home(tmp_path / "home")
        environ = {"GSWARM_INVENTORY": str(files["variable"])}

        def nodes(path: Path | None, environ: dict[str, str]) -> list[str]:
            folder = tmp_path / "here"
            return list(load(path, home=home, environ=environ, folder=folder).nodes)

        assert nodes(files["option"], environ) == ["option"]
        assert nodes(None, environ) == ["variable"]
        assert nodes(None, {"GSWARM_INVENTORY": ""}) == ["here"]
        files["here"].unlink()
        assert nodes(None, {}) == ["home"]
        files["home"].unlink()
        assert nodes(None, {}) == ["localhost"]

    def test_this_machine_alone(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", str(tmp_path / "user"))
        inventory = load(home=Home(tmp_path / "home"), environ={}, folder=tmp_path)
        assert list(inventory.nodes.values()) == [
            NodeSpec("localhost", "localhost", root=str(tmp_path / "home"), connection="local")
        ]
        assert inventory.path is None
        assert load(environ={}, folder=tmp_path).node("localhost").root == "~/.gswarm"

    def test_a_file_that_was_named_must_be_there(self, tmp_path: Path) -> None:
        missing = tmp_path / "no.yaml"
        with pytest.raises(InventoryError) as caught:
            load(missing, home=Home(tmp_path), environ={}, folder=tmp_path)
        assert str(caught.value) == f"{missing}: cannot be read: No such file or directory"
        with pytest.raises(InventoryError) as caught:
            load(home=Home(tmp_path), environ={"GSWARM_INVENTORY": str(missing)}, folder=tmp_path)
        assert str(caught.value) == f"{missing}: there is no such file"
        assert caught.value.hint == "$GSWARM_INVENTORY names it"


@pytest.fixture
def inventory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Inventory:
    text = """
groups: {pair: {hosts: [twin1, twin2]}}
nodes:
  node1: {host: 192.168.1.100, capabilities: {gpus: [gpu0, gpu1]}}
  node2: {host: "[2001:db8:0::1]"}
  twin1: {host: twins, root: /one}
  twin2: {host: twins, root: /two}
"""
    return written(tmp_path, text, monkeypatch)


def test_find(inventory: Inventory) -> None:
    found = [inventory.find(text) for text in ("node1", "192.168.1.100", "2001:DB8::1", "twin1")]
    assert [node and node.name for node in found] == ["node1", "node1", "node2", "twin1"]
    assert inventory.find("twins") is None
    assert inventory.find("elsewhere") is None


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nod1", "no node is called `nod1`; did you mean `node1`?"),
        ("elsewhere", "no node is called `elsewhere`"),
        ("twins", "several nodes have the host `twins`: twin1, twin2"),
        ("pair", "`pair` is a group, not a node; its nodes are: twin1, twin2"),
    ],
)
def test_no_such_node(inventory: Inventory, name: str, message: str) -> None:
    with pytest.raises(DeviceError) as caught:
        inventory.node(name)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "node", "device"),
    [
        ("web", None, Device(None, "web")),
        ("node1:gpu1", None, Device("node1", "gpu", 1)),
        ("192.168.1.100:gpu1", None, Device("node1", "gpu", 1)),
        ("[2001:db8::1]:gpu7", None, Device("node2", "gpu", 7)),
        ("gpu0", "node1", Device("node1", "gpu", 0)),
        ("gpu:0", "node1", Device("node1", "gpu", 0)),
        ("disk", "192.168.1.100", Device("node1", "disk")),
        ("192.168.1.100:disk", "node1", Device("node1", "disk")),
        ("web", "node1", Device(None, "web")),
    ],
)
def test_device(inventory: Inventory, text: str, node: str | None, device: Device) -> None:
    assert inventory.device(text, node=node) == device


@pytest.mark.parametrize(
    ("text", "node", "message"),
    [
        ("node9:disk", None, "no node is called `node9`; did you mean `node1`?"),
        ("gpu0", None, "`gpu0` names no node; write it as `node1:gpu0`"),
        ("gpu0", "nod1", "no node is called `nod1`; did you mean `node1`?"),
        ("twins:disk", None, "several nodes have the host `twins`: twin1, twin2"),
        (
            "node1:disk",
            "node2",
            "`node1:disk` is on node1, and the node that was asked for is node2",
        ),
        (
            "node1:gpu2",
            None,
            "inventory.yaml:4:3: node1 has no gpu2; its GPUs are: gpu0, gpu1",
        ),
    ],
)
def test_no_such_device(inventory: Inventory, text: str, node: str | None, message: str) -> None:
    with pytest.raises(DeviceError) as caught:
        inventory.device(text, node=node)
    assert str(caught.value) == message


def test_nodes_may_be_called_like_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet = written(tmp_path, "nodes: [gpu1, web, disk, gpu]", monkeypatch)
    assert fleet.device("gpu1:gpu0") == Device("gpu1", "gpu", 0)
    assert fleet.device("gpu0", node="gpu1") == Device("gpu1", "gpu", 0)
    assert fleet.device("disk:disk") == Device("disk", "disk")
    assert fleet.device("gpu:gpu:1") == Device("gpu", "gpu", 1)
    assert fleet.device("web") == Device(None, "web")
    assert [node.name for node in fleet.select("web gpu1")] == ["gpu1", "web"]


def test_select(inventory: Inventory) -> None:
    assert [node.name for node in inventory.select(["pair", "node1"])] == [
        "node1",
        "twin1",
        "twin2",
    ]
    assert [node.name for node in inventory.select("node* !node2")] == ["node1"]
    assert inventory.select() == list(inventory.nodes.values())
