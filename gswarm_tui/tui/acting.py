"""What is changed from the screens is done by gswarm's own command line, in a process of its own.

So it is a job like any other: it is compared with the fleet before it begins, stands in the list of
jobs, and goes on when the terminal is closed. A screen makes a `Deed`, an `Actor` proposes it and
carries it out; `gswarm_tui.tui.deeds` asks the user in between.
"""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Protocol, final

from gswarm_remote import subprocesses

from gswarm_tui import wording
from gswarm_tui.cli.context import Settings
from gswarm_tui.errors import (
    EXIT_LOCKED,
    EXIT_UNREACHABLE,
    GswarmError,
    NodeError,
    StateError,
    UsageError,
)

_HINT = "  hint: "
_ERROR = "error: "
_PLAIN = re.compile(r"[^A-Za-z0-9._-]+")
_FOLDER: Final = "tui-"
_OUR_FILE = re.compile(rf"\S*/{_FOLDER}[^/\s]+/[A-Za-z0-9._-]+\.yaml(:\d+)*: ")
"""Where something stands in a playbook that the user did not write is no help."""
_VERBS: Final = {"stop_serve": "stop serving"}
"""Where a type of action is not called as one says it."""

_LATER: Final = "do it again when that has ended"
"""Instead of an option of the command line that waits for it."""

READ_ONLY: Final = "gswarm-tui was started with --read-only: nothing is changed or sent from here"
_DEMO: Final = "the demo changes nothing"


@dataclass(frozen=True, slots=True)
class Deed:
    """Something that is to be changed.

    Args:
        title: what is done, in words: ``delete llama-7b from node1:disk``.
        commands: the command lines, without ``gswarm``, that do the same; they are what is shown
            and, where there is no playbook, what is run.
        actions: those of the playbook that is run, as they are written in one; none where
            `commands` are run themselves.
        about: a model, a node, ``job 17``: what the event is about.
        losses: sentences that say what will be lost; where there are some, it is dangerous.
        does: sentences that say what it comes to, where it is not compared with the fleet.
        check: whether it can be compared with the fleet beforehand.
        file: a playbook of the user's that is run instead, and the values of its variables.
    """

    title: str
    commands: tuple[tuple[str, ...], ...] = ()
    actions: tuple[Mapping[str, Any], ...] = ()
    about: str = ""
    losses: tuple[str, ...] = ()
    does: tuple[str, ...] = ()
    check: bool = True
    file: str | None = None
    variables: tuple[tuple[str, str], ...] = ()

    @property
    def is_playbook(self) -> bool:
        """Whether it becomes a job."""
        return bool(self.actions) or self.file is not None

    @property
    def options(self) -> list[str]:
        """Those of ``gswarm run`` that give variables their values."""
        return [word for name, value in self.variables for word in ("-e", f"{name}={value}")]

    def playbook(self) -> str:
        """The text of its playbook."""
        import yaml

        actions = json.loads(json.dumps([dict(action) for action in self.actions]))  # no aliases
        document = {"name": self.title, "actions": actions}
        return yaml.safe_dump(document, sort_keys=False, allow_unicode=True)


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a deed would come to.

    Args:
        command: the command line that does the same, to copy.
        plan: what would be done, a sentence a line.
        problems: why it would fail, if it was done now.
        is_pretended: whether nothing comes of it when it is confirmed.
    """

    deed: Deed
    command: str
    plan: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    is_pretended: bool = False


@dataclass(frozen=True, slots=True)
class Done:
    """What came of it: the number of the job that does it, or what was said."""

    job: int | None = None
    said: str = ""


class Actor(Protocol):
    """Looks at deeds, and does them."""

    async def propose(self, deed: Deed) -> Proposal:
        """What it would come to; nothing is done.

        Raises:
            GswarmError: it cannot be done at all.
        """
        ...

    async def carry_out(self, proposal: Proposal) -> Done:
        """Begin it; returns when it is handed over, or done where it is no job.

        Raises:
            GswarmError: it could not be begun, or failed.
        """
        ...


@final
class CommandLine:
    """The `Actor` of a real fleet: gswarm's own command line, without a terminal.

    Args:
        settings: the inventory and the data directory of this fleet.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def propose(self, deed: Deed) -> Proposal:
        command = equal_command(deed, self._settings)
        if not deed.is_playbook or not deed.check:
            return Proposal(deed, command, deed.does)
        with self._file(deed) as file:
            words = ["run", file, *deed.options, "--check", "--json"]
            said = await self._gswarm(words, failing_is_said=True)
        return _read_check(deed, command, said)

    async def carry_out(self, proposal: Proposal) -> Done:
        deed = proposal.deed
        if not deed.is_playbook:
            said = [await self._gswarm([*words]) for words in deed.commands]
            return Done(said="\n".join(filter(None, (text.strip() for text in said))))
        with self._file(deed) as file:
            answer = await self._gswarm(["run", file, *deed.options, "--detach", "--json"])
        try:
            return Done(job=int(json.loads(answer)["job"]))
        except (ValueError, LookupError, TypeError):
            raise GswarmError(f"gswarm run did not name its job: {answer[:200]}") from None

    @contextmanager
    def _file(self, deed: Deed) -> Iterator[str]:
        """The playbook in the data directory; the job keeps its text, so the file goes again."""
        if deed.file is not None:
            yield deed.file
            return
        home = self._settings.home()
        root = home.database.parent
        try:
            with tempfile.TemporaryDirectory(prefix=_FOLDER, dir=root) as folder:
                file = Path(folder) / f"{_PLAIN.sub('-', deed.title)[:60]}.yaml"
                file.write_text(deed.playbook(), encoding="utf-8")
                yield str(file)
        except OSError as error:
            raise StateError(f"cannot be written: {error.strerror}", where=str(root)) from None

    async def _gswarm(self, words: Sequence[str], *, failing_is_said: bool = False) -> str:
        """Run a command; its stdout.

        Args:
            failing_is_said: a failure that stdout tells of is not raised.

        Raises:
            GswarmError: it failed, in its own words.
        """
        argv = [sys.executable, "-P", "-m", "gswarm_tui.cli", *self._settings.options(), *words]
        process = await subprocesses.start(
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            out, err = await process.communicate()
        finally:
            if process.returncode is None:  # nobody waits for it any more
                process.terminate()
        said = out.decode(errors="replace")
        if process.returncode and not (failing_is_said and said):
            raise _error(err.decode(errors="replace") or said, process.returncode)
        return said


@final
@dataclass(slots=True)
class Recording:
    """An `Actor` that only remembers: for the demo and for tests.

    Args:
        said: what it says when it is asked to do something.
        plan: what it says that would be done.
        pretends: whether it says that it does nothing.
        error: what comes instead of an answer.
        done: what was carried out.
    """

    said: str = "done"
    plan: tuple[str, ...] = ("would do",)
    problems: tuple[str, ...] = ()
    pretends: bool = False
    job: int | None = None
    error: GswarmError | None = None
    proposed: list[Deed] = field(default_factory=list)
    done: list[Deed] = field(default_factory=list)

    async def propose(self, deed: Deed) -> Proposal:
        self.proposed.append(deed)
        plan = (*deed.does, *self.plan)
        return Proposal(deed, equal_command(deed), plan, self.problems, self.pretends)

    async def carry_out(self, proposal: Proposal) -> Done:
        if self.error is not None:
            raise self.error
        self.done.append(proposal.deed)
        return Done(self.job, self.said)


def demo() -> Recording:
    """The `Actor` of the demo."""
    return Recording(f"pretended; {_DEMO}", (_DEMO,), pretends=True)


def run_playbook(file: Path, values: Mapping[str, str]) -> Deed:
    """Run a playbook of the user's."""
    path, variables = str(file.resolve()), tuple(values.items())
    deed = Deed(f"run {file.name}", about=file.name, file=path, variables=variables)
    return replace(deed, commands=(("run", path, *deed.options, "--detach"),))


def equal_command(deed: Deed, settings: Settings | None = None) -> str:
    """The command line that does the same, to be pasted into a shell."""
    before = ["gswarm", *(settings or Settings()).options()]
    lines = [shlex.join([*before, *words]) for words in deed.commands]
    return wording.clean(" && ".join(lines))


def _read_check(deed: Deed, command: str, said: str) -> Proposal:
    """What ``gswarm run --check --json`` printed, in sentences."""
    try:
        document = json.loads(said)
        plan = [line for action in document["actions"] for line in _plan(action)]
        plan += [_space(space) for space in document["space"]]
        if document["seconds"] is not None:
            timed = [each for each in document["actions"] if each["seconds"] is not None]
            moves = any(each["moves"] for each in timed)
            plan.append(wording.estimate(document["seconds"], moves=moves))
        problems = [why for action in document["actions"] for why in action["problems"]]
        problems += [f"{node} does not answer: {w}" for node, w in document["unreachable"].items()]
    except (ValueError, LookupError, TypeError, AttributeError):
        raise GswarmError(f"gswarm run --check did not say what it found: {said[:200]}") from None
    return Proposal(deed, command, tuple(plan), tuple(problems))


def _plan(action: Mapping[str, Any]) -> Iterator[str]:
    """What would be done for one action."""
    verb = _VERBS.get(action["action_type"], action["action_type"].replace("_", " "))
    yield f"{verb} {action['summary']}: {action['check']}"
    for because in action["because"]:
        yield f"  {because}"
    for device, size in action["moves"].items():
        amount = "as much as the model has" if size is None else wording.size(size)
        yield f"  brings {amount} to {device}"


def _space(space: Mapping[str, Any]) -> str:
    after = "not known" if space["after"] is None else wording.size(space["after"])
    return f"free on {space['device']}: {wording.size(space['free'])}, after it {after}"


def _error(said: str, code: int) -> GswarmError:
    """What gswarm printed on stderr as the error that it was."""
    lines = [line for line in said.strip().splitlines() if line.strip()]
    hints = [line.removeprefix(_HINT) for line in lines if line.startswith(_HINT)]
    rest = [line.removeprefix(_ERROR) for line in lines if not line.startswith(_HINT)]
    text = _OUR_FILE.sub("", "\n".join(rest))
    if code == EXIT_LOCKED:
        hints = [_LATER]
    kinds: dict[int, type[GswarmError]] = {2: UsageError, EXIT_UNREACHABLE: NodeError}
    message = text or f"gswarm ended with {code} and said nothing"
    return kinds.get(code, GswarmError)(message, hint="\n".join(hints) or None)
