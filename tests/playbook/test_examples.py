"""The playbooks that come with gswarm."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gswarm_tui.errors import GswarmError, PlaybookError
from gswarm_tui.inventory import Inventory
from gswarm_tui.jobs import Runner
from gswarm_tui.models import Models
from gswarm_tui.playbook import Plan, load, plan
from gswarm_tui.state.database import Database
from gswarm_tui.state.jobs import Jobs
from gswarm_tui.state.states import State

if TYPE_CHECKING:
    from tests.playbook.conftest import FakeModels

PLAYBOOKS = Path(__file__).parents[2] / "playbooks"
VARIABLES: dict[str, dict[str, Any]] = {
    "quickstart": {},
    "multi-model": {},
    "migrate": {"name": "llama"},
    "nightly": {"nodes": ["node1", "node2"]},
    "replicate": {"devices": ["node1:disk", "node2:disk", "node2:dram"]},
    "refresh": {},
}
WITHOUT_MEMORY = {"replicate", "refresh"}
ENVIRON = {"HF_TOKEN": "hf_of_the_night"}


def planned(example: str, inventory: Inventory, **variables: Any) -> Plan:
    path = PLAYBOOKS / f"{example}.yaml"
    return plan(load(path, VARIABLES[example] | variables, environ=ENVIRON), inventory)


def test_every_example_is_tested() -> None:
    assert {path.stem for path in PLAYBOOKS.glob("*.yaml")} == set(VARIABLES)


@pytest.mark.parametrize("name", VARIABLES)
@pytest.mark.parametrize("memory", ["dram", "gpu1"])
async def test_an_example_runs(
    name: str, memory: str, inventory: Inventory, models: Models, database: Database, jobs: Jobs
) -> None:
    variables = {} if name in WITHOUT_MEMORY else {"memory": memory, "engine": "vllm"}
    ready = planned(name, inventory, **variables)
    assert ready.description
    result = await Runner(ready, models, database).run()
    assert result.state is State.SUCCEEDED


async def test_the_quickstart_does_the_main_job(
    inventory: Inventory, models: Models, fake: "FakeModels", database: Database, jobs: Jobs
) -> None:
    ready = planned("quickstart", inventory, model="hf://demo/tiny", name="tiny")
    result = await Runner(ready, models, database).run()
    verbs = [verb for verb, _ in fake.calls]
    assert {verb: verbs.count(verb) for verb in verbs} == {
        "download": 1,
        "copy": 1,
        "move": 2,
        "serve": 2,
        "health_check": 4,
    }
    assert fake.arguments["download", "tiny"]["source"] == "hf://demo/tiny"
    checks = [task for task in result.tasks if task.task.action_type == "health_check"]
    answers = [check.result.completion for check in checks]
    assert answers.count(None) == 2
    assert answers.count("Once upon a time and more") == 2


async def test_the_refresh_reports_though_a_source_is_gone(
    inventory: Inventory, models: Models, fake: "FakeModels", database: Database
) -> None:
    ready = planned("refresh", inventory, models=["one", "two"])
    assert (ready.schedule, ready.priority, ready.timeout_s) == ("0 3 * * *", "low", 4 * 3600)
    assert [one.action_id for one in ready.actions] == [
        *("fetch[0]", "fetch[1]", "fetch[2]", "fetch[3]"),
        *("space[node1]", "space[node2]", "report"),
    ]
    fake.failures["download", "two"] = GswarmError("404")  # which no attempt can mend
    result = await Runner(ready, models, database).run()
    states = {task.task.action_id: task.state for task in result.tasks}
    assert [name for name, state in states.items() if state is State.FAILED] == [
        "fetch[2]",
        "fetch[3]",
    ]
    assert states["space[node1]"] is states["report"] is State.SUCCEEDED
    assert fake.arguments["download", "one"]["token"] == ENVIRON["HF_TOKEN"]
    assert fake.calls.count(("download", "two")) == 2
    assert ENVIRON["HF_TOKEN"] not in repr(result)


def test_the_refresh_needs_its_token(inventory: Inventory) -> None:
    with pytest.raises(PlaybookError, match="the secret `hub`: the environment has no `HF_TOKEN`"):
        load(PLAYBOOKS / "refresh.yaml", environ={})


def test_at_night_no_node_waits_for_another(inventory: Inventory) -> None:
    needs = {one.action_id: one.needs for one in planned("nightly", inventory).actions}
    assert [needs[f"{name}[node2]"] for name in ("load", "serve", "ask")] == [
        ("fetch[node2]",),
        ("load[node2]",),
        ("serve[node2]",),
    ]
