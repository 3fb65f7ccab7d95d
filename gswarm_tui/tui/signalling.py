"""A signal to processes on GPUs: asked for, guarded on the node, and a job like any other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from gswarm_tui.errors import UsageError
from gswarm_tui.tui.acting import Deed
from gswarm_tui.tui.widgets.dialog import Field, Flag, Form
from gswarm_tui.watch.snapshot import GpuProcess

SIGNALS: Final = ("TERM", "INT", "HUP", "KILL", "USR1", "USR2", "STOP", "CONT")
ENDING: Final = frozenset({"TERM", "INT", "HUP", "KILL"})
_COMMAND: Final = 60
"""So many characters of a process's command are shown."""

GUARD: Final = """
pid=$1 signal=$2 since=$3 whose=$4 proc=/proc
[ $# -lt 5 ] || proc=$5
command -v ps >/dev/null || { echo "there is no ps here, to see what process $pid is" >&2; exit 1; }
found=$(ps -o uid= -o etimes= -p "$pid") || { echo "process $pid has ended" >&2; exit 1; }
set -- $found
[ "$whose" = anybody ] || [ "$1" = "$(id -u)" ] ||
  { echo "process $pid is another user's" >&2; exit 1; }
off=$(( $(date +%s) - $2 - since ))
[ "$off" -ge -10 ] && [ "$off" -le 10 ] ||
  { echo "number $pid is another process by now" >&2; exit 1; }
if [ "$(readlink "$proc/self/ns/pid")" != "pid:[4026531836]" ]; then
  ls -l "$proc/$pid/fd" 2>/dev/null | grep -q -e " -> /dev/nvidia" ||
    { echo "number $pid may be another process: PIDs here are a container's own," \
      "and this one has no GPU open" >&2; exit 1; }
fi
kill -s "$signal" "$pid"
""".strip()
"""Run on the node: the number may be another process by the time that this is confirmed, root may
signal anybody's, and the driver may have named the host's number where PIDs are a container's own
(as `gswarm_remote.metrics.processes` sees it, which has the source of the initial namespace)."""


def ask(node: str, processes: Sequence[GpuProcess]) -> Form:
    """What is asked before processes are signalled.

    Raises:
        UsageError: the number of one of them may be, or have become, another process's.
    """
    _check(node, processes)
    return Form(
        title=f"signal {_named(processes)} on {node}",
        about="\n".join(_described(process) for process in processes),
        fields=(
            Field("signal", "signal", "TERM", SIGNALS, ", ".join(SIGNALS)),
            Flag("foreign", "also where it is another user's"),
        ),
        make=lambda answers: signal(node, processes, answers),
    )


def signal(node: str, processes: Sequence[GpuProcess], answers: Mapping[str, str]) -> Deed:
    """Send a signal to each of these processes.

    The texts of the playbook have numbers and the node's name only: what a process is called comes
    from the node, and a playbook would fill it in.

    Raises:
        UsageError: there is no such signal, or as for `ask`.
    """
    _check(node, processes)
    name = answers["signal"].upper().removeprefix("SIG")
    if name not in SIGNALS:
        raise UsageError(f"there is no signal `{name}`", hint=f"one of {', '.join(SIGNALS)}")
    whose = "anybody" if answers["foreign"] else "own"
    losses: list[str] = []
    if name in ENDING:
        losses = [f"{_described(each)} ends; what it has not saved is lost" for each in processes]
    return Deed(
        title=f"send {name} to {_named(processes)} on {node}",
        actions=tuple(_action(node, each, name, whose) for each in processes),
        about=node,
        losses=tuple(losses),
    )


def _check(node: str, processes: Sequence[GpuProcess]) -> None:
    strange = [process for process in processes if not process.verified]
    if strange:
        raise UsageError(
            f"the driver names {_named(strange)}, which may be another process on {node}: gswarm is"
            " in a container with PIDs of its own there, and sees no GPU open in it",
            hint="signal it from the host, or run the container with the host's PIDs"
            " (docker run --pid=host)",
        )

    unknown = [process for process in processes if process.since is None]
    if unknown:
        raise UsageError(
            f"{node} does not tell since when {_named(unknown)} is there: it has ended, or is"
            " hidden from gswarm's user; the number may be another process by now",
            hint="look on the node: `s` opens a shell there",
        )


def _action(node: str, process: GpuProcess, name: str, whose: str) -> dict[str, Any]:
    words = [str(process.pid), name, str(round(process.since or 0)), whose]
    return {
        "action_id": f"signal_{process.pid}",
        "action_type": "command",
        "node": node,
        "argv": ["/bin/sh", "-c", GUARD, "sh", *words],
    }


def _named(processes: Sequence[GpuProcess]) -> str:
    numbers = ", ".join(str(process.pid) for process in processes)
    return f"process {numbers}" if len(processes) == 1 else f"processes {numbers}"


def _described(process: GpuProcess) -> str:
    command = process.command
    if len(command) > _COMMAND:
        command = command[: _COMMAND - 1] + "…"
    return f"{process.pid} {command} of {process.user or 'somebody'}"
