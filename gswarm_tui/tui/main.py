"""The command line of `gswarm-tui`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from gswarm_tui.errors import UsageError

if TYPE_CHECKING:
    from gswarm_tui.cli.context import Settings
    from gswarm_tui.inventory import Inventory
    from gswarm_tui.tui.app import GswarmApp
    from gswarm_tui.tui.shell import Shell
    from gswarm_tui.watch.source import Source

DEMO_NODES: Final = 32
_EPILOG: Final = (
    "Keys: ? shows those that count where you are, : goes anywhere, / filters, q quits. "
    "With --web, $GSWARM_WEB_TOKEN is the token; without it, it is a random one. "
    "gswarm top prints what the GPUs do, where there is no terminal."
)


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"gswarm-tui {version('gswarm-tui')}")
        raise typer.Exit


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
        int,
        typer.Option(
            min=1, max=1024, metavar="COUNT", help="How many nodes the simulated fleet has."
        ),
    ] = DEMO_NODES,
    interval: Annotated[
        float,
        typer.Option(min=0.1, max=10.0, metavar="SECONDS", help="Between two pictures."),
    ] = 1.0,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Let nothing be changed from here.")
    ] = False,
    web: Annotated[
        bool, typer.Option("--web", help="Serve the screens to a browser until Ctrl-C.")
    ] = False,
    address: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="With --web: where to listen (127.0.0.1)."),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, metavar="PORT", help="With --web: the port (a free one)."),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    in_browser: Annotated[bool, typer.Option("--in-browser", hidden=True)] = False,
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_print_version, help="Show the version."),
    ] = False,
) -> None:
    """Show the fleet: its GPUs, models, services and jobs."""
    from gswarm_tui.cli.context import Settings

    settings = Settings(data_dir=data_dir, inventory_path=inventory, debug=debug)
    if web:
        if not demo:
            settings.inventory()  # what is wrong with it is said now, not to a browser
        from gswarm_tui.tui.web import start

        options = _options(settings, demo, demo_nodes, interval, read_only)
        start.serve(options, address or "127.0.0.1", port or 0)
        return
    if address is not None or port is not None:
        raise UsageError("--address and --port say where --web listens", hint="add --web")
    if not (in_browser or (sys.stdin.isatty() and sys.stdout.isatty())):
        raise UsageError("gswarm-tui needs a terminal", hint="gswarm top prints without one")
    from gswarm_tui.tui import terminal

    source = _simulated(demo_nodes, interval) if demo else _real(settings, interval)
    raise typer.Exit(terminal.show(_app(source, settings, read_only, demo, in_browser)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; errors are sentences on stderr."""
    from gswarm_tui.cli import EXIT_INTERRUPTED, in_sentences

    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return in_sentences(lambda: _call(given), debug="--debug" in given)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return EXIT_INTERRUPTED


def _call(arguments: list[str]) -> None:
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(epilog=_EPILOG)(run)
    command: Any = typer.main.get_command(app)
    with command.make_context("gswarm-tui", arguments) as context:
        command.invoke(context)


def _options(
    settings: Settings, demo: bool, demo_nodes: int, interval_s: float, read_only: bool
) -> list[str]:
    """The command line of the same screens, for a process of its own."""
    given = [f"--interval={interval_s}"]
    if settings.inventory_path is not None:
        given.append(f"--inventory={settings.inventory_path}")
    if settings.data_dir is not None:
        given.append(f"--data-dir={settings.data_dir}")
    if demo:
        given += ["--demo", f"--demo-nodes={demo_nodes}"]
    given += ["--read-only"] * read_only + ["--debug"] * settings.debug
    return given


def _app(
    source: Source, settings: Settings, read_only: bool, demo: bool, in_browser: bool
) -> GswarmApp:
    """The application; a demo does nothing, but says what it would."""
    from gswarm_tui import config
    from gswarm_tui.tui import theme
    from gswarm_tui.tui.acting import CommandLine, Recording
    from gswarm_tui.tui.app import GswarmApp
    from gswarm_tui.tui.talking import Echo, NodeTalker

    wanted = config.load(settings.home()).tui
    wanted = replace(wanted, theme=wanted.theme or theme.suited(os.environ))
    if demo:
        return GswarmApp(
            source, read_only=read_only, actor=Recording(), talker=Echo(), config=wanted
        )
    inventory = settings.inventory()
    return GswarmApp(
        source,
        read_only=read_only,
        shell=None if in_browser else _opener(inventory),
        actor=CommandLine(settings),
        talker=NodeTalker(settings),
        inventory=inventory,
        config=wanted,
    )


def _opener(inventory: Inventory) -> Shell:
    """Opens shells on nodes; in a browser there is no terminal that one could have."""
    from gswarm_tui.tui import shell

    def command(name: str) -> Sequence[str] | None:
        return shell.command(inventory.nodes[name]) if name in inventory.nodes else None

    return command


def _simulated(nodes: int, interval_s: float) -> Source:
    from gswarm_tui.watch.simulated import SimulatedSource

    return SimulatedSource(nodes=nodes, interval_s=interval_s)


def _real(settings: Settings, interval_s: float) -> Source:
    from gswarm_tui.watch.fleetsource import FleetSource
    from gswarm_tui.watch.nodewatch import Wishes

    return FleetSource(settings.inventory(), settings.home(), Wishes(interval_s=interval_s))
