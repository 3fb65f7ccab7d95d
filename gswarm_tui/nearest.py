"""Finds the known word that is nearest to an unknown one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Final

CUTOFF = 0.6

_LONGER: Final = 1.5
"""How many times longer one of two words may be, where neither begins with the other."""

_ELSEWHERE: Final[Mapping[str, str]] = {
    "action_id": "id name task step",
    "action_type": "type kind uses module",
    "actions": "steps tasks jobs stages",
    "always": "finally cleanup handlers",
    "argv": "cmd command args shell",
    "as": "name prefix alias",
    "attempts": "count limit max_attempts retries",
    "backoff": "delay interval wait",
    "boolean": "bool",
    "command": "shell exec run script",
    "cwd": "working_dir workdir chdir",
    "delete": "remove rm",
    "dependencies": "depends_on depends needs requires after",
    "download": "fetch pull",
    "each": "item loop",
    "env": "environment environ",
    "file": "path playbook",
    "for_each": "loop with_items matrix foreach",
    "health_check": "ping check",
    "integer": "int",
    "keep_source": "keep",
    "list": "array",
    "message": "msg text",
    "move": "load",
    "node": "host hosts",
    "noop": "debug echo print pass",
    "number": "float",
    "on_failure": "ignore_errors on_error continue_on_error",
    "retry": "retries max_retries",
    "schedule": "cron on",
    "source_device": "from src",
    "stop_serve": "stop unserve",
    "target_device": "to dest",
    "target_url": "url uri",
    "text": "string str",
    "unreachable": "network connection",
    "vars": "var variables parameters inputs env environment",
    "verify": "validate checksum sha256sum fsck scrub",
    "when": "if only_if condition",
}
"""Known words, and what other tools call the same."""


def nearest(word: str, known: Iterable[str], *, cutoff: float = CUTOFF) -> str | None:
    """The known word that is the same elsewhere, else the one most like ``word``, letter case
    aside; None where none is like it.

    Of several that are equally like it, the first.
    """
    names = list(known)
    word = word.casefold()
    for name in names:
        if word == name.casefold():
            return name
    for name in names:
        if word in _ELSEWHERE.get(name, "").split():
            return name
    matcher = difflib.SequenceMatcher()
    matcher.set_seq2(word)
    best, best_ratio = None, cutoff
    for name in names:
        folded = name.casefold()
        matcher.set_seq1(folded)
        if matcher.quick_ratio() <= best_ratio or not _of_like_length(word, folded):
            continue
        if matcher.ratio() > best_ratio:
            best, best_ratio = name, matcher.ratio()
    return best


def in_nearness(word: str, known: Iterable[str]) -> list[str]:
    """The known words, those first that are more like ``word``; of equal ones, the first."""
    matcher = difflib.SequenceMatcher()
    matcher.set_seq2(word.casefold())

    def unlike(name: str) -> float:
        matcher.set_seq1(name.casefold())
        return -matcher.ratio()

    return sorted(known, key=unlike)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The end of a sentence: ``; did you mean `nodes`?``, or nothing."""
    match = nearest(word, known)
    return f"; did you mean `{match}`?" if match is not None else ""


def _of_like_length(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    return len(long) <= _LONGER * len(short) or long.startswith(short)
