"""What a run needs of the environment, where cron gives it next to none."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from gswarm_tui.credentials import is_secret
from gswarm_tui.errors import UsageError

_KEPT: Final = re.compile(
    r"PATH|PYTHONPATH|LANG|LC_ALL|XDG_CACHE_HOME|XDG_CONFIG_HOME"
    r"|HF_HOME|HF_HUB_CACHE|HF_ENDPOINT|HF_HUB_OFFLINE"
    r"|SSL_CERT_FILE|SSL_CERT_DIR|REQUESTS_CA_BUNDLE"
    r"|(?i:http|https|all|no)_(?i:proxy)|GSWARM_\w+"
)
_GIVEN_BY_OPTIONS: Final = frozenset({"GSWARM_HOME", "GSWARM_INVENTORY"})


def needed(environ: Mapping[str, str], used: Iterable[str]) -> dict[str, str]:
    """The variables that are written down for a run.

    Args:
        environ: the environment of now.
        used: the names that the playbook itself asks for, ``${env.X}``.

    Raises:
        UsageError: one that the playbook uses looks like a secret: a crontab is no place for it.
    """
    used = set(used)
    for name in sorted(used):
        if is_secret(name, environ.get(name, "")):
            raise UsageError(
                f"the playbook uses ${{env.{name}}}, which looks like a secret:"
                " it is not written to a crontab",
                hint="name it under `secrets:` in the playbook, with a `file:` that only you read",
            )
    found = {
        name: value
        for name, value in sorted(environ.items())
        if name in used or (_is_kept(name) and not is_secret(name, value))
    }
    if "PATH" in found:
        found["PATH"] = _short(found["PATH"])
    return found


def _short(path: str) -> str:
    """The folders that are there, each once, and by absolute names: a crontab's line is short."""
    folders = [folder for folder in path.split(os.pathsep) if folder.startswith("/")]
    return os.pathsep.join(dict.fromkeys(one for one in folders if Path(one).is_dir()))


def warnings(environ: Mapping[str, str], secrets: Iterable[str]) -> Iterator[str]:
    """What works now and will not at night, in sentences.

    Args:
        secrets: variables that the run reads as secrets, as ``api_key_env`` names them.
    """
    if "SSH_AUTH_SOCK" in environ:
        yield (
            "an ssh agent is running now and will not be at night: the nodes need a key"
            " without a passphrase (IdentityFile in ~/.ssh/config)"
        )
    if "HF_TOKEN" in environ:
        yield "HF_TOKEN is not written to a crontab: `hf auth login` keeps it in a file"
    for name in sorted(set(secrets)):
        yield f"{name} is not written to a crontab, and the playbook reads it: give it a file"
    for name, value in sorted(environ.items()):
        if _is_kept(name) and is_secret(name, value):
            yield f"{name} has a password in it and is left out"


def _is_kept(name: str) -> bool:
    return _KEPT.fullmatch(name) is not None and name not in _GIVEN_BY_OPTIONS
