"""A real terminal: tmux, with a server of its own. Keys are typed, the screen is read."""

from __future__ import annotations

import contextlib
import re
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from shlex import join
from typing import final

MODES = ("alternate_on", "mouse_any_flag", "mouse_sgr_flag", "insert_flag", "keypad_flag")
"""What a program switches on and has to switch off again."""


def missing() -> str | None:
    """Why there is no terminal here, or None where there is one."""
    return None if shutil.which("tmux") else "tmux is not installed (apt-get install tmux)"


@final
class Terminal:
    """A terminal in which one program runs; what it ended with is printed after it."""

    def __init__(self, columns: int, lines: int) -> None:
        self._server = f"gswarm-{secrets.token_hex(4)}"
        self.columns = columns
        self._size = ["-x", str(columns), "-y", str(lines)]

    def start(self, argv: Sequence[str], environment: Mapping[str, str]) -> None:
        """Run a program, then print its exit code and the terminal's settings.

        It does not inherit COLUMNS and LINES, which count for more than the terminal's own size.
        """
        variables = [f"{name}={value}" for name, value in environment.items()]
        command = ["env", "-u", "COLUMNS", "-u", "LINES", *variables, *argv]
        script = f'{join(command)}; echo "ended with $?"; stty -a; sleep 600'
        self._tmux("-f", "/dev/null", "new-session", "-d", *self._size, "sh", "-c", script)

    def press(self, *keys: str) -> None:
        """Type keys, by tmux's names: ``Enter``, ``Escape``, ``C-c``; all at once."""
        self._tmux("send-keys", *keys)

    def type(self, text: str) -> None:
        self._tmux("send-keys", "-l", text)

    def resize(self, columns: int, lines: int) -> None:
        self._tmux("resize-window", "-x", str(columns), "-y", str(lines))

    @property
    def text(self) -> str:
        return self._tmux("capture-pane", "-p")

    @property
    def colours(self) -> set[str]:
        """The colours that are on the screen: ``16``, ``256`` and ``true``."""
        found = set()
        for codes in re.findall(r"\x1b\[([0-9;]*)m", self._tmux("capture-pane", "-e", "-p")):
            if "8;2;" in codes:
                found.add("true")
            elif "8;5;" in codes:
                found.add("256")
            elif re.search(r"(^|;)(3|4|9|10)[0-7](;|$)", codes):
                found.add("16")
        return found

    @property
    def modes(self) -> dict[str, bool]:
        """Which of `MODES` are on, and whether the cursor is hidden."""
        values = self._tmux(
            "display-message", "-p", " ".join(f"#{{{mode}}}" for mode in (*MODES, "cursor_flag"))
        ).split()
        found = {mode: value == "1" for mode, value in zip(MODES, values, strict=False)}
        return {**found, "cursor_hidden": values[-1] == "0"}

    @property
    def process(self) -> int:
        """The program: the child of the pane's shell."""
        shell = int(self._tmux("display-message", "-p", "#{pane_pid}"))
        import psutil

        return psutil.Process(shell).children()[0].pid

    def until(self, *wanted: str, without: str | None = None, seconds: float = 20) -> str:
        """The screen's text once all of `wanted` is there, and `without` is not.

        Args:
            wanted: texts; what ``|`` separates are two ways in which one may look.
            without: the same.
        """

        def shows(wanted: str, text: str) -> bool:
            return any(way in text for way in wanted.split("|"))

        end = time.monotonic() + seconds
        while True:
            text = self.text
            if all(shows(each, text) for each in wanted) and not (without and shows(without, text)):
                return text
            over = time.monotonic() > end or ("ended with" in text and "isig" in text)
            assert not over, f"{wanted} (without {without}) did not come:\n{text}"
            time.sleep(0.03)

    def end(self) -> None:
        with contextlib.suppress(subprocess.CalledProcessError):
            self._tmux("kill-server")

    def _tmux(self, *arguments: str) -> str:
        return subprocess.run(
            ["tmux", "-L", self._server, *arguments], check=True, capture_output=True, text=True
        ).stdout


@contextlib.contextmanager
def terminal(columns: int, lines: int) -> Iterator[Terminal]:
    made = Terminal(columns, lines)
    try:
        yield made
    finally:
        made.end()
