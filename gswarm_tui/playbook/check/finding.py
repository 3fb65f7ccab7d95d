"""What a comparison with the fleet finds out about one action."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import final

from gswarm_tui.devices import Device
from gswarm_tui.wording import size as shown_size


class Verdict(StrEnum):
    """What an action would come to, if it ran now."""

    WOULD_DO = "would do"
    ALREADY = "already so"
    UNKNOWN = "unknown until run"
    SKIP = "would skip"  # its `when` is false
    WOULD_FAIL = "would fail"  # its problems say why


class Unknowable(Exception):
    """It cannot be told before the run; the message says why."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What is known of an action beforehand.

    Args:
        because: sentences, such as what is there already or why it cannot be known.
        moves: bytes that are brought to each disk or memory; None where the size is not known.
        reads: bytes that are only read there, likewise.
        problems: why it would fail, if it ran now.
    """

    verdict: Verdict
    because: tuple[str, ...] = ()
    moves: Mapping[Device, int | None] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    reads: Mapping[Device, int | None] = field(default_factory=dict)

    @property
    def size(self) -> int | None:
        """Bytes that are moved in all; None where a part is not known."""
        sizes = list(self.moves.values())
        return None if None in sizes else sum(size or 0 for size in sizes)


@final
class Draft:
    """A finding in the making: each part of an action adds what it comes to."""

    def __init__(self) -> None:
        self._does = False
        self._doubt = False
        self._because: dict[str, None] = {}
        self._moves: dict[Device, int | None] = {}
        self._reads: dict[Device, int | None] = {}
        self._problems: dict[str, None] = {}

    def does(self, because: str | None = None) -> None:
        """There is something to do."""
        self._does = True
        self._note(because)

    def brings(self, device: Device, size: int | None) -> None:
        """Bytes have to be brought to a disk or memory."""
        self._does = True
        self._moves[device] = size

    def reads(self, device: Device, size: int | None) -> None:
        """Bytes have to be read, and stay where they are."""
        amount = "all files" if size is None else shown_size(size)
        self.does(f"reads {amount} on {device}")
        self._reads[device] = size

    def has(self, because: str) -> None:
        """A part is as it should be."""
        self._note(because)

    def doubts(self, because: str) -> None:
        """Whether there is something to do is only seen when it runs."""
        self._doubt = True
        self._note(because)

    def fails(self, why: str) -> None:
        """It would fail."""
        self._problems[why] = None

    def finding(self) -> Finding:
        verdict = Verdict.ALREADY
        if self._problems:
            verdict = Verdict.WOULD_FAIL
        elif self._does:
            verdict = Verdict.WOULD_DO
        elif self._doubt:
            verdict = Verdict.UNKNOWN
        problems = tuple(self._problems)
        return Finding(verdict, tuple(self._because), self._moves, problems, self._reads)

    def _note(self, because: str | None) -> None:
        if because is not None:
            self._because[because] = None
