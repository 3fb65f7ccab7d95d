"""`gswarm cron`: playbooks at set times, through the user's crontab or systemd's user timers."""

from __future__ import annotations

from typing import Annotated

import typer

from gswarm_tui.cli import cron_jobs, options, output
from gswarm_tui.cli.context import settings_of
from gswarm_tui.cli.cron_install import install
from gswarm_tui.cli.cron_list import list_
from gswarm_tui.errors import UsageError

app = options.group("Run playbooks at set times.")
app.command("install")(install)
app.command("list")(list_)


@app.command("remove")
def remove(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="As `gswarm cron list` shows it.")],
    json: options.Json = False,
) -> None:
    """Remove a playbook's entry; a run under way continues."""
    from gswarm_tui.cron.history import forget
    from gswarm_tui.nearest import did_you_mean

    found = cron_jobs.find(name)
    if not found:
        known = [one.entry.name for one in cron_jobs.all_installed()]
        raise UsageError(
            f"there is no cron job `{name}`{did_you_mean(name, known)}",
            hint="gswarm cron list shows them",
        )
    for one in found:
        one.remove()
        forget(one.home(settings_of(ctx)).root / "cron", name)
    if json:
        output.emit({"removed": name, "from": [one.where for one in found]})
        return
    for one in found:
        output.show(f"removed from {cron_jobs.place(one.where)}: {name}")
