"""Every YAML example of the source documents, as it stands there.

`PLAYBOOKS` are planned and run. `LATER` has two action types that do not exist yet, and `FRAGMENT`
depends on an action that its document does not show. The other YAML there is the configuration of
document 001 (`tests/test_config.py` has its keys); documents 003 and 004 have none.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gswarm_tui.errors import PlaybookError
from gswarm_tui.inventory import Inventory
from gswarm_tui.jobs import Runner
from gswarm_tui.models import Models
from gswarm_tui.playbook import Plan, load, plan
from gswarm_tui.playbook.actions.serve import Serve
from gswarm_tui.state.database import Database
from gswarm_tui.state.states import State

if TYPE_CHECKING:
    from tests.playbook.conftest import FakeModels

PLAYBOOKS = {
    "gsmodel-simple-deployment": ["download", "move", "serve", "health_check"],
    "gsmodel-multi-model": ["download"] * 2 + ["move"] * 2 + ["serve"] * 2,
    "gswarm-distributed-deployment": ["download", "copy", "move", "move", "serve", "serve"],
    "storage-deployment": ["download", "move", "serve", "health_check"],
    "storage-distributed-model": ["download", "move", "serve"],
    "storage-migration": ["copy", "stop_serve", "serve", "delete"],
    "storage-multi-model": ["download"] * 2 + ["move"] * 2 + ["serve"] * 2,
}
"""What each of them does, in the order of its types."""
LATER = "gswarm-data-pipeline"
FRAGMENT = "gsmodel-action-configuration"

SEEDS = Path(__file__).parents[1] / "data" / "seeds"


def plan_of(name: str, inventory: Inventory) -> Plan:
    return plan(load(SEEDS / f"{name}.yaml"), inventory)


def test_every_example_is_here() -> None:
    assert {path.stem for path in SEEDS.glob("*.yaml")} == {*PLAYBOOKS, LATER, FRAGMENT}


@pytest.mark.parametrize("name", PLAYBOOKS)
async def test_an_example_runs(
    name: str, inventory: Inventory, models: Models, fake: "FakeModels", database: Database
) -> None:
    result = await Runner(plan_of(name, inventory), models, database).run()
    assert result.state is State.SUCCEEDED
    assert {task.state for task in result.tasks} == {State.SUCCEEDED}
    assert sorted(verb for verb, _ in fake.calls) == sorted(PLAYBOOKS[name])


@pytest.mark.parametrize(
    ("name", "summaries"),
    [
        (
            "gsmodel-simple-deployment",
            [
                "llama-7b-chat from https://huggingface.co/meta-llama/Llama-2-7b-chat-hf"
                " to node1:disk",
                "llama-7b-chat from node1:disk to node1:gpu0, the source is kept",
                "llama-7b-chat on node1:gpu0, port 8080",
                "http://node1:8080/health",
            ],
        ),
        (
            "gswarm-distributed-deployment",
            [
                "llama-7b from its registered source to node1:disk",
                "llama-7b from node1:disk to node2:disk",
                "llama-7b from node1:disk to node1:gpu0, the source is kept",
                "llama-7b from node2:disk to node2:gpu0, the source is kept",
                "llama-7b on node1:gpu0, port 8080",
                "llama-7b on node2:gpu0, port 8081",
            ],
        ),
        (
            "storage-distributed-model",
            [
                "llama-70b from https://huggingface.co/meta-llama/Llama-2-70b-hf to node1:disk",
                "llama-70b from node1:disk to node1:gpu0, node1:gpu1, node1:gpu2,"
                " the source is kept",
                "llama-70b on node1:gpu0, node1:gpu1, node1:gpu2, port 8080",
            ],
        ),
        (
            "storage-migration",
            [
                "llama-7b from node1:disk to node2:disk",
                "llama-7b on node1:gpu0",
                "llama-7b on node2:gpu0, port 8080",
                "llama-7b from node1:disk, node1:gpu0",
            ],
        ),
    ],
)
def test_an_example_means_what_it_says(
    name: str, summaries: list[str], inventory: Inventory
) -> None:
    assert [action.summary for action in plan_of(name, inventory).actions] == summaries


@pytest.mark.parametrize("name", ["gsmodel-multi-model", "storage-multi-model"])
def test_branches_of_an_example_do_not_wait_for_each_other(name: str, inventory: Inventory) -> None:
    needs = {action.action_id: action.needs for action in plan_of(name, inventory).actions}
    assert needs == {
        "download_llama": (),
        "download_diffusion": (),
        "load_llama_gpu": ("download_llama",),
        "load_diffusion_gpu": ("download_diffusion",),
        "serve_llama": ("load_llama_gpu",),
        "serve_diffusion": ("load_diffusion_gpu",),
    }


def test_the_deployment_of_both_documents_is_the_same(inventory: Inventory) -> None:
    one, other = (
        plan_of(name, inventory) for name in ("gsmodel-simple-deployment", "storage-deployment")
    )
    assert [a.action for a in one.actions] == [a.action for a in other.actions]


def test_a_list_of_actions_by_itself_has_a_valid_shape(
    inventory: Inventory, make_plan: Callable[[str], Plan]
) -> None:
    """The fragment depends on an action that the document does not show; all else is right."""
    with pytest.raises(PlaybookError) as caught:
        plan_of(FRAGMENT, inventory)
    assert caught.value.message == "there is no action `load_model` to depend on"
    text = (SEEDS / f"{FRAGMENT}.yaml").read_text()
    serve = make_plan(text.replace('["load_model"]', "[]")).actions[0].action
    assert isinstance(serve, Serve)
    assert serve.engine == "vllm"
    assert serve.config == {"max_batch_size": 32, "timeout": 30}


def test_types_that_come_later_are_refused_with_those_that_there_are(
    inventory: Inventory,
) -> None:
    with pytest.raises(PlaybookError) as caught:
        plan_of(LATER, inventory)
    lines = str(caught.value).splitlines()
    assert [line.split("`")[1] for line in lines] == [
        "data_create",
        "inference",
        "data_transfer",
        "inference",
    ]
    known = "download, copy, move, serve, stop_serve, delete, verify, health_check"
    assert all(known in line for line in lines)
