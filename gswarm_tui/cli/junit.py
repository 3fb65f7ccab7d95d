"""A job as a JUnit file, as CI servers read it: a suite for the job, a case for each task.

The elements and attributes are those of Jenkins' junit-10.xsd.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

from gswarm_tui import wholefile
from gswarm_tui.errors import GswarmError, UsageError
from gswarm_tui.jobs import JobResult, TaskResult
from gswarm_tui.jobs.sentences import done
from gswarm_tui.state.states import State
from gswarm_tui.wording import clean, first_line

_NO_XML: Final = re.compile("[\ufffe\uffff]")
_COUNTED: Final = {"failures": "failure", "errors": "error", "skipped": "skipped"}


def check(path: Path) -> None:
    """Refuse a file that could not be written when the run is over.

    Raises:
        UsageError: its folder is not there or cannot be written to.
    """
    if path.is_dir():
        raise UsageError("cannot be written: it is a folder", where=str(path))
    trial = wholefile.beside(path)
    try:
        trial.write_bytes(b"")
        trial.unlink()
    except OSError as error:
        hint = "is its folder there, and may you write to it?"
        message = f"cannot be written: {error.strerror}"
        raise UsageError(message, where=str(path), hint=hint) from None


def write(path: Path, result: JobResult, *, mask: Callable[[str], str]) -> None:
    """Write how a job ended; the file is there as a whole, or as it was.

    Args:
        mask: hides secrets in what is written.

    Raises:
        GswarmError: it cannot be written.
    """
    cases = [_case(result, task, mask) for task in result.tasks]
    if result.error is not None:
        cases.append(_failed(result.name, "job", result.error, mask))
    properties = {"job": str(result.job_id), "exit_code": str(result.exit_code)}
    _write(path, result.name, result.seconds, cases, properties)


def write_refusal(path: Path, name: str, error: GswarmError) -> None:
    """Write that a playbook did not come to be run.

    Raises:
        GswarmError: the file cannot be written.
    """
    case = _failed(name, "job", error, str, kind="error")
    _write(path, name, 0.0, [case], {"exit_code": str(error.exit_code)})


def _case(result: JobResult, task: TaskResult, mask: Callable[[str], str]) -> ElementTree.Element:
    classname = f"{result.name}.{task.task.action_type}"
    name = task.task.action_id
    if task.error is not None and task.state is State.FAILED and not task.tolerated:
        kind = "failure" if task.details is None else "error"
        case = _failed(classname, name, task.error, mask, kind=kind, seconds=task.seconds)
    else:
        case = _element("testcase", classname=classname, name=name, time=_time(task.seconds))
        if task.state is not State.SUCCEEDED:
            case.append(_element("skipped", message=_text(mask(_why_skipped(task)))))
    said = f"{task.task.action_type} {task.task.summary}"
    if task.state is State.SUCCEEDED:
        said += f"\n{done(task.result)}"
    output = _element("system-out")
    output.text = _text(mask(said))
    case.append(output)
    return case


def _why_skipped(task: TaskResult) -> str:
    if task.error is not None:
        return f"failed, and on_failure is continue: {task.error}"
    return task.because or str(task.state)


def _failed(
    classname: str,
    name: str,
    error: GswarmError,
    mask: Callable[[str], str],
    *,
    kind: str = "failure",
    seconds: float = 0.0,
) -> ElementTree.Element:
    case = _element("testcase", classname=classname, name=name, time=_time(seconds))
    failure = _element(kind, message=_text(mask(first_line(str(error)))), type=error.kind)
    hint = f"\nhint: {error.hint}" if error.hint else ""
    failure.text = _text(mask(f"{error}{hint}"))
    case.append(failure)
    return case


def _write(
    path: Path,
    name: str,
    seconds: float,
    cases: Sequence[ElementTree.Element],
    properties: dict[str, str],
) -> None:
    counts = {
        count: str(sum(case.find(element) is not None for case in cases))
        for count, element in _COUNTED.items()
    }
    began = datetime.now(UTC) - timedelta(seconds=seconds)
    common = {"name": _text(name), "tests": str(len(cases)), **counts, "time": _time(seconds)}
    suite = _element(
        "testsuite",
        **common,
        timestamp=began.strftime("%Y-%m-%dT%H:%M:%S"),
        hostname=_text(platform.node()),
    )
    listed = _element("properties")
    listed.extend(_element("property", name=key, value=value) for key, value in properties.items())
    suite.append(listed)
    suite.extend(cases)
    # Jenkins' schema allows no `skipped` here, but in the suites.
    del common["skipped"]
    root = _element("testsuites", **common)
    root.append(suite)
    ElementTree.indent(root)
    _replace(path, ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))


def _replace(path: Path, content: bytes) -> None:
    try:
        wholefile.write(path, content + b"\n")
    except OSError as error:
        message = f"cannot be written: {error.strerror}"
        raise GswarmError(message, where=str(path)) from error


def _element(tag: str, **attributes: str) -> ElementTree.Element:
    return ElementTree.Element(tag, attributes)


def _text(text: str) -> str:
    """Without what XML 1.0 cannot hold."""
    return _NO_XML.sub("�", clean(text, keep="\n\t"))


def _time(seconds: float) -> str:
    return f"{seconds:.3f}"
