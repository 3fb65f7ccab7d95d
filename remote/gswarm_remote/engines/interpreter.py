"""Which Python an engine runs in: never the helper's own imports, often another environment."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import List, Tuple

from ..errors import HelperError, Kind
from . import template
from .base import Wanted

_ASK_S = 60.0  # a cold environment on NFS is slow to start
_POLL_S = 0.05  # how soon it is noticed that nobody waits for the answer
_MISSING = 3

_QUESTION = (
    "import importlib.util, sys;"
    f" sys.exit(0 if importlib.util.find_spec(sys.argv[1]) else {_MISSING})"
)


def command_prefix(
    engine: str, module: str, wanted: Wanted, *, run: List[str], install: str
) -> List[str]:
    """The words that an engine's command line begins with. Blocks: it asks the interpreter.

    Args:
        module: the top-level module that has to be there.
        wanted: its ``settings`` are the inventory's ``engines.<engine>``: ``command`` stands in
            place of it all, ``python`` names the interpreter.
        run: what follows the interpreter, ``["-m", "mlx_lm", "server"]``.
        install: how to get the module.

    Raises:
        HelperError: there is no such interpreter, or it has no such module.
    """
    command = wanted.settings.get("command")
    if command:
        where = f"engines.{engine}.command in the inventory"
        return template.fill(template.words_of(command, where=where), wanted, where=where)
    named = wanted.settings.get("python")
    candidates = [_expanded(str(named))] if named else _usual_interpreters()
    for python in candidates:
        if _has_module(engine, python, module, wanted.cancelled):
            return [python, *run]
    raise HelperError(
        Kind.ENGINE_FAILED,
        f"{module} is not installed in {candidates[0]}",
        hint=f"set engines.{engine}.python in the inventory or {install}",
    )


def _usual_interpreters() -> List[str]:
    found = [sys.executable, shutil.which("python3")]
    return [python for python in found if python]


def _expanded(path: str) -> str:
    return str(Path(path).expanduser()) if "/" in path else shutil.which(path) or path


def _has_module(engine: str, python: str, module: str, cancelled: threading.Event) -> bool:
    """Ask `python` itself: its site-packages are not ours."""
    try:
        status, said = _answer([python, "-c", _QUESTION, module], cancelled)
    except (OSError, subprocess.TimeoutExpired) as error:
        reason = error.strerror if isinstance(error, OSError) else f"no answer in {_ASK_S:.0f} s"
        raise HelperError(
            Kind.ENGINE_FAILED,
            f"the interpreter {python} of the engine {engine} cannot be run: {reason}",
            hint=f"set engines.{engine}.python in the inventory to a Python on this node",
        ) from None
    if status not in (0, _MISSING):
        last = said.decode(errors="replace").strip().splitlines()[-1:] or ["no reason"]
        raise HelperError(
            Kind.ENGINE_FAILED, f"{python} of the engine {engine} is broken: {last[0]:.200}"
        )
    return status == 0


def _answer(argv: List[str], cancelled: threading.Event) -> Tuple[int, bytes]:
    """The exit status and stderr of a short-lived program; it is killed once nobody waits."""
    give_up_at = time.monotonic() + _ASK_S
    child = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        cwd=Path("/"),
        start_new_session=True,
    )
    with child:
        try:
            while True:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    _, said = child.communicate(timeout=_POLL_S)
                    return child.returncode, said
                if cancelled.is_set():
                    raise HelperError(Kind.CANCELLED, f"{argv[0]} is not asked any more")
                if time.monotonic() > give_up_at:
                    raise subprocess.TimeoutExpired(argv, _ASK_S)
        finally:
            if child.returncode is None:  # with what a wrapper script has started
                os.killpg(child.pid, signal.SIGKILL)
