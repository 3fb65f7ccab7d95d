"""``command``: run a program on a node."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field, WithJsonSchema, field_validator

from gswarm_tui.devices import is_ipv6
from gswarm_tui.errors import DeviceError
from gswarm_tui.models.results import CommandResult
from gswarm_tui.playbook.actions.base import Action, ParseDevice, SpellingError, Use, Written
from gswarm_tui.playbook.check.finding import Draft, Finding
from gswarm_tui.progress import ProgressCallback

if TYPE_CHECKING:
    from gswarm_tui.models import Models
    from gswarm_tui.playbook.check.expected import Expected
    from gswarm_tui.playbook.outcome import Outcome

_LONGEST_SHOWN = 80

_Word = Annotated[str, WithJsonSchema({"type": ["string", "integer"]})]


@dataclass(frozen=True, slots=True, kw_only=True)
class Command(Action):
    """The values of ``env`` may be secret: they are shown nowhere."""

    result: ClassVar = CommandResult

    node: str
    argv: tuple[str, ...]
    cwd: str | None
    env: Mapping[str, str] = field(repr=False)
    creates: str | None

    def summary(self) -> str:
        return f"{self._line()} on {self.node}"

    def sentence(self) -> str:
        folder = "" if self.cwd is None else f" in {self.shown('cwd', self.cwd)}"
        unless = ""
        if self.creates is not None:
            unless = f", unless {self.shown('creates', self.creates)} is there"
        return f"runs {self._line()} on {self.node}{folder}{unless}"

    def uses(self) -> Iterable[Use]:
        yield program_on(self.node)

    def known(self) -> Mapping[str, Any]:
        return {"node": self.node}

    async def compare(self, expected: Expected) -> Finding:
        expected.node(self.node)
        found = Draft()
        if self.creates is None:
            found.does()
            return found.finding()
        creates = self.shown("creates", self.creates)
        there = None
        if not self.late.keys() & {"creates", "cwd"}:
            there = await expected.models.is_there(self.node, self.creates, cwd=self.cwd)
        if there is None:
            found.doubts(f"whether {creates} is there is seen when it runs")
        elif there:
            found.has(f"{creates} is there")
        else:
            found.does(f"{creates} is not there")
        return found.finding()

    async def run(self, models: Models, *, progress: ProgressCallback) -> CommandResult:
        return await models.command(
            self.node,
            self.argv,
            cwd=self.cwd,
            env=self.env,
            creates=self.creates,
            progress=progress,
        )

    def settle(self, result: CommandResult, outcome: Outcome) -> None:
        pass

    def _line(self) -> str:
        return shortened(self.shown("argv", shlex.join(self.argv)))


class WrittenCommand(Written):
    node: str = Field(description="The name of the node that it runs on.")
    argv: list[_Word] = Field(
        min_length=1,
        description="The program and its arguments; no shell reads them.",
    )
    cwd: str | None = Field(
        default=None, description="The folder on the node that it runs in; the user's home."
    )
    env: dict[str, _Word] | None = Field(
        default=None,
        description="What goes into its environment; may hold secrets.",
    )
    creates: str | None = Field(
        default=None, description="A path on the node; where it is there, nothing is run."
    )

    decides: ClassVar = Written.decides | {"node"}
    takes_secrets: ClassVar = frozenset({"env"})

    @field_validator("argv", mode="before")
    @classmethod
    def _is_a_list(cls, argv: object) -> object:
        if isinstance(argv, str):
            raise ValueError(
                "it is a list, because no shell splits it into words: write"
                f" `argv: [{', '.join(argv.split()[:4])}]`, or `argv: [sh, -c, '…']` for a shell"
            )
        return [_text(word) for word in argv] if isinstance(argv, list) else argv

    @field_validator("node", mode="before")
    @classmethod
    def _is_one(cls, node: object) -> object:
        if isinstance(node, list):
            raise ValueError(
                "it is one node: for several, `for_each: [node1, node2]` (or `${nodes.all}`)"
                " and `node: ${each.value}`"
            )
        return node

    @field_validator("env", mode="before")
    @classmethod
    def _has_texts(cls, env: object) -> object:
        if isinstance(env, list):
            raise ValueError("it is a mapping: write `env: {NAME: value}`")
        return {k: _text(v) for k, v in env.items()} if isinstance(env, dict) else env

    def action(self, parse: ParseDevice, late: Mapping[str, str]) -> Command:
        if self.argv[0].startswith("-") or not self.argv[0]:
            message = f"{self.argv[0]!r} is not the name of a program"
            raise SpellingError(("argv", 0), message)
        return Command(
            action_id=self.action_id,
            late=late,
            node=node_named(self.node, parse),
            argv=tuple(self.argv),
            cwd=self.cwd,
            env=self.env or {},
            creates=self.creates,
        )


def shortened(text: str) -> str:
    """A text that may be long, or of several lines, as it fits into one."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_SHOWN else f"{line[: _LONGEST_SHOWN - 1]}…"


def program_on(node: str) -> Use:
    """That something runs on a node, beside whatever else does."""
    return Use(("command", node), f"runs on {node}", exclusive=False)


def node_named(written: str, parse: ParseDevice) -> str:
    """The node's own name.

    Raises:
        SpellingError: there is no such node.
    """
    if ":" in written and not is_ipv6(written):
        hint = f"write `node: {written.split(':')[0]}`"
        raise SpellingError(("node",), f"{written!r:.80} is not the name of a node", hint=hint)
    try:
        return str(parse(f"{written}:disk").node)
    except DeviceError as error:
        raise SpellingError(("node",), error.message, hint=error.hint) from None


def _text(value: object) -> object:
    """A whole number as it is written; YAML reads ``[sleep, 1]`` as a text and a number."""
    return str(value) if type(value) is int else value
