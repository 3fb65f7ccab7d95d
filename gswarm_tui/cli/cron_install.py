"""`gswarm cron install`: from a playbook to a line of the crontab, or to a timer."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gswarm_tui.cli import cron_jobs, options, output
from gswarm_tui.cli.context import Settings, settings_of
from gswarm_tui.cli.cron_jobs import CRONTAB, SYSTEMD
from gswarm_tui.cli.run import load, read_overlap
from gswarm_tui.errors import UsageError

if TYPE_CHECKING:
    from gswarm_tui.cron.entry import Entry
    from gswarm_tui.playbook import Plan, Playbook


def install(
    ctx: typer.Context,
    playbook: Annotated[Path, typer.Argument(metavar="PLAYBOOK", help="A YAML file.")],
    variables: options.Variables = None,
    schedule: Annotated[
        str | None,
        typer.Option(
            "--schedule",
            metavar="TIMES",
            help="Five fields of cron, or @daily; the playbook's own `schedule` by default.",
        ),
    ] = None,
    systemd: Annotated[
        bool, typer.Option("--systemd", help="Use a systemd user timer instead of the crontab.")
    ] = False,
    name: Annotated[
        str | None,
        typer.Option(
            "--name", metavar="NAME", help="The name of the entry; the playbook's by default."
        ),
    ] = None,
    overlap: Annotated[
        str,
        typer.Option(
            "--overlap", metavar="WHAT", help="As in gswarm run: fail, wait, skip, cancel-previous."
        ),
    ] = "fail",
    json: options.Json = False,
) -> None:
    """Run a playbook at set times; install it again to change it."""
    from gswarm_tui import config
    from gswarm_tui import playbook as playbooks
    from gswarm_tui.cron import crontab, environment, timers
    from gswarm_tui.cron.entry import Entry, check, name_for
    from gswarm_tui.cron.schedule import parse

    settings = settings_of(ctx)
    loaded = load(playbook, variables)
    plan = playbooks.plan(loaded, settings.inventory())
    config.load(settings.home())  # what is wrong there would be found at night
    _refuse_secrets(loaded, variables or [])
    times = schedule or plan.schedule
    if times is None:
        raise UsageError(
            f"{playbook} has no `schedule`, and none is given",
            hint='--schedule "0 3 * * *" is each night at three',
        )
    name = name or name_for(plan.name)
    entry = Entry(
        name,
        parse(times),
        _command(settings, playbook, variables or [], name, read_overlap(overlap)),
        str(Path.cwd()),
        environment.needed(os.environ, plan.origin.environment),
    )
    check(entry)
    there = cron_jobs.find(name)
    for other in there:
        _refuse_another(other.entry, entry)
    if systemd:
        cron_jobs.user_timers().install(entry)
    else:
        crontab.write(crontab.installed(crontab.read(), entry))
    where = SYSTEMD if systemd else CRONTAB
    for other in there:
        if other.where != where:  # it is to run once
            other.remove()
    warnings = list(environment.warnings(os.environ, _secret_variables(plan)))
    if systemd and timers.lingers() is False:
        warnings.append(
            "the timer runs only while you are logged in: `loginctl enable-linger` changes that"
        )
    _tell_installed(entry, where, warnings, as_json=json)


def _command(
    settings: Settings, playbook: Path, variables: list[str], name: str, overlap: str
) -> tuple[str, ...]:
    from gswarm_tui.cron.entry import executable

    home, inventory = settings.home(), settings.inventory()
    words = [*executable()]
    if inventory.path is not None:
        words += ["-i", str(Path(inventory.path).absolute())]
    words += ["--data-dir", str(home.root)]
    words += ["run", str(playbook.absolute()), "--quiet", "--cron", name]
    words += ["--log-file", str(home.logs / f"cron-{name}.log")]
    if overlap != "fail":
        words += ["--overlap", overlap]
    for variable in variables:
        words += ["-e", variable]
    return tuple(words)


def _refuse_secrets(playbook: Playbook, variables: list[str]) -> None:
    """What a crontab would have to say and must not."""
    from gswarm_tui.credentials import is_secret

    for variable in variables:
        name, _, value = variable.partition("=")
        if is_secret(name, value):
            raise UsageError(
                f"-e {name}=… looks like a secret: it is not written to a crontab",
                hint="name it under `secrets:` in the playbook, with a `file:` that only you read",
            )
    for scope in playbook.scopes:
        data = scope.document.data
        secrets = data.get("secrets") if isinstance(data, Mapping) else None
        for name, source in (secrets or {}).items():
            if "env" in source:
                raise UsageError(
                    f"the secret `{name}` is read from ${source['env']}, which cron does not have",
                    where=scope.document.key_position(("secrets", name)),
                    hint=f"give it a file that only you read: {name}: {{file: ~/…}}",
                )


def _secret_variables(plan: Plan) -> Iterator[str]:
    """The variables that hold keys of services, ``api_key_env``."""
    for planned in plan.actions:
        variable = getattr(planned.action, "api_key_env", None)
        if variable is not None:
            yield variable


def _refuse_another(other: Entry, entry: Entry) -> None:
    if other.playbook != entry.playbook:
        raise UsageError(
            f"there is a cron job `{entry.name}` already, and it runs {other.playbook}",
            hint=f"give this one another --name, or: gswarm cron remove {entry.name}",
        )


def _tell_installed(entry: Entry, where: str, warnings: list[str], *, as_json: bool) -> None:
    soon = cron_jobs.next_time(entry)
    assert entry.schedule is not None
    if as_json:
        output.emit(
            {
                "name": entry.name,
                "where": where,
                "schedule": entry.schedule.text,
                "next": None if soon is None else soon.isoformat(),
                "playbook": entry.playbook,
                "command": entry.command,
                "warnings": warnings,
            }
        )
        return
    next_time = "" if soon is None else f", next {soon:%Y-%m-%d %H:%M}"
    output.show(f"in {cron_jobs.place(where)}: {entry.name}, {entry.schedule.text}{next_time}")
    output.flush()
    for warning in warnings:
        output.say(f"warning: {warning}")
