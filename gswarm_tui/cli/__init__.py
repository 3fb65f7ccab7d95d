"""The `gswarm` command: one file for each noun, loaded when it is used.

stdout is data, stderr is diagnostics; docs/cli.md has the exit codes.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gswarm_tui.errors import GswarmError

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
    return in_sentences(lambda: commands.run(given), debug="--debug" in given)


def in_sentences(call: Callable[[], int], *, debug: bool) -> int:
    """The exit code of a command line; what it raises becomes one, and sentences on stderr.

    Raises:
        KeyboardInterrupt: it was interrupted.
    """
    from gswarm_tui.cli import output
    from gswarm_tui.errors import EXIT_FAILED, GswarmError

    _open_closed()
    _print_anything()
    try:
        code = call()
        output.flush()
        return code
    except output.OutputError as error:
        return _without_output(error, debug=debug)
    except GswarmError as error:
        output.print_error(error, debug=debug)
        return error.exit_code
    except BrokenPipeError:
        output.drop(sys.stdout)
        return EXIT_BROKEN_PIPE
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC and error.filename is None:
            # The help and the version are printed by typer; all else that writes says where.
            said = output.OutputError(f"stdout cannot be written: {error.strerror}")
            return _without_output(said, debug=debug)
        output.print_bug(error, debug=debug)
        return EXIT_FAILED


def _without_output(error: GswarmError, *, debug: bool) -> int:
    from gswarm_tui.cli import output

    output.print_error(error, debug=debug)
    output.drop(sys.stdout)
    return error.exit_code


def _open_closed() -> None:
    """Let a stream that whoever began this has closed (``gswarm run FILE >&-``) be ``/dev/null``.

    Else Python has None in its place; and the next file that is opened, the database say, would get
    its number, and what a child process prints. A file that has it by now, opened by whoever calls
    this, is left alone.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is not None:
            continue
        # The lowest number that is free: those below this one are open by now, so it is this one,
        # where no file of another has it.
        opened = os.open(os.devnull, os.O_RDWR)
        os.set_inheritable(opened, opened == number)
        setattr(sys, name, open(opened, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def _print_anything() -> None:
    """Let a character that the terminal's encoding lacks be a ``?``, rather than an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
