"""The methods as a controller calls them, on a node with its two tiers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
from gswarm_remote import paths
from gswarm_remote.errors import HelperError, Kind
from gswarm_remote.node import Node
from gswarm_remote.rpc import Call, Handler

from .conftest import FILES, content, write_folder


class Requester:
    """As much of a `Call` as an operation uses."""

    def __init__(self) -> None:
        self.connection_lost = False
        self.entry = None
        self.reports: list[dict[str, Any]] = []

    def progress(self, report: dict[str, Any]) -> None:
        self.reports.append(report)


class Asking:
    """Calls the methods of a node as they are registered there."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.last = Requester()
        self._handlers: dict[str, Handler] = node.handlers()

    async def __call__(self, method: str, **params: Any) -> Any:
        self.last = Requester()
        return await self._handlers[method](cast("Call", self.last), params)


@pytest.fixture
def ask(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Asking:
    monkeypatch.setenv("GSWARM_RUN_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("GSWARM_DRAM_DIR", str(tmp_path_factory.mktemp("dram")))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HOME", str(tmp_path))
    return Asking(Node(paths.locate(str(tmp_path / "root"))))


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "mine", FILES)


async def test_a_model_from_its_folder_to_dram_and_away(ask: Asking, mine: Path) -> None:
    params = {"name": "tiny", "path": str(mine), "tier": "disk", "source": "", "metadata": None}
    first = await ask("model.import", **params)
    assert (first["state"], first["tier"], first["already"]) == ("ready", "disk", False)
    assert content(Path(first["path"])) == FILES
    again = await ask("model.import", **params)
    assert again == {**first, "already": True, "last_accessed": again["last_accessed"]}

    moved = await ask("model.stage", name="tiny", **{"from": "disk", "to": "dram"})
    assert (moved["tier"], moved["already"], moved["hash"]) == ("dram", False, first["hash"])
    assert ask.last.reports[-1]["phase"] == "verify"

    verified = await ask("model.verify", name="tiny", tier="dram")
    assert verified["ok"]
    manifest = await ask("model.manifest", name="tiny", revision=None, tier="dram")
    assert manifest["hash"] == first["hash"]
    described = await ask("model.describe", name="tiny", metadata={"description": "small"})
    assert described == {"described": ["disk", "dram"]}
    status = await ask("node.status")
    assert {copy["metadata"]["description"] for copy in status["copies"]} == {"small"}

    for tier in ("disk", "dram"):
        deleted = await ask("model.delete", name="tiny", revision=None, tier=tier)
        assert deleted["removed"] == [f"tiny {first['revision']}"]
        assert deleted["freed"] > 0
    assert (await ask("node.status"))["copies"] == []


async def test_scan_looks_in_the_caches_and_adopt_takes_in(ask: Asking, tmp_path: Path) -> None:
    snapshot = tmp_path / "hf/hub/models--org--tiny/snapshots/c0ffee"
    write_folder(snapshot, FILES)
    (found,) = (await ask("model.scan", paths=None))["found"]
    assert found["adoptable"]
    keys = ("path", "name", "revision", "source")
    copy = await ask("model.adopt", **{key: found[key] for key in keys}, how="in_place")
    assert (copy["external"], copy["path"]) == (True, str(snapshot))
    assert copy["source"] == "hf://org/tiny@c0ffee"
    (found,) = (await ask("model.scan", paths=[str(tmp_path / "hf")]))["found"]
    assert found["reason"] == "it is here as tiny c0ffee"


async def test_copy_that_an_engine_reads_is_not_deleted_or_moved(
    ask: Asking, mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = await ask("model.import", name="tiny", path=str(mine), tier="disk")

    class Replicas:
        def list(self) -> list[dict[str, Any]]:
            return [
                {
                    "id": "tiny-1",
                    "model": "tiny",
                    "revision": copy["revision"],
                    "tier": "disk",
                    "state": "ready",
                    "devices": ["gpu0"],
                }
            ]

    monkeypatch.setattr(type(ask.node), "replicas", Replicas())  # it has no record yet
    for refused in (
        ask("model.delete", name="tiny", tier="disk"),
        ask("model.stage", name="tiny", remove_source=True, **{"from": "disk", "to": "dram"}),
    ):
        with pytest.raises(HelperError) as error:
            await refused
        assert error.value.kind == Kind.IN_USE
        assert "tiny-1 on gpu0" in error.value.message
    assert await ask("model.stage", name="tiny", **{"from": "disk", "to": "dram"})
    assert await ask("model.delete", name="tiny", tier="dram")
    assert await ask("model.delete", name="tiny", tier="disk", force=True)


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("model.import", {}),
        ("model.import", {"name": "tiny", "path": "relative", "tier": "disk"}),
        ("model.import", {"name": "tiny", "path": "/a\0b", "tier": "disk"}),
        ("model.import", {"name": "../tiny", "path": "/tmp", "tier": "disk"}),
        ("model.import", {"name": "tiny", "path": "/tmp", "tier": "gpu0"}),
        ("model.import", {"name": "tiny", "path": "/tmp", "tier": "disk", "metadata": 7}),
        ("model.stage", {"name": "tiny", "from": "disk", "to": "disk"}),
        ("model.stage", {"name": "tiny", "from": "disk"}),
        ("model.delete", {"name": "tiny", "revision": "../r", "tier": "disk"}),
        ("model.verify", {"name": 7, "tier": "disk"}),
        ("model.scan", {"paths": "/tmp"}),
        ("model.scan", {"paths": [7]}),
        ("model.adopt", {"name": "tiny", "path": "/tmp", "how": "steal"}),
        ("model.describe", {"name": "tiny", "metadata": [1]}),
    ],
)
async def test_what_makes_no_sense_is_refused(
    ask: Asking, method: str, params: dict[str, Any]
) -> None:
    with pytest.raises(HelperError) as error:
        await ask(method, **params)
    assert error.value.kind == Kind.INVALID


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("model.manifest", {"tier": "disk"}),
        ("model.delete", {"tier": "dram"}),
        ("model.verify", {"tier": "disk"}),
        ("model.stage", {"from": "disk", "to": "dram", "remove_source": True}),
        ("model.describe", {"metadata": {}}),
        ("model.import", {"tier": "disk", "path": "/not/there"}),
    ],
)
async def test_what_is_not_here_is_said_to_be_so(
    ask: Asking, method: str, params: dict[str, Any]
) -> None:
    with pytest.raises(HelperError) as error:
        await ask(method, name="nobody", **params)
    assert error.value.kind == Kind.NOT_FOUND
