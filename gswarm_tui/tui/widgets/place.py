"""Where a cursor is when what it was on has gone."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import final


@final
class Place:
    """Keeps a cursor on its subject; when that goes, at its neighbour until it comes back."""

    def __init__(self) -> None:
        self._lost: tuple[Hashable, ...] = ()
        """The key of what the cursor was on; nothing where it still is."""
        self._lost_marks = False

    @property
    def is_astray(self) -> bool:
        """Whether what was chosen has gone by itself: the cursor's subject, or all marked ones.

        Until the user moves the cursor, or sees it where it is now.
        """
        return bool(self._lost) or self._lost_marks

    def settle(self) -> None:
        """Where the cursor is now is where the user wants it."""
        self._lost, self._lost_marks = (), False

    def lose_marks(self) -> None:
        """All that was marked has gone."""
        self._lost_marks = True

    def among(self, places: Mapping[Hashable, int], old: Sequence[Hashable], cursor: int) -> int:
        """Where the cursor is now.

        Args:
            places: the keys that are there now, each with its place.
            old: the keys that were there, in their order.
            cursor: its place among these.
        """
        if self._lost and self._lost[0] in places:
            (back,), self._lost = self._lost, ()
            return places[back]
        if not old:
            return 0
        if old[cursor] in places:
            return places[old[cursor]]
        self._lost = self._lost or (old[cursor],)
        for key in (*old[cursor + 1 :], *reversed(old[:cursor])):
            if key in places:
                return places[key]
        return min(cursor, max(0, len(places) - 1))
