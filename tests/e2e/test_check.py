"""`--check` against real helpers: before a run, after it, and where it cannot work."""

from __future__ import annotations

from pathlib import Path

import pytest

from gswarm_tui.inventory.nodespec import Capabilities
from gswarm_tui.jobs import Runner
from gswarm_tui.models import Models
from gswarm_tui.playbook import plan
from gswarm_tui.playbook.check.compare import Comparison, compare
from gswarm_tui.playbook.check.rates import Rates
from gswarm_tui.playbook.language import schema
from gswarm_tui.state.database import Database
from gswarm_tui.state.models import Registry
from gswarm_tui.state.queue import Queue
from gswarm_tui.yamlfile import load_yaml

from .conftest import Site

SIZE = 2_000_000


def verdicts(found: Comparison) -> dict[str, str]:
    return {task.planned.action_id: str(task.finding.verdict) for task in found.tasks}


@pytest.fixture
def model(site: Site) -> Path:
    folder = site.folder / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"w" * (SIZE - 2))
    return folder


async def test_before_and_after_a_run(site: Site, model: Path) -> None:
    text = f"""
- {{action_id: fetch, action_type: download, model_name: m, source: "local:{model}",
   device: "one:disk"}}
- {{action_id: copy, action_type: copy, model_name: m, devices: ["one:disk", "two:disk"],
   dependencies: [fetch]}}
- {{action_id: say, action_type: command, node: two, argv: [echo, hi], dependencies: [copy]}}
- {{action_id: drop, action_type: delete, model_name: m, device: "one:disk",
   dependencies: [copy, say]}}
"""
    async with site.fleet(site.node(None, "one"), site.node(None, "two")) as fleet:
        with Database(site.home().database) as database:
            models = Models(fleet, Registry(database))
            made = plan(
                schema.read(load_yaml(text, name="p.yaml"), {}, default_name="p"), fleet.inventory
            )
            before = await compare(made, models)
            assert set(verdicts(before).values()) == {"would do"}
            assert [task.finding.size for task in before.tasks[:2]] == [SIZE, SIZE]
            assert {str(s.device): s.after == s.free for s in before.spaces} == {
                "one:disk": True,
                "two:disk": False,
            }
            assert (await Runner(made, models, database).run()).exit_code == 0

            after = await compare(made, models, Rates(Queue(database).history()))
            assert verdicts(after)["fetch"] == "would do"
            assert verdicts(after)["copy"] == "unknown until run"  # its bytes are not read yet
            assert after.tasks[0].seconds is not None


async def test_what_cannot_work(site: Site, model: Path) -> None:
    text = f"""
- {{action_id: none, action_type: download, model_name: a, source: "file://{model}x",
   device: "one:disk"}}
- {{action_id: gpu, action_type: serve, model_name: m, device: "one:gpu0"}}
- {{action_id: large, action_type: download, model_name: b, source: "local:{model}",
   device: "small:disk"}}
- {{action_id: gone, action_type: delete, model_name: m, device: "gone:disk"}}
"""
    small = site.node(None, "small", capabilities=Capabilities(disk=SIZE // 2))
    gone = site.node(None, "gone", root="/proc/no/such")
    async with site.fleet(site.node(None, "one"), small, gone) as fleet:
        with Database(site.home().database) as database:
            models = Models(fleet, Registry(database))
            made = plan(
                schema.read(load_yaml(text, name="p.yaml"), {}, default_name="p"), fleet.inventory
            )
            found = await compare(made, models)
    said = {planned.action_id: why for planned, why in found.problems}
    assert said["none"].endswith("No such file or directory")
    assert said["gpu"] == "m is not on one"
    assert said["large"] == "b needs 2.0 MB, and small:disk has room for 1.0 MB"
    assert verdicts(found)["gone"] == "unknown until run"
    assert list(found.unreachable) == ["gone"]
    assert found.exit_code == 3
