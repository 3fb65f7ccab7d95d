"""A plan compared with a fleet in memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gswarm_tui.errors import SourceError, SourceUnreachableError
from gswarm_tui.models import Models
from gswarm_tui.playbook import Plan
from gswarm_tui.playbook.check.compare import Comparison, compare
from gswarm_tui.playbook.check.rates import Rates
from gswarm_tui.sources import Resolved, SourceFile
from gswarm_tui.state.database import Database
from gswarm_tui.state.models import Registry
from gswarm_tui.state.records import TaskRecord
from gswarm_tui.state.states import Priority, State

from ..models.fake import INFO, FakeFleet, FakeNode

GB = 10**9
MakePlan = Callable[..., Plan]
DISK = {"path": "/m", "total": 100 * GB, "free": 40 * GB, "used_by_models": 0, "quota": None}
DRAM = {**DISK, "path": "/d", "total": 8 * GB, "free": 8 * GB}
GPUS = [{"index": 0}, {"index": 1}]


@pytest.fixture
def fleet() -> FakeFleet:
    fleet = FakeFleet()
    for node in fleet.nodes.values():
        node.info = {
            **INFO,
            "disk": DISK,
            "dram": DRAM,
            "memory_available": 8 * GB,
            "gpus": GPUS,
        }
    return fleet


@pytest.fixture
def models(fleet: FakeFleet, tmp_path: Path) -> Iterator[Models]:
    with Database(tmp_path / "registry.db") as database:
        yield Models(fleet, Registry(database))  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def source(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The one model of the Hub: 10 GB, revision ``c1``; or the error that is put in its place."""
    state: dict[str, Any] = {"size": 10 * GB, "error": None}

    async def measure(reference: str, **_: Any) -> Resolved:
        if state["error"] is not None:
            raise state["error"]
        files = (SourceFile("w", size=state["size"]),)
        return Resolved(reference=reference, kind="fetch", name="m", revision="c1", files=files)

    monkeypatch.setattr("gswarm_tui.sources.measure", measure)
    return state


@pytest.fixture
def check(make_plan: MakePlan, models: Models) -> Callable[..., Any]:
    async def check(text: str, rates: Rates | None = None) -> Comparison:
        return await compare(make_plan(text), models, rates)

    return check


def verdicts(comparison: Comparison) -> dict[str, str]:
    return {task.planned.action_id: str(task.finding.verdict) for task in comparison.tasks}


def because(comparison: Comparison, action_id: str) -> tuple[str, ...]:
    return next(t.finding.because for t in comparison.tasks if t.planned.action_id == action_id)


def act(action_id: str, action_type: str, **fields: Any) -> str:
    return f"- {json.dumps({'action_id': action_id, 'action_type': action_type, **fields})}\n"


def m(action_id: str, action_type: str, **fields: Any) -> str:
    return act(action_id, action_type, model_name="m", **fields)


FETCH = m("fetch", "download", source="hf://o/m", device="node1:disk")
COPY = m("copy", "copy", devices=["node1:disk", "node2:disk"], dependencies=["fetch"])
SERVE = m("serve", "serve", device="node2:gpu0", dependencies=["copy"])
ASK = act("ask", "health_check", target_url="${serve.url}/health")


def serve_on(node: FakeNode, model: str, place: str, port: int) -> None:
    """What an earlier `serve` would have left."""
    where = {"model": model, "devices": [place], "address": "127.0.0.1", "port": port}
    node._service_start({**where, "engine": None, "api_key": None, "started_by": "serve"})


async def test_what_earlier_actions_would_bring_counts(
    check: Callable[..., Any], fleet: FakeFleet
) -> None:
    found = await check(FETCH + COPY + SERVE + ASK)
    assert set(verdicts(found).values()) == {"would do"}
    assert found.problems == []
    assert found.exit_code == 0
    assert {str(s.device): (s.free, s.after) for s in found.spaces} == {
        "node1:disk": (40 * GB, 30 * GB),
        "node2:disk": (40 * GB, 30 * GB),
    }
    assert [(o.expression, o.type, o.after) for o in found.outputs] == [
        ("${serve.url}", "text", "serve")
    ]
    reading = {"node.status", "node.info"}
    assert {method for node in fleet.nodes.values() for method, _ in node.calls} == reading
    assert fleet["node3"].calls == []


async def test_what_is_there_is_already_so(check: Callable[..., Any], fleet: FakeFleet) -> None:
    fleet["node1"].has("m", revision="c1")
    fleet["node2"].has("m", revision="c1")
    serve_on(fleet["node2"], "m", "gpu0", 8000)
    found = await check(FETCH + COPY + SERVE)
    assert verdicts(found) == dict.fromkeys(("fetch", "copy", "serve"), "already so")
    assert because(found, "serve") == ("port 8000 of node2 serves it",)
    assert found.spaces == ()


async def test_a_model_that_does_not_fit_fails_and_what_needs_it_is_unknown(
    check: Callable[..., Any], fleet: FakeFleet
) -> None:
    fleet["node2"].info = {**fleet["node2"].info, "disk": {**DISK, "free": 9 * GB}}
    found = await check(FETCH + COPY + SERVE)
    assert verdicts(found) == {
        "fetch": "would do",
        "copy": "would fail",
        "serve": "unknown until run",
    }
    assert [(planned.action_id, why) for planned, why in found.problems] == [
        ("copy", "m needs 10.0 GB, and node2:disk has room for 8.7 GB")
    ]
    assert because(found, "serve") == ("it needs `copy`, which would fail",)
    assert found.exit_code == 1


async def test_what_is_deleted_before_makes_room(
    check: Callable[..., Any], fleet: FakeFleet
) -> None:
    fleet["node1"].info = {**fleet["node1"].info, "disk": {**DISK, "free": 9 * GB}}
    fleet["node1"].partial.append(
        {**fleet["node1"]._copy("disk", fleet["node1"].has("old")), "size": 5 * GB}
    )
    delete = act("del", "delete", model_name="old", device="node1:disk")
    fetch = m("fetch", "download", source="hf://o/m", device="node1:disk", dependencies=["del"])
    assert (await check(FETCH)).exit_code == 1
    assert (await check(delete + fetch)).problems == []


async def test_what_was_begun_is_not_fetched_again(
    check: Callable[..., Any], fleet: FakeFleet
) -> None:
    copy = fleet["node1"]._copy("disk", fleet["node1"].has("x"))
    part = {**copy, "name": "m", "revision": "c1", "state": "partial", "done": 4 * GB}
    fleet["node1"].partial.append(part)
    found = await check(FETCH)
    assert found.tasks[0].finding.size == 6 * GB
    assert because(found, "fetch") == ("4.0 GB of it are on node1:disk",)


@pytest.mark.parametrize("state", ["partial", "damaged", "changed"])
async def test_what_is_not_whole_is_deleted_too(
    check: Callable[..., Any], fleet: FakeFleet, state: str
) -> None:
    copy = fleet["node1"]._copy("disk", fleet["node1"].has("x"))
    part = {**copy, "name": "m", "state": state, "size": 4 * GB, "done": 4 * GB}
    fleet["node1"].partial.append(part)
    found = await check(m("a", "delete", device="node1:disk"))
    assert because(found, "a") == ("frees 4.0 GB of node1:disk",)
    assert verdicts(found) == {"a": "would do"}


async def test_a_node_that_does_not_answer(check: Callable[..., Any], fleet: FakeFleet) -> None:
    fleet["node2"].unreachable = "no route to host"
    other = act("other", "download", model_name="n", source="hf://o/n", device="node2:disk")
    found = await check(FETCH + COPY + SERVE + other)
    assert verdicts(found) == {
        "fetch": "would do",
        "copy": "unknown until run",
        "serve": "unknown until run",
        "other": "unknown until run",
    }
    assert because(found, "other") == ("node2: no route to host",)
    assert found.unreachable == {"node2": "no route to host"}
    assert found.exit_code == 3


async def test_a_health_check_is_asked_from_its_node(
    check: Callable[..., Any], fleet: FakeFleet
) -> None:
    fleet["node2"].unreachable = "no route to host"
    found = await check(act("ask", "health_check", target_url="http://node2:8080/health"))
    assert (verdicts(found), found.exit_code) == ({"ask": "unknown until run"}, 3)
    elsewhere = await check(act("ask", "health_check", target_url="http://example.org/health"))
    assert (verdicts(elsewhere), elsewhere.exit_code) == ({"ask": "would do"}, 0)


@pytest.mark.parametrize(
    ("error", "verdict", "code"),
    [
        (SourceError("no such repository", where="hf://o/m"), "would fail", 1),
        (SourceUnreachableError("it answered 503", where="hf://o/m"), "unknown until run", 0),
    ],
)
async def test_a_source_that_says_no_fails_and_one_that_is_ill_may_not(
    check: Callable[..., Any], source: dict[str, Any], error: Exception, verdict: str, code: int
) -> None:
    source["error"] = error
    found = await check(FETCH)
    assert (verdicts(found)["fetch"], found.exit_code) == (verdict, code)


async def test_a_source_without_a_size(check: Callable[..., Any], source: dict[str, Any]) -> None:
    source["size"] = None
    found = await check(FETCH + COPY)
    assert [task.finding.size for task in found.tasks] == [None, None]
    assert [(str(s.device), s.after) for s in found.spaces] == [
        ("node1:disk", None),
        ("node2:disk", None),
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            m("a", "serve", device="node2:gpu0"),
            "m is not on node2; it is on node1:disk",
        ),
        (
            act("a", "copy", model_name="n", devices=["node1:disk", "node2:disk"]),
            "n is not on node1:disk",
        ),
        (
            m("a", "move", devices=["node1:disk", "node1:gpu2"]),
            "node1 has no gpu2 (it has gpu0, gpu1)",
        ),
        (
            m("a", "move", devices=["node1:disk", "node2:gpu0"]),
            "node2:gpu0 loads from its own node, and node2 has no copy of it",
        ),
        (
            m("a", "move", devices=["node1:disk", "node1:gpu0"], keep_source=False),
            "no other disk that answers has m, and node1:disk loses it",
        ),
        (
            m("a", "serve", device="node1:gpu1"),
            "node1:gpu1 is held by the engine of other",
        ),
        (
            act("a", "delete", model_name="other", device="node1:gpu1"),
            "other on node1:gpu1 is being served on port 9000",
        ),
        (
            m("a", "serve", device="node1:gpu0", port=9000),
            "port 9000 of node1 serves other",
        ),
        (
            m("a", "serve", device="node1:gpu0", api_key_env="GSWARM_NO_SUCH"),
            "the environment variable GSWARM_NO_SUCH is not set, and should hold the key",
        ),
        (
            act("a", "download", model_name="x", device="node1:disk"),
            "x is not registered",
        ),
    ],
)
async def test_what_will_make_it_fail_is_said(
    check: Callable[..., Any], fleet: FakeFleet, text: str, why: str
) -> None:
    fleet["node1"].has("m", revision="c1")
    fleet["node1"].has("other")
    serve_on(fleet["node1"], "other", "gpu1", 9000)
    found = await check(text)
    assert [said for _, said in found.problems] == [why]
    assert found.exit_code == 1


async def test_moving_on_and_back(check: Callable[..., Any], fleet: FakeFleet) -> None:
    fleet["node1"].has("m", revision="c1")
    there = m("there", "move", devices=["node1:disk", "node2:disk"])
    found = await check(there)
    assert because(found, "there") == ("frees 1.0 kB of node1:disk",)
    fleet["node1"].manifests.clear()
    fleet["node2"].has("m", revision="c1")
    assert verdicts(await check(there)) == {"there": "already so"}


async def test_stopping_and_deleting(check: Callable[..., Any], fleet: FakeFleet) -> None:
    text = m("stop", "stop_serve") + m(
        "del", "delete", devices=["node1:gpu0", "node1:disk"], dependencies=["stop"]
    )
    assert set(verdicts(await check(text)).values()) == {"already so"}
    fleet["node1"].has("m", revision="c1")
    serve_on(fleet["node1"], "m", "gpu0", 8000)
    found = await check(text)
    assert verdicts(found) == {"stop": "would do", "del": "would do"}
    assert because(found, "stop") == ("ends the service on node1 at port 8000",)
    assert found.problems == []


async def test_conditions(check: Callable[..., Any]) -> None:
    text = (
        FETCH
        + m("never", "stop_serve", when=False)
        + m("late", "stop_serve", when="${fetch.already}")
        + m("after", "delete", device="node2:disk", dependencies=["never"])
        + act("reads", "noop", message="${never.stopped} ended")
    )
    found = await check(text)
    assert verdicts(found) == {
        "fetch": "would do",
        "never": "would skip",
        "late": "unknown until run",
        "after": "already so",
        "reads": "would skip",
    }
    assert because(found, "late") == ("when: ${fetch.already}",)
    assert [(o.expression, o.type) for o in found.outputs] == [
        ("${fetch.already}", "true or false"),
        ("${never.stopped}", "whole number"),
    ]


def ended(action_type: str, size: int, seconds: float, device: str, **more: Any) -> TaskRecord:
    result = {"size": size, "seconds": seconds, "devices": [device], "already": False, **more}
    return TaskRecord(
        job_id=1,
        action_id="a",
        action_type=action_type,
        summary="",
        dependencies=(),
        state=State.SUCCEEDED,
        priority=Priority.NORMAL,
        attempt=1,
        waiting=None,
        ready_at=None,
        started_at=None,
        finished_at=None,
        retry_at=None,
        error=None,
        error_kind=None,
        result=result,
        cancel_requested=False,
        hint=None,
        nodes=(),
    )


async def test_times_come_from_earlier_tasks(check: Callable[..., Any]) -> None:
    rates = Rates(
        [
            ended("download", 2 * GB, 2.0, "node1:disk"),
            ended("download", 1 * GB, 4.0, "node1:disk"),
            ended("download", 9 * GB, 9.0, "node1:disk"),
            ended("download", 9 * GB, 0.1, "node1:disk", already=True),
            ended("download", 100, 0.1, "node1:disk"),
            ended("download", 9 * GB, 0.1, "node2:disk"),
        ]
    )
    found = await check(FETCH + COPY, rates)
    assert [task.seconds for task in found.tasks] == [10.0, None]
    assert found.seconds == 10.0
    assert (await check(FETCH)).seconds is None


async def test_what_loads_on_a_gpu_says_who_is_there_and_which_engine_would(
    check: Callable[..., Any], fleet: FakeFleet
) -> None:
    processes = [
        {"pid": 1, "user": "bob", "memory": GB},
        {"pid": 2, "user": "eve", "memory": 70 * GB},
        {"pid": 3, "user": None, "memory": None},
        {"pid": 4, "user": "eve", "memory": 7 * GB},
    ]
    memory = {"memory_total": 85 * GB, "memory_used": 78 * GB}
    gpus = [{"index": 0, **memory, "processes": processes}, {"index": 1, **memory}]
    fleet["node2"].info = {**fleet["node2"].info, "gpus": gpus}
    found = await check(FETCH + COPY + SERVE)
    assert because(found, "serve") == (
        "vllm loads it, as no engine is named",
        "node2:gpu0 has 7.0 GB of 85.0 GB free, eve holds 77.0 GB, bob holds 1.0 GB,"
        " somebody holds some",
        "its files have 10.0 GB, more than is free there",
    )
    assert (verdicts(found)["serve"], found.exit_code) == ("would do", 0)
    where = ["node2:gpu0", "node2:gpu1"]
    both = m("serve", "serve", devices=where, dependencies=["copy"])
    assert "its files have 10.0 GB" in because(await check(FETCH + COPY + both), "serve")


async def test_the_engine_that_is_named_is_not_said_again(check: Callable[..., Any]) -> None:
    moved = m(
        "go", "move", devices=["node1:disk", "node1:gpu0"], engine="mlx", dependencies=["fetch"]
    )
    said = because(await check(FETCH + moved), "go")
    assert said == ("its files have 10.0 GB",)


@pytest.mark.parametrize(
    ("fields", "verdict", "why"),
    [
        ({"creates": "out"}, "already so", ("out is there",)),
        ({"creates": "new", "cwd": "~/src"}, "would do", ("new is not there",)),
        ({}, "would do", ()),
        (
            {"creates": "${before.output}"},
            "unknown until run",
            ("whether ${before.output} is there is seen when it runs",),
        ),
        (
            {"creates": "out", "cwd": "${before.output}"},
            "unknown until run",
            ("whether out is there is seen when it runs",),
        ),
    ],
)
async def test_whether_what_a_command_creates_is_there(
    check: Callable[..., Any],
    fleet: FakeFleet,
    fields: dict[str, str],
    verdict: str,
    why: tuple[str, ...],
) -> None:
    fleet["node1"].paths.add("out")
    before = act("before", "command", node="node1", argv=["pwd"])
    found = await check(before + act("make", "command", node="node1", argv=["make"], **fields))
    assert (verdicts(found)["make"], because(found, "make")) == (verdict, why)
    assert fleet["node1"].asked("command.run") == []


async def test_an_older_node_cannot_say_what_is_there(
    check: Callable[..., Any], fleet: FakeFleet
) -> None:
    fleet["node1"].hello = {"capabilities": ["command.run"]}
    found = await check(act("make", "command", node="node1", argv=["make"], creates="out"))
    assert verdicts(found) == {"make": "unknown until run"}
