from __future__ import annotations

from typing import Any

import pytest

from gswarm_tui.devices import parse
from gswarm_tui.errors import GswarmError, UnreachableError
from gswarm_tui.models import Models
from gswarm_tui.state.models import Registry

from .fake import FakeFleet, manifest


def found(name: str, **changes: Any) -> dict[str, Any]:
    return {
        "path": f"/hf/{name}",
        "name": name,
        "revision": None,
        "source": f"hf://org/{name}",
        "files": 2,
        "size": 10,
        "adoptable": True,
        "reason": None,
        **changes,
    }


async def test_every_copy_is_verified(models: Models, fleet: FakeFleet) -> None:
    fleet["node1"].has("tiny")
    fleet["node2"].has("tiny", tier="dram")
    bad = [{"path": "model.safetensors", "reason": "other bytes"}]
    fleet["node2"].answers["model.verify"] = {"ok": False, "bad": bad, "shared_with": ["copy"]}
    result = await models.verify("tiny")
    assert not result.ok
    good, damaged = result.copies
    assert (good.device, good.ok) == ("node1:disk", True)
    assert (damaged.device, damaged.bad, damaged.shared_with) == (
        "node2:dram",
        {"model.safetensors": "other bytes"},
        ["copy"],
    )


async def test_verifying_everything_needs_every_node(models: Models, fleet: FakeFleet) -> None:
    with pytest.raises(GswarmError, match="no node has a whole copy of tiny"):
        await models.verify("tiny")
    fleet["node1"].has("tiny")
    fleet["node3"].unreachable = "off"
    with pytest.raises(UnreachableError, match="node3: off"):
        await models.verify("tiny")
    assert (await models.verify("tiny", [parse("node1:disk")])).ok


async def test_a_scan_brings_the_registry_back(
    models: Models, fleet: FakeFleet, registry: Registry
) -> None:
    made = manifest("tiny", "r1", "hf://org/tiny@r1")
    described = {"type": "llm", "description": "small", "tags": ["a"], "requirements": {"x": 1}}
    object.__setattr__(made, "metadata", described)
    fleet["node1"].manifests["tiny", "r1", "disk"] = made
    fleet["node2"].unreachable = "off"
    result = await models.scan()
    assert result.registered == ["tiny"]
    assert result.unreachable == {"node2": "off"}
    model = registry.get("tiny")
    assert model is not None
    assert (model.source, model.type, model.tags) == ("hf://org/tiny@r1", "llm", ("a",))
    assert (await models.scan()).registered == []


async def test_what_is_found_is_shown_and_adopted_only_when_asked(
    models: Models, fleet: FakeFleet, registry: Registry
) -> None:
    fleet["node1"].found = [found("big"), found("torn", adoptable=False, reason="files missing")]
    shown = await models.scan(["node1"], ["/hf"])
    assert [(f.name, f.adopted, f.reason) for f in shown.found] == [
        ("big", None, None),
        ("torn", None, "files missing"),
    ]
    assert fleet["node1"].asked("model.scan") == [{"paths": ["/hf"]}]
    assert fleet["node1"].asked("model.adopt") == []
    adopted = await models.scan(["node1"], adopt=True, how="in_place")
    assert adopted.found[0].adopted == "node1:disk"
    assert adopted.registered == ["big"]
    assert fleet["node1"].asked("model.adopt")[0]["how"] == "in_place"
    model = registry.get("big")
    assert model is not None
    assert model.source == "hf://org/big"


async def test_one_that_can_not_be_adopted_does_not_stop_the_others(
    models: Models, fleet: FakeFleet
) -> None:
    fleet["node1"].found = [found("big")]
    fleet["node1"].refuse("model.adopt", "mismatch", "it changed")
    (model,) = (await models.scan(["node1"], adopt=True)).found
    assert (model.adopted, model.reason) == (None, "it changed")
