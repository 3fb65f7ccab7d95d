"""What nodes have and sources would bring, with nothing changed by looking."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from gswarm_tui.devices import parse
from gswarm_tui.errors import RemoteError, SourceError, SourceNameError
from gswarm_tui.models import Models
from gswarm_tui.models.looking import Space
from gswarm_tui.sources import Resolved
from gswarm_tui.state.models import Registry

from .fake import INFO, FakeFleet

GB = 10**9


async def test_what_nodes_have_and_who_does_not_answer(fleet: FakeFleet, models: Models) -> None:
    made = fleet["node1"].has("tiny")
    fleet["node2"].unreachable = "no route to host"
    looks, silent = await models.look(["node1", "10.0.0.1", "node2"])
    ready = looks["node1"].status.ready("tiny", "disk")
    assert ready is not None
    assert ready["revision"] == made.revision
    assert {name: error.message for name, error in silent.items()} == {"node2": "no route to host"}
    assert [method for method, _ in fleet["node1"].calls] == ["node.status", "node.info"]
    assert fleet["node3"].calls == []


async def test_a_margin_and_a_quota_are_no_room_for_models(
    fleet: FakeFleet, models: Models
) -> None:
    disk = {"path": "/m", "total": 100 * GB, "free": 40 * GB, "used_by_models": 0, "quota": None}
    fleet["node1"].info = {**INFO, "disk": disk}
    fleet["node2"].info = {**INFO, "disk": {**disk, "quota": 10 * GB, "used_by_models": 4 * GB}}
    fleet["node3"].info = {**INFO, "disk": {**disk, "total": GB, "free": GB // 200}}
    looks, _ = await models.look(["node1", "node2", "node3"])
    assert looks["node1"].spaces == {"disk": Space(40 * GB, 40 * GB - 256 * 10**6)}
    assert looks["node2"].spaces == {"disk": Space(40 * GB, 6 * GB)}
    assert looks["node3"].spaces == {"disk": Space(GB // 200, 0)}


async def test_dram_is_no_more_than_the_memory_that_is_available(
    fleet: FakeFleet, models: Models
) -> None:
    dram = {"path": "/d", "total": 4 * GB, "free": 4 * GB, "used_by_models": 0, "quota": None}
    fleet["node1"].info = {**INFO, "dram": dram, "memory_available": GB}
    looks, _ = await models.look(["node1"])
    assert looks["node1"].spaces["dram"] == Space(GB, GB - 40 * 10**6)


async def test_gpus(fleet: FakeFleet, models: Models) -> None:
    fleet["node1"].info = {**INFO, "gpus": [{"index": 1}]}
    looks, _ = await models.look(["node1"])
    assert looks["node1"].why_missing(parse("node1:gpu1")) is None
    assert looks["node1"].why_missing(parse("node1:gpu0")) == "node1 has no gpu0 (it has gpu1)"


async def test_files_here_are_measured_and_not_read(
    models: Models, tmp_path: Path, registry: Registry
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    with (folder / "weights.bin").open("wb") as file:
        file.truncate(50 * GB)  # a hole: hashing it would take minutes
    found = await models.look_at_source("tiny", f"local:{folder}", node="node1")
    assert (found.revision, found.size) == (None, 50 * GB)
    assert registry.get("tiny") is None
    with pytest.raises(SourceError, match="no such file"):
        await models.look_at_source("tiny", f"local:{folder}/none", node="node1")


async def test_a_path_on_a_node_is_looked_up_there(fleet: FakeFleet, models: Models) -> None:
    fleet["node1"].found = [{"path": "/data/tiny", "size": 7 * GB}, {"path": "/data/x", "size": 1}]
    found = await models.look_at_source("tiny", "file:///data/tiny", node="node1")
    assert (found.revision, found.size) == (None, 7 * GB)
    assert fleet["node1"].asked("model.scan") == [{"paths": ["/data/tiny"]}]
    fleet["node1"].refuse("model.scan", "not_found", "there is no such file")
    with pytest.raises(RemoteError, match="no such file"):
        await models.look_at_source("tiny", "file:///data/tiny", node="node1")


async def test_a_token_takes_the_place_of_the_one_in_the_environment(
    models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "of-the-user")
    seen = []

    async def measure(reference: str, *, environ: Mapping[str, str], **_: Any) -> Resolved:
        seen.append(environ["HF_TOKEN"])
        return Resolved(reference, "fetch", "tiny")

    monkeypatch.setattr("gswarm_tui.sources.measure", measure)
    await models.look_at_source("tiny", "hf://org/tiny", node="node1")
    await models.look_at_source("tiny", "hf://org/tiny", node="node1", token="of-the-playbook")
    assert seen == ["of-the-user", "of-the-playbook"]


async def test_the_registered_source_counts_where_none_is_given(
    fleet: FakeFleet, models: Models, registry: Registry
) -> None:
    with pytest.raises(SourceNameError, match="is not registered"):
        await models.look_at_source("tiny", None, node="node1")
    registry.put("tiny", source="file:///data/tiny")
    assert (await models.look_at_source("tiny", None, node="node1")).size is None
