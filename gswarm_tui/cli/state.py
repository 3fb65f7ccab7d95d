"""`gswarm state`: is the controller's database sound, the way out if not, and what is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from gswarm_tui.cli import context, options, output
from gswarm_tui.errors import EXIT_FAILED

if TYPE_CHECKING:
    from gswarm_tui.state.check import Checked
    from gswarm_tui.state.repair import Repaired, Table

app = options.group("Check, repair and prune the database of jobs and models.")


@app.command()
def check(ctx: typer.Context, json: options.Json = False) -> None:
    """Check the whole database for damage; exit with 1 if there is any."""
    from gswarm_tui.state import check as checking
    from gswarm_tui.state.retention import log_bytes

    home = context.settings_of(ctx).home()
    found = checking.check(home.database)
    logs = log_bytes(home.logs)
    if json:
        output.emit(
            {
                "path": str(found.path),
                "ok": found.ok,
                "problems": found.problems,
                "version": found.version,
                "size": found.size,
                "wal_size": found.wal_size,
                "free": found.free,
                "log_size": logs,
                "counts": found.counts,
            }
        )
    else:
        _show_checked(found, logs)
    if not found.ok:
        raise typer.Exit(EXIT_FAILED)


def _show_checked(found: Checked, logs: int) -> None:
    output.fields(
        [
            ("database", found.path),
            ("state", "sound" if found.ok else "damaged"),
            *(("problem", problem) for problem in found.problems),
            ("version", found.version),
            ("size", output.size(found.size)),
            ("unused", output.size(found.free)),
            ("not merged yet", output.size(found.wal_size)),
            ("logs of jobs", output.size(logs)),
            *((table, count) for table, count in found.counts.items()),
        ]
    )
    if not found.ok:
        from gswarm_tui.state.database import REPAIR

        output.say(f"  hint: {REPAIR}")


@app.command()
def repair(ctx: typer.Context, json: options.Json = False) -> None:
    """Save what can be read into a new database; keep the damaged one."""
    from gswarm_tui.state import repair as repairing

    done = repairing.repair(context.settings_of(ctx).home().database)
    if json:
        output.emit(done)
    elif done.damaged is None:
        output.show(f"{done.path} is sound: nothing was changed")
    else:
        _show_repaired(done)


def _show_repaired(done: Repaired) -> None:
    output.table(
        ("table", "saved", "lost"),
        [(table.name, table.saved, _lost(table)) for table in done.tables],
    )
    output.show(f"the damaged database is kept as {done.damaged}")
    models = next((table for table in done.tables if table.name == "models"), None)
    if models is not None and models.lost != 0:
        output.say("  hint: gswarm model scan registers the models that nodes have")


def _lost(table: Table) -> str:
    return "cannot be said" if table.lost is None else str(table.lost)


@app.command()
def prune(ctx: typer.Context, json: options.Json = False) -> None:
    """Remove old jobs and their logs now, as `retention` says."""
    from gswarm_tui import config
    from gswarm_tui.state import retention
    from gswarm_tui.state.database import Database

    home = context.settings_of(ctx).home()
    kept = config.load(home).retention
    with Database(home.database) as database:
        done = retention.prune(database, kept, home.logs)
    if json:
        output.emit(done)
        return
    if not done.jobs and not done.log_bytes:
        output.show(
            f"nothing to remove: {kept.days} days, {kept.jobs} ended jobs"
            f" and {output.size(kept.size)} are kept"
        )
        return
    freed = output.size(done.log_bytes + done.database_bytes)
    output.show(f"removed {output.number_of(done.jobs, 'job')}, {freed} freed")
