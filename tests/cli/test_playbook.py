"""`gswarm playbook`: validate, graph, explain and schema."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from ..models.fake import FakeFleet
from .conftest import Command

PLAYBOOK = """
name: nightly
description: A model served
timeout: 2h
schedule: "0 3 * * *"
secrets: {token: {env: PLAYBOOK_TOKEN}}
actions:
  - {action_id: fetch, action_type: download, model_name: m, source: 'hf://org/m',
     device: 'node1:disk', retry: {attempts: 5, backoff: 2s, on: [unreachable]}, timeout: 1h}
  - {action_id: copy, action_type: copy, for_each: [node2, node3], model_name: m,
     devices: ['node1:disk', '${each.value}:disk'], dependencies: [fetch]}
  - {action_id: serve, action_type: serve, model_name: m, device: 'node2:gpu0', port: 8080,
     dependencies: [copy], priority: high}
  - {action_id: ask, action_type: health_check, target_url: '${serve.url}/health',
     when: '${fetch.already}', on_failure: stop}
  - {action_id: tell, action_type: command, node: node1, argv: [tell],
     env: {TOKEN: '${secrets.token}'}, dependencies: [ask]}
always:
  - {action_id: tidy, action_type: delete, model_name: m, device: 'node1:disk'}
"""


@pytest.fixture(autouse=True)
def playbook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "p.yaml").write_text(PLAYBOOK)
    monkeypatch.setenv("PLAYBOOK_TOKEN", "swordfish")


def test_what_is_right_is_one_line(gswarm: Command, fleet: FakeFleet) -> None:
    ended = gswarm("playbook", "validate", "p.yaml")
    assert (ended.code, ended.out, ended.err) == (
        0,
        "p.yaml: right, 7 actions (no node was asked)\n",
        "",
    )
    assert all(node.calls == [] for node in fleet.nodes.values())
    assert gswarm("playbook", "validate", "p.yaml", "--json").document == {
        "file": "p.yaml",
        "ok": True,
        "problems": [],
        "warnings": [],
    }


def test_everything_that_is_wrong_is_said(gswarm: Command, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(
        "- {action_id: a, action_type: downlod}\n"
        "- {action_id: b, action_type: delete, model_name: m, device: 'node9:disk'}\n"
    )
    ended = gswarm("playbook", "validate", "bad.yaml")
    assert ended.code == 2
    assert "bad.yaml:1:31: unknown action type `downlod`" in ended.err
    assert "bad.yaml:2:" in ended.err
    found = gswarm("playbook", "validate", "bad.yaml", "--json")
    assert (found.code, found.document["ok"]) == (2, False)
    first, second = found.document["problems"]
    assert (first["line"], first["column"], first["where"]) == (1, 31, "bad.yaml:1:31")
    assert first["message"].startswith("unknown action type `downlod`")
    assert first["hint"].startswith("the types are download")
    assert second["line"] == 2


LOOKS_SECRET = """
vars: {header: "X-Key: ${env.MY_API_KEY}"}
actions:
  - {action_id: ask, action_type: command, node: node1,
     argv: [curl, --silent, --show-error, --header, "${vars.header}", "https://host/", 1]}
  - {action_id: tell, action_type: noop, message: "${env.MY_API_KEY} of ${env.KEY_FOLDER}"}
"""
KEY = "sk-" + "0123456789" * 4


def test_what_looks_like_a_secret_is_hidden_and_warned_of(
    gswarm: Command, fleet: FakeFleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "looks.yaml").write_text(LOOKS_SECRET)
    monkeypatch.setenv("MY_API_KEY", KEY)
    monkeypatch.setenv("KEY_FOLDER", "/keys")
    ended = gswarm("playbook", "validate", "looks.yaml")
    assert ended.code == 0
    told = [line.split(" looks like ")[0] for line in ended.err.splitlines()]
    assert told == [
        "warning: looks.yaml:2:16: ${env.MY_API_KEY}",
        "warning: looks.yaml:6:51: ${env.MY_API_KEY}",
    ]
    assert "`secrets:`" in ended.err
    first, _ = gswarm("playbook", "validate", "looks.yaml", "--json").document["warnings"]
    assert first["where"] == "looks.yaml:2:16"
    shown = [ended := gswarm("run", "looks.yaml")]
    assert ended.code == 0
    assert ended.err.startswith("warning: looks.yaml:2:16")
    assert "noop *** of /keys" in ended.err
    shown += [gswarm("run", "looks.yaml", "--check"), gswarm("playbook", "explain", "looks.yaml")]
    shown += [gswarm("run", "looks.yaml", "--json"), gswarm("job", "show", "last", "--json")]
    shown += [gswarm("playbook", "graph", "looks.yaml", "--format", "svg")]
    assert "sk-0" not in "".join(one.out + one.err for one in shown)
    kept = [path for path in (tmp_path / "home").rglob("*") if path.is_file()]
    assert not [path for path in kept if b"sk-0" in path.read_bytes()]
    assert fleet["node1"].asked("command.run")[0]["argv"][4] == f"X-Key: {KEY}"
    (tmp_path / "looks.yaml").write_text(LOOKS_SECRET.replace("[curl", '["-${env.MY_API_KEY}"'))
    refused = gswarm("playbook", "validate", "looks.yaml")
    assert refused.code == 2
    assert "'-***' is not the name of a program" in refused.err


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("actions: [\n", 2, ""),
        ("actions: []\nacctions: []\n", 2, "acctions"),
        ("", 1, "the playbook is empty"),
    ],
)
def test_what_is_wrong_at_first_sight_has_a_place_too(
    gswarm: Command, tmp_path: Path, text: str, line: int, message: str
) -> None:
    (tmp_path / "bad.yaml").write_text(text)
    found = gswarm("playbook", "validate", "bad.yaml", "--json")
    (problem,) = found.document["problems"]
    assert (found.code, problem["line"]) == (2, line)
    assert message in problem["message"]


def test_without_an_inventory_devices_are_not_looked_up(gswarm: Command, tmp_path: Path) -> None:
    text = PLAYBOOK.replace("node1", "elsewhere")
    (tmp_path / "p.yaml").write_text(text)
    assert gswarm("playbook", "validate", "p.yaml").code == 2
    ended = gswarm("playbook", "validate", "p.yaml", "--no-inventory")
    assert (ended.code, ended.out) == (0, "p.yaml: right, 7 actions (devices are not checked)\n")


def test_the_graph_has_for_each_and_always(gswarm: Command) -> None:
    assert (
        gswarm("playbook", "graph", "p.yaml").out
        == """\
●    fetch  download
├─╮  m from hf://org/m to node1:disk
● │  copy[node2]  copy
│ │  m from node1:disk to node2:disk
│ ●  copy[node3]  copy
├─╯  m from node1:disk to node3:disk
●  serve  serve
│  m on node2:gpu0, port 8080
●  ask  health_check  when ${fetch.already}
│  http://node2:8080/health
●  tell  command
   tell on node1
◆  tidy  delete  always
   m from node1:disk
"""
    )


def test_pictures_are_written_to_files(gswarm: Command, tmp_path: Path) -> None:
    ended = gswarm("playbook", "graph", "p.yaml", "--format", "svg", "--output", "p.svg")
    assert (ended.out, ended.err) == ("", "written to p.svg\n")
    ElementTree.parse(tmp_path / "p.svg")
    assert gswarm("playbook", "graph", "p.yaml", "--format", "dot").out.startswith("digraph")
    assert "flowchart TD" in gswarm("playbook", "graph", "p.yaml", "--format", "mermaid").out
    nowhere = gswarm("playbook", "graph", "p.yaml", "-o", "no/such/folder")
    assert nowhere.code == 1
    assert nowhere.err.startswith("error: no/such/folder: the drawing cannot be written")


def test_the_explanation(gswarm: Command) -> None:
    out = gswarm("playbook", "explain", "p.yaml").out
    assert out.splitlines() == [
        "nightly: A model served",
        "6 actions, and 1 action at the end whatever happens; each begins as soon as what it"
        " needs is done.",
        "After a failure, what does not need it goes on.",
        "What fails with a transient error, such as a lost connection, is tried again,"
        " as often as queue.retry_count says.",
        "All of it may take 2 h at most.",
        'It is meant to run at "0 3 * * *": see gswarm cron install.',
        "Its secrets are token; their values are shown nowhere.",
        "1. fetch: downloads m from hf://org/m to the disk of node1.",
        "   Meanwhile nothing else uses m on node1:disk.",
        "   It may take 1 h at most.",
        "   If it fails with an error of kind unreachable, it is tried up to 4 more times, after"
        " 2 s at first and 1 min at most.",
        "   If it fails, copy[node2], serve, ask, tell and copy[node3] are skipped.",
        "2. copy[node2] (after fetch): copies m from the disk of node1 to the disk of node2.",
        "   Meanwhile nothing else uses m on node2:disk.",
        "   If it fails, serve, ask and tell are skipped.",
        "3. copy[node3] (after fetch): copies m from the disk of node1 to the disk of node3.",
        "   Meanwhile nothing else uses m on node3:disk.",
        "   If it fails, serve, ask and tell are skipped.",
        "4. serve (after copy[node2] and copy[node3]): serves m from GPU 0 of node2 at port 8080"
        " of node2, reached from that node only, and waits until a request is answered.",
        "   Meanwhile nothing else uses the service of m on node2:gpu0, m on node2:gpu0,"
        " node2:gpu0 and port 8080 of node2.",
        "   Its priority is high.",
        "   If it fails, ask and tell are skipped.",
        "5. ask (after fetch and serve): asks http://node2:8080/health for an answer, for 30 s"
        " at most.",
        "   Only if `${fetch.already}`, which is known only then.",
        "   If it fails, nothing else begins.",
        "6. tell (after ask): runs tell on node1.",
        "At the end, whatever happened before:",
        "7. tidy: removes m from the disk of node1.",
        "   Meanwhile nothing else uses m on node1:disk.",
    ]


def test_both_can_be_read_by_programs(gswarm: Command) -> None:
    explained = gswarm("playbook", "explain", "p.yaml", "--json").document
    assert explained["says"][0] == "nightly: A model served"
    copy = explained["actions"][1]
    assert (copy["action_id"], copy["action_type"]) == ("copy[node2]", "copy")
    assert (copy["needs"], copy["always"]) == (["fetch"], False)
    assert copy["says"][-1].startswith("If it fails, serve")
    steps = gswarm("playbook", "graph", "p.yaml", "--json").document["steps"]
    assert [step["id"] for step in steps][:3] == ["fetch", "copy[node2]", "copy[node3]"]
    assert steps[0]["summary"] == "m from hf://org/m to node1:disk"
    assert gswarm("playbook", "graph", "p.yaml", "--json", "--format", "svg").code == 2


def test_the_schema_is_one(gswarm: Command) -> None:
    document = json.loads(gswarm("playbook", "schema").out)
    assert document["$schema"].startswith("https://json-schema.org/")


@pytest.mark.parametrize(
    ("retry", "said"),
    [
        ("1", "It is tried once."),
        ("2", "If it fails with a transient error, it is tried once more, after 1 s."),
        (
            "{attempts: 3, on: [timeout, failed]}",
            "If it fails with an error of kind failed or timeout, it is tried up to 2 more times,"
            " after 1 s at first and 1 min at most.",
        ),
    ],
)
def test_how_often_it_is_tried_is_explained(gswarm: Command, retry: str, said: str) -> None:
    Path("r.yaml").write_text(f"actions: [{{action_id: a, action_type: noop, retry: {retry}}}]")
    assert f"   {said}" in gswarm("playbook", "explain", "r.yaml").out.splitlines()
