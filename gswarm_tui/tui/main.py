"""The command line of `gswarm-tui`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gswarm_tui.cli import output
from gswarm_tui.cli.context import Settings
from gswarm_tui.errors import GswarmError, UsageError

if TYPE_CHECKING:
    from gswarm_tui.watch.source import Source

DEMO_NODES = 32


def run(
    inventory: Annotated[
        Path | None, typer.Option("-i", "--inventory", metavar="FILE", help="The inventory file.")
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where gswarm keeps its state (~/.gswarm).")
    ] = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="Show a simulated fleet; no node is asked.")
    ] = False,
    demo_nodes: Annotated[
        int, typer.Option(min=1, max=1024, help="How many nodes the simulated fleet has.")
    ] = DEMO_NODES,
    interval: Annotated[
        float, typer.Option(min=0.1, max=10.0, help="Seconds between two pictures.")
    ] = 1.0,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Let nothing be changed from here.")
    ] = False,
) -> None:
    """Show the fleet on a terminal."""
    from gswarm_tui.tui.app import GswarmApp

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("gswarm-tui needs a terminal", hint="gswarm top prints without one")
    settings = Settings(data_dir=data_dir, inventory_path=inventory)
    source = _simulated(demo_nodes, interval) if demo else _real(settings, interval)
    app = GswarmApp(source, read_only=read_only)
    app.run()
    raise typer.Exit(app.return_code or 0)


def main() -> int:
    """Run the command line; errors are sentences on stderr."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command()(run)
    command = typer.main.get_command(app)
    try:
        command.main(prog_name="gswarm-tui", standalone_mode=False)
    except typer.Exit as ended:
        return ended.exit_code
    except GswarmError as error:
        output.print_error(error)
        return error.exit_code
    return 0


def _simulated(nodes: int, interval_s: float) -> Source:
    from gswarm_tui.watch.simulated import SimulatedSource

    return SimulatedSource(nodes=nodes, interval_s=interval_s)


def _real(settings: Settings, interval_s: float) -> Source:
    from gswarm_tui.watch.watcher import FleetWatcher

    return FleetWatcher(settings.inventory(), settings.home(), interval_s=interval_s)
