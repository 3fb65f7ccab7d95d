"""The deeds on models: what runs them can read them, and what will be lost is said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from gswarm_tui import inventory, playbook
from gswarm_tui.cli.model import app as model_commands
from gswarm_tui.errors import GswarmError
from gswarm_tui.tui import placing
from gswarm_tui.tui.acting import Deed
from gswarm_tui.watch.snapshot import FleetSnapshot

from .some_models import copy, placed, service

NOW = placed()


def deeds() -> dict[str, Deed]:
    copies = NOW.models[0].copies
    return {
        "download": placing.download(["qwen"], "alpha:disk, beta:dram", "hf://org/other"),
        "download several": placing.download(["qwen", "paper"], "alpha:disk"),
        "copy": placing.replicate({"llama": "alpha:disk"}, "beta:dram"),
        "copy several": placing.replicate(
            {"llama": "alpha:disk", "lone": "alpha:disk"}, "beta:disk"
        ),
        "move": placing.move(
            "llama", "alpha:disk", "beta:gpu0", keep=True, snapshot=NOW, engine="vllm"
        ),
        "move away": placing.move("llama", "alpha:disk", "beta:disk", keep=False, snapshot=NOW),
        "serve": placing.serve("llama", "beta:gpu0", port="8080", engine="mlx"),
        "delete": placing.delete(copies, NOW),
        "delete several": placing.delete(
            [copy("lone", "alpha:disk"), copy("llama", "alpha:disk")], NOW
        ),
        "stop": placing.stop([service(), service("qwen", "alpha")]),
        "verify": placing.verify(["llama", "lone"], ["alpha:disk"]),
    }


@pytest.mark.parametrize("name", deeds())
def test_what_runs_it_can_read_it(name: str, tmp_path: Path) -> None:
    deed = deeds()[name]
    if not deed.actions:
        return
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


def test_the_last_whole_copy_is_named() -> None:
    lost = placing.delete([copy("lone", "alpha:disk")], NOW).losses
    assert lost == (
        "lone on alpha:disk is removed (16.0 GB)",
        "it is the last whole copy of lone on a disk and has no source",
    )
    kept = placing.delete([copy("llama", "alpha:disk")], NOW).losses
    assert not any("last" in line for line in kept)


def test_the_last_copy_can_come_from_its_source_again() -> None:
    both = [copy("llama", "alpha:disk"), copy("llama", "beta:disk")]
    last = placing.delete(both, NOW).losses[-1]
    assert last.endswith("; it would have to come from hf://meta/Llama again")


def test_what_ends_with_an_engine_is_named() -> None:
    lost = placing.delete([copy("llama", "beta:gpu0")], NOW).losses
    assert "the service of llama at http://beta:8000 ends, with 7 requests under way" in lost


def test_a_move_loses_nothing_where_the_source_keeps_its_copy() -> None:
    def moved(to: str, *, keep: bool) -> tuple[str, ...]:
        return placing.move("lone", "alpha:disk", to, keep=keep, snapshot=NOW).losses

    assert moved("beta:disk", keep=True) == ()
    assert moved("beta:disk", keep=False) == ("lone on alpha:disk is removed (16.0 GB)",)
    assert "last whole copy" in moved("beta:dram", keep=False)[-1]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: placing.download(["${env.HOME}"], "alpha:disk"), "name"),
        (lambda: placing.download(["a\x1b[31m"], "alpha:disk"), "name"),
        (lambda: placing.download(["llama"], ""), "where"),
        (lambda: placing.download(["llama"], "alpha"), "alpha"),
        (lambda: placing.download(["llama"], "${env.HOME}:disk"), "name"),
        (lambda: placing.serve("llama", "beta:gpu0", port="eighty"), "port"),
        (lambda: placing.serve("llama", "beta:gpu0", port="70000"), "port"),
        (lambda: placing.delete([copy("../x", "alpha:disk")], FleetSnapshot(0.0)), "name"),
    ],
)
def test_what_cannot_be_a_name_goes_into_no_playbook(make: Callable[[], Deed], said: str) -> None:
    with pytest.raises(GswarmError, match=said):
        make()
