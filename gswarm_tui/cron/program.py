"""Calling ``crontab`` and ``systemctl``: the seam to what keeps the time on this machine."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from typing import Final

from gswarm_tui.errors import GswarmError

_TIMEOUT_S: Final = 30


@dataclass(frozen=True, slots=True)
class Ended:
    """What a program said, byte for byte (surrogates stand for what is not UTF-8)."""

    status: int
    out: str
    err: str

    @property
    def why(self) -> str:
        """Its own words on stderr, in one line."""
        return "; ".join(line.strip() for line in self.err.splitlines() if line.strip())


def call(*words: str, stdin: str | None = None, missing: str) -> Ended:
    """Run a program to its end; it speaks English.

    Args:
        missing: what to do where it is not installed.

    Raises:
        GswarmError: it is not there, or does not end.
    """
    try:
        ended = subprocess.run(
            words,
            input=None if stdin is None else stdin.encode("utf-8", "surrogateescape"),
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            env=os.environ | {"LC_ALL": "C"},
            timeout=_TIMEOUT_S,
            check=False,
        )
    except FileNotFoundError:
        raise GswarmError(f"there is no program `{words[0]}` here", hint=missing) from None
    except OSError as error:
        raise GswarmError(f"`{words[0]}` cannot be run: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        message = f"`{' '.join(words)}` did not end within {_TIMEOUT_S} s"
        raise GswarmError(message) from error
    texts = [text.decode("utf-8", "surrogateescape") for text in (ended.stdout, ended.stderr)]
    return Ended(ended.returncode, *texts)
