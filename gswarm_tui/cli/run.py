"""`gswarm run`: check a playbook and run it."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gswarm_tui.cli import output
from gswarm_tui.cli.context import Settings, open_session, settings_of

if TYPE_CHECKING:
    from gswarm_tui.cli.job_view import View
    from gswarm_tui.playbook import JobResult, Plan, Runner


def run(
    ctx: typer.Context,
    playbook: Annotated[Path, typer.Argument(metavar="PLAYBOOK", help="A YAML file.")],
    variables: Annotated[
        list[str] | None,
        typer.Option("-e", "--var", metavar="NAME=VALUE", help="A variable's value; again."),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Print what would be done where, and do nothing.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """Run a playbook."""
    from gswarm_tui import playbook as playbooks
    from gswarm_tui.playbook.variables import parse_overrides

    settings = settings_of(ctx)
    loaded = playbooks.load(playbook, parse_overrides(variables or ()))
    plan = playbooks.plan(loaded, settings.inventory())
    if check:
        _show_plan(plan, as_json=json)
        return
    result = asyncio.run(_run(plan, settings, as_json=json))
    _show_end(result, settings, as_json=json)
    raise typer.Exit(result.exit_code)


async def _run(plan: Plan, settings: Settings, *, as_json: bool) -> JobResult:
    from gswarm_tui.cli.job_view import open_view
    from gswarm_tui.playbook import Runner
    from gswarm_tui.state.database import Database
    from gswarm_tui.state.jobs import Jobs

    home = settings.home()
    with Database(home.database) as database, open_view(as_json=as_json, logs=home.logs) as view:
        async with open_session(settings) as session:
            runner = Runner(plan, session.models, Jobs(database))
            _cancel_on_signals(runner, view)
            return await runner.run(view)


def _cancel_on_signals(runner: Runner, view: View) -> None:
    """The first Ctrl-C (or TERM) cancels the run, the second one leaves at once."""
    asked = False

    def handle() -> None:
        nonlocal asked
        if asked:
            from gswarm_tui.cli import EXIT_INTERRUPTED

            view.leave()
            output.flush()
            output.say("the same command goes on from what is done")
            # Nothing is waited for: the next run marks this one as lost.
            os._exit(EXIT_INTERRUPTED)
        asked = True
        view.cancelling()
        runner.cancel()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        # A shell starts what it puts in the background with SIGINT ignored: so it stays.
        if signal.getsignal(number) is not signal.SIG_IGN:
            loop.add_signal_handler(number, handle)


def _show_plan(plan: Plan, *, as_json: bool) -> None:
    actions = [
        {
            "action_id": planned.action_id,
            "action_type": planned.action_type,
            "summary": planned.summary,
            "needs": planned.needs,
            "where": planned.where,
        }
        for planned in plan.actions
    ]
    if as_json:
        output.emit(
            {
                "name": plan.name,
                "description": plan.description,
                "file": plan.file,
                "actions": actions,
            }
        )
        return
    output.show(plan.name)
    if plan.description:
        output.show(plan.description)
    output.table(
        ("action", "type", "what", "after"),
        [
            (planned.action_id, planned.action_type, planned.summary, planned.needs)
            for planned in plan.actions
        ],
    )
    output.flush()
    output.say("the playbook is right; nothing was done and no node asked (--check)")


def _show_end(result: JobResult, settings: Settings, *, as_json: bool) -> None:
    from gswarm_tui.cli import job_report

    if not as_json:
        for line in job_report.report(result, command=_command(settings)):
            output.show(line)
        output.show()
    output.flush()
    for line in job_report.failures(result):
        output.say(line)
    verdict = f"job {result.job_id}: {job_report.verdict(result)}"
    if result.exit_code:
        output.say(f"{verdict}; log: {settings.home().logs / f'job-{result.job_id}.log'}")
        for line in job_report.afterwards(result):
            output.say(f"  {line}")
    elif not as_json:
        output.show(verdict)


def _command(settings: Settings) -> str:
    """How `gswarm` is called to see the same fleet."""
    words = ["gswarm"]
    if settings.inventory_path is not None:
        words += ["-i", str(settings.inventory_path)]
    if settings.data_dir is not None:
        words += ["--data-dir", str(settings.data_dir)]
    return shlex.join(words)
