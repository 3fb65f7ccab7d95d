"""What a job knows of where things are when it has ended."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gswarm_tui.jobs import Runner
from gswarm_tui.models import Models
from gswarm_tui.playbook import Plan
from gswarm_tui.playbook.outcome import Outcome
from gswarm_tui.state.database import Database
from gswarm_tui.state.jobs import Jobs

SEEDS = Path(__file__).parents[1] / "data" / "seeds"


@pytest.mark.parametrize(
    ("text", "copies", "services"),
    [
        (
            (SEEDS / "storage-migration.yaml").read_text(),
            {("llama-7b", "node2:disk")},
            ["node2:gpu0"],
        ),
        (
            (SEEDS / "storage-distributed-model.yaml").read_text(),
            {("llama-70b", f"node1:{place}") for place in ("disk", "gpu0", "gpu1", "gpu2")},
            ["node1:gpu0"],
        ),
        (
            """
- {action_id: a, action_type: download, model_name: m, device: "node1:disk"}
- {action_id: b, action_type: move, model_name: m, devices: ["node1:disk", "node2:disk"],
   dependencies: [a]}
- {action_id: c, action_type: serve, model_name: m, device: "node1:dram", dependencies: [b]}
- {action_id: d, action_type: serve, model_name: n, device: "node1:dram"}
- {action_id: e, action_type: stop_serve, model_name: m, dependencies: [c]}
""",
            {("m", "node2:disk")},
            ["node1:dram"],
        ),
    ],
    ids=["migration", "several GPUs", "moves and stops"],
)
async def test_later_actions_count(
    text: str,
    copies: set[tuple[str, str]],
    services: list[str],
    make_plan: Callable[[str], Plan],
    models: Models,
    database: Database,
    jobs: Jobs,
) -> None:
    outcome = Outcome()
    for task in (await Runner(make_plan(text), models, database).run()).tasks:
        task.action.settle(task.result, outcome)
    assert set(outcome.copies) == copies
    assert [service.device for service in outcome.services] == services
