"""`gswarm run`: check a playbook and run it."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gswarm_tui.cli import options, output
from gswarm_tui.cli.context import Settings, settings_of
from gswarm_tui.errors import UsageError

if TYPE_CHECKING:
    from gswarm_tui.cron.history import Note
    from gswarm_tui.jobs.overlap import Overlap
    from gswarm_tui.playbook import Playbook


def run(
    ctx: typer.Context,
    playbook: Annotated[Path, typer.Argument(metavar="PLAYBOOK", help="A YAML file.")],
    variables: options.Variables = None,
    check: Annotated[
        bool, typer.Option("--check", help="Print what would be done where, and do nothing.")
    ] = False,
    offline: Annotated[
        bool, typer.Option("--offline", help="With --check: ask no node, and no source.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only what failed.")] = False,
    junit: Annotated[
        Path | None,
        typer.Option(
            "--junit", metavar="FILE", help="Write the results as JUnit XML, for CI servers."
        ),
    ] = None,
    log_file: Annotated[
        Path | None,
        typer.Option("--log-file", metavar="FILE", help="Append a log of the run to this file."),
    ] = None,
    overlap: Annotated[
        str,
        typer.Option(
            "--overlap",
            metavar="WHAT",
            help="If another run of it is under way: fail, wait, skip or cancel-previous.",
        ),
    ] = "fail",
    detach: Annotated[
        bool, typer.Option("--detach", help="Run it in the background, and print its number.")
    ] = False,
    priority: Annotated[
        str | None,
        typer.Option("--priority", metavar="WORD", help="critical, high, normal or low."),
    ] = None,
    timeout: Annotated[
        str | None,
        typer.Option("--timeout", metavar="TIME", help="The time limit: 90s, 2h."),
    ] = None,
    cron: Annotated[str | None, typer.Option("--cron", metavar="NAME", hidden=True)] = None,
) -> None:
    """Run a playbook."""
    settings = settings_of(ctx)
    with _noted(settings, cron) as note:
        _agree(check=check, offline=offline, detach=detach, records=bool(junit or log_file))
        from gswarm_tui import config
        from gswarm_tui import playbook as playbooks
        from gswarm_tui.cli import detached, running
        from gswarm_tui.cli.manner import Manner

        manner = Manner(
            as_json=json,
            quiet=quiet,
            junit=junit,
            log_file=log_file,
            overlap=read_overlap(overlap),
            timeout_s=None if timeout is None else options.limit(timeout),
            note=note,
        )
        with manner.recorded(playbook.stem):
            loaded = load(playbook, variables, priority=priority)
            plan = playbooks.plan(loaded, settings.inventory())
            if not quiet:
                warn(loaded)
            config.load(settings.home())  # what is wrong there would stop it only when it runs
        if check:
            from gswarm_tui.cli.check import show_check

            code = show_check(plan, settings, as_json=json, quiet=quiet, offline=offline)
        elif detach:
            code = detached.start(plan, settings, manner)
        else:
            code = running.run_plan(plan, settings, manner)
    raise typer.Exit(code)


def warn(playbook: Playbook) -> None:
    """Say on stderr what had better be written otherwise; after planning, which reads it all."""
    for notice in playbook.notices():
        output.say(f"warning: {notice}")


def _agree(*, check: bool, offline: bool, detach: bool, records: bool) -> None:
    """What only means something with ``--check``, or without it, is not passed over in silence.

    Raises:
        UsageError: so that nobody runs what was to be looked at.
    """
    if offline and not check:
        raise UsageError("--offline is part of --check", hint="--check --offline shows the plan")
    if check and detach:
        raise UsageError("--check does nothing that --detach could hand over", hint="leave one out")
    if check and records:
        raise UsageError(
            "--junit and --log-file record a run, and --check runs nothing",
            hint="--check --json prints what it would do as a document",
        )


def load(playbook: Path, variables: list[str] | None, *, priority: str | None = None) -> Playbook:
    """The playbook, with what is said of it on the command line.

    Raises:
        UsageError: the playbook, a variable or the priority is wrong.
    """
    from dataclasses import replace

    from gswarm_tui import playbook as playbooks
    from gswarm_tui.playbook.language.variables import parse_overrides
    from gswarm_tui.state.states import Priority

    loaded = playbooks.load(playbook, parse_overrides(variables or ()))
    if priority is None:
        return loaded
    if priority not in list(Priority):
        raise UsageError(f"--priority {priority} is none of {', '.join(Priority)}")
    return replace(loaded, priority=Priority(priority))


def _noted(settings: Settings, name: str | None) -> AbstractContextManager[Note | None]:
    """Cron's record of its runs, for one that it has begun."""
    if name is None:
        return nullcontext()
    from gswarm_tui.cron.history import noted

    return noted(
        settings.home().cron,
        name,
        warn=lambda said: output.say(f"warning: {said}", prose=True),
    )


def read_overlap(written: str) -> Overlap:
    from gswarm_tui.jobs.overlap import Overlap

    if written not in list(Overlap):
        raise UsageError(f"--overlap {written} is none of {', '.join(Overlap)}")
    return Overlap(written)
