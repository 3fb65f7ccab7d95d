"""The commands of this node: started once for a task, followed, found again, and ended.

A command is a process in a session of its own, which notes its exit status by itself. So the helper
may be killed at any moment: the next one finds the record, and goes on following.
"""

from __future__ import annotations

import codecs
import logging
import os
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, NoReturn, Optional

from .. import process
from ..engines.workplace import inherited, last_lines
from ..errors import HelperError, Kind
from ..operations import Report, in_thread
from ..paths import private_folder
from ..tasks.entry import Entry
from . import record
from .record import Command

if TYPE_CHECKING:
    from ..node import Node

log = logging.getLogger("gswarm.commands")

GRACE_S = 5.0
"""Seconds between TERM and KILL."""

_FIRST_POLL_S = 0.005
_POLL_S = 0.1
_CHUNK = 64 * 1024
_FLOOD = 1024 * 1024  # bytes since the last look
_LINES_SHOWN = 5

KIND = "command"
METHOD = "command.run"


class Commands:
    """Every command of a node root, by id."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def knows(self, command_id: str) -> bool:
        """Whether it was started before."""
        return (self._folder(command_id) / "record.json").exists()

    def adopt(self) -> None:
        """Follow what an earlier helper started and what still runs, or ended without a word."""
        for path in self._node.paths.tasks.glob("*/record.json"):
            command = record.read(path.parent)
            if command is None or record.status(path.parent) is not None:
                continue
            if record.leader(command) is not None or (path.parent / "begun").exists():
                log.info("%s: found %s", command.id, command.argv[0])
                entry = Entry(command.task, METHOD, command.id)
                work = self._work(command, None)
                self._node.operations.start_unasked(entry, kind=KIND, key=command.id, work=work)

    async def run(self, call: Any, command: Command, env: Mapping[str, str]) -> Dict[str, Any]:
        """Run a command, or attach to it where it was started before; its result.

        Raises:
            HelperError: it cannot be started, ended with another status than 0 (failed), or took
                longer than it may (timeout).
        """
        before = await in_thread(record.tail, self._folder(command.id))
        if before["end"]:
            call.progress({"phase": "running", **before})
        result: Dict[str, Any] = await self._node.operations.run(
            call, kind=KIND, key=command.id, work=self._work(command, env)
        )
        return result

    def _work(self, command: Command, env: Optional[Mapping[str, str]]) -> Any:
        async def work(report: Report, cancelled: threading.Event) -> Dict[str, Any]:
            result: Dict[str, Any] = await in_thread(self._do, command, env, report, cancelled)
            return result

        return work

    def _folder(self, command_id: str) -> Path:
        return self._node.paths.tasks / command_id

    # In a thread of its own

    def _do(
        self,
        wanted: Command,
        env: Optional[Mapping[str, str]],
        report: Report,
        cancelled: threading.Event,
    ) -> Dict[str, Any]:
        """Start it if it never was, and follow it; without `env` nothing is started."""
        folder = self._folder(wanted.id)
        command = record.read(folder)
        leader = None if command is None else record.leader(command)
        if command is None or (leader is None and not (folder / "begun").exists()):
            if env is None:
                raise HelperError(Kind.FAILED, f"{wanted.argv[0]} was never begun")
            command = self._start(wanted, env, folder)
        else:
            command = replace(command, process=leader)
        return self._follow(command, folder, report, cancelled)

    def _start(self, command: Command, env: Mapping[str, str], folder: Path) -> Command:
        running = frozenset(self._node.operations.keys(KIND))
        record.prune(self._node.paths.tasks, running | {command.id})
        environment = {**inherited(), **env}
        _look_for_program(command, environment)
        private_folder(folder)
        command.write(folder)  # before there is a process to lose
        started = record.spawn(command, folder, environment)
        command = replace(command, process=started)
        command.keep(folder)
        log.info("%s: %s is pid %d", command.id, command.argv[0], started.pid)
        return command

    def _follow(
        self, command: Command, folder: Path, report: Report, cancelled: threading.Event
    ) -> Dict[str, Any]:
        with Follower(folder / "output", report) as follower:
            pause = _FIRST_POLL_S
            while command.process is not None and command.process.alive():
                if cancelled.wait(pause):
                    self._cancelled(command, folder, follower)
                pause = min(_POLL_S, pause * 1.5)
                if _is_late(command):
                    command = replace(command, timed_out=True)
                    command.keep(folder)
                    _end(command, folder)
                follower.look()
            follower.look(last=True)
        return _result(command, folder)

    def _cancelled(self, command: Command, folder: Path, follower: Follower) -> NoReturn:
        """End it, unless it is only this helper that goes: then the next one follows it."""
        if not self._node.leaving:
            _end(command, folder)
            follower.look(last=True)
            record.remove(folder)
        raise HelperError(Kind.CANCELLED, f"{command.argv[0]} was cancelled")


class Follower:
    """Reports what a file gains."""

    def __init__(self, path: Path, report: Report) -> None:
        self._report = report
        self._file = path.open("rb")
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._told = 0
        self._skip()

    def __enter__(self) -> Follower:
        self._report({"phase": "running"})
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()

    def look(self, *, last: bool = False) -> None:
        """Report what is new."""
        self._skip()
        while True:
            chunk = self._file.read(_CHUNK)
            text = self._decoder.decode(chunk, final=last and not chunk)
            end = self._file.tell() - len(self._decoder.getstate()[0])
            if text:
                report = {"phase": "running", "output": text, "start": self._told, "end": end}
                self._report(report)
                self._told = end
            if not chunk:
                return

    def _skip(self) -> None:
        """Pass over a flood that nobody could read, but for its end."""
        size, here = os.fstat(self._file.fileno()).st_size, self._file.tell()
        if size - here > _FLOOD:
            self._decoder.reset()
            self._told = self._file.seek(size - _CHUNK)
            text = f"\n[{self._told - here} bytes are not shown here]\n"
            self._report(
                {"phase": "running", "output": text, "start": self._told, "end": self._told}
            )


def _look_for_program(command: Command, env: Mapping[str, str]) -> None:
    """Say what is wrong in our words, before the shell that notes the status does in its own.

    Raises:
        HelperError: there is no such program, or it is not one.
    """
    name, cwd = command.argv[0], Path(command.cwd)
    path = env.get("PATH", os.defpath)
    folders = [cwd] if os.sep in name else [cwd / part for part in path.split(os.pathsep)]
    # Not Path.is_file, which raises where a folder may not be entered.
    found = [str(each) for each in (folder / name for folder in folders) if os.path.isfile(each)]  # noqa: PTH113
    if any(os.access(each, os.X_OK) for each in found):
        return
    if found:
        raise HelperError(
            Kind.PERMISSION, "this file is not executable", where=found[0], hint="chmod +x it"
        )
    hint = "install it there, or give its whole path"
    if os.sep not in name:
        hint += f"; a shell's builtins need `sh -c`; the PATH of commands there is {path}"
    raise HelperError(Kind.NOT_FOUND, f"there is no program {name}", hint=hint)


def _is_late(command: Command) -> bool:
    if command.timeout_s is None or command.timed_out:
        return False
    return time.time() > command.started_at + command.timeout_s


def _end(command: Command, folder: Path) -> None:
    """End it and all that it started.

    Args:
        folder: its record's. Where it works is no sign of it: that may be the user's home.

    Raises:
        HelperError: there are processes that do not end even when they are killed.
    """
    if command.process is None:
        return
    left = process.terminate(command.process, mark=command.id, folder=folder, grace_s=GRACE_S)
    if left:
        pids = ", ".join(map(str, left))
        raise HelperError(
            Kind.FAILED, f"{command.argv[0]}: the processes {pids} do not end even when killed"
        )


def _result(command: Command, folder: Path) -> Dict[str, Any]:
    """The answer, once the process is gone.

    Raises:
        HelperError: it did not end as it should.
    """
    status = record.status(folder)
    name = Path(command.argv[0]).name
    if status is None:
        _end(command, folder)  # what its shell left behind
        record.note_status(folder, status := record.LOST)
    if command.timed_out:
        raise _failure(
            Kind.TIMEOUT, f"{name} took longer than {command.timeout_s:g} s and was ended", folder
        )
    if status == record.LOST:
        raise _failure(Kind.FAILED, f"{name} was ended from outside, or the node was", folder)
    if status != 0:
        raise _failure(Kind.FAILED, f"{name} ended with status {status}", folder)
    written = record.tail(folder)
    ended_at = (folder / "status").stat().st_mtime
    return {
        "status": status,
        "output": written["output"],
        "truncated": written["start"] > 0,
        "skipped": False,
        "seconds": max(0.0, ended_at - command.started_at),
    }


def _failure(kind: str, message: str, folder: Path) -> HelperError:
    lines: List[str] = last_lines(folder / "output", _LINES_SHOWN)
    shown = f"{message}: {' | '.join(lines)}" if lines else message
    return HelperError(kind, shown, hint=f"all that it wrote is in {folder / 'output'} there")
