"""The `gswarm` command: one file a noun, loaded when it is asked for.

stdout is data, stderr is diagnostics. The exit code is 0 when it is done, 1 when it failed, 2 when
what was asked is wrong, 3 when a node could not be reached, 130 after Ctrl-C.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Sequence

EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141
"""What a shell shows for a program that SIGPIPE ended: ``gswarm nodes | head -1``."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; errors are printed here and nowhere else."""
    try:
        return _main(arguments)
    except KeyboardInterrupt:  # while modules were loaded, or while an error was printed
        sys.stderr.write("interrupted\n")
        return EXIT_INTERRUPTED


def _main(arguments: Sequence[str] | None) -> int:
    from gswarm_tui.cli import commands

    given = commands.hoist(sys.argv[1:] if arguments is None else arguments)
    return in_sentences(lambda: commands.call(given), debug="--debug" in given)


def in_sentences(call: Callable[[], None], *, debug: bool) -> int:
    """Call a command line, and make what it raises an exit code and sentences on stderr.

    Raises:
        KeyboardInterrupt: it was interrupted.
    """
    import typer

    from gswarm_tui.cli import commands, output
    from gswarm_tui.errors import EXIT_FAILED, EXIT_OK, GswarmError

    _print_anything()
    try:
        try:
            call()
        except typer.Exit as ended:
            output.flush()
            return ended.exit_code
        output.flush()
        return EXIT_OK
    except output.OutputError as error:
        output.print_error(error, debug=debug)
        _drop_output()
        return error.exit_code
    except GswarmError as error:
        output.print_error(error, debug=debug)
        return error.exit_code
    except typer.TyperException as error:
        return commands.print_usage_error(error)
    except typer.Abort:
        raise KeyboardInterrupt from None
    except BrokenPipeError:
        _drop_output()
        return EXIT_BROKEN_PIPE
    except Exception as error:
        output.print_bug(error, debug=debug)
        return EXIT_FAILED


def _drop_output() -> None:
    """Give stdout somewhere to go: Python flushes it once more when it exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _print_anything() -> None:
    """Let a character that the terminal's encoding lacks be a ``?``, rather than an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
