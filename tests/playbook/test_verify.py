"""The action type ``verify``: what it would read, what it holds, what comes of bad files."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gswarm_tui.cli.job_report import report
from gswarm_tui.errors import GswarmError
from gswarm_tui.jobs import JobResult, Runner
from gswarm_tui.jobs.claims import wants
from gswarm_tui.models import Models
from gswarm_tui.models.leases import Want
from gswarm_tui.playbook import Plan
from gswarm_tui.playbook.check.compare import compare
from gswarm_tui.playbook.check.finding import Verdict
from gswarm_tui.playbook.check.rates import Rates
from gswarm_tui.playbook.explain import explain
from gswarm_tui.playbook.language import schema
from gswarm_tui.state.database import Database
from gswarm_tui.state.models import Registry
from gswarm_tui.state.states import State
from gswarm_tui.yamlfile import load_yaml

from ..models.fake import SIZE, FakeFleet
from .test_compare import ended

MakePlan = Callable[[str], Plan]
BOTH = "- {action_id: a, action_type: verify, model_name: m, devices: ['node1:disk', 'node2:dram']}"
ONE = "- {action_id: a, action_type: verify, model_name: m, device: 'node1:disk'%s}"
BAD = {"ok": False, "bad": [{"path": "w.bin", "reason": "it has 1 bytes, 9 were published"}]}
DOCS = (Path(__file__).parents[2] / "docs" / "playbooks.md").read_text()


@pytest.fixture
def fleet() -> FakeFleet:
    fleet = FakeFleet()
    fleet["node1"].has("m", revision="r1")
    fleet["node2"].has("m", "dram", "r1")
    return fleet


@pytest.fixture
def models(fleet: FakeFleet, database: Database) -> Models:
    return Models(fleet, Registry(database))  # type: ignore[arg-type]


@pytest.fixture
def run(make_plan: MakePlan, models: Models, database: Database) -> Callable[[str], Any]:
    async def run(text: str) -> JobResult:
        return await Runner(make_plan(text), models, database).run()

    return run


async def test_it_says_what_it_would_read_and_reads_it(
    make_plan: MakePlan, models: Models, fleet: FakeFleet, run: Callable[[str], Any]
) -> None:
    (task,) = (await compare(make_plan(BOTH), models)).tasks
    assert task.finding.verdict is Verdict.WOULD_DO
    assert {str(device): size for device, size in task.finding.reads.items()} == {
        "node1:disk": SIZE,
        "node2:dram": SIZE,
    }
    assert task.finding.moves == {}
    assert task.finding.because == ("reads 1.0 kB on node1:disk", "reads 1.0 kB on node2:dram")
    assert not fleet["node1"].asked("model.verify")
    result = await run(BOTH)
    assert (result.state, result.tasks[0].result.size) == (State.SUCCEEDED, 2 * SIZE)
    assert list(report(result, command="gswarm"))[1:] == [
        "Verified",
        "  m  node1:disk  as published",
        "  m  node2:dram  as published",
    ]


async def test_a_copy_that_is_not_there_makes_it_fail(
    make_plan: MakePlan, models: Models, run: Callable[[str], Any]
) -> None:
    text = ONE.replace("node1", "node2") % ""
    (task,) = (await compare(make_plan(text), models)).tasks
    assert task.finding.problems == ("m is not on node2:disk; it is on node2:dram, node1:disk",)
    (failed,) = (await run(text)).tasks
    assert (failed.error.kind, str(failed.error)) == (
        "not_found",
        "node2:disk has no whole copy of m",
    )


@pytest.mark.parametrize("state", ["damaged", "changed"])
async def test_what_is_known_to_be_bad_is_read_too_and_mended(
    make_plan: MakePlan, models: Models, fleet: FakeFleet, state: str
) -> None:
    made = fleet["node1"].manifests.pop(("m", "r1", "disk"))
    fleet["node1"].partial.append({**fleet["node1"]._copy("disk", made), "state": state})
    copy = (
        "- {action_id: b, action_type: copy, model_name: m, devices: ['node2:dram', 'node1:disk'],"
    )
    text = f"{ONE % ''}\n{copy} dependencies: [a]}}\n{AGAIN}"
    read, mended, again = (await compare(make_plan(text), models)).tasks
    assert read.finding.because == ("reads 1.0 kB on node1:disk",)
    assert mended.finding.because == ("replaces the bad files on node1:disk",)
    assert mended.finding.size is None
    assert again.finding.verdict is Verdict.ALREADY


AGAIN = """
- {action_id: c, action_type: copy, model_name: m, devices: ['node2:dram', 'node1:disk'],
   dependencies: [b]}
"""


async def test_every_revision_is_read(run: Callable[[str], Any], fleet: FakeFleet) -> None:
    fleet["node1"].has("m", revision="r2")
    (task,) = (await run(ONE % "")).tasks
    assert [copy.revision for copy in task.result.copies] == ["r1", "r2"]
    assert {sent["revision"] for sent in fleet["node1"].asked("model.verify")} == {"r1", "r2"}


async def test_a_bad_file_is_a_failure_that_says_how_to_repair_it(
    run: Callable[[str], Any], fleet: FakeFleet
) -> None:
    fleet["node1"].answers["model.verify"] = {**BAD, "shared_with": ["twin 0a1b", "m r0"]}
    result = await run(BOTH)
    (task,) = result.tasks
    assert result.exit_code == 1
    assert task.error.kind == "mismatch"
    assert task.error.message == (
        "m on node1:disk is damaged: w.bin (it has 1 bytes, 9 were published)"
    )
    assert task.error.hint == (
        "to repair node1:disk: gswarm model copy m --from node2:dram --to node1:disk"
        " && gswarm model download twin --device node1:disk"
    )
    assert len(fleet["node1"].asked("model.verify")) == 1  # it would not be better a moment later


async def test_a_device_of_several_revisions_is_not_copied_from(
    run: Callable[[str], Any], fleet: FakeFleet
) -> None:
    fleet["node2"].has("m", tier="dram", revision="r2")
    fleet["node1"].answers["model.verify"] = BAD
    (task,) = (await run(BOTH)).tasks
    assert "gswarm model download m" in task.error.hint
    assert "--from" not in task.error.hint


async def test_many_bad_files_fit_into_a_message(
    run: Callable[[str], Any], fleet: FakeFleet
) -> None:
    reason = f"its sha256 is {'a1' * 32}, {'b2' * 32} was published"
    bad = [{"path": f"{n}.bin", "reason": reason} for n in range(9)]
    for node in ("node1", "node2"):
        fleet[node].answers["model.verify"] = {"ok": False, "bad": bad}
    (task,) = (await run(BOTH)).tasks
    assert "0.bin (its sha256 is a1a1a1a1a1a1…, b2b2b2b2b2b2… was published)" in task.error.message
    assert "2.bin" in task.error.message
    assert "3.bin" not in task.error.message
    assert task.error.message.count("6 more") == 2
    assert task.error.hint.startswith("to repair node1:disk (and likewise node2:dram): ")


async def test_a_damaged_copy_with_no_source_comes_from_another_node(
    run: Callable[[str], Any], fleet: FakeFleet
) -> None:
    for node in ("node1", "node3"):
        object.__setattr__(fleet[node].has("m", revision="r1"), "source", "")
    fleet["node2"].manifests.clear()
    fleet["node1"].answers["model.verify"] = BAD
    (task,) = (await run(ONE % "")).tasks
    assert task.error.hint.endswith("gswarm model copy m --from node3:disk --to node1:disk")


async def test_a_report_is_a_result_and_a_playbook_can_repair_by_itself(
    run: Callable[[str], Any], fleet: FakeFleet, database: Database
) -> None:
    fleet["node1"].has("llama", revision="r1")
    fleet["node1"].answers["model.verify"] = BAD
    (text,) = re.findall(r"this repairs a damaged copy.*?```yaml\n(.*?)```", DOCS, flags=re.S)
    look, mend = (await run(text.replace("download", "delete"))).tasks
    assert (look.result.ok, look.result.damaged) == (False, ["node1:disk"])
    assert look.result.copies[0].bad == {"w.bin": "it has 1 bytes, 9 were published"}
    assert mend.state is State.SUCCEEDED


async def test_it_shares_the_files_with_other_readers_and_is_known_to_the_node_by_its_task(
    make_plan: MakePlan, run: Callable[[str], Any], fleet: FakeFleet
) -> None:
    (planned,) = make_plan(BOTH).actions
    assert wants(planned.action.uses()) == {
        "node1": [Want(model="m", tier="disk", shared=True)],
        "node2": [Want(model="m", tier="dram", shared=True)],
    }
    await run(BOTH)
    (sent,) = fleet["node1"].asked("model.verify")
    assert sent["task"].endswith("/a/1")
    assert [(want["model"], want["shared"]) for want in asked(fleet, "lease.take")] == [("m", True)]


def asked(fleet: FakeFleet, method: str) -> list[dict[str, Any]]:
    return [want for params in fleet["node1"].asked(method) for want in params["wants"]]


async def test_a_lease_that_cannot_be_had_is_waited_for(
    make_plan: MakePlan, models: Models, fleet: FakeFleet, database: Database
) -> None:
    fleet["node1"].held["m on disk"] = "job 3 of eve@desk (delete m)"
    told: list[str] = []

    def watch(event: Any) -> None:
        reason = getattr(event, "reason", None)
        if reason:
            told.append(reason)
            asyncio.get_running_loop().call_soon(fleet["node1"].release, "m on disk")

    result = await Runner(make_plan(ONE % ""), models, database).run(watch)
    assert result.state is State.SUCCEEDED
    assert told == ["waiting for m on node1:disk, held by job 3 of eve@desk (delete m)"]


async def test_what_it_does_when_a_node_is_lost(
    run: Callable[[str], Any], fleet: FakeFleet
) -> None:
    fleet["node2"].unreachable = "off"
    result = await run(BOTH.replace("]}", "], retry: 1}"))
    assert (result.exit_code, result.tasks[0].error.kind) == (3, "unreachable")


async def test_an_error_that_cannot_be_looked_into_still_says_what_is_bad(
    models: Models, fleet: FakeFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet["node1"].answers["model.verify"] = BAD

    async def view(*_: object) -> None:
        raise GswarmError("nobody answers")

    result = await models.verify("m")
    monkeypatch.setattr("gswarm_tui.models.views.view", view)
    error = await models.damage(result)
    assert (error.hint, error.message.split(":")[0]) == (None, "m on node1")


def test_it_is_explained(make_plan: MakePlan) -> None:
    text = "actions:\n" + BOTH
    playbook = schema.read(load_yaml(text, name="p.yaml"), {}, default_name="p")
    lines = list(explain(playbook, make_plan(text)))
    assert (
        "1. a: reads every file of m on the disk of node1 and the memory of node2 again;"
        " a bad file is a failure." in lines
    )
    assert not any("nothing else uses" in line for line in lines)


async def test_how_long_it_takes_is_known_from_earlier_ones(
    make_plan: MakePlan, models: Models
) -> None:
    copies = [{"device": "node1:disk", "size": 4_000_000}]
    earlier = ended("verify", 0, 2.0, "node1:disk", copies=copies)
    (task,) = (await compare(make_plan(ONE % ""), models, Rates([earlier]))).tasks
    assert task.seconds == pytest.approx(SIZE / 2_000_000)
