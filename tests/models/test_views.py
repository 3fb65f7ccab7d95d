from __future__ import annotations

import pytest

from gswarm_tui.devices import parse
from gswarm_tui.errors import SourceNameError
from gswarm_tui.models import Models
from gswarm_tui.state.models import Registry

from .fake import SIZE, FakeFleet


async def test_registered_models_and_those_of_nodes_are_one_list(
    models: Models, fleet: FakeFleet, registry: Registry
) -> None:
    registry.put("apart", source="hf://org/apart", type="vision")
    fleet["node1"].has("found")
    fleet["node3"].unreachable = "no route"
    apart, found = await models.overview()
    assert (apart.name, apart.registered, apart.status, apart.size) == (
        "apart",
        True,
        "unknown",
        None,
    )
    assert (found.name, found.registered, found.status, found.size) == (
        "found",
        False,
        "available",
        SIZE,
    )
    assert found.locations == ["node1:disk"]
    assert found.source == "hf://org/tiny"
    assert found.unreachable == apart.unreachable == {"node3": "no route"}
    fleet["node3"].unreachable = None
    assert (await models.view("apart")).status == "registered"


async def test_a_model_with_engine_and_service(models: Models, fleet: FakeFleet) -> None:
    fleet["node1"].has("tiny")
    await models.serve("tiny", [parse("node1:gpu0")], port=8080)
    view = await models.view("tiny")
    assert view.status == "serving"
    assert view.locations == ["node1:disk", "node1:gpu0"]
    (service,) = view.services
    assert (service.url, service.endpoint) == ("http://node1:8080", None)
    assert service.tunnel == "ssh -L 8080:127.0.0.1:8080 -N ada@10.0.0.1"
    assert service.started_at == "2026-11-18T11:06:40.000+00:00"
    await models.stop_serve("tiny")
    assert (await models.view("tiny")).status == "available"


async def test_work_under_way_shows_in_the_status(models: Models, fleet: FakeFleet) -> None:
    part = {"name": "tiny", "revision": "r1", "tier": "disk", "state": "partial", "size": 10}
    fleet["node1"].partial = [{**part, "done": 4}]
    assert (await models.view("tiny")).status == "partial"
    fleet["node1"].operations = [{"kind": "fetch", "model": "tiny"}]
    view = await models.view("tiny")
    assert (view.status, view.locations, view.copies[0].done) == ("downloading", [], 4)
    fleet["node1"].operations = [{"kind": "stage", "model": "tiny"}]
    assert (await models.view("tiny")).status == "moving"


async def test_only_the_nodes_that_are_asked_for(models: Models, fleet: FakeFleet) -> None:
    fleet["node1"].has("tiny")
    fleet["node2"].has("tiny")
    assert (await models.view("tiny", ["node2"])).locations == ["node2:disk"]
    assert fleet["node1"].calls == []


async def test_what_nobody_knows(models: Models) -> None:
    with pytest.raises(SourceNameError, match="no model is called tiny"):
        await models.view("tiny")


async def test_a_copy_that_waits_for_credentials_says_so(fleet: FakeFleet, models: Models) -> None:
    made = fleet["node1"].has("tiny")
    fleet["node1"].partial.append(
        {**fleet["node1"]._copy("disk", made), "state": "partial", "waiting": "credentials"}
    )
    copies = (await models.view("tiny")).copies
    assert [copy.waiting for copy in copies] == [None, "credentials"]
