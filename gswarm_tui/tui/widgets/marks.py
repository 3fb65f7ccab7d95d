"""What is marked in a table, shown or not."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import final


@final
class Marks:
    """The subjects that are marked. One that a filter hides stays so; one that has gone does not.

    A subject is marked once, on however many lines it stands; None stands for a line that has
    none, as a heading.
    """

    def __init__(self) -> None:
        self._marked: set[Hashable] = set()
        self._shown: set[Hashable] = set()

    def __contains__(self, subject: Hashable) -> bool:
        return subject in self._marked

    @property
    def count(self) -> int:
        """How many are marked, with those that are hidden."""
        return len(self._marked)

    @property
    def hidden(self) -> int:
        """How many of these are not shown."""
        return len(self._marked - self._shown)

    def show(self, subjects: Iterable[Hashable], *, hides: bool) -> bool:
        """These are shown now; say whether some marked ones were before, and none is any more.

        Args:
            hides: whether there may be others that are not shown; else they are gone.
        """
        before = self._marked & self._shown
        self._shown = {subject for subject in subjects if subject is not None}
        if not hides:
            self._marked &= self._shown
        return bool(before) and self._marked.isdisjoint(self._shown)

    def turn(self, subject: Hashable) -> None:
        """Mark it, or not any more."""
        if subject is not None:
            self._marked ^= {subject}

    def turn_all(self) -> None:
        """Mark all that are shown; where they are, not any more."""
        if self._shown <= self._marked:
            self._marked -= self._shown
        else:
            self._marked |= self._shown
