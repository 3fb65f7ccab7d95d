"""What looks like a secret: a guess by the name of a variable and by its value."""

from __future__ import annotations

import re
from typing import Final

_NAME: Final = re.compile(
    r"token(?!iz)|secret|passw|credential|private|(?<![a-z])key|key(?![a-z])", re.IGNORECASE
)
_IN_A_URL: Final = re.compile(r"://[^/\s@]+@")
_PLAIN: Final = re.compile(r"true|false|yes|no|on|off|none|null|auto|[\d.]{1,5}|[~.]?/.*", re.I)


def is_secret(name: str, value: str) -> bool:
    """Whether a variable looks like one that nobody else should read."""
    return bool(_NAME.search(name) or _IN_A_URL.search(value))


def is_hidden(name: str, value: str) -> bool:
    """Whether its value is hidden where it is shown: a path, a small number or a word such as
    ``true`` is no secret under any name, and would be missing everywhere.
    """
    return is_secret(name, value) and not _PLAIN.fullmatch(value)
