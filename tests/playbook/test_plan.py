from collections.abc import Callable
from typing import Any

import pytest

from gswarm_tui.devices import parse
from gswarm_tui.errors import PlaybookError
from gswarm_tui.models.results import ServeResult
from gswarm_tui.playbook import Plan
from gswarm_tui.playbook.actions.copy import Copy
from gswarm_tui.playbook.actions.download import Download
from gswarm_tui.playbook.actions.health_check import HealthCheck
from gswarm_tui.playbook.actions.move import Move
from gswarm_tui.playbook.actions.serve import Serve
from gswarm_tui.playbook.actions.stop_serve import StopServe

MakePlan = Callable[..., Plan]


def one(plan: Plan) -> Any:
    (planned,) = plan.actions
    return planned.action


@pytest.mark.parametrize(
    "spelling",
    [
        "devices: ['node1:disk', 'node2:disk']",
        "source_device: node1:disk, target_device: node2:disk",
        "devices: ['192.168.1.100:disk', 'node2:disk'], source_device: node1:disk",
        "devices: ['node1:disk', '192.168.1.101:disk'], target_device: node2:disk",
    ],
)
@pytest.mark.parametrize("word", ["copy", "move"])
def test_all_spellings_of_a_route_are_one(make_plan: MakePlan, spelling: str, word: str) -> None:
    action = one(make_plan(f"- {{action_id: a, action_type: {word}, model_name: m, {spelling}}}"))
    assert isinstance(action, Copy | Move)
    assert action.source == parse("node1:disk")
    assert action.targets == (parse("node2:disk"),)


@pytest.mark.parametrize(
    "spelling",
    [
        "devices: ['node1:disk']",
        "devices: [web, 'node1:disk']",
        "device: node1:disk",
        "target_device: node1:disk",
        "target_device: node1:disk, source_device: web",
        "device: node1:disk, devices: ['192.168.1.100:disk']",
    ],
)
@pytest.mark.parametrize("source", ["source: hf://a/b", "source_url: hf://a/b"])
def test_all_spellings_of_a_download_are_one(
    make_plan: MakePlan, spelling: str, source: str
) -> None:
    text = f"- {{action_id: a, action_type: download, model_name: m, {source}, {spelling}}}"
    action = one(make_plan(text))
    assert isinstance(action, Download)
    assert (action.source, action.targets) == ("hf://a/b", (parse("node1:disk"),))


@pytest.mark.parametrize(
    "spelling",
    ["engine: vllm", "config: {framework: vllm}", "engine: vllm, config: {framework: vllm}"],
)
def test_both_spellings_of_an_engine_are_one(make_plan: MakePlan, spelling: str) -> None:
    text = f"- {{action_id: a, action_type: serve, model_name: m, device: node1:gpu0, {spelling}}}"
    action = one(make_plan(text))
    assert isinstance(action, Serve)
    assert (action.engine, action.config) == ("vllm", {})


@pytest.mark.parametrize(
    ("route", "keep", "kept"),
    [
        ("['node1:disk', 'node1:gpu0']", "", True),
        ("['node1:disk', 'node1:dram']", "", True),
        ("['node1:disk', 'node1:dram']", ", keep_source: false", False),
        ("['node1:disk', 'node2:disk']", "", False),
        ("['node1:disk', 'node2:disk']", ", keep_source: true", True),
        ("['node1:gpu0', 'node1:dram']", "", False),
    ],
)
def test_what_a_move_does_with_its_source(
    make_plan: MakePlan, route: str, keep: str, kept: bool
) -> None:
    text = f"- {{action_id: a, action_type: move, model_name: m, devices: {route}{keep}}}"
    assert one(make_plan(text)).keeps_source is kept


def test_stop_serve_without_devices_is_everywhere(make_plan: MakePlan) -> None:
    action = one(make_plan("- {action_id: a, action_type: stop_serve, model_name: m}"))
    assert isinstance(action, StopServe)
    assert action.devices is None


def test_the_order_is_that_of_the_file_where_nothing_else_is_said(make_plan: MakePlan) -> None:
    plan = make_plan("""
- {action_id: late, action_type: health_check, target_url: "http://x/", dependencies: [b]}
- {action_id: a, action_type: health_check, target_url: "http://x/"}
- {action_id: b, action_type: health_check, target_url: "http://x/"}
""")
    assert [planned.action_id for planned in plan.actions] == ["a", "b", "late"]


def test_a_reference_is_a_dependency(make_plan: MakePlan) -> None:
    plan = make_plan("""
- {action_id: check, action_type: health_check, target_url: "${serve.url}", dependencies: [serve]}
- {action_id: again, action_type: health_check, target_url: "${serve.url}/v1/models"}
- {action_id: serve, action_type: serve, model_name: m, device: "node1:gpu0", port: 8000}
""")
    needs = {planned.action_id: planned.needs for planned in plan.actions}
    assert needs == {"serve": (), "check": ("serve",), "again": ("serve",)}


def test_what_is_certain_is_known_before_the_run(make_plan: MakePlan) -> None:
    plan = make_plan("""
vars: {port: 8000}
actions:
  - {action_id: fetch, action_type: download, model_name: m, device: "192.168.1.100:disk"}
  - action_id: load
    action_type: move
    model_name: ${fetch.model}
    devices: ["${fetch.device}", "node1:gpu0"]
  - {action_id: serve, action_type: serve, model_name: "${load.model}", devices: "${load.devices}",
     port: "${vars.port}"}
  - {action_id: check, action_type: health_check, target_url: "${serve.url}/health"}
""")
    assert [planned.summary for planned in plan.actions] == [
        "m from its registered source to node1:disk",
        "m from node1:disk to node1:gpu0, the source is kept",
        "m on node1:gpu0, port 8000",
        "http://node1:8000/health",
    ]
    assert all(not planned.action.late for planned in plan.actions)


LATE = """
- {action_id: serve, action_type: serve, model_name: m, device: "node1:gpu0"}
- {action_id: same, action_type: serve, model_name: m, device: "node2:gpu0", port: "${serve.port}"}
- {action_id: check, action_type: health_check, target_url: "${same.url}", prompt: "${serve.url}?"}
"""


def test_what_is_not_known_yet_is_shown_as_it_is_written(make_plan: MakePlan) -> None:
    _, same, check = make_plan(LATE).actions
    assert same.summary == "m on node2:gpu0, port ${serve.port}"
    assert check.summary == "${same.url} and a completion"


def test_what_depends_on_the_run_is_not_certain(make_plan: MakePlan) -> None:
    plan = make_plan("""
- {action_id: a, action_type: serve, model_name: m, device: "node1:gpu0"}
- {action_id: b, action_type: serve, model_name: m, device: "node2:gpu0", port: "${a.port}",
   config: {framework: "${a.engine}"}}
""")
    assert set(plan.actions[1].action.known()) == {"model", "device", "devices", "node"}


def serve_result(port: int, url: str) -> ServeResult:
    return ServeResult(
        model="m",
        device="node1:gpu0",
        devices=["node1:gpu0"],
        engine="vllm",
        node="node1",
        port=port,
        url=url,
        endpoint=None,
        tunnel=None,
        service="s",
        already=False,
    )


def test_values_of_the_run_complete_an_action(make_plan: MakePlan) -> None:
    plan = make_plan(LATE)
    results: dict[str, Any] = {"serve": serve_result(4001, "http://node1:4001")}
    same = plan.complete(plan.actions[1], results)
    assert isinstance(same, Serve)
    assert same.port == 4001
    results["same"] = serve_result(4001, "http://node2:4001")
    check = plan.complete(plan.actions[2], results)
    assert isinstance(check, HealthCheck)
    assert (check.url, check.prompt) == ("http://node2:4001", "http://node1:4001?")
    assert not check.late


def test_a_value_of_the_run_that_does_not_fit_is_an_error_at_its_place(
    make_plan: MakePlan,
) -> None:
    plan = make_plan(LATE.replace("same.url", "serve.endpoint"))
    results = {"serve": serve_result(4001, "http://node1:4001")}
    with pytest.raises(PlaybookError) as caught:
        plan.complete(plan.actions[2], results)
    assert str(caught.value) == "p.yaml:4:61: target_url: expected text, found nothing"
    assert caught.value.hint == "the value is that of ${serve.endpoint}"


def test_parallel_readers_do_not_collide(make_plan: MakePlan) -> None:
    plan = make_plan("""
- {action_id: copy, action_type: copy, model_name: m, devices: ["node1:disk", "node2:disk"]}
- {action_id: load, action_type: move, model_name: m, devices: ["node1:disk", "node1:gpu0"]}
- {action_id: stage, action_type: move, model_name: m, devices: ["node1:disk", "node1:dram"]}
- {action_id: other, action_type: delete, model_name: other, device: "node1:disk"}
""")
    assert all(planned.needs == () for planned in plan.actions)


def test_an_indirect_order_is_an_order(make_plan: MakePlan) -> None:
    make_plan("""
- {action_id: fetch, action_type: download, model_name: m, device: "node1:disk"}
- {action_id: check, action_type: health_check, target_url: "http://x/", dependencies: [fetch]}
- {action_id: drop, action_type: delete, model_name: m, device: "node1:disk", dependencies: [check]}
""")


@pytest.mark.parametrize(
    ("one_action", "other_action"),
    [
        ("download, device: 'node1:disk'", "download, device: 'node1:disk'"),
        ("download, device: 'node1:disk'", "copy, devices: ['node1:disk', 'node2:disk']"),
        (
            "move, devices: ['node1:disk', 'node2:disk']",
            "copy, devices: ['node1:disk', 'node1:dram']",
        ),
        ("delete, device: 'node1:gpu0'", "serve, device: 'node1:gpu0'"),
        ("move, devices: ['node1:disk', 'node1:gpu0']", "serve, device: 'node1:gpu0'"),
        ("move, devices: ['node1:disk', 'node1:dram']", "serve, device: 'node1:dram'"),
        ("serve, device: 'node1:dram'", "stop_serve, device: 'node1:dram'"),
        ("serve, device: 'node1:dram'", "stop_serve"),
        ("delete, device: 'node1:gpu0'", "stop_serve"),
        ("move, devices: ['node1:gpu0', 'node1:dram']", "stop_serve, device: 'node1:gpu0'"),
    ],
)
def test_what_disturbs_each_other_must_be_ordered(
    make_plan: MakePlan, one_action: str, other_action: str
) -> None:
    one_line = f"- {{action_id: a, model_name: m, action_type: {one_action}}}\n"
    other_line = f"- {{action_id: b, model_name: m, action_type: {other_action}}}\n"
    with pytest.raises(PlaybookError, match="nothing says which is first"):
        make_plan(one_line + other_line)
    make_plan(one_line + other_line.replace("}", ", dependencies: [a]}"))
    make_plan((one_line + other_line).replace("model_name: m", "model_name: n", 1))


def test_a_circle_of_references_does_not_hide_what_else_is_wrong(make_plan: MakePlan) -> None:
    with pytest.raises(PlaybookError) as caught:
        make_plan(
            "- {action_id: a, action_type: health_check, target_url: '${b.url}', tiemout: 3}\n"
            "- {action_id: b, action_type: health_check, target_url: '${a.url}', prompt: [1]}\n"
            "- {action_id: c, action_type: stop_serve, model_name: m, devices: '${d.devices}'}\n"
            "- {action_id: d, action_type: serve, model_name: m, device: 'node1:disk'}\n"
        )
    # Of `c` nothing can be said: where it works is what `d` would say.
    assert [line.split(": ", 1)[1] for line in str(caught.value).splitlines()] == [
        "actions need each other in a circle: a → b → a",
        "unknown key `tiemout`; did you mean `timeout`?",
        "prompt: expected text, found a list",
        "an engine runs on a GPU or in dram, not on node1:disk",
    ]


def test_a_health_check_uses_nothing(make_plan: MakePlan) -> None:
    action = one(make_plan("- {action_id: a, action_type: health_check, target_url: 'http://x/'}"))
    assert isinstance(action, HealthCheck)
    assert list(action.uses()) == []
