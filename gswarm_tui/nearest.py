"""The known word that is nearest to one that is not known."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

CUTOFF = 0.6


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word most like ``word``, letter case aside; None where none is like it.

    Of several that are equally like it, the first.
    """
    matcher = difflib.SequenceMatcher()
    matcher.set_seq2(word.casefold())
    best, best_ratio = None, CUTOFF
    for name in known:
        matcher.set_seq1(name.casefold())
        if matcher.quick_ratio() > best_ratio and matcher.ratio() > best_ratio:
            best, best_ratio = name, matcher.ratio()
    return best


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The end of a sentence: ``; did you mean `nodes`?``, or nothing."""
    match = nearest(word, known)
    return f"; did you mean `{match}`?" if match is not None else ""
