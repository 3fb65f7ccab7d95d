"""``--junit``: what CI servers read."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from junitparser import Error, Failure, JUnitXml, Skipped

from gswarm_tui.cli import junit
from gswarm_tui.errors import GswarmError, LockedOutError, UsageError
from gswarm_tui.jobs.events import JobResult, Task, TaskResult
from gswarm_tui.state.states import State

from .conftest import Command

SUITE = {"name", "tests", "failures", "errors", "skipped", "time", "timestamp", "hostname"}
"""Attributes of a suite that Jenkins' junit-10.xsd knows."""


def result(*tasks: TaskResult, **options: Any) -> JobResult:
    return JobResult(17, "nightly", State.FAILED, 12.5, tasks, **options)


def task(name: str, state: State, **options: Any) -> TaskResult:
    return TaskResult(Task(name, "download", f"{name} to node1", ()), state, 1.25, Any, **options)


def hide(text: str) -> str:
    return text.replace("secret", "***")


def cases(path: Path) -> dict[str, Any]:
    (suite,) = JUnitXml.fromfile(str(path))
    return {case.name: case for case in suite}


ERROR = GswarmError("no room for secret\nand more", where="node1", hint="free some")


def test_a_case_for_each_task(tmp_path: Path) -> None:
    path = tmp_path / "junit.xml"
    tasks = [
        task("good", State.SUCCEEDED),
        task("bad", State.FAILED, error=ERROR),
        task("bug", State.FAILED, error=ERROR, details="Traceback"),
        task("later", State.SKIPPED, because="needs bad, which failed"),
        task("ended", State.CANCELLED),
        task("tolerated", State.FAILED, error=ERROR, tolerated=True),
    ]
    junit.write(path, result(*tasks), mask=hide)
    (suite,) = JUnitXml.fromfile(str(path))
    assert (suite.name, suite.tests, suite.failures, suite.errors, suite.skipped) == (
        *("nightly", 6, 1, 1, 3),
    )
    assert suite.time == 12.5
    assert {one.name: one.value for one in suite.properties()}["job"] == "17"
    found = cases(path)
    assert found["good"].is_passed
    assert found["good"].time == 1.25
    assert found["good"].classname == "nightly.download"
    (failure,) = found["bad"].result
    assert isinstance(failure, Failure)
    assert (failure.message, failure.type) == ("node1: no room for ***", "failed")
    assert failure.text == "node1: no room for ***\nand more\nhint: free some"
    assert isinstance(found["bug"].result[0], Error)
    skipped = {name: found[name].result[0] for name in ("later", "ended", "tolerated")}
    assert all(isinstance(one, Skipped) for one in skipped.values())
    assert skipped["later"].message == "needs bad, which failed"
    assert skipped["ended"].message == "cancelled"
    assert skipped["tolerated"].message.startswith("failed, and on_failure is continue: node1: no")


def test_only_what_the_schema_knows(tmp_path: Path) -> None:
    path = tmp_path / "junit.xml"
    junit.write(path, result(task("bad", State.FAILED, error=ERROR)), mask=hide)
    root = ElementTree.parse(path).getroot()
    assert root.tag == "testsuites"
    assert set(root.attrib) == {"name", "tests", "failures", "errors", "time"}
    (suite,) = root
    assert set(suite.attrib) == SUITE
    assert [child.tag for child in suite] == ["properties", "testcase"]
    assert [child.tag for child in suite[1]] == ["failure", "system-out"]
    assert set(suite[1].attrib) == {"name", "classname", "time"}


def test_a_job_that_took_too_long_is_a_case_too(tmp_path: Path) -> None:
    path = tmp_path / "junit.xml"
    error = GswarmError("the job took longer than 1.0 s")
    junit.write(path, result(task("good", State.SUCCEEDED), error=error), mask=hide)
    assert cases(path)["job"].result[0].message == "the job took longer than 1.0 s"


def test_a_run_that_did_not_begin(tmp_path: Path) -> None:
    path = tmp_path / "junit.xml"
    junit.write_refusal(path, "nightly", LockedOutError("another run is under way"))
    assert isinstance(cases(path)["job"].result[0], Error)


def test_what_no_xml_can_hold_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "junit.xml"
    error = GswarmError("\x1b[31m\x00\ud800\uffff ]]> & <ok>")
    junit.write(path, result(task("bad", State.FAILED, error=error)), mask=str)
    assert cases(path)["bad"].result[0].message == "�[31m��� ]]> & <ok>"


@pytest.mark.parametrize("name", ["missing/junit.xml", ".", "/proc/junit.xml"])
def test_a_file_that_cannot_be_written_is_refused_before_the_run(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be written"):
        junit.check(tmp_path / name)


def test_a_job_that_succeeded_did_so_without_its_report(
    gswarm: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: bytes) -> None:
        raise GswarmError("cannot be written: No space left on device", where=str(path))

    monkeypatch.setattr(junit, "_replace", full)
    (tmp_path / "one.yaml").write_text("actions: [{action_id: a, action_type: noop}]")
    ended = gswarm("run", "one.yaml", "--quiet", "--junit", "one.xml", "--log-file", "log")
    warning = "warning: one.xml: cannot be written: No space left on device"
    assert (ended.code, ended.err) == (0, f"{warning}\n")
    assert warning in (tmp_path / "log").read_text()
    (tmp_path / "one.yaml").write_text("actions: [{action_id: a, action_type: fly}]")
    refused = gswarm("run", "one.yaml", "--junit", "one.xml")
    assert refused.code == 2
    assert warning in refused.err
    assert "unknown action type `fly`" in refused.err
