from __future__ import annotations

import pytest

from gswarm_tui.devices import parse
from gswarm_tui.errors import GswarmError, SourceNameError
from gswarm_tui.models import Models
from gswarm_tui.state.models import Registry

from .fake import SIZE, FakeFleet


async def test_registering_asks_no_node(models: Models, fleet: FakeFleet) -> None:
    model = await models.register("tiny", source="hf://org/tiny", type="llm", tags=("chat",))
    assert (model.name, model.source, model.type, model.tags) == (
        "tiny",
        "hf://org/tiny",
        "llm",
        ("chat",),
    )
    assert fleet["node1"].calls == []


async def test_registering_again_changes_what_is_given_and_tells_the_nodes_that_have_it(
    models: Models, fleet: FakeFleet
) -> None:
    fleet["node2"].has("tiny")
    fleet["node3"].unreachable = "off"
    await models.register("tiny", source="hf://org/tiny", type="llm")
    model = await models.register("tiny", source=None, description="small")
    assert (model.source, model.type, model.description) == ("hf://org/tiny", "llm", "small")
    (sent,) = fleet["node2"].asked("model.describe")
    assert (sent["name"], sent["metadata"]["description"]) == ("tiny", "small")
    assert fleet["node1"].asked("model.describe") == []


@pytest.mark.parametrize(
    ("name", "source"), [("../etc", "hf://org/tiny"), ("tiny", "nonsense"), ("", "hf://org/tiny")]
)
async def test_names_and_sources_that_are_none(
    models: Models, registry: Registry, name: str, source: str
) -> None:
    with pytest.raises(SourceNameError):
        await models.register(name, source=source)
    assert registry.list() == []


async def test_unregister_refuses_while_copies_exist(
    models: Models, fleet: FakeFleet, registry: Registry
) -> None:
    registry.put("tiny", source="hf://org/tiny")
    fleet["node1"].has("tiny")
    with pytest.raises(GswarmError, match="tiny is on node1:disk") as caught:
        await models.unregister("tiny")
    assert "--force" in str(caught.value.hint)
    assert registry.get("tiny") is not None


async def test_unregister_refuses_while_a_node_does_not_answer(
    models: Models, fleet: FakeFleet, registry: Registry
) -> None:
    registry.put("tiny", source="hf://org/tiny")
    fleet["node3"].unreachable = "off"
    with pytest.raises(GswarmError, match="whether tiny has copies on node3"):
        await models.unregister("tiny")
    assert registry.get("tiny") is not None


async def test_by_force_it_is_stopped_and_deleted_everywhere_and_what_is_left_is_said(
    models: Models, fleet: FakeFleet, registry: Registry
) -> None:
    registry.put("tiny", source="hf://org/tiny")
    fleet["node1"].has("tiny")
    fleet["node2"].has("tiny", tier="dram")
    await models.serve("tiny", [parse("node1:gpu0")])
    fleet["node3"].unreachable = "off"
    result = await models.unregister("tiny", force=True)
    assert result.deleted == ["node1:gpu0", "node1:disk", "node2:dram"]
    assert (result.stopped, result.freed, result.left) == (1, 2 * SIZE, {"node3": "off"})
    assert (fleet["node1"].manifests, fleet["node1"].services) == ({}, {})
    assert registry.get("tiny") is None


async def test_unregistering_what_nobody_knows(models: Models, registry: Registry) -> None:
    registry.put("tiny", source="hf://org/tiny")
    with pytest.raises(SourceNameError, match="no model is called tinny; did you mean `tiny`"):
        await models.unregister("tinny")
