from __future__ import annotations

import pytest

from gswarm_tui.devices import parse
from gswarm_tui.errors import GswarmError, RemoteError
from gswarm_tui.models import Models

from .fake import SIZE, FakeFleet


async def test_files_go_and_what_is_not_there_is_no_failure(
    models: Models, fleet: FakeFleet
) -> None:
    fleet["node1"].has("tiny")
    devices = [parse("node1:disk"), parse("node2:disk")]
    assert (await models.delete("tiny", devices)).freed == SIZE
    assert (await models.delete("tiny", devices)).freed == 0


async def test_on_one_node_the_engine_ends_before_its_files_go(
    models: Models, fleet: FakeFleet
) -> None:
    fleet["node1"].has("tiny")
    await models.move("tiny", parse("node1:disk"), [parse("node1:gpu0")])
    await models.delete("tiny", [parse("node1:disk"), parse("node1:gpu0")])
    methods = [method for method, _ in fleet["node1"].calls]
    assert methods.index("engine.stop") < methods.index("model.delete")
    assert fleet["node1"].replicas == {}


async def test_what_is_served_stays_unless_forced(models: Models, fleet: FakeFleet) -> None:
    fleet["node1"].has("tiny")
    await models.serve("tiny", [parse("node1:gpu0")], port=8080)
    with pytest.raises(GswarmError, match="being served on port 8080"):
        await models.delete("tiny", [parse("node1:gpu0")])
    assert len(fleet["node1"].replicas) == 1
    await models.delete("tiny", [parse("node1:gpu0")], force=True)
    assert (fleet["node1"].replicas, fleet["node1"].services) == ({}, {})


async def test_a_helpers_refusal_is_passed_on(models: Models, fleet: FakeFleet) -> None:
    fleet["node1"].has("tiny")
    fleet["node1"].refuse("model.delete", "in_use", "an engine reads it")
    with pytest.raises(RemoteError, match="an engine reads it"):
        await models.delete("tiny", [parse("node1:disk")])
