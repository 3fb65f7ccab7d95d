"""The table of commands, and the group that loads each one when it is called.

`gswarm --help` prints this table without importing what is behind it. tests/cli/test_commands.py
holds the table's sentences and those of the commands together.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from gswarm_tui.cli.context import Settings
from gswarm_tui.errors import EXIT_OK, EXIT_USAGE


@dataclass(frozen=True, slots=True)
class Entry:
    """One command of `gswarm`.

    Args:
        target: ``module:attribute`` of a Typer app or of a function.
        section: its heading in the help; an empty one keeps it out of the help.
    """

    name: str
    help: str
    target: str
    section: str


COMMANDS = (
    Entry("nodes", "Show nodes: state, helper, GPUs, free space.", "nodes:nodes", "Fleet"),
    Entry("status", "Show the fleet, its models and its services.", "nodes:status", "Fleet"),
    Entry("top", "Show what every GPU does, for whom, and what needs a look.", "top:top", "Fleet"),
    Entry("health", "Check nodes, engines and services.", "health:health", "Fleet"),
    Entry("node", "Show one node.", "nodes:node_app", "Fleet"),
    Entry("metrics", "Serve the fleet's metrics to Prometheus.", "metrics:app", "Fleet"),
    Entry("down", "Stop idle helpers and drop staged copies.", "down:down", "Fleet"),
    Entry("model", "Register, place, serve and check models.", "model:app", "Models"),
    Entry("hub", "Serve a folder of models like the Hugging Face Hub.", "hub:app", "Models"),
    Entry("run", "Run a playbook.", "run:run", "Playbooks"),
    Entry("playbook", "Validate, draw and explain playbooks.", "playbook:app", "Playbooks"),
    Entry("cron", "Run playbooks at set times.", "cron:app", "Playbooks"),
    Entry("example", "Write example playbooks and an inventory.", "example:example", "Playbooks"),
    Entry("jobs", "Show jobs: what ran, how it ended, and why it failed.", "jobs:jobs", "Jobs"),
    Entry("job", "Show, follow, cancel and resume jobs.", "job:app", "Jobs"),
    Entry("queue", "Show, pause and clear the queue of all jobs' tasks.", "queue:app", "Jobs"),
    Entry("state", "Check, repair and prune the database of jobs and models.", "state:app", "Jobs"),
    Entry("runner", "(Runs a job that was handed over.)", "detached:run_handed_over", ""),
    Entry("host", "(There is no host daemon.)", "legacy:host", ""),
    Entry("client", "(There is no client daemon.)", "legacy:client", ""),
)

_EPILOG = "Everywhere: -i FILE, --data-dir DIR, --debug (see gswarm --help)."
_COMPLETE = "_GSWARM_COMPLETE"
_VALUED = ("-i", "--inventory", "--data-dir")
_JOINED = ("--inventory=", "--data-dir=")
_FLAGS = ("--debug",)


def hoist(arguments: Sequence[str]) -> list[str]:
    """Move the options of `gswarm` itself to the front: they may stand anywhere before ``--``."""
    front: list[str] = []
    rest: list[str] = []
    remaining = iter(arguments)
    for argument in remaining:
        if argument == "--":
            rest += [argument, *remaining]
        elif argument in _FLAGS or argument.startswith(_JOINED):
            front.append(argument)
        elif argument in _VALUED:
            front += [argument, *(value for value in [next(remaining, None)] if value is not None)]
        else:
            rest.append(argument)
    return front + rest


class LazyGroup(TyperGroup):
    """The group of `COMMANDS`; what is only listed is not loaded."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [entry.name for entry in COMMANDS]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A stand-in with the name and the help sentence."""
        for entry in COMMANDS:
            if entry.name == cmd_name:
                return TyperCommand(
                    entry.name, help=entry.help, hidden=not entry.section, rich_markup_mode=None
                )
        return None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        self.commands = {entry.name: self.get_command(ctx, entry.name) for entry in COMMANDS}
        name, command, rest = super().resolve_command(ctx, args)
        return name, command and load(str(name)), rest

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        for section in dict.fromkeys(entry.section for entry in COMMANDS if entry.section):
            rows = [(entry.name, entry.help) for entry in COMMANDS if entry.section == section]
            with formatter.section(section):
                formatter.write_dl(rows)


def load(name: str) -> Any:
    """The command called `name`, imported now."""
    entry = next(entry for entry in COMMANDS if entry.name == name)
    module, _, attribute = entry.target.partition(":")
    found = getattr(importlib.import_module(f"gswarm_tui.cli.{module}"), attribute)
    app = found if isinstance(found, typer.Typer) else _app_of(name, found)
    # Plain help: it pipes, it needs no escaping of [brackets], and it is there at once.
    app.rich_markup_mode = None
    command = typer.main.get_command(app)
    command.name = name
    for part in [command, *getattr(command, "commands", {}).values()]:
        part.epilog = part.epilog or _EPILOG
    return command


def _app_of(name: str, function: Callable[..., Any]) -> typer.Typer:
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(name)(function)
    return app


def root() -> Any:
    """The whole command line, ready to be called with arguments."""
    app = typer.Typer(
        name="gswarm",
        cls=LazyGroup,
        no_args_is_help=True,
        rich_markup_mode=None,
        help="Run a fleet of GPU machines from one terminal, over plain SSH.",
        epilog="The options may also follow the command.",
    )
    app.callback()(_options)
    return typer.main.get_command(app)


def run(arguments: list[str]) -> int:
    """Call the command that `arguments` name; its exit code.

    Raises:
        GswarmError: as the command has it.
        KeyboardInterrupt: it was interrupted.
    """
    try:
        call(arguments)
    except typer.Exit as ended:
        return ended.exit_code
    except typer.TyperException as error:
        return print_usage_error(error)
    except typer.Abort:
        raise KeyboardInterrupt from None
    return EXIT_OK


def call(arguments: list[str]) -> None:
    """Call the command that `arguments` name.

    typer's own way of calling is not used: it handles errors, interrupts and broken pipes after its
    own manner. What it does for the completion of a shell is.

    Raises:
        GswarmError, typer.TyperException, typer.Exit: as the command has it.
    """
    group = root()
    if _COMPLETE in os.environ:
        group(arguments, prog_name="gswarm", complete_var=_COMPLETE)
    with group.make_context("gswarm", arguments) as context:
        group.invoke(context)


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"gswarm {version('gswarm-tui')}")
        raise typer.Exit


def _options(
    ctx: typer.Context,
    inventory: Annotated[
        Path | None,
        typer.Option(
            "--inventory", "-i", metavar="FILE", help="The inventory file.", show_default=False
        ),
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option("--data-dir", metavar="DIR", help="Where gswarm keeps its state (~/.gswarm)."),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_print_version, help="Show the version."),
    ] = False,
) -> None:
    ctx.obj = Settings(data_dir=data_dir, inventory_path=inventory, debug=debug)


def print_usage_error(error: typer.TyperException) -> int:
    """Print what the command line itself got wrong; asked for nothing, a group shows its help."""
    from gswarm_tui.cli import output
    from gswarm_tui.errors import UsageError

    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        typer.echo(error.format_message(), err=True)
        return EXIT_USAGE
    hint = f"see: {context.command_path} --help" if context is not None else None
    output.print_error(UsageError(error.format_message().rstrip("."), hint=hint))
    return error.exit_code
