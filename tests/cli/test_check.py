"""`gswarm run --check` over a fleet in memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from gswarm_tui.playbook.check.rates import Rates

from ..models.fake import INFO, FakeFleet
from .conftest import Command

PLAYBOOK = """
name: deploy
description: A model on ${vars.node}
vars: {node: node1}
secrets: {token: {env: CHECK_TOKEN}}
actions:
  - {action_id: fetch, action_type: download, model_name: m, source: 'file:///data/m',
     device: '${vars.node}:disk'}
  - {action_id: copy, action_type: copy, model_name: m, devices: ['${fetch.device}', 'node2:disk']}
  - {action_id: serve, action_type: serve, model_name: m, device: 'node2:gpu0',
     dependencies: [copy]}
  - {action_id: ask, action_type: health_check, target_url: '${serve.url}/health'}
  - {action_id: tell, action_type: command, node: node1, argv: [tell, it],
     env: {TOKEN: '${secrets.token}'}, dependencies: [ask]}
"""
GB = 10**9


@pytest.fixture(autouse=True)
def playbook(tmp_path: Path, fleet: FakeFleet, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "p.yaml").write_text(PLAYBOOK)
    monkeypatch.setenv("CHECK_TOKEN", "swordfish")
    fleet["node1"].found = [{"path": "/data/m", "size": 10 * GB}]
    fleet["node2"].info = {**INFO, "gpus": [{"index": 0}]}


def test_what_would_be_done_with_bytes_and_space(gswarm: Command, fleet: FakeFleet) -> None:
    ended = gswarm("run", "p.yaml", "--check")
    assert ended.code == 0
    rows = [line.split("  ") for line in ended.out.splitlines()]
    table = {row[0].strip(): [cell.strip() for cell in row if cell.strip()] for row in rows}
    assert table["fetch"][1:4] == ["download", "would do", "10.0 GB"]
    assert table["node1:disk"] == ["node1:disk", "40.0 GB", "30.0 GB"]
    assert "${serve.url}: text, known after serve" in ended.out
    assert ended.err == "nothing was done (--check): 5 would do\n"
    assert fleet["node1"].tiers("m") == []


def test_nothing_secret_is_shown(gswarm: Command) -> None:
    for options in ([], ["--json"], ["--offline"], ["--offline", "--json"]):
        ended = gswarm("run", "p.yaml", "--check", *options)
        assert "swordfish" not in ended.out + ended.err


def test_problems_end_with_1_and_are_said_with_their_place(
    gswarm: Command, fleet: FakeFleet
) -> None:
    fleet["node2"].info = {**INFO, "gpus": []}
    ended = gswarm("run", "p.yaml", "--check")
    assert ended.code == 1
    assert "serve would fail: node2 has no gpu0 (it has none) (p.yaml:10:5)" in ended.out
    assert ended.err == (
        "nothing was done (--check): 2 would do, 1 would fail, 2 unknown until run\n"
    )


def test_quiet_says_only_what_would_fail(gswarm: Command, fleet: FakeFleet) -> None:
    for options in (["--quiet"], ["--quiet", "--offline"]):
        ended = gswarm("run", "p.yaml", "--check", *options)
        assert (ended.code, ended.out, ended.err) == (0, "", "")
    fleet["node2"].info = {**INFO, "gpus": []}
    ended = gswarm("run", "p.yaml", "--check", "--quiet")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.splitlines() == [
        "serve would fail: node2 has no gpu0 (it has none) (p.yaml:10:5)",
        "deploy: nothing was done (--check): 2 would do, 1 would fail, 2 unknown until run",
    ]


@pytest.mark.parametrize("option", ["--junit", "--log-file"])
def test_what_records_a_run_has_nothing_to_record(
    gswarm: Command, tmp_path: Path, option: str
) -> None:
    ended = gswarm("run", "p.yaml", "--check", option, "record")
    assert ended.code == 2
    assert "--check runs nothing" in ended.err
    assert not (tmp_path / "record").exists()


def test_a_node_that_does_not_answer_ends_with_3(gswarm: Command, fleet: FakeFleet) -> None:
    fleet["node1"].unreachable = "no route to host"
    ended = gswarm("run", "p.yaml", "--check", "--json")
    assert ended.code == 3
    assert ended.document["unreachable"] == {"node1": "no route to host"}
    checks = {action["action_id"]: action["check"] for action in ended.document["actions"]}
    assert checks["fetch"] == "unknown until run"


def test_json(gswarm: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Rates, "seconds", lambda self, word, moves: 4.0)
    document = gswarm("run", "p.yaml", "--check", "--json").document
    fetch = document["actions"][0]
    assert fetch["moves"] == {"node1:disk": 10 * GB}
    assert (fetch["check"], fetch["seconds"], fetch["problems"]) == ("would do", 4.0, [])
    assert document["space"][0] == {"device": "node1:disk", "free": 40 * GB, "after": 30 * GB}
    assert document["outputs"] == [{"expression": "${serve.url}", "type": "text", "after": "serve"}]
    assert (document["seconds"], document["exit_code"]) == (8.0, 0)


def test_the_time_is_that_of_the_bytes(gswarm: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Rates, "seconds", lambda self, word, moves: 4.0)
    ended = gswarm("run", "p.yaml", "--check")
    assert "; moving bytes takes about 8.0 s, as fast as earlier runs" in ended.err


def test_offline_asks_nobody(gswarm: Command, fleet: FakeFleet) -> None:
    ended = gswarm("run", "p.yaml", "--check", "--offline")
    assert ended.code == 0
    assert ended.err == "the playbook is right; nothing was done and no node asked (--offline)\n"
    assert all(node.calls == [] for node in fleet.nodes.values())
