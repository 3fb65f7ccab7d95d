"""Where a cursor is when what it was on has gone."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import final


@final
class Place:
    """Keeps a cursor on its subject; when that goes, at its neighbour until it comes back.

    Args:
        from_top: a cursor that nobody has moved yet stays at the top when something comes in above
            it: nodes answer one after the other, and who was first is nobody's choice.
    """

    def __init__(self, *, from_top: bool = False) -> None:
        self._unmoved = from_top
        self._passed_over = False
        """Whether it has just stayed at the top, on another subject than before."""
        self._lost: tuple[Hashable, ...] = ()
        """The key of what the cursor was on; nothing where it still is."""
        self._lost_marks = False

    @property
    def is_astray(self) -> bool:
        """Whether what was chosen has gone by itself: the cursor's subject, or all marked ones.

        Until the user moves the cursor, or sees it where it is now.
        """
        return bool(self._lost) or self._lost_marks or self._passed_over

    def settle(self) -> None:
        """Where the cursor is now is where the user wants it."""
        self._lost, self._lost_marks, self._passed_over = (), False, False

    def choose(self) -> None:
        """The user has put the cursor where it is now, or done something there."""
        self._unmoved = False
        self.settle()

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
        self._passed_over = False
        if self._lost and self._lost[0] in places:
            (back,), self._lost = self._lost, ()
            return places[back]
        if not old:
            return 0
        if old[cursor] in places:
            if self._unmoved and cursor == 0 and _are_new(places, old):
                self._passed_over = places[old[0]] > 0
                return 0
            return places[old[cursor]]
        self._lost = self._lost or (old[cursor],)
        for key in (*old[cursor + 1 :], *reversed(old[:cursor])):
            if key in places:
                return places[key]
        return min(cursor, max(0, len(places) - 1))


def _are_new(places: Mapping[Hashable, int], old: Sequence[Hashable]) -> bool:
    """Whether nothing that is above the first one now was there before."""
    return all(places[key] >= places[old[0]] for key in old if key in places)
