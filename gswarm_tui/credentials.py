"""Guesses what is a secret, by the name of a variable and by its value."""

from __future__ import annotations

import re
from typing import Final

_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
"""``githubToken`` has two, as ``GITHUB_TOKEN`` has."""

_ANYWHERE: Final = re.compile(
    r".*(?:tokens?|secrets?|passw(?:or)?ds?|passphrases?|credentials?|apikeys?|privatekeys?)"
)
"""Also as the end of a word: ``PGPASSWORD``."""

_LAST: Final = re.compile(r"pass|sshpass|pwd|auth|authorization|bearer|cookie|cookies|jwt|pat|pats")

_KEYS_OF: Final = re.compile(
    r"access|account|admin|anthropic|api|auth|client|deploy|encryption|host|hf|hmac"
    r"|license|master|mistral|openai|private|rsa|secret|server|service|session|signing|ssh"
    r"|ssl|storage|subscription|tls|webhook"
)
"""Before ``key``: by itself it is that of a table, of a keyboard or of a model as well."""

_OTHER_TOKENS: Final = re.compile(r"bos|cls|eos|mask|max|min|num|pad|sep|stop|unk")
"""Before ``token``: those of a language model."""

_ABOUT: Final = re.compile(
    r"budget|count|domain|endpoint|host|length|limit|method|mode|name|parallelism|port"
    r"|prefix|size|sock|timeout|ttl|type|uri|url|user|username"
)
"""As the last word: what is said about a secret, and is none."""

_PLACE: Final = re.compile(r"dir|file|folder|path")

_IN_A_URL: Final = re.compile(r"://[^/\s@]+@")
_SHAPE: Final = re.compile(
    r"(?:hf_|sk-|gh[pousr]_|github_pat_|glpat-|xox[abp]-|AKIA)[A-Za-z0-9_-]{8,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*",
    re.DOTALL,
)
_PLAIN: Final = re.compile(r"true|false|yes|no|on|off|none|null|auto", re.IGNORECASE)
_NUMBER: Final = re.compile(r"[\d.,_]+[km]?", re.IGNORECASE)
_PATH: Final = re.compile(r"(?:~|\.\.?)?/.*|[^/]+/.*")


def is_secret(name: str, value: str) -> bool:
    """Whether a variable looks like one that nobody else should read.

    A word such as ``true`` is no secret under any name, and would be missing everywhere.
    """
    if _IN_A_URL.search(value) or _SHAPE.fullmatch(value):
        return True
    words = [word.lower() for word in _WORD.findall(name)]
    if not words or _ABOUT.fullmatch(words[-1]) or _PLAIN.fullmatch(value):
        return False
    if _PLACE.fullmatch(words[-1]) and _PATH.fullmatch(value):
        return False
    return any(_names_one(words, index, value) for index in range(len(words)))


def _names_one(words: list[str], index: int, value: str) -> bool:
    """Whether one word of a name, with that before it, says that the value is a secret."""
    word, before = words[index], words[index - 1] if index else ""
    if word == "tokens" and _NUMBER.fullmatch(value):
        return False
    if word in ("token", "tokens") and _OTHER_TOKENS.fullmatch(before):
        return False
    if word in ("key", "keys"):
        return bool(_KEYS_OF.fullmatch(before))
    if _ANYWHERE.fullmatch(word):
        return True
    is_last = index == len(words) - 1 or bool(_PLACE.fullmatch(words[-1]))
    # `PWD` by itself is the folder that a shell is in.
    return is_last and bool(_LAST.fullmatch(word)) and words != ["pwd"]
