"""Every failure that a user can see, drawn as a tree.

::

    GswarmError                 exit 1   something was asked and could not be done
    ├── UsageError              exit 2   what was written is wrong: nothing was done
    │   ├── InventoryError               the inventory file
    │   ├── PlaybookError                a playbook file
    │   ├── DeviceError                  a device or node name
    │   └── SourceNameError              a model's name or source reference
    ├── NodeError               exit 3   a node could not be reached or used
    │   ├── UnreachableError             no connection: refused, timed out, cut
    │   ├── HostKeyError                 the host key is unknown or is another one
    │   ├── AuthenticationError          the node does not accept the user
    │   └── BootstrapError               connected, but the helper could not be started
    ├── RemoteError             exit 1   the helper on a node answered with an error
    ├── SourceError             exit 1   where a model comes from said no
    │   └── SourceUnreachableError       it did not answer, or not now
    ├── StateError              exit 1   the controller's own database
    ├── LockedOutError          exit 4   another run of the playbook is under way
    ├── TimedOutError           exit 5   it took longer than it may
    └── CancelledError          exit 130 somebody asked for its end

Each says what was wrong, where, and what to do next; and, for `retry` in a playbook, a word for
its kind and whether it can pass by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_UNREACHABLE = 3
EXIT_LOCKED = 4
EXIT_TIMED_OUT = 5
EXIT_CANCELLED = 130
"""What a shell shows for a program that Ctrl-C ended."""

KINDS = (
    *("unreachable", "timeout", "source", "in_use", "no_space", "port_taken", "engine_failed"),
    *("incomplete", "mismatch", "not_found", "failed"),
)
"""The words for what went wrong that ``retry: {on: […]}`` of a playbook knows."""

_PASSING = frozenset({"unreachable", "incomplete"})


class GswarmError(Exception):
    """Base of every error that is shown to a user, never as a traceback.

    Args:
        message: what was wrong, one sentence without a final stop.
        where: ``file:line:column``, a node's name or a path; printed before the message.
        hint: what to do next, printed on a line of its own.
    """

    exit_code: ClassVar[int] = EXIT_FAILED
    kind: str = "failed"
    """A word for what went wrong, see `KINDS`."""

    def __init__(self, message: str, *, where: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message

    @property
    def passes(self) -> bool:
        """Whether the same thing may well succeed a little later."""
        return self.kind in _PASSING


class UsageError(GswarmError):
    exit_code = EXIT_USAGE


class InventoryError(UsageError):
    pass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a playbook; ``line`` and ``column`` count from 1.

    Args:
        file: which of the files it is in, in the order in which problems were found in them.
    """

    file: int
    where: str
    line: int
    column: int
    message: str
    hint: str | None = None


class PlaybookError(UsageError):
    """``problems`` has each problem by itself, where there are several in one error."""

    problems: Sequence[Problem] = ()


class DeviceError(UsageError):
    pass


class SourceNameError(UsageError):
    pass


class NodeError(GswarmError):
    """A node could not be reached or used; ``where`` is the node's name."""

    exit_code = EXIT_UNREACHABLE


class UnreachableError(NodeError):
    kind = "unreachable"


class HostKeyError(NodeError):
    pass


class AuthenticationError(NodeError):
    pass


class BootstrapError(NodeError):
    pass


class RemoteError(GswarmError):
    """The helper's own answer; ``kind`` is one of ``gswarm_remote.errors.Kind``."""

    def __init__(
        self, message: str, *, kind: str, where: str | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message, where=where, hint=hint)
        self.kind = kind


class SourceError(GswarmError):
    """``where`` is the source reference, without credentials."""

    kind = "source"


class SourceUnreachableError(SourceError):
    """It did not answer, or has a fault of its own that may pass."""

    kind = "unreachable"


class StateError(GswarmError):
    pass


class LockedOutError(GswarmError):
    exit_code = EXIT_LOCKED


class TimedOutError(GswarmError):
    exit_code = EXIT_TIMED_OUT
    kind = "timeout"


class CancelledError(GswarmError):
    exit_code = EXIT_CANCELLED
