"""The deeds on models: what runs them can read them, and what will be lost is said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import typer

from gswarm_tui import inventory, playbook
from gswarm_tui.cli.model import app as model_commands
from gswarm_tui.errors import GswarmError
from gswarm_tui.tui import placing
from gswarm_tui.tui.acting import Deed
from gswarm_tui.watch.snapshot import FleetSnapshot, NodeState

from .fleets import GB, node
from .some_models import copy, placed, service

NOW = placed()


def deeds() -> dict[str, Deed]:
    copies = NOW.models[0].copies
    return {
        "download": placing.download(["qwen"], "alpha:disk, beta:dram", "hf://org/other"),
        "download several": placing.download(["qwen", "paper"], "alpha:disk"),
        "copy": placing.copy({"llama": "alpha:disk"}, "beta:dram"),
        "copy several": placing.copy({"llama": "alpha:disk", "lone": "alpha:disk"}, "beta:disk"),
        "move": placing.move(
            {"llama": "alpha:disk"}, "beta:gpu0", keep=True, snapshot=NOW, engine="vllm"
        ),
        "move several": placing.move(
            {"llama": "alpha:disk", "lone": "alpha:disk"}, "beta:disk", keep=False, snapshot=NOW
        ),
        "serve": placing.serve({"llama": "beta:gpu0"}, port="8080", engine="mlx"),
        "serve on two nodes": placing.serve({"llama": "beta:gpu0, alpha:gpu0, alpha:gpu1"}),
        "serve several": placing.serve({"llama": "beta:gpu0", "lone": "alpha:gpu0"}),
        "delete": placing.delete(copies, NOW),
        "delete several": placing.delete(
            [copy("lone", "alpha:disk"), copy("llama", "alpha:disk")], NOW
        ),
        "stop": placing.stop([service(), service("qwen", "alpha")]),
        "verify": placing.verify(copies),
        "verify several": placing.verify([*copies, copy("lone", "alpha:disk", "damaged")]),
    }


@pytest.mark.parametrize("name", deeds())
def test_what_runs_it_can_read_it(name: str, tmp_path: Path) -> None:
    deed = deeds()[name]
    file = tmp_path / "deed.yaml"
    file.write_text(deed.playbook())
    nodes = tmp_path / "inventory.yaml"
    nodes.write_text("nodes:\n  alpha: {host: 10.0.0.1}\n  beta: {host: 10.0.0.2}\n")
    plan = playbook.plan(playbook.load(file, {}), inventory.load(nodes))
    assert len(plan.actions) == len(deed.actions)
    assert plan.name == deed.title


@pytest.mark.parametrize("name", deeds())
def test_the_equal_commands_are_right(name: str) -> None:
    group = typer.main.get_command(model_commands)
    for word, verb, *rest in deeds()[name].commands:
        assert word == "model"
        command = group.commands[verb]  # type: ignore[attr-defined]
        with command.make_context(verb, list(rest)) as context:
            assert context.params["name"] in ("llama", "qwen", "lone", "paper")


def test_what_is_said_of_a_download() -> None:
    deed = placing.download(["qwen"], "alpha:disk")
    assert deed.title == "download qwen to alpha:disk"
    assert deed.commands == (("model", "download", "qwen", "--device", "alpha:disk"),)
    assert deed.losses == ()


def test_one_service_on_each_node() -> None:
    found = deeds()["serve on two nodes"].actions
    assert [action["devices"] for action in found] == [
        ["beta:gpu0"],
        ["alpha:gpu0", "alpha:gpu1"],
    ]


def test_what_has_files_is_verified_and_the_rest_is_not() -> None:
    (action,) = placing.verify(NOW.models[0].copies).actions
    assert action["action_type"] == "verify"
    assert action["devices"] == ["alpha:disk", "beta:disk", "beta:dram"]
    with pytest.raises(GswarmError, match="no whole copy"):
        placing.verify([copy("llama", "beta:gpu0"), copy("qwen", "alpha:disk", "partial")])


def test_a_title_names_the_first_few() -> None:
    many = [copy("lone", f"n{number}:disk") for number in range(40)]
    deed = placing.verify(many)
    assert deed.title == "verify lone on n0:disk, n1:disk, n2:disk, n3:disk and 36 more"
    assert len(deed.actions[0]["devices"]) == 40


def test_the_last_copy_is_named_first() -> None:
    lost = placing.delete([copy("lone", "alpha:disk")], NOW).losses
    assert lost == (
        "LAST COPY ANYWHERE: nothing whole is left of lone; "
        "there is no source to get it from again",
        "lone on alpha:disk is removed (16.0 GB)",
    )
    kept = placing.delete([copy("llama", "alpha:disk")], NOW).losses
    assert kept == ("llama on alpha:disk is removed (16.0 GB)",)


def test_the_last_copy_on_a_disk_can_come_from_its_source_again() -> None:
    both = [copy("llama", "alpha:disk"), copy("llama", "beta:disk")]
    last, *rest = placing.delete(both, NOW).losses
    assert last == (
        "LAST COPY ON A DISK: only beta:dram, beta:gpu0 has it then, until that ends;"
        " it would have to come from hf://meta/Llama again"
    )
    assert rest[-1] == "in all 32.0 GB"


def test_a_damaged_copy_is_no_copy_that_would_be_left() -> None:
    lone = replace(NOW.models[2], copies=(*NOW.models[2].copies, copy("lone", "b:disk", "damaged")))
    lost = placing.delete([copy("lone", "alpha:disk")], replace(NOW, models=(lone,))).losses
    assert lost[0].startswith("LAST COPY ANYWHERE")
    assert not any(
        "LAST" in line
        for line in placing.delete(
            [copy("lone", "b:disk", "damaged")], replace(NOW, models=(lone,))
        ).losses
    )


def test_what_a_node_that_does_not_answer_has_is_not_known() -> None:
    off = replace(NOW, nodes=(*NOW.nodes, node("gamma", state=NodeState.UNREACHABLE)))
    lost = placing.delete([copy("lone", "alpha:disk")], off).losses
    assert lost[1] == "whether gamma has one is not known: no answer"


def test_all_revisions_there_are_lost_with_what_was_begun() -> None:
    more = replace(copy("lone", "alpha:disk"), revision="older", size_bytes=4 * GB)
    begun = copy("lone", "alpha:disk", "partial", revision="new", done_bytes=1 * GB)
    lone = replace(NOW.models[2], copies=(*NOW.models[2].copies, more, begun))
    lost = placing.delete([more], replace(NOW, models=(lone,))).losses
    assert lost[-1] == "lone on alpha:disk is removed (21.0 GB, 3 revisions)"


def test_what_ends_with_an_engine_is_named() -> None:
    lost = placing.delete([copy("llama", "beta:gpu0")], NOW).losses
    assert lost == (
        "the service of llama at http://beta:8000 ends, with 7 requests under way",
        "the engine of llama on beta:gpu0 ends",
    )


def test_a_move_loses_nothing_where_the_source_keeps_its_copy() -> None:
    def moved(to: str, *, keep: bool) -> tuple[str, ...]:
        return placing.move({"lone": "alpha:disk"}, to, keep=keep, snapshot=NOW).losses

    assert moved("beta:disk", keep=True) == ()
    assert moved("beta:disk", keep=False) == ("lone on alpha:disk is removed (16.0 GB)",)
    assert moved("beta:dram", keep=False)[0].startswith("LAST COPY ON A DISK: only beta:dram")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: placing.download(["${env.HOME}"], "alpha:disk"), "name"),
        (lambda: placing.download(["a\x1b[31m"], "alpha:disk"), "name"),
        (lambda: placing.download(["llama"], ""), "where"),
        (lambda: placing.download(["llama"], "alpha"), "alpha"),
        (lambda: placing.download(["llama"], "${env.HOME}:disk"), "name"),
        (lambda: placing.copy({"paper": ""}, "alpha:disk"), "no node has a whole copy of paper"),
        (lambda: placing.serve({"llama": "beta:gpu0"}, port="eighty"), "port"),
        (lambda: placing.serve({"llama": "beta:gpu0"}, port="70000"), "port"),
        (lambda: placing.delete([copy("../x", "alpha:disk")], FleetSnapshot(0.0)), "name"),
    ],
)
def test_what_cannot_be_a_name_goes_into_no_playbook(make: Callable[[], Deed], said: str) -> None:
    with pytest.raises(GswarmError, match=said):
        make()
