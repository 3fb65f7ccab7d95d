"""The command line of `gswarm-tui`.

It is one command with a few options, for which argparse does: typer takes as long to import as the
first screen to draw.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

from gswarm_tui.cli import EXIT_INTERRUPTED, in_sentences
from gswarm_tui.cli.context import Settings
from gswarm_tui.errors import EXIT_OK, UsageError

if TYPE_CHECKING:
    from gswarm_tui.config import TuiConfig
    from gswarm_tui.inventory import Inventory
    from gswarm_tui.tui.app import GswarmApp
    from gswarm_tui.tui.shell import Shell

DEMO_NODES: Final = 32
_EPILOG: Final = (
    "Keys: ? lists the keys of the current screen, : goes to any screen, / filters, q quits. "
    "With --web, $GSWARM_WEB_TOKEN sets the token; otherwise it is random. "
    "gswarm top shows the GPUs without these screens."
)


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for."""

    inventory: Path | None
    data_dir: Path | None
    demo: bool
    demo_nodes: int
    interval: float
    read_only: bool
    web: bool
    address: str | None
    port: int | None
    debug: bool
    in_browser: bool
    version: bool

    @property
    def settings(self) -> Settings:
        return Settings(self.data_dir, self.inventory, self.debug)

    def again(self) -> list[str]:
        """The command line of the same screens, for a process of its own."""
        given = [f"--interval={self.interval}"]
        if self.inventory is not None:
            given.append(f"--inventory={self.inventory}")
        if self.data_dir is not None:
            given.append(f"--data-dir={self.data_dir}")
        if self.demo:
            given += ["--demo", f"--demo-nodes={self.demo_nodes}"]
        return given + ["--read-only"] * self.read_only + ["--debug"] * self.debug


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message, hint="see: gswarm-tui --help")

    def _print_message(self, message: str, file: Any = None) -> None:
        if message:  # argparse's own says nothing where it cannot be written
            print(message, end="", file=file or sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; errors are sentences on stderr."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return in_sentences(lambda: _call(given), debug="--debug" in given)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return EXIT_INTERRUPTED


def parse(arguments: Sequence[str]) -> Options:
    """Read the command line.

    Raises:
        UsageError: it is wrong.
        SystemExit: it asks for help, which was printed.
    """
    parser = _Parser(
        prog="gswarm-tui",
        description="Show the fleet: its GPUs, models, services and jobs.",
        epilog=_EPILOG,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("-i", "--inventory", type=Path, metavar="FILE", help="The inventory file.")
    home = "Where gswarm keeps its state (~/.gswarm)."
    add("--data-dir", type=Path, metavar="DIR", help=home)
    add("--demo", action="store_true", help="Show a simulated fleet; no node is asked.")
    count = f"How many nodes the simulated fleet has ({DEMO_NODES})."
    nodes = _between(int, 1, 1024)
    add("--demo-nodes", type=nodes, default=DEMO_NODES, metavar="COUNT", help=count)
    between = "Time between updates, 0.1 to 10 (1)."
    add("--interval", type=_between(float, 0.1, 10), default=1.0, metavar="SECONDS", help=between)
    add("--read-only", action="store_true", help="Do not allow any changes.")
    add("--web", action="store_true", help="Serve the screens to a browser until Ctrl-C.")
    add("--address", metavar="ADDRESS", help="With --web: where to listen (127.0.0.1).")
    port = "With --web: the port (a free one)."
    add("--port", type=_between(int, 0, 65535), metavar="PORT", help=port)
    add("--debug", action="store_true", help="Show tracebacks.")
    add("--in-browser", action="store_true", help=argparse.SUPPRESS)
    add("--version", action="store_true", help="Show the version.")
    return Options(**vars(parser.parse_args(arguments)))


def _between(kind: Callable[[str], float], least: float, most: float) -> Callable[[str], float]:
    def number(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = most + 1
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"expected {least} to {most}, found {text!r}")
        return value

    return number


def _call(arguments: Sequence[str]) -> int:
    try:
        options = parse(arguments)
    except SystemExit:
        return EXIT_OK
    if options.version:
        return _print_version()
    if options.web:
        return _serve(options)
    if options.address is not None or options.port is not None:
        raise UsageError("--address and --port say where --web listens", hint="add --web")
    if not (options.in_browser or (sys.stdin.isatty() and sys.stdout.isatty())):
        raise UsageError("gswarm-tui needs a terminal", hint="gswarm top prints without one")
    # A tenth of the start would be spent on looking for garbage in what has only been imported. The
    # application turns it on again.
    gc.disable()
    from gswarm_tui.tui import terminal

    return terminal.show(_demo(options) if options.demo else _real(options))


def _print_version() -> int:
    from importlib.metadata import version

    from gswarm_tui.cli import output

    output.show(f"gswarm-tui {version('gswarm-tui')}")
    return EXIT_OK


def _serve(options: Options) -> int:
    """Serve the screens to browsers."""
    if not options.demo:
        options.settings.inventory()  # what is wrong with it is said now, not to a browser
    from gswarm_tui.tui.web import start

    start.serve(options.again(), options.address or "127.0.0.1", options.port or 0)
    return EXIT_OK


def _real(options: Options) -> GswarmApp:
    """The application of the inventory's fleet."""
    from gswarm_tui.tui.acting import CommandLine
    from gswarm_tui.tui.app import GswarmApp
    from gswarm_tui.tui.talking import NodeTalker
    from gswarm_tui.watch.first import first_picture
    from gswarm_tui.watch.fleetsource import FleetSource

    settings = options.settings
    inventory, home = settings.inventory(), settings.home()
    return GswarmApp(
        FleetSource(inventory, home, interval_s=options.interval),
        first=first_picture(inventory.nodes.values(), time.time()),
        read_only=options.read_only,
        shell=None if options.in_browser else _opener(inventory),
        actor=CommandLine(settings),
        talker=NodeTalker(settings),
        inventory=inventory,
        config=_config(settings),
    )


def _demo(options: Options) -> GswarmApp:
    """The application of a simulated fleet; it does nothing, but says what it would."""
    from gswarm_tui.tui.acting import demo
    from gswarm_tui.tui.app import GswarmApp
    from gswarm_tui.tui.talking import Echo
    from gswarm_tui.watch.simulated import SimulatedSource

    source = SimulatedSource(nodes=options.demo_nodes, interval_s=options.interval)
    return GswarmApp(
        source,
        first=source.picture(time.time()),
        read_only=options.read_only,
        no_shell="the demo has no machines to log in to",
        actor=demo(),
        talker=Echo(),
        inventory=source.inventory(),
        config=_config(options.settings),
    )


def _config(settings: Settings) -> TuiConfig:
    """What the user wants; where no theme is set, the one that suits the terminal."""
    from gswarm_tui import config
    from gswarm_tui.tui import app, theme

    wanted = config.load(settings.home(), wrong_keys=app.wrong_keys).tui
    return replace(wanted, theme=wanted.theme or theme.suited(os.environ))


def _opener(inventory: Inventory) -> Shell:
    """Opens shells on nodes; in a browser there is no terminal that one could have."""
    from gswarm_tui.tui import shell

    def command(name: str) -> Sequence[str] | None:
        return shell.command(inventory.nodes[name]) if name in inventory.nodes else None

    return command
