"""What is written wrong is found before anything is done: exit code 2, and where it is."""

from __future__ import annotations

from textwrap import dedent

import pytest

from .lab import Lab

PLAYBOOKS = {
    "syntax": ("name: x\nactions:\n  - {action_id: a\n", r"4:1"),
    "key": (
        """\
        name: x
        actions:
          - action_id: a
            action_type: download
            model_nam: m
            source: hf://lab/small
            device: node1:disk
        """,
        "5:5",
    ),
    "node": (
        """\
        actions:
          - action_id: a
            action_type: download
            model_name: m
            source: hf://lab/small
            device: nod1:disk
        """,
        "6:13",
    ),
    "type": (
        """\
        actions:
          - {action_id: a, action_type: downlod, model_name: m, device: node1:disk}
        """,
        "2:33",
    ),
    "dependency": (
        """\
        actions:
          - action_id: a
            action_type: stop_serve
            model_name: m
            dependencies: [b]
        """,
        "5:20",
    ),
}


@pytest.mark.parametrize("name", PLAYBOOKS)
def test_a_playbook_that_is_wrong(lab: Lab, name: str) -> None:
    text, place = PLAYBOOKS[name]
    path = lab.folder / "wrong.yaml"
    path.write_text(dedent(text))
    ended = lab.gswarm("run", path)
    assert (ended.code, ended.stdout) == (2, ""), ended
    assert f"{path}:{place}: " in ended.stderr
    assert not (lab.site.controller / "data").exists()


@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        ("nodes:\n  node1: {host: a, usr: me}\n", "2:20", "user"),
        ("nodes:\n  node1: {port: many}\n", "2:17", "number"),
        ("nodes:\n  node1: [\n", "3:1", ""),
    ],
)
def test_an_inventory_that_is_wrong(lab: Lab, text: str, place: str, says: str) -> None:
    lab.inventory.write_text(text)
    ended = lab.gswarm("nodes", "--json")
    assert (ended.code, ended.stdout) == (2, ""), ended
    assert f"{lab.inventory}:{place}: " in ended.stderr
    assert says in ended.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["model", "download", "small", "--node", "nod1"], "node1"),
        (["model", "download", "small", "--device", "node1:dsk"], "node1:dsk"),
        (["model", "download", "a/b", "--source", "hf://lab/small"], "a/b"),
        (["model", "download", "small", "--source", "ftp://x/y"], "ftp://x/y"),
        (["model", "delete", "small", "--devices", "node1:disk"], "--device"),
        (["run", "no-such-file.yaml"], "no-such-file.yaml"),
    ],
)
def test_a_command_that_is_wrong(lab: Lab, words: list[str], says: str) -> None:
    ended = lab.gswarm(*words)
    assert (ended.code, ended.stdout) == (2, ""), ended
    assert ended.stderr.startswith("error: ")
    assert says in ended.stderr
    assert not lab.root("node1").exists()
