"""The command line that starts stage 0 on a node, whatever the user's login shell is.

The login shell only sees ``exec /bin/sh -c '...'`` and words in single quotes, which bash, dash,
zsh, tcsh and fish read alike as long as there is no quote, backslash, exclamation mark or newline
in them. Variables and loops are left to /bin/sh. Stage 0 itself travels as base64.
"""

from __future__ import annotations

import base64
import functools
import re
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gswarm_tui.errors import BootstrapError

_PLACES = ("/usr/bin", "/usr/local/bin", "/opt/homebrew/bin", "~/.local/bin")
_PREFIXES = ("~/miniforge3", "~/miniconda3", "~/anaconda3", "~/mambaforge", "/opt/conda")
_VERSIONS = tuple(f"python3.{minor}" for minor in range(14, 8, -1))
INTERPRETERS = (
    "python3",
    *_VERSIONS,
    *(f"{place}/python3" for place in _PLACES),
    *(f"{prefix}/bin/python3" for prefix in _PREFIXES),
)
"""Where a Python is looked for, in this order: command names, and paths of usual places."""

_UNUSABLE = 75  # EX_TEMPFAIL: this interpreter is too old, the next one is asked
_START = (
    f"import sys;sys.version_info<(3,9)and sys.exit({_UNUSABLE});"
    "import binascii,zlib;exec(zlib.decompress(binascii.a2b_base64(sys.argv[1])))"
)
# $1 and $2 are the halves of the marker, $3 is stage 0, the rest are the interpreters to try. A
# shim that leads nowhere ends with 126 or 127.
_SCRIPT = (
    'm=$1$2; c=$3; shift 3; f=; for p in "$@"; do case $p in "~/"*) p=$HOME/${p#??};; esac;'
    ' q=$(command -v "$p" 2>/dev/null) || continue;'
    f' "$q" -I -S -c "{_START}" "$c"; r=$?;'
    f' case $r in {_UNUSABLE}|126|127) f="$f $q";; *) exit $r;; esac; done;'
    ' echo "$m""none "; for q in $f; do echo "$q: $("$q" -V 2>&1)"; done; exit 3'
)
_UNQUOTABLE = re.compile(r"['\\!\n\0]")


def stage0(asked: Mapping[str, Any], *, marker: tuple[str, str], python: str | None) -> str:
    """The command for the login shell.

    Args:
        asked: what stage 0 is to do, see `gswarm_tui.connect.stage0.main`; without the marker.
        marker: its halves, so that a shell that shows the command does not show the marker.
        python: the only interpreter to try; None means `INTERPRETERS`.

    Raises:
        BootstrapError: `python` holds a character that not every shell can be given.
    """
    call = f"\nraise SystemExit(main({dict(asked, marker=''.join(marker))!a}))\n"
    source = base64.b64encode(zlib.compress((_source() + call).encode(), 9)).decode()
    words = [_SCRIPT, "gswarm", *marker, source, *([python] if python else INTERPRETERS)]
    return "exec /bin/sh -c " + " ".join(map(quote, words))


def quote(word: str) -> str:
    """`word` for every login shell.

    Raises:
        BootstrapError: it holds a character that not all of them can be given.
    """
    if _UNQUOTABLE.search(word):
        raise BootstrapError(
            f"{word!r} cannot be passed through every login shell",
            hint="use a path without quotes, backslashes and exclamation marks",
        )
    return f"'{word}'"


@functools.cache
def _source() -> str:
    return Path(__file__).with_name("stage0.py").read_text(encoding="utf-8")


def unusable(interpreters: Sequence[str]) -> str:
    """What was found and is of no use, for people."""
    return ", ".join(interpreters) if interpreters else "nothing there"
