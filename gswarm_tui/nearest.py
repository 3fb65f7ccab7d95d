"""The known word that is nearest to one that is not known."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word most like ``word``, letter case aside; None where none is like it."""
    by_folded = {name.casefold(): name for name in known}
    matches = difflib.get_close_matches(word.casefold(), by_folded, n=1, cutoff=0.6)
    return by_folded[matches[0]] if matches else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The end of a sentence: ``; did you mean `nodes`?``, or nothing."""
    match = nearest(word, known)
    return f"; did you mean `{match}`?" if match is not None else ""
