from __future__ import annotations

import pytest

from gswarm_tui.devices import parse
from gswarm_tui.errors import DeviceError, GswarmError
from gswarm_tui.models import Models
from gswarm_tui.models.moving import keeps_source
from gswarm_tui.models.results import MoveResult

from .fake import FakeFleet


async def move(models: Models, *devices: str, **options: object) -> MoveResult:
    source, *targets = map(parse, devices)
    return await models.move("tiny", source, targets, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("source", "targets", "kept"),
    [
        ("node1:disk", ["node1:dram"], True),
        ("node1:disk", ["node1:gpu0", "node1:gpu1"], True),
        ("node1:disk", ["node2:disk"], False),
        ("node1:disk", ["node2:disk", "node1:gpu0"], False),
        ("node1:disk", ["node2:dram"], True),
        ("node1:dram", ["node1:disk"], False),
        ("node1:dram", ["node1:gpu0"], True),
        ("node1:gpu0", ["node1:dram"], False),
        ("node1:gpu0", ["node1:gpu1"], False),
    ],
)
def test_which_moves_keep_their_source(source: str, targets: list[str], kept: bool) -> None:
    assert keeps_source(parse(source), [parse(target) for target in targets]) is kept


async def test_copy_to_several_nodes_and_tiers(models: Models, fleet: FakeFleet) -> None:
    made = fleet["node1"].has("tiny")
    targets = [parse("node1:dram"), parse("node2:disk"), parse("node3:dram")]
    result = await models.copy("tiny", parse("node1:disk"), targets)
    assert (fleet["node1"].tiers("tiny"), fleet["node2"].tiers("tiny")) == (
        ["disk", "dram"],
        ["disk"],
    )
    assert fleet["node3"].tiers("tiny") == ["dram"]
    assert (result.hash, result.device, result.already) == (
        f"sha256:{made.hash}",
        "node1:dram",
        False,
    )
    assert result.path == f"/node1/dram/tiny/{made.revision}"
    again = await models.copy("tiny", parse("node1:disk"), targets)
    assert again.already
    assert len(fleet["node1"].asked("model.stage")) == 1


async def test_of_several_revisions_the_newest_is_copied(models: Models, fleet: FakeFleet) -> None:
    for revision, day in (("new", "22"), ("old", "20")):
        made = fleet["node1"].has("tiny", revision=revision)
        object.__setattr__(made, "published_at", f"2026-11-{day}T00:00:00.000Z")
    result = await models.copy("tiny", parse("node1:disk"), [parse("node2:disk")])
    assert result.revision == "new"


async def test_disk_to_another_disk_removes_the_source_once(
    models: Models, fleet: FakeFleet
) -> None:
    fleet["node1"].has("tiny")
    result = await move(models, "node1:disk", "node2:disk")
    assert not result.source_kept
    assert fleet["node1"].tiers("tiny") == []
    assert fleet["node2"].tiers("tiny") == ["disk"]
    again = await move(models, "node1:disk", "node2:disk")
    assert again.already
    assert not again.source_kept


async def test_disk_to_another_disk_keeps_the_source_when_asked(
    models: Models, fleet: FakeFleet
) -> None:
    fleet["node1"].has("tiny")
    assert (await move(models, "node1:disk", "node2:disk", keep_source=True)).source_kept
    assert fleet["node1"].tiers("tiny") == ["disk"]


async def test_onto_gpus_one_engine_is_started_and_the_files_stay(
    models: Models, fleet: FakeFleet
) -> None:
    made = fleet["node1"].has("tiny")
    config = {"max_model_len": 256}
    result = await move(
        models, "node1:disk", "node1:gpu0", "node1:gpu1", engine="vllm", config=config
    )
    assert result.source_kept
    assert (result.path, result.already) == (None, False)
    (started,) = fleet["node1"].asked("engine.start")
    assert started["devices"] == ["gpu0", "gpu1"]
    assert (started["revision"], started["engine"]) == (made.revision, "vllm")
    assert (started["config"], started["started_by"]) == (config, "move")
    assert fleet["node1"].tiers("tiny") == ["disk"]
    assert (await move(models, "node1:disk", "node1:gpu0", "node1:gpu1")).already


async def test_the_only_copy_is_not_given_up(models: Models, fleet: FakeFleet) -> None:
    fleet["node1"].has("tiny")
    with pytest.raises(GswarmError, match="node1:disk has the only copy of tiny"):
        await move(models, "node1:disk", "node1:gpu0", keep_source=False)
    assert fleet["node1"].asked("engine.start") == []
    assert fleet["node1"].tiers("tiny") == ["disk"]


async def test_a_copy_on_a_node_that_does_not_answer_counts_for_nothing(
    models: Models, fleet: FakeFleet
) -> None:
    fleet["node1"].has("tiny")
    fleet["node2"].has("tiny")
    fleet["node2"].unreachable = "off"
    with pytest.raises(GswarmError, match=r"\(node2 did not answer\)"):
        await move(models, "node1:disk", "node1:dram", keep_source=False)


async def test_a_copy_of_another_revision_counts_for_nothing(
    models: Models, fleet: FakeFleet
) -> None:
    fleet["node1"].has("tiny", revision="r2")
    fleet["node2"].has("tiny", revision="r1")
    with pytest.raises(GswarmError, match="only copy"):
        await move(models, "node1:disk", "node1:dram", keep_source=False)


@pytest.mark.parametrize("saved_by", ["another disk", "force"])
async def test_the_source_is_removed_when_that_loses_nothing_or_is_forced(
    models: Models, fleet: FakeFleet, saved_by: str
) -> None:
    fleet["node1"].has("tiny")
    if saved_by == "another disk":
        fleet["node2"].has("tiny")
    result = await move(
        models, "node1:disk", "node1:gpu0", keep_source=False, force=saved_by == "force"
    )
    assert not result.source_kept
    assert fleet["node1"].tiers("tiny") == []
    assert [replica["devices"] for replica in fleet["node1"].replicas.values()] == [["gpu0"]]
    # The engine that was just started reads the files: they go all the same.
    assert fleet["node1"].asked("model.delete")[0]["force"] is True


async def test_from_dram_to_disk_the_staged_copy_goes(models: Models, fleet: FakeFleet) -> None:
    fleet["node1"].has("tiny", tier="dram")
    assert not (await move(models, "node1:dram", "node1:disk")).source_kept
    assert fleet["node1"].tiers("tiny") == ["disk"]


async def test_from_a_gpu_to_dram_the_engine_ends_and_the_files_are_staged(
    models: Models, fleet: FakeFleet
) -> None:
    fleet["node1"].has("tiny")
    await move(models, "node1:disk", "node1:gpu0")
    result = await move(models, "node1:gpu0", "node1:dram")
    assert not result.source_kept
    assert fleet["node1"].replicas == {}
    assert fleet["node1"].tiers("tiny") == ["disk", "dram"]
    assert (await move(models, "node1:gpu0", "node1:dram")).already


async def test_an_engine_that_is_served_is_not_moved_away(models: Models, fleet: FakeFleet) -> None:
    fleet["node1"].has("tiny")
    await move(models, "node1:disk", "node1:gpu0")
    await models.serve("tiny", [parse("node1:gpu0")], port=8080)
    with pytest.raises(GswarmError, match="being served on port 8080") as caught:
        await move(models, "node1:gpu0", "node1:dram")
    assert "gswarm model stop tiny --node node1" in str(caught.value.hint)
    assert fleet["node1"].tiers("tiny") == ["disk"]
    await move(models, "node1:gpu0", "node1:dram", force=True)
    assert fleet["node1"].services == {}


async def test_a_gpu_loads_from_its_own_node(models: Models, fleet: FakeFleet) -> None:
    fleet["node1"].has("tiny")
    with pytest.raises(GswarmError, match="node2 has no copy of tiny") as caught:
        await move(models, "node1:disk", "node2:gpu0")
    assert "gswarm model copy tiny --from node1:disk --to node2:disk" in str(caught.value.hint)
    await move(models, "node1:disk", "node2:disk", "node2:gpu0", keep_source=True)
    assert [replica["devices"] for replica in fleet["node2"].replicas.values()] == [["gpu0"]]


async def test_gpus_of_two_nodes_are_two_actions(models: Models, fleet: FakeFleet) -> None:
    fleet["node1"].has("tiny")
    with pytest.raises(DeviceError, match="cannot span node1 and node2"):
        await move(models, "node1:disk", "node1:gpu0", "node2:gpu0")


async def test_what_is_not_there_can_not_be_moved(models: Models, fleet: FakeFleet) -> None:
    fleet["node2"].has("tiny")
    with pytest.raises(GswarmError, match="tiny is not on node1:disk") as caught:
        await move(models, "node1:disk", "node2:dram")
    assert caught.value.hint == "it is on node2:disk"


async def test_a_partial_copy_is_told_apart(models: Models, fleet: FakeFleet) -> None:
    whole = fleet["node2"].has("tiny")
    part = {"name": "tiny", "revision": whole.revision, "tier": "disk", "state": "partial"}
    fleet["node1"].partial = [part]
    with pytest.raises(GswarmError, match="only partly on node1:disk"):
        await move(models, "node1:disk", "node3:disk")


async def test_a_node_is_meant_by_its_host_too(models: Models, fleet: FakeFleet) -> None:
    fleet["node1"].has("tiny")
    assert (await move(models, "10.0.0.1:disk", "10.0.0.2:disk")).device == "node2:disk"


@pytest.mark.parametrize("devices", [("node1:disk", "node1:disk"), ("web", "node1:disk")])
async def test_moves_that_make_no_sense(models: Models, devices: tuple[str, ...]) -> None:
    with pytest.raises(DeviceError):
        await move(models, *devices)
