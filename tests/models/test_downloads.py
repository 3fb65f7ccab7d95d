from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from gswarm_tui import sources
from gswarm_tui.devices import Device, parse
from gswarm_tui.errors import DeviceError, GswarmError, SourceNameError, UnreachableError
from gswarm_tui.models import Models
from gswarm_tui.models.downloads import moved
from gswarm_tui.progress import Progress
from gswarm_tui.sources.base import Resolved, SourceFile
from gswarm_tui.sources.hf import token_of
from gswarm_tui.state.models import Registry

from .fake import SIZE, FakeFleet

DISK1, DISK2, DRAM1 = parse("node1:disk"), parse("node2:disk"), parse("node1:dram")
SECRET = "hf_secret"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A hub that has org/tiny at the commit ``c1``, and wants a token; lists what it was asked."""
    asked: list[str] = []
    monkeypatch.setenv("HF_TOKEN", SECRET)
    monkeypatch.setenv("HF_HUB_DISABLE_IMPLICIT_TOKEN", "0")

    async def resolve(reference: str, **options: Any) -> Resolved:
        asked.append(reference)
        file = SourceFile("model.safetensors", SIZE, "ab" * 32, url=f"{ORIGIN}/a.safetensors")
        return Resolved(
            reference="hf://org/tiny@c1",
            kind="fetch",
            name="tiny",
            revision="c1",
            files=(file,),
            headers={"Authorization": f"Bearer {token_of(options['environ'])}"},
            origin=f"{ORIGIN}:443",
        )

    monkeypatch.setattr(sources, "resolve", resolve)
    return asked


ORIGIN = "https://hub.example"


async def test_each_node_fetches_and_the_source_is_asked_once(
    models: Models, fleet: FakeFleet, registry: Registry, hub: list[str]
) -> None:
    result = await models.download("tiny", "hf://org/tiny", [DISK1, DISK2], type="llm")
    assert (result.model, result.revision, result.size) == ("tiny", "c1", SIZE)
    assert result.hash.startswith("sha256:")
    assert result.devices == ["node1:disk", "node2:disk"]
    assert result.path == "/node1/disk/tiny/c1"
    assert not result.already
    assert hub == ["hf://org/tiny"]
    sent = fleet["node2"].asked("model.fetch")[0]
    assert sent["origin"] == "https://hub.example:443"
    assert sent["headers"] == {"Authorization": f"Bearer {SECRET}"}
    assert sent["plan"]["metadata"]["type"] == "llm"
    assert SECRET not in str(sent["plan"])
    registered = registry.get("tiny")
    assert registered is not None
    assert (registered.source, registered.type) == ("hf://org/tiny", "llm")


async def test_a_given_token_is_sent_in_place_of_that_of_the_environment(
    models: Models, fleet: FakeFleet, hub: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")
    await models.download("tiny", "hf://org/tiny", [DISK1], token="hf_other")
    sent = fleet["node1"].asked("model.fetch")[0]
    assert sent["headers"] == {"Authorization": "Bearer hf_other"}


async def test_again_it_says_that_it_was_there(
    models: Models, fleet: FakeFleet, hub: list[str]
) -> None:
    await models.download("tiny", "hf://org/tiny", [DISK1])
    again = await models.download("tiny", None, [DISK1])
    assert again.already
    assert len(fleet["node1"].asked("model.fetch")) == 1
    half = await models.download("tiny", None, [DISK1, DRAM1])
    assert not half.already
    assert fleet["node1"].tiers("tiny") == ["disk", "dram"]


async def test_a_hub_on_this_machine_is_brought_within_the_nodes_reach(
    models: Models, fleet: FakeFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def resolve(reference: str, **options: Any) -> Resolved:
        file = SourceFile("a", 1, url="http://127.0.0.1:8000/a?x=1")
        return Resolved("hf://o/m", "fetch", "m", "c1", (file,), origin="http://127.0.0.1:8000")

    monkeypatch.setattr(sources, "resolve", resolve)
    await models.download("m", "hf://o/m", [DISK1])
    assert fleet["node1"].asked("expose") == [{"url": "http://127.0.0.1:8000"}]
    sent = fleet["node1"].asked("model.fetch")[0]
    assert sent["plan"]["files"][0]["url"] == "http://127.0.0.1:9999/a?x=1"
    assert sent["origin"] == "http://127.0.0.1:9999"


async def test_a_folder_of_the_node_is_imported_there(models: Models, fleet: FakeFleet) -> None:
    result = await models.download("tiny", "file:///models/tiny", [DISK1])
    assert not result.already
    assert fleet["node1"].asked("model.import")[0]["path"] == "/models/tiny"
    # What a folder has is only known when it was read: the node is asked again.
    again = await models.download("tiny", "file:///models/tiny", [DISK1])
    assert again.already
    assert len(fleet["node1"].asked("model.import")) == 2


async def test_a_folder_of_this_machine_is_uploaded(
    models: Models, fleet: FakeFleet, tmp_path: Path
) -> None:
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "weights.bin").write_bytes(b"w" * 10)
    result = await models.download("tiny", f"local:{folder}", [DISK1], description="mine")
    made = fleet["node1"].asked("model.receive.finish")[0]["manifest"]
    assert made["files"] == [
        {"path": "weights.bin", "size": 10, "sha256": hashlib.sha256(b"w" * 10).hexdigest()}
    ]
    assert made["metadata"]["description"] == "mine"
    assert result.revision == made["revision"] == made["hash"][:40]


async def test_a_name_without_a_source_says_how_to_give_one(
    models: Models, registry: Registry
) -> None:
    registry.put("tiny-llama", source="hf://org/tiny")
    with pytest.raises(SourceNameError, match="tiny-lama is not registered") as caught:
        await models.download("tiny-lama", None, [DISK1])
    assert "did you mean `tiny-llama`" in caught.value.message
    assert "gswarm model register tiny-lama --source" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("device", "message"),
    [
        (Device("node1", "gpu", 0), "node1:gpu0 makes no sense here"),
        (Device(None, "web"), "web makes no sense here"),
        (Device("node9", "disk"), "no node is called `node9`"),
    ],
)
async def test_where_a_download_can_not_land(models: Models, device: Device, message: str) -> None:
    with pytest.raises(DeviceError, match=message):
        await models.download("tiny", "hf://org/tiny", [device])


async def test_nothing_is_registered_where_the_source_is_wrong(
    models: Models, registry: Registry
) -> None:
    with pytest.raises(SourceNameError):
        await models.download("tiny", "ftp://nowhere", [DISK1])
    assert registry.get("tiny") is None


async def test_nodes_that_do_not_answer_are_found_before_anything_is_fetched(
    models: Models, fleet: FakeFleet, hub: list[str]
) -> None:
    fleet["node2"].unreachable = "no route"
    with pytest.raises(UnreachableError, match="node2: no route"):
        await models.download("tiny", "hf://org/tiny", [DISK1, DISK2])
    assert fleet["node1"].asked("model.fetch") == []


async def test_one_node_that_fails_does_not_stop_the_others(
    models: Models, fleet: FakeFleet, hub: list[str]
) -> None:
    fleet["node1"].refuse("model.fetch", "no_space", "the disk is full")
    with pytest.raises(GswarmError, match="node1: the disk is full"):
        await models.download("tiny", "hf://org/tiny", [DISK1, DISK2])
    assert fleet["node2"].tiers("tiny") == ["disk"]


async def test_progress_of_all_nodes_is_added_up(models: Models, hub: list[str]) -> None:
    reports: list[Progress] = []
    await models.download("tiny", "hf://org/tiny", [DISK1, DISK2], progress=reports.append)
    assert reports[0].phase == "resolve"
    assert (reports[-1].done, reports[-1].total) == (2 * SIZE, 2 * SIZE)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://hub.example/a/b?c=d", "http://127.0.0.1:5/a/b?c=d"),
        ("https://hub.example:443/a", "http://127.0.0.1:5/a"),
        ("https://cdn.example/a", "https://cdn.example/a"),
        ("http://hub.example/a", "http://hub.example/a"),
    ],
)
def test_only_urls_of_the_origin_are_moved(url: str, expected: str) -> None:
    assert moved(url, "https://hub.example:443", "http://127.0.0.1:5") == expected
